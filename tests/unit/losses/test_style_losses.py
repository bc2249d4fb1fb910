"""Style losses against references and known answers."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from torch import Tensor

from impasto.losses import STYLE_LOSSES, StyleLoss, gram_loss, gram_matrix, moments
from impasto.losses.sliced import directions

LOSSES = list(STYLE_LOSSES.values())
IDS = list(STYLE_LOSSES)


def features(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Like an encoder's: correlated channels, none negative."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn((shape[1], shape[1]), generator=generator, dtype=torch.float64)
    raw = torch.randn(shape, generator=generator, dtype=torch.float64)
    return torch.einsum("kc,bchw->bkhw", mixing, raw).relu().to(dtype)


def distance(loss: StyleLoss, one: Tensor, other: Tensor) -> Tensor:
    return loss.distance(loss.statistics(one), loss.target(loss.statistics(other)))


def gaussian_wasserstein(mean_1: Tensor, covariance_1: Tensor, mean_2: Tensor, covariance_2: Tensor) -> float:
    """The exact squared distance, by matrix roots."""
    one, two = covariance_1.double().numpy(), covariance_2.double().numpy()
    root = scipy.linalg.sqrtm(two)
    cross = scipy.linalg.sqrtm(root @ one @ root)
    squared_means = (mean_1 - mean_2).double().square().sum().item()
    return squared_means + float(np.trace(one) + np.trace(two) - 2 * np.trace(np.real(cross)))


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_equal_features_are_at_no_distance(loss: StyleLoss) -> None:
    assert distance(loss, features(1, 5, 6, 7), features(1, 5, 6, 7)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_different_features_are_at_a_distance(loss: StyleLoss) -> None:
    assert distance(loss, features(1, 5, 8, 8, seed=1), features(1, 5, 8, 8)).item() > 0.01


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_the_order_of_positions_does_not_matter(loss: StyleLoss) -> None:
    one, other = features(1, 5, 6, 6, seed=1), features(1, 5, 6, 6)
    shuffled = one.flatten(2)[..., torch.randperm(36)].view_as(one)
    torch.testing.assert_close(distance(loss, shuffled, other), distance(loss, one, other))


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_the_scale_of_the_features_does_not_matter(loss: StyleLoss) -> None:
    one, other = features(1, 5, 6, 6, seed=1), features(1, 5, 6, 6)
    torch.testing.assert_close(distance(loss, one * 300, other * 300), distance(loss, one, other), rtol=1e-3, atol=0)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_the_size_of_the_pictures_does_not_matter(loss: StyleLoss) -> None:
    one, other = features(1, 5, 8, 8, seed=1), features(1, 5, 8, 8)
    tiled = one.repeat(1, 1, 3, 3)
    torch.testing.assert_close(distance(loss, tiled, other), distance(loss, one, other), rtol=0.1, atol=0)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_black_is_about_one_away(loss: StyleLoss) -> None:
    other = features(1, 5, 8, 8)
    # moments: a quarter of the covariance's share, since the expansion ends at second order
    assert 0.25 <= distance(loss, torch.zeros_like(other), other).item() < 1.01


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_a_style_that_is_black_does_not_divide_by_zero(loss: StyleLoss) -> None:
    black = torch.zeros(1, 3, 4, 4)
    assert distance(loss, features(1, 3, 4, 4), black).isfinite()
    assert distance(loss, black, black).item() == 0


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_gradients_agree_with_finite_differences(loss: StyleLoss) -> None:
    one = (features(1, 3, 4, 3, seed=1, dtype=torch.float64) + 0.1).requires_grad_()
    target = loss.target(loss.statistics(features(1, 3, 4, 4, dtype=torch.float64)))
    direction = torch.randn(one.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss.distance(loss.statistics(one), target), one)
    step = 1e-3
    with torch.no_grad():
        ahead, behind = (loss.distance(loss.statistics(one + s * direction), target) for s in (step, -step))
    assert (gradient * direction).sum().item() == pytest.approx(((ahead - behind) / (2 * step)).item(), rel=2e-2)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_a_mask_looks_at_its_region_only(loss: StyleLoss) -> None:
    one, other = features(1, 4, 6, 6, seed=1), features(1, 4, 5, 5)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., :3, :] = 1
    target = loss.target(loss.statistics(other))
    masked = loss.distance(loss.statistics(one, mask), target)
    torch.testing.assert_close(masked, loss.distance(loss.statistics(one[..., :3, :]), target))


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_a_projection_measures_the_mapped_features(loss: StyleLoss) -> None:
    projection = torch.randn((6, 5), generator=torch.Generator().manual_seed(4))
    one, other = features(1, 4, 6, 6, seed=1), features(1, 4, 5, 5)
    mapped = [
        torch.einsum("kc,bchw->bkhw", projection[:, :-1], f) + projection[:, -1].view(1, -1, 1, 1) for f in (one, other)
    ]
    projected = loss.distance(
        loss.statistics(one, None, projection), loss.target(loss.statistics(other, None, projection), projection)
    )
    torch.testing.assert_close(projected, distance(loss, *mapped), rtol=1e-3, atol=1e-5)


def test_gram_is_the_gram_loss() -> None:
    one, other = features(1, 5, 6, 7, seed=1), features(1, 5, 4, 4)
    torch.testing.assert_close(
        distance(STYLE_LOSSES["gram"], one, other), gram_loss(gram_matrix(one), gram_matrix(other))
    )


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


def test_histogram_sees_what_the_gram_matrix_does_not() -> None:
    """Values ±1 in equal numbers, and a normal distribution: the same second moment, another histogram."""
    signs = torch.tensor([1.0, -1.0]).repeat(32).view(1, 1, 8, 8)
    normal = torch.from_numpy(scipy.stats.norm.ppf((np.arange(64) + 0.5) / 64)).float().view(1, 1, 8, 8)
    normal = normal / normal.square().mean().sqrt()
    assert distance(STYLE_LOSSES["gram"], signs, normal).item() == pytest.approx(0, abs=1e-6)
    assert distance(STYLE_LOSSES["histogram"], signs, normal).item() > 0.05


def test_histogram_agrees_with_the_wasserstein_distance_in_one_dimension() -> None:
    one, other = features(1, 1, 8, 8, seed=1), features(1, 1, 8, 8)
    a, b = (np.sort(f.flatten().double().numpy()) for f in (one, other))
    transport = float(np.mean((a - b) ** 2) / np.mean(b**2))
    gram = distance(STYLE_LOSSES["gram"], one, other).item()
    assert distance(STYLE_LOSSES["histogram"], one, other).item() == pytest.approx((gram + transport) / 2, rel=1e-4)


def test_sliced_agrees_with_a_naive_loop_over_directions() -> None:
    one, other = features(1, 4, 5, 6, seed=1), features(1, 4, 5, 6)
    numerator = denominator = 0.0
    for direction in directions(4).double().numpy():
        a, b = (np.sort(np.tensordot(direction, f[0].flatten(1).double().numpy(), 1)) for f in (one, other))
        numerator, denominator = numerator + np.sum((a - b) ** 2), denominator + np.sum(b**2)
    assert distance(STYLE_LOSSES["sliced"], one, other).item() == pytest.approx(numerator / denominator, rel=1e-4)


def test_directions_are_a_rotation() -> None:
    rotation = directions(16)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16), atol=1e-5, rtol=0)


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_statistics_of_two_parts_add_up_to_those_of_the_whole(loss: StyleLoss) -> None:
    one, other = features(1, 4, 6, 6, seed=1), features(1, 4, 5, 5)
    target = loss.target(loss.statistics(other))
    parts = loss.statistics(one[..., :2, :]) + loss.statistics(one[..., 2:, :])
    torch.testing.assert_close(loss.distance(parts, target), loss.distance(loss.statistics(one), target))
