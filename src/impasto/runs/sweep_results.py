"""What the cells of a sweep came to: the rows of its tables, and the files ``results.csv`` and ``results.json``.

Neither torch nor numpy is loaded here. The contact sheet and the report are made from the same `Results`, whoever
painted the cells: `impasto.runs.sweep`, `impasto.runs.compare`, or the jobs of a service.
"""

import csv
import io
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from impasto.formats.files import replace_file
from impasto.recipe import Recipe
from impasto.runs.sweep_plan import Cell, as_typed

__all__ = ["CellResult", "CellState", "Results", "command_of", "read_curve", "write_tables"]

Fact = float | int | str | None


class CellState(StrEnum):
    """How far a cell is."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    OPEN = "open"


@dataclass(frozen=True)
class CellResult:
    """One cell, and what came of it.

    Attributes:
        name: Of its files, without suffix.
        values: What tells it from the others, by what varies.
        state: How far it is.
        picture: Its file, if there is one.
        facts: Losses, distances, influence, time, memory, metrics, by name; None where unknown.
        error: Why it failed, in a sentence.
        curve: The table of losses of its run, as ``losses.csv``; None if there is none.
        recipe: What decided its pixels; None for a picture of other origin.
        command: That paints it again; empty if there is none.
    """

    name: str
    values: Mapping[str, str]
    state: CellState
    picture: Path | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    error: str = ""
    curve: Path | None = None
    recipe: Recipe | None = None
    command: str = ""

    @classmethod
    def of(cls, cell: Cell, state: CellState = CellState.OPEN, **values: Any) -> "CellResult":
        """The result of a planned cell."""
        return cls(
            cell.name, cell.values, state, recipe=cell.recipe,
            command=command_of(cell.content, cell.styles, cell.recipe, f"{cell.name}.png"), **values,
        )  # fmt: skip

    @property
    def label(self) -> str:
        """What tells it from the others, in words."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items()) or self.name

    def row(self) -> dict[str, Fact]:
        """One row of the table: what varies, then how far it is and where, then the facts."""
        own: dict[str, Fact] = {
            "cell": self.name, "state": self.state.value,
            "picture": self.picture.name if self.picture else None, "error": self.error or None,
        }  # fmt: skip
        return own | {name: _number(value) for name, value in self.values.items()} | dict(self.facts)


@dataclass(frozen=True)
class Results:
    """A whole sweep or comparison.

    Attributes:
        title: What it is, in a few words.
        cells: In the order of the sheet.
        inputs: The pictures that they were made from, each with what it is, as ``"content coffee.jpg"``.
        command: That makes all of this again; empty if there is none.
    """

    title: str
    cells: Sequence[CellResult]
    inputs: Sequence[tuple[str, Path]] = ()
    command: str = ""

    @property
    def axes(self) -> list[str]:
        """What varies."""
        return list(dict.fromkeys(name for cell in self.cells for name in cell.values))

    def rows(self) -> list[dict[str, Fact]]:
        """A row for each cell; all have the same names."""
        rows = [cell.row() for cell in self.cells]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return [{name: row.get(name) for name in names} for row in rows]


def write_tables(folder: Path, results: Results) -> None:
    """Writes ``results.csv``, a row for each cell, and ``results.json``, with the cells' recipes besides.

    Raises:
        OutputError: If they cannot be written.
    """
    rows = results.rows()
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(folder / "results.csv", stream.getvalue().encode())
    cells = [
        {
            **{name: _finite(value) for name, value in row.items()},
            "recipe": None if cell.recipe is None else cell.recipe.model_dump(mode="json"),
            "command": cell.command,
        }
        for cell, row in zip(results.cells, rows, strict=True)
    ]
    document = {
        "impasto": version("impasto"), "title": results.title, "command": results.command, "varies": results.axes,
        "inputs": [label for label, _ in results.inputs], "cells": cells,
    }  # fmt: skip
    replace_file(folder / "results.json", (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def read_curve(table: Path | None, max_points: int = 400) -> dict[str, list[float]]:
    """Iterations, seconds and the lowest objective so far of a run, from its ``losses.csv``; empty if there is none.

    Args:
        table: The file.
        max_points: Of so many rows at most; the first and the last stay.
    """
    curve: dict[str, list[float]] = {"iterations": [], "seconds": [], "objective": [], "level": []}
    best = level = math.inf
    try:
        with table.open(newline="", encoding="ascii") as stream:  # type: ignore[union-attr]
            for row in csv.DictReader(stream):
                if row["level"] != level:  # objectives of two sizes are no one curve
                    best, level = math.inf, row["level"]  # type: ignore[assignment]
                best = min(best, float(row["total"]))
                values = (float(row["iteration"]), float(row["seconds"]), best, float(row["level"]))
                for name, value in zip(curve, values, strict=True):
                    curve[name].append(value)
    except (OSError, AttributeError, ValueError, KeyError, TypeError):
        return {}
    count = len(curve["iterations"])
    step = max(1, math.ceil(count / max_points))
    kept = sorted({*range(0, count, step), *([count - 1] if count else [])})
    return {name: [values[index] for index in kept] for name, values in curve.items()} if count else {}


def command_of(content: Path, styles: Sequence[Path], recipe: Recipe, output: str) -> str:
    """The command that paints one picture: the inputs, and every value of the recipe that was set."""
    words = ["impasto", "stylize", str(content), *map(str, styles)]
    for name in Recipe.model_fields:
        value = getattr(recipe, name)
        if name not in recipe.model_fields_set or value is None or name == "changes":
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option if value else f"--no-{option[2:]}")
        else:
            words += [option, as_typed(value)]
    return shlex.join([*words, "--output-file", output])


def _number(text: str) -> Fact:
    """A varied value as a number where it is one, so that tables sort."""
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text


def _finite(value: Fact) -> Fact:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
