"""Style losses: what makes two feature maps look painted by the same hand, wherever things stand in them.

Each is a `StyleLoss`: a differentiable summary of a feature map, and the distance of two summaries, on one scale: 0 is
equal, 1 about as far as black. Features may be weighted by position (masks) and mapped by a head.

Legend: B pictures (1 where a summary is sorted), C channels, K channels after the head, N positions.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from impasto.losses.distances import relative, relative_square, squared_norm
from impasto.losses.moments import moments
from impasto.products import affine


def gram_matrix(features: Tensor) -> Tensor:
    """Channel correlations of feature maps, divided by the number of positions.

    Args:
        features: Shape (B, C, H, W).

    Returns:
        Symmetric, shape (B, C, C), unit: squared activation.

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 3. Differs: divided by H·W, so that one weight serves every
    size.
    """
    return moments(features).gram()


def gram_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Relative squared Frobenius distance ‖G − T‖² / ‖T‖² of two Gram matrices, a scalar.

    Args:
        gram: Shape (B, C, C).
        target: Shape (B, C, C).

    Reference: Gatys et al. (2015), arXiv:1508.06576, eq. 4. Differs: divided by the target's own squared norm, so that
    layers, encoders and styles are on one scale: 1 is "as far as black", 0 is equal.
    """
    return relative_square(gram - target, target)


class StyleLoss(ABC):
    """A summary of features and the distance of two summaries."""

    @abstractmethod
    def summarize(self, features: Tensor, weights: Tensor | None = None, head: Tensor | None = None) -> Any:
        """What the loss keeps of features: a tensor or a tuple of tensors, differentiable.

        Args:
            features: Shape (1, C, H, W).
            weights: Weight of each position in [0, 1], shape (1, 1, H, W); None counts each once.
            head: An affine map of the features, shape (K, C + 1), its last column the constant; None for none.
        """

    def prepare(self, summary: Any) -> Any:
        """What is worth computing once of the summary that is to be the target."""
        return summary

    @abstractmethod
    def distance(self, summary: Any, target: Any) -> Tensor:
        """How far a summary is from a prepared target, a scalar."""


class Gram(StyleLoss):
    """Gram matrices; see `gram_loss`.

    With a head H, ‖H S Hᵀ‖² is tr(M S M S) with M = HᵀH: a product less on the way there and one on the way back.
    """

    def summarize(
        self, features: Tensor, weights: Tensor | None = None, head: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The Gram matrix, shape (1, C, C), with a head (1, C + 1, C + 1) for the constant; and the head."""
        sums = moments(features, weights)
        return (sums.gram() if head is None else sums.augmented_gram()), head

    def prepare(self, summary: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None, Tensor]:
        """The Gram matrix, the head's metric, and the squared norm in it."""
        gram, head = summary
        metric = None if head is None else head.mT @ head
        return gram, metric, _squared_norm(gram, metric)

    def distance(self, summary: tuple[Tensor, Tensor | None], target: tuple[Tensor, Tensor | None, Tensor]) -> Tensor:
        """See `gram_loss`."""
        target_gram, metric, scale = target
        return relative(_squared_norm(summary[0] - target_gram, metric), scale)


def _squared_norm(gram: Tensor, metric: Tensor | None) -> Tensor:
    """‖S‖² of a symmetric matrix, or ‖H S Hᵀ‖² for the metric HᵀH."""
    if metric is None:
        return squared_norm(gram)
    product = affine(gram[0], metric)
    return (product * product.mT).sum()


class GaussianMoments(StyleLoss):
    """Mean and covariance: the Wasserstein-2 distance of Gaussians, to second order at the target.

    With T = UΛUᵀ the target's covariance and Δ the difference of the covariances in its eigenbasis, the squared Bures
    distance is ½ Σᵢⱼ Δᵢⱼ² / (λᵢ + λⱼ) up to third order, so that one eigendecomposition of the target serves a whole
    run and no matrix root is taken in the loop.

    Reference: Bhatia, Jain & Lim (2019), arXiv:1712.01504, section 5 for the Bures metric; Marron (2017) for the use in
    style transfer. Differs: to second order; eigenvalues below `FLOOR` of the mean one count as that, since there the
    expansion would overstate without bound what the true distance only sees to first order.
    """

    FLOOR = 0.1

    def summarize(
        self, features: Tensor, weights: Tensor | None = None, head: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean, shape (1, K), and covariance, shape (1, K, K)."""
        sums = moments(features, weights)
        return sums.mean(head), sums.covariance(head)

    def prepare(self, summary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Mean and covariance, the eigenbasis, the weights of its pairs, and the squared distance from black."""
        mean, covariance = summary
        # On the CPU in float64: exact, the same on every device, and once a level.
        values, basis = torch.linalg.eigh(covariance.double().cpu())
        values = values.clamp(min=0)
        floored = values.clamp(min=float(self.FLOOR * values.mean()) or 1.0)
        pairs = 0.5 / (floored[:, :, None] + floored[:, None, :])
        scale = values.sum() + mean.double().cpu().square().sum()
        parts = (basis, pairs, scale)
        basis, pairs, scale = (part.to(mean.dtype).to(mean.device) for part in parts)
        return mean, covariance, basis, pairs, scale

    def distance(self, summary: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Squared distance, relative to the target's from black."""
        (mean, covariance), (target_mean, target_covariance, basis, pairs, scale) = summary, target
        difference = basis.mT @ (covariance - target_covariance) @ basis
        return relative(squared_norm(mean - target_mean) + (pairs * difference.square()).sum(), scale)


class Histogram(StyleLoss):
    """Gram matrices and each channel's histogram, half and half.

    Reference: Risser, Wilmot & Barnes (2017), arXiv:1701.08893, eq. 8. Differs: histograms are matched exactly, by
    sorting, where the paper uses 256 bins; normalized like the Gram loss.
    """

    def summarize(
        self, features: Tensor, weights: Tensor | None = None, head: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The Gram matrix, shape (1, K, K), and each channel's values in rising order, shape (K, N)."""
        return moments(features, weights).gram(head), _sorted(features, weights, head)

    def distance(self, summary: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
        """Mean of the two relative squares."""
        return (gram_loss(summary[0], target[0]) + _quantile_distance(summary[1], target[1])) / 2


class Sliced(StyleLoss):
    """Sliced Wasserstein distance: the distribution of features, seen along random orthogonal directions.

    Reference: Heitz et al. (2021), arXiv:2006.07229, eq. 6. Differs: as many directions as channels, orthogonal and the
    same in each iteration, so that the objective stays a function of the picture and L-BFGS may be used.
    """

    def summarize(self, features: Tensor, weights: Tensor | None = None, head: Tensor | None = None) -> Tensor:
        """Values along each direction in rising order, shape (K, N)."""
        channels = features.shape[1] if head is None else head.shape[0]
        directions = _directions(channels).to(features.device)
        identity = torch.eye(features.shape[1], features.shape[1] + 1, device=features.device)
        return _sorted(features, weights, directions @ (identity if head is None else head))

    def distance(self, summary: Tensor, target: Tensor) -> Tensor:
        """Relative square of the difference of quantiles."""
        return _quantile_distance(summary, target)


def _directions(channels: int) -> Tensor:
    """A random rotation of so many channels, always the same, float32."""
    generator = torch.Generator().manual_seed(channels)
    rotation, triangle = torch.linalg.qr(torch.randn((channels, channels), generator=generator, dtype=torch.float64))
    signed: Tensor = rotation * triangle.diagonal().sign()
    return signed.float()


def _sorted(features: Tensor, weights: Tensor | None, head: Tensor | None) -> Tensor:
    """Each channel's values in rising order, shape (K, N); positions that weigh less than half are left out."""
    values = features[0].flatten(1).float()
    if weights is not None:
        inside = weights.flatten() >= 0.5
        values = values[:, inside] if bool(inside.any()) else values
    if head is not None:
        values = torch.addmm(head[:, -1:], head[:, :-1], values)
    return values.sort(dim=1).values


def _quantile_distance(values: Tensor, target: Tensor) -> Tensor:
    """Relative squared Wasserstein-2 distance of two sets of sorted values, shapes (K, N) and (K, M)."""
    if target.shape[1] != values.shape[1]:
        target = F.interpolate(target[None], size=values.shape[1], mode="linear", align_corners=False)[0]
    return relative_square(values - target, target)


STYLE_LOSSES: Mapping[str, StyleLoss] = {
    "gram": Gram(),
    "moments": GaussianMoments(),
    "histogram": Histogram(),
    "sliced": Sliced(),
}
"""By the name that the recipe uses."""
