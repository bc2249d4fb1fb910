"""Gram matrices and each channel's histogram."""

from dataclasses import dataclass

from torch import Tensor

from impasto.losses.base import StyleLoss
from impasto.losses.gram import gram_loss
from impasto.losses.quantiles import Values, quantile_distance, values_of
from impasto.losses.statistics import Moments, moments


@dataclass(frozen=True, eq=False)
class MomentsAndValues:
    """Additive statistics of both kinds, and the projection of the features."""

    moments: Moments
    values: Values
    projection: Tensor | None

    def __add__(self, other: "MomentsAndValues") -> "MomentsAndValues":
        return MomentsAndValues(self.moments + other.moments, self.values + other.values, self.projection)


class Histogram(StyleLoss):
    """The mean of two losses: of Gram matrices, and of each channel's histogram.

    Reference: Risser, Wilmot & Barnes (2017), arXiv:1701.08893, eq. 8. Differs: histograms are matched exactly, by
    sorting, where the paper uses 256 bins; normalized like the Gram loss.
    """

    scale = 1.2
    sorts = True

    def statistics(
        self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None
    ) -> MomentsAndValues:
        """Moments of the features themselves, and the projected values; see `StyleLoss.statistics`."""
        return MomentsAndValues(moments(features, weights), values_of(features, weights, projection), projection)

    def target(self, statistics: MomentsAndValues, projection: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The Gram matrix, shape (1, K, K), and the quantiles, shape (K, N)."""
        return statistics.moments.gram(projection), statistics.values.sorted

    def distance(self, statistics: MomentsAndValues, target: tuple[Tensor, Tensor]) -> Tensor:
        """Mean of the two relative squares."""
        gram, quantiles = self.target(statistics, statistics.projection)
        return (gram_loss(gram, target[0]) + quantile_distance(quantiles, target[1])) / 2
