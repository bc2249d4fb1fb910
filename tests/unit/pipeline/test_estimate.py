"""What a run is expected to take, before it starts."""

import math

import pytest

from impasto.engine.pyramid import build_pyramid, expected_iterations, expected_work
from impasto.pipeline.estimate import estimate
from impasto.recipe import Recipe

SIZE = (64, 96)


def seconds(**values: object) -> float:
    recipe = Recipe(look="classic", model="compact", height=SIZE[0]).replace(**values)
    return estimate(recipe, SIZE, [SIZE], "cpu").seconds


def test_a_budget_that_is_named_is_expected_to_be_used_up() -> None:
    recipe = Recipe(look="classic", total_iterations=1000)
    assert [expected_iterations(level, recipe) for level in build_pyramid(SIZE, recipe)] == [
        level.iterations for level in build_pyramid(SIZE, recipe)
    ]


def test_levels_that_end_on_a_plateau_are_expected_to_end_early() -> None:
    recipe = Recipe(look="classic")
    (level,) = build_pyramid(SIZE, recipe)
    assert expected_iterations(level, recipe) < level.iterations / 5
    assert expected_iterations(level, recipe.replace(plateau=0.001)) > expected_iterations(level, recipe)
    assert expected_iterations(level, recipe.replace(plateau=0)) == level.iterations


def test_what_is_left_falls_to_nothing_at_the_end_of_the_budget() -> None:
    recipe = Recipe(look="classic", plateau=0.03, total_iterations=200)
    (level,) = build_pyramid(SIZE, recipe)
    left = [expected_work(level, recipe, done) for done in (0, 50, 199, 200)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_an_iteration_of_a_finishing_teacher_counts_for_several() -> None:
    recipe = Recipe(look="classic", model="compact", finish="vgg19:8", total_iterations=20)
    *_, finish = build_pyramid(SIZE, recipe)
    assert expected_work(finish, recipe) > 2 * 8 * SIZE[0] * SIZE[1]


def test_the_search_for_neighbors_is_counted() -> None:
    few = Recipe(look="neighbors", model="compact", height=SIZE[0], total_iterations=0)
    assert estimate(few, SIZE, [SIZE], "cpu").seconds > 0


@pytest.mark.parametrize(("bound", "is_busy"), [(0.0, True), (math.inf, False)])
def test_other_programs_are_said_to_be_at_work(bound: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUSY_ALONE", "BUSY_TOGETHER"):
        monkeypatch.setattr(f"impasto.pipeline.estimate.{name}", bound)
    recipe = Recipe(look="classic", model="compact", height=SIZE[0])
    assert estimate(recipe, SIZE, [SIZE], "cpu").is_busy is is_busy
