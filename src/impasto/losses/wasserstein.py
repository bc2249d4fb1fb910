"""The Wasserstein-2 distance of Gaussians: mean and covariance."""

import torch
from torch import Tensor

from impasto.losses.base import StyleLoss, relative, squared_norm
from impasto.losses.statistics import moments


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
        self, features: Tensor, weights: Tensor | None = None, projection: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean, shape (1, K), and covariance, shape (1, K, K)."""
        sums = moments(features, weights)
        return sums.mean(projection), sums.covariance(projection)

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
