"""Distances of tensors and pictures: relative squares, the content loss and total variation.

Legend: B pictures, C channels.
"""

from typing import Any

import torch
from torch import Tensor

from impasto.products import affine

_NOTHING = 1e-20
"""Squared norms below this are those of a dead layer; they cannot serve as a scale."""


def relative(difference: Tensor, scale: Tensor) -> Tensor:
    """A difference over its scale, both scalars; where the scale is (nearly) zero the difference is not divided."""
    return difference / torch.where(scale > _NOTHING, scale, torch.ones_like(scale))


class _SquaredNorm(torch.autograd.Function):
    """Autograd's own way back raises to a power and multiplies twice; one pass will do."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.save_for_backward(tensor)
        return tensor.square().sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,), (tensor,) = gradients, ctx.saved_tensors
        whole: Tensor = tensor * (2 * gradient)
        return whole


def squared_norm(tensor: Tensor) -> Tensor:
    """The sum of squares, a scalar."""
    norm: Tensor = _SquaredNorm.apply(tensor)  # type: ignore[no-untyped-call]
    return norm


def relative_square(difference: Tensor, reference: Tensor) -> Tensor:
    """Squared norm of a difference over the squared norm of what it is compared with, a scalar.

    Args:
        difference: Any shape.
        reference: Any shape; where it is (nearly) zero, as of a dead layer, the difference is not divided.
    """
    return relative(squared_norm(difference), squared_norm(reference))


def content_loss(
    features: Tensor, target: Tensor, head: Tensor | None = None, target_energy: Tensor | None = None
) -> Tensor:
    """Relative squared distance ‖F − T‖² / ‖T‖² of feature maps, a scalar.

    Args:
        features: Shape (B, C, H, W).
        target: Shape (B, C, H, W).
        head: An affine map of the features in whose space to measure, shape (K, C + 1); None for none.
        target_energy: ‖T‖² from `energy`, where it is known.

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 1. Differs: divided by the target's own squared norm.
    """
    difference = (features - target).to(torch.promote_types(features.dtype, torch.float32))
    if head is not None:
        difference = affine(_by_position(difference), head[:, :-1])
    return relative(squared_norm(difference), energy(target, head) if target_energy is None else target_energy)


def energy(features: Tensor, head: Tensor | None = None) -> Tensor:
    """Squared norm of feature maps, a scalar; arguments as those of `content_loss`."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    if head is not None:
        features = affine(_by_position(features), head[:, :-1], head[:, -1])
    return squared_norm(features)


def _by_position(features: Tensor) -> Tensor:
    """Shape (B, C, H, W) to (B · H · W, C)."""
    return features.permute(0, 2, 3, 1).flatten(0, 2)


class _TotalVariation(torch.autograd.Function):
    """Autograd's own way back fills and adds a whole picture for every slice of one."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, wrap: bool) -> Tensor:
        ctx.wrap = wrap
        ctx.save_for_backward(image)
        sums = [_differences(image, axis, wrap).abs_().sum() for axis in (-1, -2)]
        return sum(sums, start=image.new_zeros(())) / image.numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (image,) = gradients, ctx.saved_tensors
        total = torch.zeros_like(image)
        for axis in (-1, -2):
            signs = _differences(image, axis, ctx.wrap).sign_()
            count = signs.shape[axis]
            total.narrow(axis, 0, count).sub_(signs)
            if ctx.wrap:
                total.add_(signs.roll(1, axis))
            else:
                total.narrow(axis, 1, count).add_(signs)
        return total.mul_(gradient / image.numel()), None


def _differences(image: Tensor, axis: int, wrap: bool) -> Tensor:
    """Each pixel's neighbor along an axis, less the pixel."""
    if wrap:
        return image.roll(-1, axis) - image
    count = image.shape[axis] - 1
    return image.narrow(axis, 1, count) - image.narrow(axis, 0, count)


def total_variation(image: Tensor, wrap: bool = False) -> Tensor:
    """Anisotropic total variation: absolute differences to the right and lower neighbour, mean per pixel and channel.

    Args:
        image: Shape (B, C, H, W).
        wrap: Whether the right neighbor of the last column is the first, and so for rows, as in a tileable picture.

    Returns:
        A scalar; 0 for a constant picture, at most 2 for one in [0, 1].

    Reference: Rudin, Osher & Fatemi (1992), Physica D 60, in its anisotropic form; for style transfer Johnson et al.
    (2016), arXiv:1603.08155.
    """
    variation: Tensor = _TotalVariation.apply(image, wrap)  # type: ignore[no-untyped-call]
    return variation
