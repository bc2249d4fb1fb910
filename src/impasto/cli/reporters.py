"""What a run shows while it works: a bar on a terminal, plain lines elsewhere, JSON for scripts, or nothing."""

# ruff: noqa: D102 (what a method is for is said once, in `Listener`)

import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO, cast

from impasto.cli.formatting import (
    duration,
    encoders_in_words,
    facts_in_words,
    iterations_in_words,
    level_in_words,
    report_in_words,
)
from impasto.cli.streams import LastingStream, stdout_for_events
from impasto.recipe import Recipe, RunOptions, size_in_words
from impasto.runs.events import EventStream, Listener

if TYPE_CHECKING:
    from impasto.engine import Progress
    from impasto.runs.run import RunReport

LINE_INTERVAL_SECONDS = 10.0
"""Between two plain lines at most, unless a picture is saved before."""


class Reporter(Listener):
    """Follows one or several runs; this one says nothing but errors (``--quiet``).

    As a context it also receives what the library logs as warnings.
    """

    def __init__(self) -> None:
        self._out, self._error_out = LastingStream(sys.stdout), LastingStream(sys.stderr)

    def error(self, sentence: str) -> None:
        self._error_out.error(sentence)

    def text(self, text: str) -> None:
        """What a command was asked to print, instead of painting."""
        self._out.write(text)

    def close(self) -> None:
        """No picture follows."""

    def __enter__(self) -> Self:
        self._handler = _WarningHandler(self)
        logging.getLogger("impasto").addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("impasto").removeHandler(self._handler)
        self.close()


class Lines(Reporter):
    """Plain lines: at the start, every saved picture or ten seconds, and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._last_line = self._last_download = 0.0
        self._is_line_due = False

    def cell(self, number: int, num_all: int, label: str, seconds_left: float) -> None:
        self._out.line(f"Cell {number} of {num_all}: {label}; about {duration(seconds_left)} left for all.")

    def start(self, content: Path, styles: Sequence[Path], recipe: Recipe, peak_bytes: int) -> None:
        self._out.line(
            f"Painting {content} in the style of {', '.join(map(str, styles))}: "
            f"{encoders_in_words(recipe)}, {recipe.optimizer}, {iterations_in_words(recipe)}, "
            f"about {size_in_words(peak_bytes)} of memory."
        )
        self._last_line = time.monotonic()

    def download(self, num_bytes: int, total_bytes: int | None) -> None:
        is_complete = num_bytes == total_bytes
        if is_complete or time.monotonic() - self._last_download > LINE_INTERVAL_SECONDS:
            self._last_download = time.monotonic()
            of_total = f" of {total_bytes / 1e6:.0f}" if total_bytes else ""
            self._out.line(f"Downloading weights: {num_bytes / 1e6:.0f}{of_total} MB.")

    def saved(self, path: Path) -> None:
        self._is_line_due = True

    def progress(self, event: "Progress") -> None:
        if not event.losses:
            self._is_line_due = False
            if event.iteration:
                self._out.line(f"Going on after iteration {event.iteration}.")
        elif self._is_line_due or time.monotonic() - self._last_line > LINE_INTERVAL_SECONDS:
            self._is_line_due, self._last_line = False, time.monotonic()
            self._out.line(
                f"{event.iteration}/{event.total_iterations} iterations, {level_in_words(event)}, "
                f"{', '.join(facts_in_words(event))}."
            )

    def warning(self, sentence: str) -> None:
        self._error_out.line(f"impasto: warning: {sentence}")

    def done(self, report: "RunReport") -> None:
        self._out.line(report_in_words(report))

    def summary(self, num_done: int, num_all: int, num_passed_over: int = 0) -> None:
        passed_over = f", {num_passed_over} passed over" if num_passed_over else ""
        self._out.line(f"{num_done} of {num_all} pictures painted{passed_over}.")

    def sweep_done(self, folder: Path, num_done: int, num_all: int, num_failed: int) -> None:
        failed = f", {num_failed} failed" if num_failed else ""
        self._out.line(f"{num_done} of {num_all} cells painted{failed}; see {folder / 'report.html'}.")


class Bar(Lines):
    """A progress bar with level, loss, speed and time left, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        super().__init__()
        # No refresh thread: a redraw per iteration is enough, and nothing else writes at the same time.
        self._bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=None),
            TextColumn("{task.fields[facts]}", markup=False),
            console=Console(file=cast(TextIO, self._out)), auto_refresh=False, transient=True, expand=True,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None, facts="", visible=False)

    def start(self, content: Path, styles: Sequence[Path], recipe: Recipe, peak_bytes: int) -> None:
        super().start(content, styles, recipe, peak_bytes)
        self._show(content.name, 0, recipe.num_iterations, "preparing")

    def cell(self, number: int, num_all: int, label: str, seconds_left: float) -> None:
        self._bar.stop()
        super().cell(number, num_all, label, seconds_left)

    def download(self, num_bytes: int, total_bytes: int | None) -> None:
        self._show("weights", num_bytes, total_bytes, f"{num_bytes / 1e6:.0f} MB")

    def saved(self, path: Path) -> None:
        pass

    def progress(self, event: "Progress") -> None:
        facts = [f"{event.iteration}/{event.total_iterations}", *facts_in_words(event)]
        self._show(level_in_words(event), event.iteration, event.total_iterations, " · ".join(facts))

    def warning(self, sentence: str) -> None:
        self._bar.stop()
        super().warning(sentence)

    def done(self, report: "RunReport") -> None:
        self._bar.stop()
        super().done(report)

    def error(self, sentence: str) -> None:
        self._bar.stop()
        super().error(sentence)

    def close(self) -> None:
        self._bar.stop()

    def _show(self, description: str, completed: int, total: int | None, facts: str) -> None:
        self._bar.start()
        self._bar.update(
            self._task, description=description, completed=completed, total=total, facts=facts, visible=True
        )
        self._bar.refresh()


class Events(EventStream, Reporter):
    """One JSON object a line on standard output, for scripts (``--json``)."""

    def __init__(self) -> None:
        Reporter.__init__(self)
        EventStream.__init__(self, lambda event: self._out.line(json.dumps(event, allow_nan=False)))
        self._redirection = ExitStack()

    def __enter__(self) -> Self:
        self._out = LastingStream(self._redirection.enter_context(stdout_for_events()))
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._redirection.close()

    def error(self, sentence: str) -> None:
        EventStream.error(self, sentence)
        Reporter.error(self, sentence)


class _WarningHandler(logging.Handler):
    """Hands the library's warnings to the reporter, each but once."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._reporter = reporter
        self._shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        sentence = record.getMessage()
        if sentence not in self._shown:
            self._shown.add(sentence)
            self._reporter.warning(sentence)


def reporter_for(options: RunOptions) -> Reporter:
    """The reporter that the options ask for."""
    if options.json_events:
        return Events()
    if options.quiet:
        return Reporter()
    return Bar() if sys.stdout.isatty() else Lines()
