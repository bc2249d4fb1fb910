"""Events of a run (`Progress`), its remote control (`Control`), and its clock."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from impasto.recipe import Change

PAUSE_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Progress:
    """One iteration. The first event marks the start, or the checkpoint resumed from, and has no losses.

    Attributes:
        iteration: Evaluations of the objective so far, over all levels.
        total_iterations: The whole budget.
        level: Number of the current level, from 1 for the coarsest.
        num_levels: Number of levels.
        size: Height and width of the level in pixels.
        losses: ``total`` and its weighted parts ``content``, ``style`` and ``tv``, at the picture just evaluated; empty
            in the first event. A part may be NaN or infinite; such a picture is never kept.
        best: The lowest objective on this level so far; infinity before the first evaluation.
        seconds: Time since the start, without pauses.
        eta_seconds: Estimated time to go; NaN before anything was measured.
        image: Returns the best picture so far, postprocessed, shape (1, 3, H, W) of this level's size, in [0, 1].
    """

    iteration: int
    total_iterations: int
    level: int
    num_levels: int
    size: tuple[int, int]
    losses: Mapping[str, float]
    best: float
    seconds: float
    eta_seconds: float
    image: Callable[[], Tensor]


class Control:
    """Pauses, stops or changes a run; safe in other threads and signal handlers, because it only sets flags."""

    def __init__(self) -> None:
        self.is_paused = False
        self.is_stopped = False
        self.is_cancelled = False
        self._changes: deque[dict[str, float]] = deque()

    def pause(self) -> None:
        """Halts before the next iteration, until `resume`, `stop` or `cancel`."""
        self.is_paused = True

    def resume(self) -> None:
        """Continues after `pause`."""
        self.is_paused = False

    def stop(self) -> None:
        """Ends the run after the current iteration; the best picture so far is the result."""
        self.is_stopped = True

    def cancel(self) -> None:
        """Ends the run after the current iteration; its result is discarded."""
        self.is_cancelled = True

    def change(self, **values: float) -> None:
        """Changes weights, strength or budget before the next iteration.

        Args:
            values: By name, as ``strength=70``; see `impasto.recipe.LIVE_TUNABLE`.

        Raises:
            RecipeError: If a parameter cannot be changed during a run, or a value is out of its range.
        """
        self._changes.append(dict(Change(values=values).values))

    def take_changes(self) -> dict[str, float]:
        """Returns and clears the requested changes, with the latest value of each."""
        taken: dict[str, float] = {}
        while self._changes:
            taken |= self._changes.popleft()
        return taken

    @property
    def is_ended(self) -> bool:
        """Whether the run was asked to end."""
        return self.is_stopped or self.is_cancelled

    def wait_while_paused(self) -> float:
        """Blocks while paused; returns the seconds."""
        start = time.perf_counter()
        while self.is_paused and not self.is_ended:
            time.sleep(PAUSE_POLL_SECONDS)
        return time.perf_counter() - start


@dataclass
class Clock:
    """Time spent, and the estimated time to go from the mean time of what was done."""

    seconds: float = 0.0
    pixel_iterations: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def lap(self, work: float, pause: float) -> None:
        """Counts an iteration.

        Args:
            work: Pixels of the picture, as `impasto.engine.pyramid.expected_work` counts them.
            pause: Seconds of the iteration that were a pause.
        """
        now = time.perf_counter()
        self.seconds += now - self._started - pause
        self._started = now
        self.pixel_iterations += work

    def remaining(self, work: float) -> float:
        """Estimated seconds for so much work; NaN before anything was timed."""
        return self.seconds / self.pixel_iterations * work if self.pixel_iterations else math.nan
