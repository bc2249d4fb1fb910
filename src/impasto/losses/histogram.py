"""Gram matrices and each channel's histogram."""

from dataclasses import dataclass

from torch import Tensor

from impasto.losses.base import Statistics, StyleLoss
from impasto.losses.gram import gram_loss
from impasto.losses.quantiles import Counts, Quantiles, counts_of, quantile_distance, quantiles_of
from impasto.losses.statistics import Moments, moments


@dataclass(frozen=True, eq=False)
class MomentsAndCounts(Statistics):
    """Additive statistics of both kinds."""

    moments: Moments
    counts: Counts


class Histogram(StyleLoss):
    """The mean of two losses: of Gram matrices, and of each channel's histogram.

    Reference: Risser, Wilmot & Barnes (2017), arXiv:1701.08893, eq. 8. Differs: histograms of narrow bins whose means
    are kept (`quantiles`), where the paper uses 256 bins; normalized like the Gram loss.
    """

    scale = 1.2
    counts = True

    def statistics(
        self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None
    ) -> MomentsAndCounts:
        """Moments of the features themselves, and counts of the projected values; see `StyleLoss.statistics`."""
        return MomentsAndCounts(moments(features, weights), counts_of(features, weights, projection))

    def target(
        self, statistics: MomentsAndCounts, projection: Tensor | None = None
    ) -> tuple[Tensor, Quantiles, Tensor | None]:
        """The Gram matrix, shape (1, K, K), the quantiles, and the projection."""
        return statistics.moments.gram(projection), quantiles_of(statistics.counts), projection

    def distance(self, statistics: MomentsAndCounts, target: tuple[Tensor, Quantiles, Tensor | None]) -> Tensor:
        """Mean of the two relative squares."""
        gram, quantiles, projection = target
        return (
            gram_loss(statistics.moments.gram(projection), gram) + quantile_distance(statistics.counts, quantiles)
        ) / 2
