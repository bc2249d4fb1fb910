"""The objective over seconds, a panel for each pair."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from impasto.bench.rows import ROWS
from impasto.formats.files import replace_file

__all__ = ["plot_curves"]

_COLORS = ("#222222", "#2f6f9f", "#c8553d", "#6a994e", "#8d5aa7", "#b58a2a")


def plot_curves(report: Mapping[str, Any], file: Path) -> None:
    """Draws the curves of a report, both axes logarithmic, with the target as a line.

    Args:
        report: From `impasto.bench.run_bench`.
        file: A PNG; replaced as a whole if it exists.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = list(dict.fromkeys(key.rpartition("/")[0] for key in report["measurements"]))
    columns = min(2, len(pairs))
    lines = -(-len(pairs) // columns)
    figure = Figure(figsize=(5.5 * columns, 3.4 * lines), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    for number, pair in enumerate(pairs, start=1):
        axes = figure.add_subplot(lines, columns, number)
        for color, (name, row) in zip(_COLORS, ROWS.items(), strict=True):
            found = report["measurements"].get(f"{pair}/{name}")
            if found is not None:
                axes.plot(*zip(*found["curve"], strict=True), color=color, label=row.title, linewidth=1.6)
        target = report["measurements"][f"{pair}/plain"]["objective"]
        axes.axhline(target, color="#999999", linewidth=0.8, linestyle=":")
        axes.set(title=pair.replace("-", " × "), xlabel="seconds", ylabel="VGG19's objective")
        axes.set(xscale="log", yscale="log")
        axes.grid(alpha=0.25, linewidth=0.6)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    replace_file(file, buffer.getvalue())
