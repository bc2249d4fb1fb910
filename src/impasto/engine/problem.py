"""The problem that the engine solves: what it needs to know about the pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from impasto.engine.pyramid import Level
from impasto.images import resample
from impasto.objective import Objective
from impasto.recipe import Recipe


class Problem(Protocol):
    """The pictures of a run, as the engine sees them; tensors have shape (1, 3, H, W)."""

    def start(self, size: tuple[int, int]) -> Tensor:
        """The picture to start from, at a height and width, in [0, 1]."""

    def objective(self, level: Level, recipe: Recipe, begin: Tensor) -> Objective:
        """The objective of a level.

        Args:
            level: The level that begins, or whose recipe has changed.
            recipe: With the current weights.
            begin: The picture that the level began with.
        """

    def resample(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Resizes a picture, or a difference of pictures, of any range to a height and width."""

    def enlarge(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """The start of the next level, of that height and width, from the picture of the one before."""

    def postprocess(self, image: Tensor) -> Tensor:
        """Postprocesses a picture for the output, for example its colors."""

    def save_memory(self) -> str:
        """Makes evaluations use less memory and says how, in words; empty if nothing can be saved."""


@dataclass(frozen=True)
class PlainProblem:
    """The simplest problem: a start, objectives by level, and nothing special about levels and colors.

    Attributes:
        image: The start, shape (1, 3, H, W), in [0, 1]; resampled to the size that is asked for.
        objective_at: Makes the objective of a level; see `Problem.objective`.
    """

    image: Tensor
    objective_at: Callable[[Level, Recipe, Tensor], Objective]

    def start(self, size: tuple[int, int]) -> Tensor:
        """See `Problem`."""
        return resample(self.image, size)

    def objective(self, level: Level, recipe: Recipe, begin: Tensor) -> Objective:
        """See `Problem`."""
        return self.objective_at(level, recipe, begin)

    def resample(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """See `Problem`."""
        return resample(image, size)

    def enlarge(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """See `Problem`."""
        return resample(image, size)

    def postprocess(self, image: Tensor) -> Tensor:
        """See `Problem`."""
        return image

    def save_memory(self) -> str:
        """See `Problem`."""
        return ""
