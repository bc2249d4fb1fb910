"""Bands of color and frequency: an orthogonal transform, and curvatures told apart by it."""

import math

import pytest
import torch
from torch import Tensor

from impasto.objective.objective import Evaluation
from impasto.optimizers import LBFGS, lbfgs
from impasto.optimizers.band_preconditioner import EDGES, OPPONENT, Bands, bands_of, inverse_curvatures

CPU = torch.device("cpu")
SIZES = [(1, 1), (1, 7), (6, 1), (5, 8), (32, 48), (33, 47)]
NUM_BANDS = len(EDGES) + 1


def noise(size: tuple[int, int], seed: int = 0) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def wave(frequency: float, color: int, size: tuple[int, int] = (64, 64)) -> Tensor:
    """Along the rows, in cycles a pixel, of one opponent color."""
    brightness = torch.cos(2 * math.pi * frequency * torch.arange(size[1])).expand(size)
    return (OPPONENT[color][:, None, None] * brightness)[None]


@pytest.mark.parametrize("size", SIZES)
def test_the_squared_norms_of_the_bands_add_up_to_the_pictures(size: tuple[int, int]) -> None:
    image = noise(size)
    squared_norms = Bands(size, CPU).squared_norms(image)
    assert squared_norms.shape == (3, NUM_BANDS, NUM_BANDS)
    torch.testing.assert_close(squared_norms.sum(), image.square().sum())


@pytest.mark.parametrize("size", SIZES)
def test_gains_scale_symmetrically_and_by_band(size: tuple[int, int]) -> None:
    bands, one, other = Bands(size, CPU), noise(size), noise(size, 1)
    torch.testing.assert_close(bands.scaled(one, torch.ones(3, NUM_BANDS, NUM_BANDS)), one)
    gains = torch.rand(3, NUM_BANDS, NUM_BANDS, generator=torch.Generator().manual_seed(2)) + 0.5
    scaled = bands.scaled(one, gains)
    torch.testing.assert_close((other * scaled).sum(), (bands.scaled(other, gains) * one).sum())
    torch.testing.assert_close(
        bands.squared_norms(scaled), bands.squared_norms(one) * gains.square(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(("frequency", "column"), [(0.0, 0), (1 / 64, 1), (1 / 16, 3), (0.25, 5), (0.5, 7)])
@pytest.mark.parametrize("color", range(3))
def test_a_wave_is_in_its_band_alone(frequency: float, column: int, color: int) -> None:
    squared_norms = Bands((64, 64), CPU).squared_norms(wave(frequency, color))
    assert squared_norms[color, 0, column] == pytest.approx(float(squared_norms.sum()), rel=1e-5)


def test_bands_of_a_size_are_made_once() -> None:
    assert bands_of((5, 8), CPU) is bands_of((5, 8), CPU)
    assert bands_of((8, 5), CPU).size == (8, 5)


def test_curvatures_are_found_where_steps_were_taken_and_average_where_not() -> None:
    steps = torch.zeros(3, NUM_BANDS, NUM_BANDS)
    steps[0] = 1 / steps[0].numel()
    curvature = torch.logspace(0, 2, NUM_BANDS)[:, None].expand(NUM_BANDS, NUM_BANDS)
    inverse = inverse_curvatures([steps], [steps * curvature.square()])
    torch.testing.assert_close(inverse[0, -1], 1 / curvature[-1], rtol=0.02, atol=0)  # the ridge counts least there
    assert (inverse[0].diff(dim=0) < 0).all()
    assert inverse[1].max() < inverse[0].max()
    assert inverse[1].min() > inverse[0].min()


def iterations_to(factor: float, size: tuple[int, int] = (32, 48)) -> int:
    """Until a quadratic, three hundred times as steep in the finest bands as in the coarsest, is down by a factor."""
    bands, target = Bands(size, CPU), 0.5 + 0.05 * noise(size)
    steepness = torch.logspace(0, 2.5, NUM_BANDS)[:, None].maximum(torch.logspace(0, 2.5, NUM_BANDS)[None])
    steepness = torch.stack([steepness, steepness / 10, steepness / 10])
    optimizer, first = LBFGS(torch.full((1, 3, *size), 0.5), 10), math.inf
    for iteration in range(500):
        gradient = bands.scaled(optimizer.candidate - target, steepness)
        total = ((optimizer.candidate - target) * gradient).sum() / 2
        loss, _ = optimizer.update(Evaluation(total, gradient, total.expand(3) / 3))
        first = loss if iteration == 0 else first
        if loss < factor * first:
            return iteration
    return 500


def test_lbfgs_takes_longer_steps_where_the_objective_is_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    told_apart = iterations_to(1e-6)
    monkeypatch.setattr(lbfgs, "inverse_curvatures", lambda steps, changes: torch.ones_like(steps[0]))
    assert told_apart < 0.5 * iterations_to(1e-6)
