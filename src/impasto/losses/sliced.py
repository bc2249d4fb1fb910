"""The sliced Wasserstein distance."""

import torch
from torch import Tensor

from impasto.losses.base import StyleLoss
from impasto.losses.quantiles import Counts, Quantiles, counts_of, quantile_distance, quantiles_of


class Sliced(StyleLoss):
    """Sliced Wasserstein distance: the distribution of features, seen along random orthogonal directions.

    Reference: Heitz et al. (2021), arXiv:2006.07229, eq. 6. Differs: as many directions as channels, orthogonal and the
    same in each iteration, so that the objective stays a function of the picture and L-BFGS may be used.
    """

    scale = 3.0
    counts = True

    def statistics(self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None) -> Counts:
        """Counts of the values along each direction; see `StyleLoss.statistics`."""
        num_channels = features.shape[1] if projection is None else projection.shape[0]
        rotation = directions(num_channels).to(features.device)
        identity = torch.eye(features.shape[1], features.shape[1] + 1, device=features.device)
        return counts_of(features, weights, rotation @ (identity if projection is None else projection))

    def target(self, statistics: Counts, projection: Tensor | None = None) -> Quantiles:
        """The quantiles."""
        return quantiles_of(statistics)

    def distance(self, statistics: Counts, target: Quantiles) -> Tensor:
        """Relative square of the difference of quantiles."""
        return quantile_distance(statistics, target)


def directions(channels: int) -> Tensor:
    """A random rotation of so many channels, always the same, float32."""
    generator = torch.Generator().manual_seed(channels)
    rotation, triangle = torch.linalg.qr(torch.randn((channels, channels), generator=generator, dtype=torch.float64))
    signed: Tensor = rotation * triangle.diagonal().sign()
    return signed.float()
