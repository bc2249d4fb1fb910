"""Natural gradient for the layers of a narrow network: steps of a stated size in what a layer answers.

A step in the weights is worth what it changes in the layer's output. With A the second moment of the layer's inputs,
that change has the mean square tr(D A Dᵀ); the direction of steepest descent in this measure is the gradient times
A⁻¹. Plain gradients spend their steps on the few directions in which the inputs are large (all of them positive, so
above all on their mean), and Adam and orthogonalized steps let those directions swing.

Reference: Martens & Grosse (2015), arXiv:1503.05671, section 3 (the factor A alone). Differs: the step's length is
fixed, not the learning rate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from training.networks import LAYERS, augment, patches

from impasto.encoders.compact import Compact
from impasto.encoders.low_rank import LowRankConv

WINDOW = 24
"""Edge of the square of positions that a picture gives to a layer's moments."""

DAMPING = 0.1
"""Added to the moments' diagonal, relative to it. With little of it, weights grow where inputs hardly vary, and inputs
that do (of noisy or painted pictures, or because the layer before has moved) are amplified out of hand."""


@torch.no_grad()
def inverse_moments(encoder: Compact, batches: Sequence[Tensor]) -> dict[str, Tensor]:
    """Damped inverse second moments of what each map of the network takes in.

    Args:
        encoder: The network.
        batches: Pictures (B, 3, H, W) on its device.

    Returns:
        Of each layer with C channels before it, ``<layer>.conv`` of shape (9 C + 1, 9 C + 1) and ``<layer>.head`` of
        shape (own + 1, own + 1); of a factored one, that squeezes to A channels and has rank R, ``<layer>.squeeze`` of
        (C, C) if it does, ``<layer>.conv`` of (9 A, 9 A) and ``<layer>.expand`` of (R + 1, R + 1).
    """
    sums: dict[str, Tensor] = {}
    for batch in batches:
        x = (batch - encoder.mean) / encoder.std
        for layer, conv in encoder.convs.items():
            if layer.endswith("_1") and layer != LAYERS[0]:
                x = nn.functional.max_pool2d(x, 2)
            before, x = x, conv(x).relu_()
            for name, inputs in _inputs(conv, before, x).items():
                moments = (inputs.T @ inputs).double() / (len(inputs) * len(batches))
                sums[f"{layer}.{name}"] = sums.get(f"{layer}.{name}", 0) + moments
    return {name: _damped_inverse(moments) for name, moments in sums.items()}


def _inputs(conv: nn.Module, before: Tensor, after: Tensor) -> dict[str, Tensor]:
    """What each map of a layer takes in, position by position.

    A factored layer's are in units of what the map answers, which is of any size: steps are then relative to it.
    """
    square = slice(0, WINDOW)
    if not isinstance(conv, LowRankConv):
        return {"conv": patches(before, square, square), "projection": augment(after[..., :WINDOW, :WINDOW])}
    squeezed, ranked = conv.inside(before)
    inputs = {} if conv.squeeze is None else {"squeeze": augment(before[..., :WINDOW, :WINDOW])[:, :-1]}
    inputs |= {"conv": patches(squeezed, square, square)[:, :-1], "expand": augment(ranked[..., :WINDOW, :WINDOW])}
    answers = {"squeeze": squeezed, "conv": ranked, "expand": after}
    return {name: rows / answers[name].square().mean().sqrt() for name, rows in inputs.items()}


def _damped_inverse(moments: Tensor) -> Tensor:
    damped = moments + torch.diag(DAMPING * moments.diagonal() + 1e-6)
    return torch.cholesky_inverse(torch.linalg.cholesky(damped)).float()


class NaturalGradient:
    """Moves affine maps along their natural gradients, averaged over steps.

    Args:
        maps: Weight and bias of each map by name; the bias is None where there is none, or the weight's last column
            holds it.
        inverses: From `inverse_moments`, under the same names.
        momentum: Share of the past in the averaged gradient.
    """

    def __init__(
        self,
        maps: Mapping[str, tuple[nn.Parameter, nn.Parameter | None]],
        inverses: Mapping[str, Tensor],
        momentum: float,
    ) -> None:
        self.maps, self.inverses, self.momentum = dict(maps), inverses, momentum
        self.averages: dict[str, Tensor] = {}

    @torch.no_grad()
    def step(self, size: float) -> None:
        """One step; clears the gradients.

        Args:
            size: Root mean square of the change in each map's output.
        """
        for name, (weight, bias) in self.maps.items():
            if weight.grad is None:  # the projection of a layer that this step did not look at
                continue
            gradient = weight.grad.flatten(1)
            if bias is not None:
                assert bias.grad is not None
                gradient = torch.cat([gradient, bias.grad[:, None]], 1)
            average = self.averages.get(name)
            average = gradient.clone() if average is None else average.lerp_(gradient, 1 - self.momentum)
            self.averages[name] = average
            direction = average @ self.inverses[name]
            change = (average * direction).sum().clamp_min(1e-30).sqrt()  # sqrt(tr(D A Dᵀ))
            direction *= -size * len(direction) ** 0.5 / change
            if bias is not None:
                bias.add_(direction[:, -1])
                direction = direction[:, :-1]
                bias.grad = None
            weight.add_(direction.reshape(weight.shape))
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The averaged gradients; the inverses follow from the start."""
        return self.averages

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self.averages = state
