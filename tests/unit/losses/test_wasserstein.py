"""The loss of moments against the exact distance of normal distributions."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from impasto.losses import STYLE_LOSSES, moments
from tests.unit.losses.features import distance, features


def gaussian_wasserstein(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """The exact squared distance, by matrix roots."""
    one, two = covariance_1.double().numpy(), covariance_2.double().numpy()
    root = scipy.linalg.sqrtm(two)
    cross = scipy.linalg.sqrtm(root @ one @ root)
    squared_means = (mean_1 - mean_2).double().square().sum().item()
    return squared_means + float(np.trace(one) + np.trace(two) - 2 * np.trace(np.real(cross)))


def test_moments_agree_with_the_wasserstein_distance_of_gaussians_near_the_target() -> None:
    """To second order: the error shrinks with the cube of the way, so that at a hundredth it is below a percent."""
    loss = STYLE_LOSSES["moments"]
    other = torch.randn((1, 4, 60, 60), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stretch = torch.eye(4, dtype=torch.float64) + 0.02 * features(1, 4, 1, 4)[0, :, 0].double()
    near = torch.einsum("kc,bchw->bkhw", stretch, other) + 0.01
    (mean_1, covariance_1), (mean_2, covariance_2) = (
        (sums.mean(), sums.covariance()) for sums in (moments(near), moments(other))
    )
    exact = gaussian_wasserstein(mean_1, covariance_1[0], mean_2, covariance_2[0])
    scale = covariance_2[0].trace().item() + mean_2.square().sum().item()
    assert distance(loss, near, other).item() == pytest.approx(exact / scale, rel=0.1)


def test_moments_see_a_shift_that_keeps_the_covariance() -> None:
    other = features(1, 3, 8, 8)
    shifted = distance(STYLE_LOSSES["moments"], other + 1, other).item()
    sums = moments(other)
    scale = sums.covariance()[0].trace().item() + sums.mean().square().sum().item()
    assert shifted == pytest.approx(3 / scale, rel=1e-3)
