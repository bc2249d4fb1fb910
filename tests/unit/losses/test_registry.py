"""What every style loss of the registry keeps to."""

import pytest
import torch

from impasto.losses import STYLE_LOSSES, StyleLoss
from tests.unit.losses.features import distance, features

LOSSES = list(STYLE_LOSSES.values())

IDS = list(STYLE_LOSSES)


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
    (gradient,) = torch.autograd.grad(loss.distance(loss.statistics(one), target), one)
    noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    direction = 0.1 * noise + gradient / gradient.square().mean().sqrt()  # steep: values change bins on the way
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


@pytest.mark.parametrize("loss", LOSSES, ids=IDS)
def test_statistics_of_two_parts_add_up_to_those_of_the_whole(loss: StyleLoss) -> None:
    one, other = features(1, 4, 6, 6, seed=1), features(1, 4, 5, 5)
    target = loss.target(loss.statistics(other))
    parts = loss.statistics(one[..., :2, :]) + loss.statistics(one[..., 2:, :])
    torch.testing.assert_close(loss.distance(parts, target), loss.distance(loss.statistics(one), target))
