"""The schedule from coarse to fine: sizes and iterations of the levels.

Coarse levels cost little and lay out large strokes; fine ones sharpen. Reference: Gatys et al. (2017),
arXiv:1611.07865, section 6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from impasto.losses.neighbors import Matching
from impasto.recipe import DEFAULT_PLATEAU, Finish, Recipe

CORRECTED_SHARE = 1 / 3
"""Share of the finest level's iterations that follow the correction by the finishing encoder. Between a fifth and a
half it makes little difference, and a second correction makes none."""


TYPICAL_ITERATIONS = 58
"""Iterations after which a level ends by the default `plateau`, as a median; a level of nearest neighbors uses up its
budget."""

TYPICAL_FINISH = 78
"""The same of a finish, whose encoder sees the picture for the first time."""

TEACHER_COST = 6.0
"""Time of an iteration of the finishing encoder, over that of the student that it finishes for."""

FULL_SHARE_PIXELS = 2**20
"""Levels of up to so many pixels get equal shares of the budget. A larger one gets less in proportion, so that all
large levels take about the same time: its strokes are laid out by then, and only to be sharpened."""

MATCHINGS = 2
"""How often nearest neighbors are found at each size of the pyramid but the coarsest, in each of two manners at the
finest."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid.

    Attributes:
        size: Height and width in pixels.
        iterations: Evaluations of the objective to spend on it.
        is_finish: Whether the recipe's finishing encoder computes it.
        is_corrected: Whether the finishing encoder corrects the run's encoder at the start of the level.
        matching: How it finds nearest neighbors; None with other style losses.
    """

    size: tuple[int, int]
    iterations: int
    is_finish: bool = False
    is_corrected: bool = False
    matching: Matching | None = None

    @property
    def keeps_begin(self) -> bool:
        """Whether the objective depends on the picture that the level begins with."""
        return self.is_corrected or self.matching in (Matching.JOINT, Matching.BY_LAYER)

    def as_list(self) -> list[Any]:
        """Plain values, for a checkpoint."""
        return [*self.size, self.iterations, self.is_finish, self.is_corrected, self.matching or ""]

    @classmethod
    def from_list(cls, values: Sequence[Any]) -> Self:
        """Reads what `as_list` wrote."""
        height, width, iterations, is_finish, is_corrected, matching = values
        return cls((height, width), iterations, is_finish, is_corrected, Matching(matching) if matching else None)


def build_pyramid(size: tuple[int, int], recipe: Recipe) -> list[Level]:
    """The levels of a run, coarse to fine; their iterations add up to the recipe's budget.

    Args:
        size: Height and width of the output in pixels.
        recipe: `levels`, `min_size` and the budget.

    Returns:
        At least one level; the last has the output's size. Each has twice the edge of the one before (rounded), and at
        least one iteration unless the budget is 0. A finish adds a level of the output's size, whose iterations are
        taken from the budget first. If the finishing encoder can correct the run's encoder, the last third of the
        finest level before it is a level too.
    """
    last = min(_finish_iterations(size, recipe), recipe.num_iterations)
    total = recipe.num_iterations - last
    count = _num_levels(size, recipe.min_size) if recipe.levels == "auto" else recipe.levels
    count = max(1, min(count, total, 1 + int(math.log2(max(1, min(size))))))
    sizes = [_scaled(size, 2 ** (count - 1 - index)) for index in range(count)]
    if recipe.style_loss == "neighbors":
        return _with_matching(sizes, total, last)
    levels = [Level(size, iterations) for size, iterations in zip(sizes, _split(total, sizes), strict=True)]
    if not last:
        return levels
    corrected = int(CORRECTED_SHARE * levels[-1].iterations) if recipe.is_corrected else 0
    if corrected:
        begun = replace(levels[-1], iterations=levels[-1].iterations - corrected)
        levels = [*levels[:-1], begun, Level(size, corrected, is_corrected=True)]
    return [*levels, Level(size, last, is_finish=True)]


def _finish_iterations(size: tuple[int, int], recipe: Recipe) -> int:
    """What the recipe names; at large sizes less, as for all levels, where the plateau is what ends it."""
    if recipe.finishing is None:
        return 0
    most = recipe.finishing.iterations
    if not recipe.plateau_fraction or recipe.style_loss == "neighbors":
        return most
    return min(most, max(Finish.iterations, int(most * FULL_SHARE_PIXELS / math.prod(size))))


def _with_matching(sizes: Sequence[tuple[int, int]], total: int, finish: int) -> list[Level]:
    """The levels of nearest-neighbor features: each size is met again, with matches for what was painted by then.

    The finest size is met `MATCHINGS` times once more, with matches of each layer alone. A finish goes on so.
    """
    plan = [(sizes[0], Matching.OF_CONTENT)]
    plan += [(size, Matching.JOINT) for size in sizes[1:] for _ in range(MATCHINGS)]
    plan += [(sizes[-1], Matching.BY_LAYER)] * MATCHINGS
    plan = plan[len(plan) - min(len(plan), max(1, total)) :]
    weights = [MATCHINGS if matching is Matching.OF_CONTENT else 1 for _, matching in plan]
    counts = _split(total, [size for size, _ in plan], weights)
    levels = [
        Level(size, iterations, matching=matching)
        for (size, matching), iterations in zip(plan, counts, strict=True)
        if iterations
    ]
    if finish:
        levels.append(Level(sizes[-1], finish, is_finish=True, matching=Matching.BY_LAYER))
    levels = levels or [Level(sizes[-1], 0)]
    return [replace(levels[0], matching=Matching.OF_CONTENT), *levels[1:]]  # nothing was painted yet


def expected_iterations(level: Level, recipe: Recipe) -> float:
    """How many iterations a level is likely to take: its budget, or where it usually ends on its plateau.

    An objective that falls as d / k after k iterations falls by a fraction p in a window at k in proportion to 1 / √p.
    """
    if not recipe.plateau_fraction or level.matching is not None:
        return level.iterations
    at_default = TYPICAL_FINISH if level.is_finish else TYPICAL_ITERATIONS
    typical: float = at_default * (DEFAULT_PLATEAU / recipe.plateau_fraction) ** 0.5
    return min(level.iterations, typical)


def expected_work(level: Level, recipe: Recipe, done: int = 0) -> float:
    """What is likely left to do on a level: pixels times iterations, in iterations of the run's own encoder.

    Args:
        level: The level.
        recipe: With its plateau, and what finishes it.
        done: Iterations done on it; a level that has outlasted its expectation goes on for a tenth of them.
    """
    left: float = min(level.iterations - done, max(expected_iterations(level, recipe) - done, done / 10))
    return work_of_one(level, recipe) * left


def work_of_one(level: Level, recipe: Recipe) -> float:
    """One iteration of a level in pixels, those of a finishing teacher counted by what they cost."""
    cost = TEACHER_COST if level.is_finish and recipe.finishing_is_teacher else 1.0
    return cost * math.prod(level.size)


def _num_levels(size: tuple[int, int], min_size: int) -> int:
    return 1 + max(0, int(math.log2(max(1.0, min(size) / min_size))))


def _scaled(size: tuple[int, int], divisor: int) -> tuple[int, int]:
    height, width = (max(1, round(edge / divisor)) for edge in size)
    return height, width


def _split(total: int, sizes: Sequence[tuple[int, int]], weights: Sequence[int] | None = None) -> Sequence[int]:
    """Shares of a budget for levels of these sizes; they are equal, times the weights, but for large levels.

    What is left over by rounding goes to the finest level that gets a full share, or to the coarsest. Each level gets
    one iteration if there are enough.
    """
    shares = [
        weight * min(1.0, FULL_SHARE_PIXELS / math.prod(size))
        for size, weight in zip(sizes, weights or [1] * len(sizes), strict=True)
    ]
    counts = [int(total * share / sum(shares)) for share in shares]
    is_full = [math.prod(size) <= FULL_SHARE_PIXELS for size in sizes]
    counts[max((index for index, full in enumerate(is_full) if full), default=0)] += total - sum(counts)
    while 0 in counts and max(counts) > 1:
        counts[counts.index(max(counts))] -= 1
        counts[len(counts) - 1 - counts[::-1].index(0)] += 1
    return counts


def extend_pyramid(planned: Sequence[Level], spent: Sequence[int], fresh: Sequence[Level]) -> Sequence[Level]:
    """The levels of a run that is resumed with a larger budget.

    Finished levels keep what they spent. The current level and later ones get what a new run of the larger budget would
    give them, and the last one all that remains.

    Args:
        planned: The levels so far.
        spent: Iterations of each level that has begun; the last of them is the current level.
        fresh: The levels of a new run with the new budget; there may be more of them, coarser ones, than planned.

    Raises:
        ValueError: If the new budget is smaller.
    """
    before, total = (sum(level.iterations for level in levels) for levels in (planned, fresh))
    if total < before:
        raise ValueError(f"a budget of {total} is smaller than {before}")
    if total == before:
        return planned
    over = len(spent) - 1
    levels, finish = _parted(planned)
    if over >= len(levels):  # the finish is the current level: it gets the addition
        return [*planned[:-1], replace(planned[-1], iterations=planned[-1].iterations + total - before)]
    fresh_levels, _ = _parted(fresh)
    shares = [level.iterations for level in fresh_levels[len(fresh_levels) - len(levels) :]]
    budgets = [*spent[:over], *shares[over:-1]]
    budgets.append(total - sum(level.iterations for level in finish) - sum(budgets))
    return [*_with_budgets(levels, budgets), *finish]


def rebudget(planned: Sequence[Level], spent: Sequence[int], total: int) -> Sequence[Level]:
    """The levels of a run whose budget changes during the run.

    What is left of the new budget is split between the current level and the later ones; a finish keeps its own.

    Args:
        planned: The levels so far.
        spent: Iterations of each level that has begun; the last of them is the current level.
        total: The new budget; if it is already spent, the run ends.
    """
    over = len(spent) - 1
    levels, finish = _parted(planned)
    left = max(0, total - sum(spent))
    if over >= len(levels):
        return [*planned[:-1], replace(planned[-1], iterations=spent[over] + left)]
    finish = [replace(level, iterations=min(level.iterations, left)) for level in finish]
    shares = _split(left - sum(level.iterations for level in finish), [level.size for level in levels[over:]])
    return [*_with_budgets(levels, [*spent[:over], spent[over] + shares[0], *shares[1:]]), *finish]


def _parted(levels: Sequence[Level]) -> tuple[list[Level], list[Level]]:
    """The levels of the run's own encoder, and the one of its finish, if any."""
    return [level for level in levels if not level.is_finish], [level for level in levels if level.is_finish]


def _with_budgets(levels: Sequence[Level], budgets: Sequence[int]) -> list[Level]:
    return [replace(level, iterations=count) for level, count in zip(levels, budgets, strict=True)]
