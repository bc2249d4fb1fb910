"""What a run tells while it works: as calls to a `Listener`, or as plain dicts for scripts and programs.

Neither torch nor numpy is loaded here, so that a process that only passes events on stays small.
"""

# ruff: noqa: D102 (what a method is for is said once, in `Listener`)

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.recipe import Recipe

if TYPE_CHECKING:
    from impasto.engine import Progress
    from impasto.runs.run import RunReport

__all__ = ["EventStream", "Listener"]


class Listener:
    """Follows one run or a batch of them; this one ignores everything."""

    def cell(self, number: int, num_all: int, label: str, seconds_left: float) -> None:
        """A cell of a sweep begins: its place among those still to paint, and the time that all of these will take."""

    def start(self, content: Path, styles: Sequence[Path], recipe: Recipe, peak_bytes: int) -> None:
        """A picture is about to be painted, which will take so much memory."""

    def download(self, num_bytes: int, total_bytes: int | None) -> None:
        """Weights are on their way."""

    def progress(self, event: "Progress") -> None:
        """One iteration is over."""

    def saved(self, path: Path) -> None:
        """An intermediate picture is on the disk."""

    def warning(self, sentence: str) -> None:
        """Something has no effect, or did not go as asked, and the run goes on."""

    def done(self, report: "RunReport") -> None:
        """A picture is finished."""

    def error(self, sentence: str) -> None:
        """A picture of a batch failed, or the whole run did."""

    def summary(self, num_done: int, num_all: int, num_passed_over: int = 0) -> None:
        """A batch is over."""

    def sweep_done(self, folder: Path, num_done: int, num_all: int, num_failed: int) -> None:
        """A sweep is over, or was stopped, and its sheet, tables and report are in the folder."""


class EventStream(Listener):
    """Hands each event on as a dict of plain values, which JSON can hold; ``"event"`` names its kind.

    Args:
        send: Takes one event.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send

    def cell(self, number: int, num_all: int, label: str, seconds_left: float) -> None:
        self._event("cell", number=number, num_all=num_all, label=label, seconds_left=_rounded(seconds_left))

    def start(self, content: Path, styles: Sequence[Path], recipe: Recipe, peak_bytes: int) -> None:
        self._event(
            "start", content=str(content), styles=[str(style) for style in styles],
            recipe=recipe.model_dump(mode="json"), total_iterations=recipe.num_iterations, peak_bytes=peak_bytes,
        )  # fmt: skip

    def download(self, num_bytes: int, total_bytes: int | None) -> None:
        self._event("download", num_bytes=num_bytes, total_bytes=total_bytes)

    def progress(self, event: "Progress") -> None:
        self._event(
            "progress", iteration=event.iteration, total_iterations=event.total_iterations, level=event.level,
            num_levels=event.num_levels, size=list(event.size), losses=_finite(event.losses),
            seconds=round(event.seconds, 3), eta_seconds=_rounded(event.eta_seconds),
        )  # fmt: skip

    def saved(self, path: Path) -> None:
        self._event("saved", path=str(path))

    def warning(self, sentence: str) -> None:
        self._event("warning", message=sentence)

    def done(self, report: "RunReport") -> None:
        result = report.result
        self._event(
            "done", path=None if report.final is None else str(report.final), stop_reason=result.stop_reason,
            sentence=result.stop_reason.sentence, iterations=result.iterations, seconds=round(result.seconds, 3),
            losses=_finite(result.losses), gradient_share=_finite(result.gradient_share),
        )  # fmt: skip

    def error(self, sentence: str) -> None:
        self._event("error", message=sentence)

    def summary(self, num_done: int, num_all: int, num_passed_over: int = 0) -> None:
        self._event("summary", num_done=num_done, num_all=num_all, num_passed_over=num_passed_over)

    def sweep_done(self, folder: Path, num_done: int, num_all: int, num_failed: int) -> None:
        self._event("sweep_done", path=str(folder), num_done=num_done, num_all=num_all, num_failed=num_failed)

    def _event(self, name: str, **values: Any) -> None:
        self._send({"event": name} | values)


def _finite(losses: Mapping[str, float]) -> dict[str, float | None]:
    """JSON knows no infinity."""
    return {name: value if math.isfinite(value) else None for name, value in losses.items()}


def _rounded(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None
