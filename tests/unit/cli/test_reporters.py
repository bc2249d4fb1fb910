import io
import json
import logging
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from impasto.cli.formatting import duration, facts_in_words, level_in_words, report_in_words
from impasto.cli.reporters import Bar, Events, Lines, Reporter, reporter_for
from impasto.cli.streams import LastingStream
from impasto.engine import Progress
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.runs.run import RunReport


def event(iteration: int = 3, **changes: object) -> Progress:
    values: dict[str, object] = {
        "iteration": iteration, "total_iterations": 10, "level": 1, "num_levels": 2, "size": (20, 30),
        "losses": {"total": 0.5, "content": 0.25, "style": 0.25, "tv": 0.0} if iteration else {},
        "best": 0.5, "seconds": 1.5, "eta_seconds": 61.0, "image": lambda: torch.zeros(1, 3, 20, 30),
    }  # fmt: skip
    return Progress(**(values | changes))  # type: ignore[arg-type]


def report(final: Path | None = Path("out.png")) -> RunReport:
    result = SimpleNamespace(
        image=torch.zeros(1, 3, 20, 30), iterations=10, seconds=2.0, stop_reason=StopReason.BUDGET,
        losses={"total": math.inf}, gradient_share={"content": 0.44, "style": 0.52, "tv": 0.04},
    )  # fmt: skip
    return RunReport(result, final, None)  # type: ignore[arg-type]


def follow_a_run(reporter: Reporter) -> None:
    with reporter:
        reporter.start(Path("a.png"), [Path("s.png"), Path("t.png")], Recipe(total_iterations=10), 640_000_000)
        reporter.progress(event(0, eta_seconds=math.nan, seconds=0.0))
        for iteration in range(1, 11):
            if iteration == 5:
                reporter.saved(Path("00005.png"))
            reporter.progress(event(iteration))
        logging.getLogger("impasto.somewhere").warning("the %s is odd", "recipe")
        reporter.done(report())
        reporter.summary(1, 2)
        reporter.error("it went\nwrong")


def test_plain_lines_at_the_start_at_saved_pictures_and_at_the_end(capsys):
    follow_a_run(Lines())
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "Painting a.png in the style of s.png, t.png: vgg19, lbfgs, 10 iterations, about 640 MB of memory.",
        "5/10 iterations, level 1/2 (30×20), loss 0.5, 3.3 iterations/s, 1 min 01 s left.",
        "Saved out.png (30×20) after 10 iterations in 2.0 s: the iteration budget is used up. "
        "Share of the gradient: content 44 %, style 52 %, tv 4 %.",
        "1 of 2 pictures painted.",
    ]
    assert err.splitlines() == ["impasto: warning: the recipe is odd", "impasto: it went wrong"]


def test_events_are_json_objects_one_a_line(capsys):
    follow_a_run(Events())
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    names = [entry["event"] for entry in events]
    assert names == ["start", *["progress"] * 5, "saved", *["progress"] * 6, "warning", "done", "summary", "error"]
    assert Recipe(**events[0]["recipe"]) == Recipe(total_iterations=10)
    assert events[1]["eta_seconds"] is None
    assert events[2]["losses"]["total"] == 0.5
    assert events[-3]["path"] == "out.png"
    assert events[-3]["losses"] == {"total": None}
    assert err == "impasto: it went wrong\n"


def test_quiet_says_nothing_but_errors(capsys):
    follow_a_run(Reporter())
    assert capsys.readouterr() == ("", "impasto: it went wrong\n")


def test_the_bar_shows_level_loss_speed_and_time_left_and_ends_with_the_same_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("FORCE_COLOR", "1")
    follow_a_run(Bar())
    out = capsys.readouterr().out
    assert "level 1/2 (30×20)" in out
    assert "10/10 · loss 0.5 · 6.7 iterations/s · 1 min 01 s left" in out
    assert "Saved out.png (30×20) after 10 iterations in 2.0 s: the iteration budget is used up." in out
    assert out.rfind("\x1b[?25h") > out.rfind("\x1b[?25l"), "the cursor is visible again"


def test_a_warning_is_shown_once(capsys):
    with Lines():
        for _ in range(3):
            logging.getLogger("impasto").warning("odd")
    assert capsys.readouterr().err == "impasto: warning: odd\n"


def test_after_the_run_the_log_is_left_as_it_was():
    before = list(logging.getLogger("impasto").handlers)
    with Lines():
        pass
    assert logging.getLogger("impasto").handlers == before


@pytest.mark.parametrize(
    ("options", "is_terminal", "kind"),
    [
        (RunOptions(), True, Bar),
        (RunOptions(), False, Lines),
        (RunOptions(quiet=True), True, Reporter),
        (RunOptions(json_events=True), True, Events),
        (RunOptions(json_events=True, quiet=True), False, Events),
    ],
)
def test_the_reporter_fits_options_and_terminal(options, is_terminal, kind, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert type(reporter_for(options)) is kind


def test_downloads_are_shown(capsys):
    reporter = Lines()
    reporter.download(5_000_000, 80_000_000)
    reporter.download(6_000_000, 80_000_000)
    reporter.download(80_000_000, 80_000_000)
    assert capsys.readouterr().out.splitlines() == [
        "Downloading weights: 5 of 80 MB.", "Downloading weights: 80 of 80 MB.",
    ]  # fmt: skip


def test_a_reader_who_leaves_silences_the_stream_for_good():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        stream = LastingStream(pipe)
        for _ in range(3):
            stream.line("anybody there?")


def test_a_line_is_one_line():
    text = io.StringIO()
    LastingStream(text).line("a\nb\r\nc")
    assert text.getvalue() == "a b c\n"


def test_an_error_of_any_length_is_a_short_line():
    text = io.StringIO()
    LastingStream(text).error(f"There is no picture '{'a' * 100_000}'.\nCheck the path.")
    line = text.getvalue()
    assert len(line) <= 2001 and line.startswith("impasto: There is no picture 'aaa")
    assert line.endswith("aaa'. Check the path.\n")


def test_a_line_holds_nothing_that_a_terminal_obeys():
    text = io.StringIO()
    LastingStream(text).line("\x1b[31m\u202eü\udcff")
    assert text.getvalue() == r"\x1b[31m\u202eü\udcff" + "\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"),
     (math.nan, "unknown time"), (math.inf, "unknown time")],
)  # fmt: skip
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_slow_iterations_are_told_in_seconds_each():
    assert facts_in_words(event(2, seconds=9.0))[1] == "4.5 s/iteration"


def test_before_the_first_iteration_there_is_nothing_to_tell():
    assert facts_in_words(event(0)) == []
    assert level_in_words(event(0)) == "level 1/2 (30×20)"


def test_a_cancelled_run_says_that_nothing_was_saved():
    assert report_in_words(report(None)).startswith("Nothing was saved after 10 iterations")


def test_the_report_says_what_each_term_did() -> None:
    assert report_in_words(report(None)).endswith("Share of the gradient: content 44 %, style 52 %, tv 4 %.")
