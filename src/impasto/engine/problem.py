"""What the engine needs of the pictures: the problem that it solves."""

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
        """The picture to start from, of a height and width, in [0, 1]."""

    def objective(self, level: Level, recipe: Recipe, begin: Tensor) -> Objective:
        """The objective of a level.

        Args:
            level: The level that is about to begin, or whose recipe has changed.
            recipe: With the weights that hold by now.
            begin: The picture that the level began with.
        """

    def resample(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """Brings a picture, or a change of one, of any range to a height and width."""

    def enlarge(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """The picture of one level as the next one, of that height and width, begins with it."""

    def postprocess(self, image: Tensor) -> Tensor:
        """What a picture goes through on its way out, as for its colors."""

    def save_memory(self) -> str:
        """Makes evaluations take less memory and says how; empty if nothing is left to save."""


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
