"""The Wasserstein-2 distance of Gaussians: mean and covariance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.losses.base import StyleLoss, relative, squared_norm
from impasto.losses.statistics import Moments, moments


@dataclass(frozen=True)
class Gaussian:
    """A target: the Gaussian of a style's features.

    Attributes:
        mean: Shape (1, K).
        covariance: Shape (1, K, K).
        basis: Its eigenvectors, shape (1, K, K).
        pairs: Weights of the pairs of eigenvectors, shape (1, K, K).
        scale: Squared distance of a black picture from the target, a scalar.
        projection: Of the features, shape (K, C + 1); None for none.
    """

    mean: Tensor
    covariance: Tensor
    basis: Tensor
    pairs: Tensor
    scale: Tensor
    projection: Tensor | None


class GaussianMoments(StyleLoss):
    """Mean and covariance: the Wasserstein-2 distance of Gaussians, to second order at the target.

    With T = UΛUᵀ the target's covariance and Δ the difference of the covariances in its eigenbasis, the squared Bures
    distance is ½ Σᵢⱼ Δᵢⱼ² / (λᵢ + λⱼ) up to third order, so that one eigendecomposition of the target serves a whole
    run and no matrix root is taken in the loop.

    Reference: Bhatia, Jain & Lim (2019), arXiv:1712.01504, section 5 for the Bures metric; Marron (2017) for the use in
    style transfer. Differs: expanded to second order; eigenvalues below `FLOOR` times the mean eigenvalue are raised to
    that, because the expansion grows without bound there while the true distance does not.
    """

    scale = 0.35
    FLOOR = 0.1

    def statistics(self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None) -> Moments:
        """First and second moments of the features themselves; see `StyleLoss.statistics`."""
        return moments(features, weights)

    def target(self, statistics: Moments, projection: Tensor | None = None) -> Gaussian:
        """The Gaussian of the projected features, with what its distances need."""
        mean, covariance = statistics.mean(projection), statistics.covariance(projection)
        # On the CPU in float64: exact, the same on every device, and once a level.
        values, basis = torch.linalg.eigh(covariance.double().cpu())
        values = values.clamp(min=0)
        floored = values.clamp(min=float(self.FLOOR * values.mean()) or 1.0)
        pairs = 0.5 / (floored[:, :, None] + floored[:, None, :])
        scale = values.sum() + mean.double().cpu().square().sum()
        parts = (basis, pairs, scale)
        basis, pairs, scale = (part.to(mean.dtype).to(mean.device) for part in parts)
        return Gaussian(mean, covariance, basis, pairs, scale, projection)

    def distance(self, statistics: Moments, target: Gaussian) -> Tensor:
        """Squared distance, divided by that of a black picture."""
        mean, covariance = statistics.mean(target.projection), statistics.covariance(target.projection)
        difference = target.basis.mT @ (covariance - target.covariance) @ target.basis
        bures = (target.pairs * difference.square()).sum()
        return relative(squared_norm(mean - target.mean) + bures, target.scale)
