"""Optimizers on objectives whose minimum is known, and on hostile ones."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from impasto.images import resample
from impasto.objective.objective import Evaluation
from impasto.optimizers import LBFGS, Adam, PixelOptimizer, build_optimizer
from impasto.optimizers.base import MAX_NOT_FINITE
from impasto.optimizers.lbfgs import CAUTIOUS_STEP, FIRST_STEP
from impasto.recipe import Recipe, StopReason

Function = Callable[[Tensor], Tensor]
START = torch.full((1, 3, 6, 8), 0.5)


def evaluate(function: Function, image: Tensor) -> Evaluation:
    image = image.detach().requires_grad_()
    total = function(image)
    (gradient,) = torch.autograd.grad(total, image)
    return Evaluation(total.detach(), gradient, total.detach().expand(3) / 3)


def minimize(optimizer: PixelOptimizer, function: Function, iterations: int) -> list[float]:
    losses = []
    for _ in range(iterations):
        assert optimizer.candidate.min() >= 0
        assert optimizer.candidate.max() <= 1
        losses.append(optimizer.update(evaluate(function, optimizer.candidate))[0])
        if optimizer.stop_reason:
            break
    return losses


def target(seed: int = 0) -> Tensor:
    return torch.rand(START.shape, generator=torch.Generator().manual_seed(seed))


def ill_conditioned(image: Tensor) -> Tensor:
    """A quadratic whose curvatures span four orders of magnitude, mean over pixels."""
    curvature = torch.logspace(0, 4, START.numel()).view(START.shape)
    return (curvature * (image - target()).square()).mean()


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


def test_lbfgs_beats_the_bare_gradient_on_an_ill_conditioned_bowl() -> None:
    losses = minimize(LBFGS(START, 20), ill_conditioned, 100)
    assert min(losses) < 1e-3 * losses[0]


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e12, 1e30])
@pytest.mark.parametrize("kind", [LBFGS, Adam])
def test_the_scale_of_the_objective_does_not_matter(kind: type[PixelOptimizer], scale: float) -> None:
    optimizer = LBFGS(START, 10) if kind is LBFGS else Adam(START, 4.0)
    minimize(optimizer, lambda image: scale * (image - target()).square().mean(), 100)
    torch.testing.assert_close(optimizer.best_image, target(), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (1, 3, 200, 300), (1, 3, 800, 1200)])
def test_the_first_step_has_the_same_length_in_grey_levels_at_every_size(shape: tuple[int, ...]) -> None:
    optimizer = LBFGS(torch.full(shape, 0.5), 10)
    optimizer.update(evaluate(lambda image: image.mean(), optimizer.candidate))
    moved = (optimizer.candidate - 0.5).square().mean().sqrt().item()
    assert moved == pytest.approx(FIRST_STEP, rel=1e-3)


@pytest.mark.parametrize("optimizer", both())
def test_a_flat_objective_ends_with_a_reason(optimizer: PixelOptimizer) -> None:
    losses = minimize(optimizer, lambda image: (image * 0).sum(), 50)
    assert len(losses) == 1
    assert optimizer.stop_reason is StopReason.CONVERGED


def test_lbfgs_says_when_no_step_helps_any_more() -> None:
    optimizer = LBFGS(START, 10)
    minimize(optimizer, lambda image: 1 + (image - target()).abs().mean() * 1e-9, 500)
    assert optimizer.stop_reason


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


def test_curvature_crosses_levels() -> None:
    """On the larger picture the first step is already a Newton step, not a probing one."""

    def goal(seed: int, size: tuple[int, int]) -> Tensor:
        return 0.3 + 0.4 * torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))

    optimizer = LBFGS(torch.full((1, 3, 16, 16), 0.5), 10)
    minimize(optimizer, lambda image: (image - goal(0, (16, 16))).square().mean(), 3)
    optimizer.resize(resample(optimizer.best_image, (32, 32)), resample)
    losses = minimize(optimizer, lambda image: (image - goal(1, (32, 32))).square().mean(), 2)
    assert losses[1] < 0.05 * losses[0]


def test_the_first_step_for_another_encoder_is_cautious() -> None:
    """Along what the one before was indifferent to, the new objective may rise steeply."""
    optimizer = LBFGS(START, 10)
    minimize(optimizer, ill_conditioned, 5)
    optimizer.resize(optimizer.best_image, resample)
    before = optimizer.candidate
    minimize(optimizer, lambda image: 0.01 * ill_conditioned(image.flip(-1)), 1)
    step = (optimizer.candidate - before).square().mean().sqrt().item()
    assert 0 < step <= CAUTIOUS_STEP * (1 + 1e-5)


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


def test_a_change_whose_squares_vanish_is_no_curvature() -> None:
    """A step of 0.1 that changes the gradient by 1e-23: the product is a number in float32, the square is not."""
    optimizer = LBFGS(START, 10)
    flat = torch.full_like(START, 1e-23)
    optimizer.update(Evaluation(torch.tensor(1.0), torch.ones_like(START), torch.zeros(3)))
    optimizer.load_state(optimizer.state() | {"image": START - 0.1, "candidate": START, "gradient": flat})
    optimizer.update(Evaluation(torch.tensor(0.5), 2 * flat, torch.zeros(3)))
    assert not optimizer.state()["steps"]
    assert optimizer.candidate.isfinite().all()
