"""L-BFGS: the length of its steps, and what it knows of the curvature."""

import pytest
import torch
from torch import Tensor

from impasto.images import resample
from impasto.objective.objective import Evaluation
from impasto.optimizers import LBFGS
from impasto.optimizers.lbfgs import CAUTIOUS_STEP, FIRST_STEP
from tests.unit.optimizers.objectives import START, evaluate, ill_conditioned, minimize, target


def test_lbfgs_beats_the_bare_gradient_on_an_ill_conditioned_bowl() -> None:
    losses = minimize(LBFGS(START, 20), ill_conditioned, 100)
    assert min(losses) < 1e-3 * losses[0]


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (1, 3, 200, 300), (1, 3, 800, 1200)])
def test_the_first_step_has_the_same_length_in_grey_levels_at_every_size(shape: tuple[int, ...]) -> None:
    optimizer = LBFGS(torch.full(shape, 0.5), 10)
    optimizer.update(evaluate(lambda image: image.mean(), optimizer.candidate))
    moved = (optimizer.candidate - 0.5).square().mean().sqrt().item()
    assert moved == pytest.approx(FIRST_STEP, rel=1e-3)


def test_lbfgs_says_when_no_step_helps_any_more() -> None:
    optimizer = LBFGS(START, 10)
    minimize(optimizer, lambda image: 1 + (image - target()).abs().mean() * 1e-9, 500)
    assert optimizer.stop_reason


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


def test_a_change_whose_squares_vanish_is_no_curvature() -> None:
    """A step of 0.1 that changes the gradient by 1e-23: the product is a number in float32, the square is not."""
    optimizer = LBFGS(START, 10)
    flat = torch.full_like(START, 1e-23)
    optimizer.update(Evaluation(torch.tensor(1.0), torch.ones_like(START), torch.zeros(3)))
    optimizer.load_state(optimizer.state() | {"image": START - 0.1, "candidate": START, "gradient": flat})
    optimizer.update(Evaluation(torch.tensor(0.5), 2 * flat, torch.zeros(3)))
    assert not optimizer.state()["steps"]
    assert optimizer.candidate.isfinite().all()
