"""The Gram loss: which channels are active together, regardless of position.

Legend: B pictures, C channels, K channels after the projection.
"""

from torch import Tensor

from impasto.losses.base import StyleLoss, relative, relative_square, squared_norm
from impasto.losses.statistics import Moments, moments


def gram_matrix(features: Tensor) -> Tensor:
    """Channel correlations of feature maps, divided by the number of positions.

    Args:
        features: Shape (B, C, H, W).

    Returns:
        Symmetric, shape (B, C, C), unit: squared activation.

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 3. Differs: divided by H·W, so that one weight suits every
    size.
    """
    return moments(features).gram()


def gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Relative squared Frobenius distance ‖G − T‖² / ‖T‖² of two Gram matrices, a scalar.

    Args:
        gram: Shape (B, C, C).
        target: Shape (B, C, C).

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 4. Differs: divided by the target's own squared norm, so that
    layers, encoders and styles are on one scale: 0 if equal, 1 for a black picture.
    """
    return relative_square(gram - target, target)


class Gram(StyleLoss):
    """Gram matrices; see `gram_loss`.

    With a projection H, ‖H S Hᵀ‖² is computed as tr(M S M S) with M = HᵀH, which saves a matrix product in each pass.
    """

    def statistics(self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None) -> Moments:
        """First and second moments of the features themselves; see `StyleLoss.statistics`."""
        return moments(features, weights)

    def target(self, statistics: Moments, projection: Tensor | None = None) -> tuple[Tensor, Tensor | None, Tensor]:
        """The Gram matrix, the projection's metric, and the squared norm in it."""
        metric = None if projection is None else projection.mT @ projection
        gram = _gram(statistics, metric)
        return gram, metric, _squared_norm(gram, metric)

    def distance(self, statistics: Moments, target: tuple[Tensor, Tensor | None, Tensor]) -> Tensor:
        """See `gram_loss`."""
        target_gram, metric, scale = target
        return relative(_squared_norm(_gram(statistics, metric) - target_gram, metric), scale)


def _gram(statistics: Moments, metric: Tensor | None) -> Tensor:
    """Shape (1, C, C), or with a constant among the channels, which an affine projection needs, (1, C + 1, C + 1)."""
    return statistics.gram() if metric is None else statistics.augmented_gram()


def _squared_norm(gram: Tensor, metric: Tensor | None) -> Tensor:
    """‖S‖² of a symmetric matrix, or ‖H S Hᵀ‖² for the metric HᵀH."""
    if metric is None:
        return squared_norm(gram)
    product = gram[0] @ metric
    return (product * product.mT).sum()
