"""The sliced Wasserstein distance."""

import torch
from torch import Tensor

from impasto.losses.base import StyleLoss
from impasto.losses.quantiles import quantile_distance, sorted_values


class Sliced(StyleLoss):
    """Sliced Wasserstein distance: the distribution of features, seen along random orthogonal directions.

    Reference: Heitz et al. (2021), arXiv:2006.07229, eq. 6. Differs: as many directions as channels, orthogonal and the
    same in each iteration, so that the objective stays a function of the picture and L-BFGS may be used.
    """

    def summarize(self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None) -> Tensor:
        """Values along each direction in rising order, shape (K, N)."""
        channels = features.shape[1] if projection is None else projection.shape[0]
        directions = _directions(channels).to(features.device)
        identity = torch.eye(features.shape[1], features.shape[1] + 1, device=features.device)
        return sorted_values(features, weights, directions @ (identity if projection is None else projection))

    def distance(self, summary: Tensor, target: Tensor) -> Tensor:
        """Relative square of the difference of quantiles."""
        return quantile_distance(summary, target)


def _directions(channels: int) -> Tensor:
    """A random rotation of so many channels, always the same, float32."""
    generator = torch.Generator().manual_seed(channels)
    rotation, triangle = torch.linalg.qr(torch.randn((channels, channels), generator=generator, dtype=torch.float64))
    signed: Tensor = rotation * triangle.diagonal().sign()
    return signed.float()
