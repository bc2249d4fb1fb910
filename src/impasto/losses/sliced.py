"""The sliced Wasserstein distance."""

import torch
from torch import Tensor

from impasto.losses.base import StyleLoss
from impasto.losses.quantiles import Values, quantile_distance, values_of


class Sliced(StyleLoss):
    """Sliced Wasserstein distance: the distribution of features, seen along random orthogonal directions.

    Reference: Heitz et al. (2021), arXiv:2006.07229, eq. 6. Differs: as many directions as channels, orthogonal and the
    same in each iteration, so that the objective stays a function of the picture and L-BFGS may be used.
    """

    scale = 3.0
    sorts = True

    def statistics(self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None) -> Values:
        """Values along each direction; see `StyleLoss.statistics`."""
        num_channels = features.shape[1] if projection is None else projection.shape[0]
        rotation = directions(num_channels).to(features.device)
        identity = torch.eye(features.shape[1], features.shape[1] + 1, device=features.device)
        return values_of(features, weights, rotation @ (identity if projection is None else projection))

    def target(self, statistics: Values, projection: Tensor | None = None) -> Tensor:
        """The quantiles, shape (K, N)."""
        return statistics.sorted

    def distance(self, statistics: Values, target: Tensor) -> Tensor:
        """Relative square of the difference of quantiles."""
        return quantile_distance(statistics.sorted, target)


def directions(channels: int) -> Tensor:
    """A random rotation of so many channels, always the same, float32."""
    generator = torch.Generator().manual_seed(channels)
    rotation, triangle = torch.linalg.qr(torch.randn((channels, channels), generator=generator, dtype=torch.float64))
    signed: Tensor = rotation * triangle.diagonal().sign()
    return signed.float()
