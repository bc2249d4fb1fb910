"""Figures of a run: the plot of its losses."""

import csv
import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import OutputError
from impasto.formats.embedded_recipe import PNG_KEYWORD
from impasto.formats.files import replace_file
from impasto.runs.own_files import marker

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_losses"]

_CURVES = {
    "total": ("objective", "#222222", 1.8),
    "content": ("content", "#2f6f9f", 1.2),
    "style": ("style", "#c8553d", 1.2),
    "tv": ("total variation", "#6a994e", 1.2),
}
"""Label, color and line width by column of the table."""


def plot_losses(table: Path, plot: Path) -> None:
    """Draws the losses of a run on a logarithmic scale, a line for each term, the levels set apart.

    Args:
        table: A ``losses.csv``.
        plot: The picture to write; replaced as a whole if it exists.

    Raises:
        OutputError: If the table cannot be read or the plot not be written.
    """
    # The figure is drawn by the object interface alone: no global state, no window, safe beside a caller's own plots.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = _read(table)
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, (label, color, width) in _CURVES.items():
        if any(value > 0 for value in columns[name]):
            axes.plot(columns["iteration"], columns[name], label=label, color=color, linewidth=width)
    for iteration, level in _level_starts(columns["iteration"], columns["level"]):
        axes.axvline(iteration, color="#999999", linewidth=0.8, linestyle=":")
        axes.annotate(
            f"level {level:g}", (iteration, 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
            textcoords="offset points", va="top", fontsize=8, color="#666666",
        )  # fmt: skip
    axes.set(xlabel="iteration", ylabel="weighted loss", title="Losses of each iteration's candidate")
    if axes.lines:
        axes.set_yscale("log", nonpositive="mask")
        figure.legend(loc="outside lower center", ncols=len(axes.lines), frameon=False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, plot)


def _read(table: Path) -> dict[str, list[float]]:
    """The table's columns; what is missing is 0, which a logarithmic scale leaves out."""
    try:
        with table.open(newline="", encoding="ascii") as stream:
            rows = list(csv.DictReader(stream))
        return {name: [float(row.get(name) or 0) for row in rows] for name in ("iteration", "level", *_CURVES)}
    except (OSError, ValueError) as error:
        raise OutputError(f"Cannot plot the losses in '{table}': {error}.") from None


def _level_starts(iterations: list[float], levels: list[float]) -> list[tuple[float, float]]:
    """First iteration and number of each level; none if there is but one level."""
    changes = zip(pairwise(levels), iterations[1:], strict=True) if levels else ()
    starts = [(iteration, level) for (before, level), iteration in changes if level != before]
    return [(iterations[0], levels[0]), *starts] if starts else []


def _save(figure: "Figure", plot: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={PNG_KEYWORD: marker(table="losses.csv")})
    replace_file(plot, buffer.getvalue())
