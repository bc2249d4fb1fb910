"""What a run tells (`Progress`), what it takes in (`Control`), and its clock."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from impasto.engine.pyramid import Level
from impasto.recipe import Change

PAUSE_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Progress:
    """What happened in one iteration; the first event is the start, or where a checkpoint was taken, and has no losses.

    Attributes:
        iteration: Evaluations of the objective so far, over all levels.
        total_iterations: The whole budget.
        level: The level at work, from 1 for the coarsest.
        num_levels: How many there are.
        size: Height and width of the level in pixels.
        losses: ``total`` and its weighted parts ``content``, ``style`` and ``tv``, at the picture just tried; empty in
            the first event. A part may be NaN or infinite; such a picture is never kept.
        best: The lowest objective on this level so far, infinity before the first.
        seconds: Since the start, pauses left out.
        eta_seconds: Still to go, as far as one can tell; NaN before anything was measured.
        image: Gives the best picture so far, finished, shape (1, 3, H, W) of this level's size, float32 in [0, 1].
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
    """A run's reins; safe to use from other threads and from signal handlers, because it only sets flags."""

    def __init__(self) -> None:
        self.is_paused = False
        self.is_stopped = False
        self.is_cancelled = False
        self._changes: deque[dict[str, float]] = deque()

    def pause(self) -> None:
        """Halts before the next iteration, until `resume`, `stop` or `cancel`."""
        self.is_paused = True

    def resume(self) -> None:
        """Goes on after `pause`."""
        self.is_paused = False

    def stop(self) -> None:
        """Ends the run after the present iteration; the best picture so far is the result."""
        self.is_stopped = True

    def cancel(self) -> None:
        """Ends the run after the present iteration; its result is not wanted."""
        self.is_cancelled = True

    def change(self, **values: float) -> None:
        """Sets weights, strength or budget anew before the next iteration.

        Args:
            values: By name, as ``strength=70``; see `impasto.recipe.LIVE_TUNABLE`.

        Raises:
            RecipeError: If a parameter cannot be changed on the way, or a value is out of its range.
        """
        self._changes.append(dict(Change(values=values).values))

    def take_changes(self) -> dict[str, float]:
        """What was asked to be changed since the last time, the latest value of each."""
        taken: dict[str, float] = {}
        while self._changes:
            taken |= self._changes.popleft()
        return taken

    @property
    def is_ended(self) -> bool:
        """Whether the run was asked to end."""
        return self.is_stopped or self.is_cancelled

    def wait_while_paused(self) -> float:
        """Blocks while paused; returns for how many seconds."""
        start = time.perf_counter()
        while self.is_paused and not self.is_ended:
            time.sleep(PAUSE_POLL_SECONDS)
        return time.perf_counter() - start


@dataclass
class Clock:
    """Time at work, and a guess at the time to go from what a pixel's iteration has cost so far."""

    seconds: float = 0.0
    pixel_iterations: float = 0.0
    _started: float = field(default_factory=time.perf_counter)

    def lap(self, pixels: int, pause: float) -> None:
        """Counts an iteration on so many pixels, of whose time so many seconds were a pause."""
        now = time.perf_counter()
        self.seconds += now - self._started - pause
        self._started = now
        self.pixel_iterations += pixels

    def remaining(self, levels: Sequence[Level], index: int, done: int) -> float:
        """Seconds to go when so many iterations of the level of that index are done; NaN before anything was timed."""
        if not self.pixel_iterations:
            return math.nan
        left = [levels[index].iterations - done, *(level.iterations for level in levels[index + 1 :])]
        pixels = (math.prod(level.size) for level in levels[index:])
        return self.seconds / self.pixel_iterations * sum(n * p for n, p in zip(left, pixels, strict=True))
