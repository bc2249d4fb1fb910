"""Gram matrices and each channel's histogram."""

from torch import Tensor

from impasto.losses.base import StyleLoss
from impasto.losses.gram import gram_loss
from impasto.losses.quantiles import quantile_distance, sorted_values
from impasto.losses.statistics import moments


class Histogram(StyleLoss):
    """Gram matrices and each channel's histogram, half and half.

    Reference: Risser, Wilmot & Barnes (2017), arXiv:1701.08893, eq. 8. Differs: histograms are matched exactly, by
    sorting, where the paper uses 256 bins; normalized like the Gram loss.
    """

    def summarize(
        self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The Gram matrix, shape (1, K, K), and each channel's values in rising order, shape (K, N)."""
        return moments(features, weights).gram(projection), sorted_values(features, weights, projection)

    def distance(self, summary: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        """Mean of the two relative squares."""
        return (gram_loss(summary[0], target[0]) + quantile_distance(summary[1], target[1])) / 2
