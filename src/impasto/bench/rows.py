"""The rows of the comparison, and one measurement in a process of its own."""

import itertools
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.recipe import Recipe

__all__ = ["ROWS", "Measurement", "Row", "measure"]


@dataclass(frozen=True)
class Row:
    """One way to paint.

    Attributes:
        title: What it is, in a few words.
        values: Of the recipe, by name.
        share: Iterations that it begins with, as a share of the plain method's. None takes the recipe's own budget.
        goes_on: Whether it minimizes VGG19's objective at the end, and goes on while that misses the target.
        is_plain: Whether it is the plain method.
    """

    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    share: float | None = 1.0
    goes_on: bool = False
    is_plain: bool = False


_CLASSIC = {"look": "classic", "model": "vgg19"}

ROWS: Mapping[str, Row] = {
    "plain": Row("the plain method, VGG19", _CLASSIC, is_plain=True),
    "vgg19": Row("VGG19, one level", {**_CLASSIC, "levels": 1}, share=0.5, goes_on=True),
    "pyramid": Row("VGG19, pyramid", _CLASSIC, share=0.5, goes_on=True),
    "compact": Row("compact, pyramid", {"look": "classic", "model": "compact"}),
    "accelerated": Row("compact, finished by VGG19", {**_CLASSIC, "accelerate": "auto"}, share=0.5, goes_on=True),
    "default": Row("the default command", share=None),
}
"""By name. Each is judged by the same objective of VGG19, whatever it minimizes."""

CLEARANCE = 0.98
"""Part of the target at which a row that goes on ends, since its 8-bit picture is judged, which is a little rougher."""

EXTENSION = 4
"""Iterations that a row gets more, time and again, while it misses the target."""

LONGEST = 5.0
"""Iterations at which a row gives up, as a multiple of the plain method's."""

CURVE_POINTS = 16
"""At most, of the curve of a row that has to be judged afterwards."""


@dataclass(frozen=True)
class Measurement:
    """What one row came to, on one pair.

    Attributes:
        seconds_per_iteration: Median over iterations at full size.
        seconds_to_target: From the start, encoder and targets included, until VGG19's objective of the 8-bit picture
            was at the target; None if it never was.
        seconds: Of the whole run.
        iterations: Of the whole run.
        objective: VGG19's at the end.
        peak_bytes: Largest resident memory of the process.
        curve: Seconds and VGG19's objective, in order of time.
    """

    seconds_per_iteration: float
    seconds_to_target: float | None
    seconds: float
    iterations: int
    objective: float
    peak_bytes: int
    curve: Sequence[tuple[float, float]]


def measure(name: str, pair: tuple[str, str], height: int, iterations: int, target: float | None) -> Measurement:
    """Paints a pair by one row in a fresh process, so that its peak memory is its own.

    Args:
        name: Of the row.
        pair: Paths of content and style image.
        height: Of the picture, in pixels.
        iterations: Of the plain method.
        target: Objective to reach; None for the plain method, which sets it.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_here, (name, pair, height, iterations, target))


def _measure_here(name: str, pair: tuple[str, str], height: int, iterations: int, target: float | None) -> Measurement:
    row, judged = ROWS[name], Recipe(**_CLASSIC, height=height)
    with tempfile.TemporaryDirectory() as folder:
        run = _Run(Path(folder))
        if row.is_plain:
            _paint_plainly(run, pair, judged, iterations)
        else:
            budget = {} if row.share is None else {"total_iterations": max(1, round(row.share * iterations))}
            _paint(run, pair, Recipe(**row.values, **budget, height=height), round(LONGEST * iterations),
                   CLEARANCE * target if row.goes_on and target is not None else None)  # fmt: skip
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        curve = run.own_curve if row.is_plain else _judged(run, pair, judged, target)
    reached = [seconds for seconds, objective in curve if target is not None and objective <= target]
    return Measurement(
        seconds_per_iteration=run.seconds_per_iteration, seconds_to_target=min(reached, default=None),
        seconds=run.seconds[-1], iterations=len(run.seconds), objective=min(objective for _, objective in curve),
        peak_bytes=peak, curve=curve,
    )  # fmt: skip


class _Run:
    """Times and pictures of a run's iterations; what is done to keep them is not counted.

    Attributes:
        seconds: At each iteration since the start.
        losses: The objective of the run there, the lowest so far at its size.
        is_full_size: Whether an iteration was at the size of the output.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._began = folder, time.perf_counter()
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.is_full_size: list[bool] = []

    def add(self, loss: float, image: Callable[[], Any] | None, *, is_full_size: bool) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._began)
        self.losses.append(loss)
        self.is_full_size.append(is_full_size)
        if image is not None:
            from impasto.images import save_picture

            save_picture(image(), self.picture(len(self.seconds) - 1))
        self._began += time.perf_counter() - now

    def add_all(self, stamps: Iterable[float], losses: Iterable[float]) -> None:
        """Adds iterations at full size of which no picture is kept, by the time that each was done."""
        for stamp, loss in zip(stamps, losses, strict=True):
            self.seconds.append(stamp - self._began)
            self.losses.append(loss)
            self.is_full_size.append(True)

    def picture(self, index: int) -> Path:
        """The file of a picture; of an iteration at full size that was kept."""
        return self._folder / f"{index}.png"

    @property
    def own_curve(self) -> list[tuple[float, float]]:
        """Of a run whose own objective is what is judged, all at full size."""
        return list(zip(self.seconds, self.losses, strict=True))

    @property
    def seconds_per_iteration(self) -> float:
        """Median at full size, without the first one, which warms up."""
        laps = [b - a for a, b in itertools.pairwise([0.0, *self.seconds])]
        full = [lap for lap, is_full in zip(laps, self.is_full_size, strict=True) if is_full]
        return statistics.median(full[1:] or full)


def _paint_plainly(run: _Run, pair: tuple[str, str], recipe: Recipe, iterations: int) -> None:
    from impasto.bench.plain import run_plain

    objective, content = _objective(pair, recipe)
    outcome = run_plain(objective, content, iterations)
    run.add_all(outcome.stamps, itertools.accumulate(outcome.losses, min))


def _paint(run: _Run, pair: tuple[str, str], recipe: Recipe, longest: int, goal: float | None) -> None:
    """Paints until the run's own objective is at the goal, or until its budget ends if there is none."""
    from impasto.engine import Control, Progress
    from impasto.pipeline import stylize

    control, size = Control(), _size(pair, recipe)

    def follow(event: Progress) -> None:
        if not event.losses:
            return
        is_full_size = event.size == size
        run.add(event.best, event.image if is_full_size else None, is_full_size=is_full_size)
        if goal is None or event.level < event.num_levels:
            return
        if event.best <= goal or event.iteration >= longest:
            control.stop()
        elif event.iteration == event.total_iterations:
            control.change(total_iterations=event.iteration + EXTENSION)

    stylize(*pair, recipe, control=control, on_progress=follow)


def _judged(run: _Run, pair: tuple[str, str], judged: Recipe, target: float | None) -> list[tuple[float, float]]:
    """VGG19's objective at the pictures that were kept: some for the curve, and those around the target."""
    objective, _ = _objective(pair, judged)
    kept = [index for index in range(len(run.seconds)) if run.picture(index).exists()]
    found: dict[int, float] = {}

    def judge(place: int) -> float:
        index = kept[place]
        if index not in found:
            found[index] = _objective_of(objective, run.picture(index))
        return found[index]

    for step in range(CURVE_POINTS):
        judge(round(step * (len(kept) - 1) / (CURVE_POINTS - 1)))
    if target is not None and judge(len(kept) - 1) <= target:
        low, high = -1, len(kept) - 1  # the first one at the target, if the curve falls, which it all but does
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if judge(middle) <= target else (middle, high)
    return sorted((run.seconds[index], value) for index, value in found.items())


def _objective_of(objective: Any, path: Path) -> float:
    import torch

    from impasto.images import load_picture

    with torch.no_grad():
        return float(objective.parts(load_picture(path).pixels).sum().item())


def _size(pair: tuple[str, str], recipe: Recipe) -> tuple[int, int]:
    from impasto.images import load_picture
    from impasto.pipeline.level_images import target_size

    return target_size(load_picture(pair[0]).size, recipe)


def _objective(pair: tuple[str, str], recipe: Recipe) -> tuple[Any, Any]:
    """The judge: VGG19's objective at full size, and the content image there."""
    from impasto.encoders import build_encoder
    from impasto.images import load_picture, resize
    from impasto.objective import Objective
    from impasto.pipeline.level_images import style_size

    content, style = (load_picture(path).pixels for path in pair)
    size = _size(pair, recipe)
    content = resize(content, size)
    style = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
    encoder = build_encoder(recipe.model, padding=recipe.padding, precision="float32")
    return Objective(encoder, content, [style], recipe), content
