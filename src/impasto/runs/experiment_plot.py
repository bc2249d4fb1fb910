"""The plot of an experiment: objectives over iterations and seconds, and facts over what varies."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.formats.files import replace_file
from impasto.runs.presets import Preset
from impasto.runs.sweep_results import CellResult, CellState, Results, read_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["groups_of", "plot_experiment"]

_COLORS = ("#2f6f9f", "#c8553d", "#6a994e", "#8a5a9e", "#b8860b", "#555555")
_MEASURES = ("distance_content", "distance_style", "distance_tv", "ssim", "edge_agreement", "judge_style")
_MOST_MEASURES = 4


def groups_of(results: Results) -> Mapping[str, list[CellResult]]:
    """The finished cells by what varies besides the budget, in words; budgets ascending."""
    groups: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        if cell.state is CellState.DONE:
            rest = [value for name, value in cell.values.items() if name != "total_iterations"]
            groups.setdefault(" ".join(rest) or "objective", []).append(cell)
    for cells in groups.values():
        cells.sort(key=lambda cell: _number(cell.facts.get("iterations")))
    return groups


def plot_experiment(results: Results, preset: Preset, path: Path) -> None:
    """Draws the plots that a preset asks for, side by side, as a JPEG.

    Raises:
        OutputError: If the file cannot be written.
    """
    # The object interface alone: no global state, no window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(preset.plots), 3.9), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(1, len(preset.plots), squeeze=False)[0]
    for kind, axes in zip(preset.plots, all_axes, strict=True):
        if kind == "values":
            _draw_values(axes, results, preset.columns)
        else:
            _draw_curves(axes, results, kind)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpg", pil_kwargs={"quality": 88})
    replace_file(path, buffer.getvalue())


def _draw_curves(axes: "Axes", results: Results, over: str) -> None:
    """The lowest objective so far of each group's longest run, and a dot for each of its cells."""
    for (name, cells), color in zip(groups_of(results).items(), _COLORS * 100, strict=False):
        curve = read_curve(cells[-1].curve)
        if not curve:
            continue
        last = [level == curve["level"][-1] for level in curve["level"]]  # coarse levels have objectives of their own
        x, y = ([value for value, shown in zip(curve[key], last, strict=True) if shown] for key in (over, "objective"))
        axes.plot(x, y, label=name, color=color, linewidth=1.6)
        dots = [(_number(cell.facts.get(over)), _number(cell.facts.get("loss_total"))) for cell in cells]
        axes.plot(*zip(*dots, strict=True), "o", color=color, markersize=4)
    axes.set(xlabel=over, ylabel="objective", title=f"Lowest objective over {over}")
    axes.set_yscale("log")


def _draw_values(axes: "Axes", results: Results, columns: Sequence[str]) -> None:
    """Facts over the last thing that varies; a line style for each group, where a second thing varies."""
    name = results.axes[-1]
    measures = [measure for measure in _MEASURES if measure in columns][:_MOST_MEASURES]
    groups: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        if cell.state is CellState.DONE:
            groups.setdefault(" ".join(v for key, v in cell.values.items() if key != name), []).append(cell)
    positive = []
    for (group, cells), style in zip(groups.items(), ("-", "--", ":") * 100, strict=False):
        for measure, color in zip(measures, _COLORS, strict=False):
            points = [(_number(cell.row()[name]), cell.facts.get(measure)) for cell in cells]
            known = [(x, y) for x, y in points if isinstance(y, int | float)]
            label = " ".join(filter(None, (group, measure.replace("_", " "))))
            axes.plot(*zip(*known, strict=True), style, marker="o", markersize=4, color=color, label=label)
            positive += [x for x, _ in known if x > 0]
    axes.set(xlabel=name.replace("_", " "), title=f"What comes of it, by {name.replace('_', ' ')}")
    if positive and max(positive) / min(positive) > 20:
        axes.set_xscale("symlog", linthresh=min(positive))
    axes.set_yscale("log")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
