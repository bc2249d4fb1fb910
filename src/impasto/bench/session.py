"""One comparison: rows by pairs, kept after each measurement so that it can go on, and told in a table."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from impasto.bench.environment import environment, load_average
from impasto.bench.rows import ROWS, Measurement, measure
from impasto.errors import OutputError
from impasto.examples import example_path
from impasto.formats.files import replace_file

__all__ = ["PAIRS", "Settings", "run_bench", "table"]

PAIRS = (
    ("coffee", "oil"),
    ("chelsea", "munch"),
    ("rocket", "hokusai"),
    ("astronaut", "kandinsky"),
    ("coffee", "ducks"),
    ("chelsea", "glass"),
    ("rocket", "knife"),
    ("astronaut", "woodcut"),
)
"""Of bundled pictures, content and style."""


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        height: Of the pictures, in pixels.
        pairs: How many of `PAIRS`.
        rows: Names of `ROWS`.
        target_iterations: Of the plain method, whose objective there is the target.
    """

    height: int = 256
    pairs: int = 4
    rows: Sequence[str] = tuple(ROWS)
    target_iterations: int = 100


def run_bench(settings: Settings, file: Path, on_row: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Measures what the file does not hold yet, and returns the report that it then holds.

    Args:
        settings: What to measure; "plain" is measured whatever the rows say, since it sets the targets.
        file: JSON; written after each measurement, as a whole.
        on_row: Told of each measurement in one line.

    Raises:
        OutputError: If the file is of other settings, or no report.
        WeightsError: If VGG19's weights are missing.
    """
    report = _begun(settings, file)
    measured: dict[str, Any] = report["measurements"]
    for number, names in enumerate(PAIRS[: settings.pairs], start=1):
        target: float | None = None
        for name in dict.fromkeys(("plain", *settings.rows)):
            key = f"{'-'.join(names)}/{name}"
            if key not in measured:
                load = load_average()
                paths = str(example_path(names[0])), str(example_path(names[1]))
                found = measure(name, paths, settings.height, settings.target_iterations, target)
                if name == "plain":
                    found = _with_target(found)
                measured[key] = {**asdict(found), "load_average": load}
                report["rows"] = _summary(measured)
                replace_file(file, (json.dumps(report, indent=1) + "\n").encode())
                on_row(f"pair {number}/{settings.pairs} {key}: {found.seconds:.1f} s")
            target = measured[f"{'-'.join(names)}/plain"]["objective"]
    report["rows"] = _summary(measured)
    return report


def _with_target(plain: Measurement) -> Measurement:
    """The plain method is at its own lowest objective when it first was there."""
    at = next(seconds for seconds, objective in plain.curve if objective <= plain.objective)
    return Measurement(**{**asdict(plain), "seconds_to_target": at})


def _begun(settings: Settings, file: Path) -> dict[str, Any]:
    asked = {"height": settings.height, "target_iterations": settings.target_iterations}
    if not file.exists():
        return {"command": "impasto bench", "settings": asked, "environment": environment(), "measurements": {}}
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        held = report["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(f"'{file}' is not a report of impasto bench; name another file by --json.") from None
    for name, value in asked.items():
        if held.get(name) != value:
            raise OutputError(
                f"'{file}' holds measurements at {name} {held.get(name)}, not {value}; name another file by --json."
            )
    return dict(report)


def _summary(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Medians over the pairs, a row for each way to paint."""
    rows = []
    for name in ROWS:
        found = {key.rpartition("/")[0]: value for key, value in measured.items() if key.rpartition("/")[2] == name}
        if not found:
            continue
        times = {pair: value["seconds_to_target"] for pair, value in found.items()}
        reached = {pair: at for pair, at in times.items() if at is not None}
        ratios = [measured[f"{pair}/plain"]["seconds_to_target"] / at for pair, at in reached.items()]
        is_whole = len(reached) == len(found)
        rows.append({
            "name": name,
            "title": ROWS[name].title,
            "seconds_per_iteration": statistics.median(value["seconds_per_iteration"] for value in found.values()),
            "seconds_to_target": statistics.median(reached.values()) if is_whole else None,
            "ratio_to_baseline": statistics.median(ratios) if is_whole else None,
            "num_reached": len(reached),
            "num_pairs": len(found),
            "seconds": statistics.median(value["seconds"] for value in found.values()),
            "peak_bytes": statistics.median(value["peak_bytes"] for value in found.values()),
            "objective": statistics.median(value["objective"] for value in found.values()),
        })  # fmt: skip
    return rows


def table(report: Mapping[str, Any]) -> str:
    """The rows as a table for people, with the ratios in one sentence at the end."""
    titles = {"s/iteration": 12, "s to target": 13, "times plain": 13, "peak MB": 9, "objective": 11, "s in all": 10}
    lines = [" " * 30 + "".join(f"{title:>{width}}" for title, width in titles.items())]
    for row in report["rows"]:
        missed = f"{row['num_reached']} of {row['num_pairs']} pairs"
        to_target = missed if row["seconds_to_target"] is None else f"{row['seconds_to_target']:.1f}"
        ratio = "" if row["ratio_to_baseline"] is None else f"{row['ratio_to_baseline']:.2f}"
        lines.append(
            f"{row['title']:30}{row['seconds_per_iteration']:12.3f}{to_target:>13}{ratio:>13}"
            f"{row['peak_bytes'] / 1e6:9.0f}{row['objective']:11.4f}{row['seconds']:10.1f}"
        )
    told = [
        f"{row['title']} {row['ratio_to_baseline']:.1f} times"
        for row in report["rows"]
        if row["ratio_to_baseline"] is not None and row["name"] != "plain"
    ]
    iterations, height = report["settings"]["target_iterations"], report["settings"]["height"]
    sentence = (
        f"To the objective that the plain method has after {iterations} iterations at {height} px, as fast as it: "
        f"{', '.join(told) or 'nothing measured yet'} (medians of the pairs)."
    )
    return "\n".join([*lines, sentence])
