"""What both optimizers keep to, on objectives whose minimum is known and on hostile ones."""

import math

import pytest
import torch
from torch import Tensor

from impasto.images import resample
from impasto.optimizers import LBFGS, Adam, PixelOptimizer, build_optimizer
from impasto.optimizers.base import MAX_NOT_FINITE
from impasto.recipe import Recipe, StopReason
from tests.unit.optimizers.objectives import START, ill_conditioned, minimize, target


def both(learning_rate: float = 4.0) -> list[PixelOptimizer]:
    return [LBFGS(START, 10), Adam(START, learning_rate)]


@pytest.mark.parametrize("optimizer", both())
def test_the_minimum_of_a_bowl_is_found(optimizer: PixelOptimizer) -> None:
    minimize(optimizer, lambda image: (image - target()).square().mean(), 150)
    torch.testing.assert_close(optimizer.best_image, target(), atol=1.5 / 255, rtol=0)


@pytest.mark.parametrize("optimizer", both())
def test_a_minimum_outside_the_box_is_met_at_its_wall(optimizer: PixelOptimizer) -> None:
    beyond = target() * 3 - 1
    minimize(optimizer, lambda image: (image - beyond).square().mean(), 200)
    torch.testing.assert_close(optimizer.best_image, beyond.clamp(0, 1), atol=1.5 / 255, rtol=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("kind", [LBFGS, Adam])
def test_the_scale_of_the_objective_does_not_matter(kind: type[PixelOptimizer], scale: float) -> None:
    optimizer = LBFGS(START, 10) if kind is LBFGS else Adam(START, 4.0)
    minimize(optimizer, lambda image: scale * (image - target()).square().mean(), 100)
    torch.testing.assert_close(optimizer.best_image, target(), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("optimizer", both())
def test_a_flat_objective_ends_with_a_reason(optimizer: PixelOptimizer) -> None:
    losses = minimize(optimizer, lambda image: (image * 0).sum(), 50)
    assert len(losses) == 1
    assert optimizer.stop_reason is StopReason.CONVERGED


def cliff(image: Tensor) -> Tensor:
    """Falls toward the target, but is NaN beyond a little way off the start."""
    loss = (image - target()).square().mean()
    is_far = (image - START).abs().max() > 0.2
    return torch.where(is_far, torch.full_like(loss, math.nan), loss)


@pytest.mark.parametrize("optimizer", both(learning_rate=60.0))
def test_nan_is_taken_back_and_never_kept(optimizer: PixelOptimizer) -> None:
    losses = minimize(optimizer, cliff, 80)
    assert not all(map(math.isfinite, losses)), "the test is to run over the cliff"
    assert optimizer.best_image.isfinite().all()
    assert optimizer.best_loss < losses[0]
    assert optimizer.best_loss == min(filter(math.isfinite, losses))


@pytest.mark.parametrize("optimizer", both())
def test_an_objective_that_is_never_finite_ends_with_a_reason_and_the_start(optimizer: PixelOptimizer) -> None:
    losses = minimize(optimizer, lambda image: image.sum() * math.nan, 1000)
    assert len(losses) == MAX_NOT_FINITE + 1
    assert optimizer.stop_reason is StopReason.NOT_FINITE
    assert optimizer.best_image.equal(START)


@pytest.mark.parametrize("optimizer", both())
def test_infinite_gradients_of_a_finite_objective_are_taken_back(optimizer: PixelOptimizer) -> None:
    minimize(optimizer, lambda image: (image - 0.5).abs().sqrt().mean(), 20)  # infinite slope at the start
    assert optimizer.candidate.isfinite().all()
    assert optimizer.best_image.isfinite().all()


@pytest.mark.parametrize("optimizer", both())
def test_an_optimizer_goes_on_from_its_state_bit_for_bit(optimizer: PixelOptimizer) -> None:
    minimize(optimizer, ill_conditioned, 12)
    twin = LBFGS(START, 10) if isinstance(optimizer, LBFGS) else Adam(START, 4.0)
    twin.load_state(optimizer.state())
    minimize(optimizer, ill_conditioned, 12)
    minimize(twin, ill_conditioned, 12)
    assert twin.best_image.equal(optimizer.best_image)
    assert twin.best_loss == optimizer.best_loss


@pytest.mark.parametrize("optimizer", both())
def test_a_larger_level_starts_from_the_picture_given_for_it(optimizer: PixelOptimizer) -> None:
    minimize(optimizer, lambda image: (image - target()).square().mean(), 30)
    enlarged = resample(optimizer.best_image, (12, 16)).clamp(0, 1)
    optimizer.resize(enlarged, resample)
    assert optimizer.candidate.equal(enlarged)
    assert optimizer.best_loss == math.inf
    larger = resample(target(1), (12, 16)).clamp(0, 1)
    losses = minimize(optimizer, lambda image: (image - larger).square().mean(), 40)
    assert min(losses) < 0.2 * losses[0]


@pytest.mark.parametrize("optimizer", both())
def test_forgetting_keeps_the_picture_and_follows_the_new_objective(optimizer: PixelOptimizer) -> None:
    minimize(optimizer, lambda image: image.mean(), 10)
    optimizer.reset_curvature()
    assert optimizer.best_loss == math.inf
    losses = minimize(optimizer, lambda image: 100 * (image - target()).square().mean(), 100)
    assert min(losses) < 0.05 * losses[0]


def test_the_recipe_names_the_optimizer() -> None:
    assert isinstance(build_optimizer(START, Recipe(optimizer="adam")), Adam)
    assert isinstance(build_optimizer(START, Recipe(optimizer="lbfgs")), LBFGS)
