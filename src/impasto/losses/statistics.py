"""Additive statistics of feature maps: counts, sums and sums of outer products over positions.

The sums of two parts of a picture add up to those of the whole, so masks, several styles and tiles need no second
implementation of a loss.

Legend: B pictures, C channels, H·W = N positions.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.losses.base import Statistics

_POSITIONS_AT_A_TIME = 1 << 16
"""Half-precision features are converted to float32 in slices of this many positions, to keep the copy small."""


class _Sums(torch.autograd.Function):
    """First and second moment sums, accumulated in at least float32, with one fused pass backward."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        wide = torch.promote_types(features.dtype, torch.float32)
        positions = features.shape[1]
        step = positions if features.dtype == wide else _POSITIONS_AT_A_TIME
        firsts, seconds = [], []
        for start in range(0, positions, step):
            part = features[:, start : start + step].to(wide)
            weighted = part if weights is None else part * weights[:, start : start + step, None]
            firsts.append(weighted.sum(1))
            seconds.append(weighted.mT @ part)
        first, second = (sum(sums[1:], start=sums[0]) for sums in (firsts, seconds))
        ctx.save_for_backward(features, weights)
        return first, second

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, weights = ctx.saved_tensors
        d_first, d_second = (gradient.to(features.dtype) for gradient in gradients)
        matrices = d_second + d_second.mT
        gradient = torch.baddbmm(d_first[:, None, :], features, matrices)
        return gradient if weights is None else gradient * weights[..., None].to(gradient.dtype), None


@dataclass(frozen=True, eq=False)
class Moments(Statistics):
    """Additive statistics of feature maps over positions.

    Attributes:
        count: Positions (sum of their weights), shape (B,).
        first: Sum of the features, shape (B, C).
        second: Sum of their outer products, shape (B, C, C).
    """

    count: Tensor
    first: Tensor
    second: Tensor

    def gram(self, projection: Tensor | None = None) -> Tensor:
        """The Gram matrix, divided by positions.

        Args:
            projection: An affine map of the features, shape (K, C + 1), its last column the constant; None for none.

        Returns:
            Shape (B, C, C); with a projection (B, K, K), the Gram matrix that the mapped features would have.
        """
        count = self.count[:, None, None].clamp(min=1e-12)
        second = self.second / count
        if projection is None:
            return second
        mean = (self.first / count[..., 0])[..., None]
        linear, constant = projection[:, :-1], projection[:, -1:]
        cross = linear @ mean @ constant.mT
        return linear @ second @ linear.mT + cross + cross.mT + constant @ constant.mT

    def augmented_gram(self) -> Tensor:
        """The Gram matrix of the features and, after them, a constant 1, shape (B, C + 1, C + 1)."""
        mean = (self.first / self.count[:, None].clamp(min=1e-12))[..., None]
        corner = torch.cat([mean, torch.ones_like(mean[:, :1])], 1)
        return torch.cat([torch.cat([self.gram(), mean.mT], 1), corner], 2)

    def mean(self, projection: Tensor | None = None) -> Tensor:
        """The mean feature, shape (B, C); with a projection (B, K), that of the mapped features."""
        mean = self.first / self.count[:, None].clamp(min=1e-12)
        return mean if projection is None else mean @ projection[:, :-1].mT + projection[:, -1]

    def covariance(self, projection: Tensor | None = None) -> Tensor:
        """The covariance by positions, shape (B, C, C); with a projection (B, K, K), that of the mapped features."""
        mean = self.mean()
        covariance = self.second / self.count[:, None, None].clamp(min=1e-12) - mean[:, :, None] * mean[:, None, :]
        return covariance if projection is None else projection[:, :-1] @ covariance @ projection[:, :-1].mT


def moments(features: Tensor, weights: Tensor | None = None) -> Moments:
    """Sums features and their outer products over all positions, in at least float32.

    Args:
        features: Shape (B, C, H, W), any floating type and memory format.
        weights: Weight of each position in [0, 1], shape (B, 1, H, W); None counts each once.

    Returns:
        The sums; differentiable with respect to the features, not to the weights.
    """
    batch, _, height, width = features.shape
    by_position = features.permute(0, 2, 3, 1).flatten(1, 2)
    if weights is None:
        flat, count = None, features.new_full((batch,), height * width, dtype=torch.float32)
    else:
        flat = weights.expand(batch, 1, height, width).flatten(1)
        count = flat.sum(1)
    first, second = _Sums.apply(by_position, flat)  # type: ignore[no-untyped-call]
    return Moments(count.to(first.dtype), first, second)
