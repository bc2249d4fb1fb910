"""What all losses share: relative distances, and the contract of a style loss.

Legend: B pictures (1 where values are sorted), C channels, K channels after the projection, N positions.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor

_NOTHING = 1e-20
"""Squared norms below this are those of a dead layer; they cannot serve as a scale."""


def relative(difference: Tensor, scale: Tensor) -> Tensor:
    """A difference divided by its scale, both scalars; undivided where the scale is (nearly) zero."""
    return difference / torch.where(scale > _NOTHING, scale, torch.ones_like(scale))


class _SquaredNorm(torch.autograd.Function):
    """The sum of squares with a backward pass of one multiplication; autograd's own takes three operations."""

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
    """Squared norm of a difference divided by the squared norm of the reference, a scalar.

    Args:
        difference: Any shape.
        reference: Any shape. If it is (nearly) zero, as for a dead layer, the difference is not divided.
    """
    return relative(squared_norm(difference), squared_norm(reference))


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sums over positions: those of two parts of a picture add up to those of the whole, field by field."""

    def __add__(self, other: Self) -> Self:
        return self.of([one + another for one, another in zip(self.tensors(), other.tensors(), strict=True)])

    def tensors(self) -> list[Tensor]:
        """All sums; nested ones too."""
        values = [getattr(self, field.name) for field in fields(self)]
        return [
            tensor for value in values for tensor in (value.tensors() if isinstance(value, Statistics) else [value])
        ]

    def of(self, tensors: list[Tensor]) -> Self:
        """Statistics of this kind with other sums, in the order of `tensors`."""
        left, values = list(tensors), []
        for field in fields(self):
            value = getattr(self, field.name)
            count = len(value.tensors()) if isinstance(value, Statistics) else 1
            own, left = left[:count], left[count:]
            values.append(value.of(own) if isinstance(value, Statistics) else own[0])
        return type(self)(*values)


class StyleLoss(ABC):
    """A way to compare styles: statistics of features, and their distance from a target.

    Statistics of two parts of a picture add up (``+``) to those of the whole, so masks, several styles and tiles need
    no second implementation.

    Attributes:
        scale: Factor at which its gradient is about as strong as the Gram loss's at the balanced picture.
        counts: Whether it counts the values of all features; this takes memory for each value and its place.
    """

    scale: float = 1.0
    counts: bool = False

    @abstractmethod
    def statistics(
        self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None
    ) -> Statistics:
        """Reduces features to the loss's statistics, additive and differentiable.

        Args:
            features: Shape (1, C, H, W).
            weights: Weight of each position in [0, 1], shape (1, 1, H, W); None counts each once.
            projection: An affine map of the features, shape (K, C + 1), its last column the constant; None for none.
        """

    @abstractmethod
    def target(self, statistics: Any, projection: Tensor | None = None) -> Any:
        """Prepares the statistics of a style image for `distance`, once; the projection is that of `statistics`."""

    @abstractmethod
    def distance(self, statistics: Any, target: Any) -> Tensor:
        """Distance of statistics from a target, a scalar: 0 if equal, about 1 for a black picture."""
