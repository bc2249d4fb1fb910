"""The experiments of `impasto.runs.presets`: each one a sweep, and a page with its sheet, its plot and its figures.

``docs/experiments/NAME.md`` is written anew each time, but for what stands between its two markers: our answer, written
by hand by somebody who has looked at the pictures. The sweep itself is in the folder ``NAME`` beside the page.
"""

import io
import shlex
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from impasto.bench.plain import run_plain
from impasto.devices import pick_device
from impasto.engine import Control
from impasto.errors import ImpastoError
from impasto.examples import example_path
from impasto.formats.files import replace_file
from impasto.images import load_picture, resize, save_picture
from impasto.objective.objective import Objective
from impasto.objective.weighting import TERMS
from impasto.pipeline.build import encoder_of
from impasto.pipeline.level_images import style_sizes, target_size
from impasto.recipe import RunOptions, StopReason
from impasto.runs.cell_facts import CellFacts
from impasto.runs.events import Listener
from impasto.runs.experiment_plot import groups_of, plot_experiment
from impasto.runs.failures import told_in_a_sentence
from impasto.runs.outputs import LossLog
from impasto.runs.own_files import marker
from impasto.runs.presets import Preset
from impasto.runs.process_memory import forget_peak, peak_bytes
from impasto.runs.sweep import SweepPlan, plan_sweep, run_sweep, write_overview
from impasto.runs.sweep_plan import Cell
from impasto.runs.sweep_results import CellResult, CellState, Fact, Results, read_curve

__all__ = ["CONTENT", "STYLE", "Experiment", "plan_experiments", "run_experiment", "write_index"]

CONTENT, STYLE = example_path("chelsea"), example_path("munch")
"""The pictures where none are given."""

SOURCE = '"Style Transfer with Deep Learning" (AGH Kraków, 2024)'
MARKERS = ("<!-- answer: written by hand, kept by the command -->", "<!-- end of the answer -->")
_JPEG_QUALITY = 86


@dataclass(frozen=True)
class Experiment:
    """A preset, planned.

    Attributes:
        preset: What it asks.
        plan: Its sweep.
        page: Its file.
    """

    preset: Preset
    plan: SweepPlan
    page: Path


def plan_experiments(
    presets: Sequence[Preset],
    folder: Path,
    given: Mapping[str, Any],
    options: RunOptions,
    *,
    content: Path = CONTENT,
    style: Path = STYLE,
    command: str = "",
) -> list[Experiment]:
    """Checks all of them before anything is computed; writes nothing.

    Args:
        presets: From `impasto.runs.presets`.
        folder: Where pages and sweeps go.
        given: Values of the recipe that go before the presets'.
        options: As in `plan_sweep`.
        content: The content image.
        style: The style image.
        command: That does this, for the pages.

    Raises:
        UserError: As `plan_sweep` does.
    """
    experiments = []
    for preset in presets:
        base = preset.base(given)
        plan = plan_sweep(
            [content], [[style]], base, preset.variants(base), folder / preset.name, options,
            title=preset.title, command=command,
        )  # fmt: skip
        experiments.append(Experiment(preset, plan, folder / f"{preset.name}.md"))
    return experiments


def run_experiment(experiment: Experiment, listener: Listener | None = None, control: Control | None = None) -> Results:
    """Runs a preset's sweep as far as it is not finished, and writes its page.

    Raises:
        OutputError: If files cannot be written.
    """
    listener, control = listener or Listener(), control or Control()
    plan = experiment.plan
    results = run_sweep(plan, listener=listener, control=control)
    if experiment.preset.has_plain and not control.is_ended:
        results = replace(results, cells=[*results.cells, _paint_plain(plan, listener)])
        write_overview(plan.folder.path, results)
    _write_page(experiment, results)
    return results


def write_index(folder: Path, experiments: Sequence[Experiment], command: str) -> None:
    """Writes ``README.md``, which leads to the pages, beside them.

    Raises:
        OutputError: If it cannot be written.
    """
    path = folder / "README.md"
    lines = [
        f"# The experiments of {SOURCE}", "",
        "Each page has the sheet of what was painted, a plot, the figures, and our answer to what was found there. All "
        "are painted by", "", f"    {command}", "",
        _kept_answer(path), "", "| Page | Figures there | Question |", "|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| [{preset.title}]({preset.name}.md) | {preset.figures} | {preset.question} |"
        for preset in (experiment.preset for experiment in experiments)
    ]
    replace_file(path, ("\n".join(lines) + "\n").encode())


# --- the plain method -------------------------------------------------------------------------------------------------


def _paint_plain(plan: SweepPlan, listener: Listener) -> CellResult:
    """The plain method on the same objective, as one more cell; passed over if it is finished."""
    first = plan.cells[0]
    cell = replace(first, number=len(plan.cells) + 1, values={"method": "plain method"})
    picture, facts = plan.folder.picture(cell), plan.folder.read_facts(cell)
    if plan.options.overwrite or facts is None or not picture.exists():
        listener.cell(1, 1, cell.label, float("nan"))
        try:
            with told_in_a_sentence(cell.content):
                facts = _run_plain(plan, cell, picture)
        except ImpastoError as error:
            listener.error(f"{cell.label} failed: {error}")
            return CellResult(cell.name, cell.values, CellState.FAILED, error=str(error))
    return CellResult(
        cell.name, cell.values, CellState.DONE, picture=picture, facts=facts, curve=plan.folder.losses(cell)
    )


def _run_plain(plan: SweepPlan, cell: Cell, picture: Path) -> dict[str, Fact]:
    forget_peak()
    device = pick_device(plan.options.device)
    encoder = encoder_of(cell.recipe, device)
    content, styles = load_picture(cell.content), [load_picture(style) for style in cell.styles]
    size = target_size(content.size, cell.recipe)
    own_sizes = style_sizes([style.size for style in styles], size, cell.recipe)
    start = resize(content.pixels, size).to(device)
    shrunk = [resize(style.pixels, own).to(device) for style, own in zip(styles, own_sizes, strict=True)]
    began = time.perf_counter()
    objective = Objective(encoder, start, shrunk, cell.recipe)
    outcome = run_plain(objective, start, cell.recipe.num_iterations)
    losses_file = plan.folder.losses(cell)
    losses_file.parent.mkdir(parents=True, exist_ok=True)
    losses_file.unlink(missing_ok=True)
    log = LossLog(losses_file)
    for number, (loss, stamp) in enumerate(zip(outcome.losses, outcome.stamps, strict=True), start=1):
        log.write(iteration=number, level=1, losses={"total": loss}, seconds=stamp - began)
    log.close()
    memory = peak_bytes()
    image = (outcome.image.clamp(0, 1) * 255).round() / 255  # what the written file holds
    parts = objective.parts(image).tolist()
    facts: dict[str, Fact] = {
        "iterations": len(outcome.losses), "stop_reason": str(StopReason.BUDGET),
        "seconds": round(outcome.stamps[-1] - began, 3), "memory_bytes": memory,
        "loss_total": sum(parts), **{f"loss_{term}": part for term, part in zip(TERMS, parts, strict=True)},
    }  # fmt: skip
    facts |= CellFacts({cell.recipe.model}).of_image(image, content, styles, cell.recipe, encoder)
    save_picture(image.cpu(), picture, source=content, recipe_json=marker(method="plain"))
    plan.folder.write_facts(cell, facts)
    return facts


# --- the page ---------------------------------------------------------------------------------------------------------


def _write_page(experiment: Experiment, results: Results) -> None:
    preset, folder = experiment.preset, experiment.plan.folder.path
    _write_jpeg(folder / "sheet.png", folder / "sheet.jpg")
    pictures = [f"![The sheet: {preset.title}]({folder.name}/sheet.jpg)"]
    if any(cell.state is CellState.DONE for cell in results.cells):
        plot_experiment(results, preset, folder / "plot.jpg")
        pictures.append(f"![The plot: {preset.title}]({folder.name}/plot.jpg)")
    recipe = experiment.plan.recipe
    size = next(iter(experiment.plan.sizes.values()))
    height, width = target_size(size, recipe)
    parts = [
        f"# {preset.title}", preset.question,
        f"**What was found there** ({SOURCE}, figures {preset.figures}): {preset.finding}",
        _kept_answer(experiment.page), "## What was painted", *pictures,
        f"{' × '.join(results.axes).replace('_', ' ')}; {recipe.model}, {width}×{height} pixels, look {recipe.look}, "
        f"by `{results.command or shlex.join(['impasto', 'sweep', '--preset', preset.name])}`.",
        "## Figures", _table(preset, results),
    ]  # fmt: skip
    if "seconds" in preset.plots:
        parts += ["### The lowest objective after so many seconds", _table_of_seconds(results)]
    parts.append(
        "Losses are weighted and are what the optimizer sees; distances are not (0 is equal, 1 as far as black); "
        "influences are shares of the gradient at the end; what the metrics measure is explained in "
        "[sweeps](../howto/sweeps.md#metrics)."
    )
    replace_file(experiment.page, ("\n\n".join(parts) + "\n").encode())


def _kept_answer(page: Path) -> str:
    """What stands between the markers of an earlier page, with them."""
    begin, end = MARKERS
    try:
        text = page.read_text(encoding="utf-8")
        return begin + text.split(begin, 1)[1].split(end, 1)[0] + end
    except (OSError, IndexError, UnicodeDecodeError):
        return f"{begin}\n\nNobody has looked at these pictures yet.\n\n{end}"


def _table(preset: Preset, results: Results) -> str:
    names = [*results.axes, *preset.columns]
    rows = [[_shown(row.get(name)) for name in names] for row in results.rows()]
    return _markdown([name.replace("_", " ") for name in names], rows)


def _table_of_seconds(results: Results) -> str:
    """The objective of each group of cells at the times at which the first group's cells were finished."""
    groups = groups_of(results)
    curves = {name: read_curve(cells[-1].curve, max_points=10**6) for name, cells in groups.items()}
    times = sorted(
        {round(seconds, 1) for cell in results.cells if isinstance(seconds := cell.facts.get("seconds"), float)}
    )
    rows = [[f"{moment:.1f} s", *(_at(curve, moment) for curve in curves.values())] for moment in times]
    return _markdown(["time", *groups], rows)


def _at(curve: Mapping[str, Sequence[float]], moment: float) -> str:
    """The lowest objective of the finest level by then; a dash before that, and after the end."""
    if not curve or moment > curve["seconds"][-1] + 0.06:
        return "–"
    index = bisect_right(curve["seconds"], moment + 0.06) - 1
    return _shown(curve["objective"][index]) if index >= 0 and curve["level"][index] == curve["level"][-1] else "–"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _shown(value: Fact) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


def _write_jpeg(source: Path, target: Path) -> None:
    buffer = io.BytesIO()
    with Image.open(source) as picture:
        picture.convert("RGB").save(buffer, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    replace_file(target, buffer.getvalue())
