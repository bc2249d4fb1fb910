"""A sweep: one picture for every combination of what varies, with a contact sheet, tables and a report.

    plan = plan_sweep([photo], [[painting]], recipe, variants_of({"strength": [10, 50, 90]}, recipe), folder, options)
    results = run_sweep(plan)

Each cell is a run of `impasto.runs.run`. One encoder serves all cells that share it, and what it sees in contents and
styles is computed once (`impasto.objective.shared_targets`). Cells that differ in their budget alone go on from each
other where that gives the same pixels, so that a row of budgets costs no more than its largest one.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from impasto.devices import pick_device
from impasto.encoders import Encoder, outline_encoder
from impasto.engine import Control
from impasto.engine.pyramid import build_pyramid
from impasto.errors import CheckpointError, ImageError, ImpastoError
from impasto.images import Picture, check_writable, load_picture
from impasto.objective.shared_targets import sharing_targets
from impasto.pipeline.build import complete, encoder_of
from impasto.pipeline.estimate import estimate
from impasto.pipeline.level_images import check_styles, target_size
from impasto.recipe import Recipe, RunOptions, StopReason
from impasto.recipe.model_names import model_file, public_name
from impasto.runs.cell_facts import CellFacts
from impasto.runs.contact_sheet import write_sheets
from impasto.runs.events import Listener
from impasto.runs.failures import told_in_a_sentence
from impasto.runs.process_memory import forget_peak
from impasto.runs.report import write_report
from impasto.runs.rerun import sha256_of
from impasto.runs.run import run
from impasto.runs.sweep_folder import SweepFolder
from impasto.runs.sweep_plan import Cell, Variant, plan_cells
from impasto.runs.sweep_results import CellResult, CellState, Results, write_tables

__all__ = ["SweepEstimate", "SweepPlan", "estimate_sweep", "plan_sweep", "run_sweep", "write_overview"]

logger = logging.getLogger(__name__)

_COSTLESS = (
    "content_weight", "style_weight", "tv_weight", "strength", "style_blend", "seed", "learning_rate", "init_method",
    "preserve_color", "color_strength", "plateau", "bit_depth", "keep_profile", "changes",
)  # fmt: skip
"""Parameters that do not change what an iteration takes."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep before its first cell.

    Attributes:
        folder: Where its files go.
        cells: In the order of the sheet.
        options: How the cells are run.
        recipe: Their base.
        manifest: What is swept, as ``sweep.json`` keeps it.
        sizes: Heights and widths of the pictures that could be read.
        title: In a few words.
        command: That does this again; empty if there is none.
    """

    folder: SweepFolder
    cells: Sequence[Cell]
    options: RunOptions
    recipe: Recipe
    manifest: Mapping[str, Any]
    sizes: Mapping[Path, tuple[int, int]]
    title: str
    command: str = ""

    @cached_property
    def inputs(self) -> list[tuple[str, Path]]:
        """The pictures, each with what it is."""
        contents = dict.fromkeys(cell.content for cell in self.cells)
        styles = dict.fromkeys(style for cell in self.cells for style in cell.styles)
        named = [*(("content", path) for path in contents), *(("style", path) for path in styles)]
        return [(f"{role} {path.name}", path) for role, path in named]

    def chains(self) -> list[list[Cell]]:
        """The cells in the order in which they are painted: those of one encoder together, budgets ascending.

        A chain is a list of cells each of which goes on where the one before ended.
        """
        chains: dict[Any, list[Cell]] = {}
        for cell in self.cells:
            chains.setdefault(self._chain_key(cell), []).append(cell)
        for chain in chains.values():
            chain.sort(key=lambda cell: cell.recipe.num_iterations)
        encoders = list(dict.fromkeys(encoder_key(cell.recipe) for cell in self.cells))
        return sorted(chains.values(), key=lambda chain: encoders.index(encoder_key(chain[0].recipe)))

    def _chain_key(self, cell: Cell) -> Any:
        size = self.sizes.get(cell.content)
        if size is None or not shares_its_way(cell.recipe, size):
            return cell.number
        return (cell.content, cell.styles, cell.recipe.replace(total_iterations=0).to_json())


@dataclass(frozen=True)
class SweepEstimate:
    """What a sweep is expected to take.

    Attributes:
        num_cells: All of them.
        num_finished: Those that are there already.
        seconds: For the others.
        peak_bytes: Of the cell that needs most memory.
    """

    num_cells: int
    num_finished: int
    seconds: float
    peak_bytes: int


def plan_sweep(
    contents: Sequence[Path],
    styles: Sequence[Sequence[Path]],
    recipe: Recipe,
    variants: Sequence[Variant],
    folder: Path,
    options: RunOptions | None = None,
    *,
    allow_many: bool = False,
    title: str = "",
    command: str = "",
) -> SweepPlan:
    """Checks what can be checked before anything is computed; writes nothing.

    Args:
        contents: Content images.
        styles: For each row the style images that are mixed in it, mostly one.
        recipe: The base.
        variants: Ways to change it.
        folder: Where the files go.
        options: Device, memory, masks, overwriting; its place for the result does not count.
        allow_many: Whether there may be more than `impasto.runs.sweep_plan.MAX_CELLS`.
        title: In a few words; by default made from what varies.
        command: That does this again, for the report.

    Raises:
        UserError: If a picture cannot be read, a value does not suit the others, or the folder cannot be written to,
            holds another sweep, or an input would be replaced.
    """
    options = options or RunOptions()
    cells = plan_cells(contents, styles, recipe, variants, allow_many=allow_many)
    sizes = _sizes(contents, styles, options)
    manifest = _manifest(cells, contents, styles, recipe)
    masks = [*options.content_mask, *options.style_mask, *([options.lock_mask] if options.lock_mask else [])]
    own_files = [options.recipe_file, *(model_file(model) for model in {cell.recipe.model for cell in cells})]
    inputs = [*contents, *(path for row in styles for path in row), *masks, *filter(None, own_files)]
    place = SweepFolder(folder)
    place.check(cells, manifest, inputs, anew=options.overwrite)
    _check_cells(cells, sizes, options, folder)
    axes = " × ".join(manifest["varies"]) or "one picture"
    return SweepPlan(place, cells, options, recipe, manifest, sizes, title or axes.replace("_", " "), command)


def estimate_sweep(plan: SweepPlan) -> SweepEstimate:
    """Estimates a sweep without a download; see `impasto.pipeline.estimate`."""
    seconds = _Seconds(plan)
    states = {cell.number: plan.folder.state(cell) for cell in plan.cells}
    left = 0.0
    for chain in plan.chains():
        costs = [seconds.of(cell) for cell in chain]
        is_done = [states[cell.number] is CellState.DONE for cell in chain]
        if not all(is_done):
            spent = max((cost for cost, done in zip(costs, is_done, strict=True) if done), default=0.0)
            left += max(0.0, max(costs) - spent)
    num_finished = sum(state is CellState.DONE for state in states.values())
    return SweepEstimate(len(plan.cells), num_finished, left, seconds.peak_bytes)


def run_sweep(plan: SweepPlan, *, listener: Listener | None = None, control: Control | None = None) -> Results:
    """Paints the cells that are not finished, then writes sheet, tables and report of what is there.

    A cell that fails becomes a tile with its sentence, and the sweep goes on.

    Args:
        plan: From `plan_sweep`.
        listener: Follows it.
        control: Stops it from outside, after an iteration; what is there is kept, and the next call goes on.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    plan.folder.begin(plan.manifest, anew=plan.options.overwrite)
    sweep = _Sweep(plan, listener or Listener(), control or Control())
    sweep.paint()
    results = Results(plan.title, [sweep.results[cell.number] for cell in plan.cells], plan.inputs, plan.command)
    write_overview(plan.folder.path, results)
    return results


def write_overview(folder: Path, results: Results) -> None:
    """Writes sheet, tables and report of cells that are painted, by whomever.

    Raises:
        OutputError: If they cannot be written.
    """
    write_tables(folder, results)
    write_sheets(folder, results)
    write_report(folder / "report.html", results)


def encoder_key(recipe: Recipe) -> tuple[Any, ...]:
    """What an encoder depends on."""
    return recipe.model, recipe.pooling, recipe.padding, recipe.tileable, recipe.precision, recipe.smoothing


def shares_its_way(recipe: Recipe, content_size: tuple[int, int]) -> bool:
    """Whether the run's picture after n iterations is the result of the same run with a budget of n.

    So it is where the budget is not divided among levels, and nothing else looks at it.
    """
    if recipe.finishing is not None or recipe.style_loss == "neighbors" or recipe.changes:
        return False
    size = target_size(content_size, recipe)
    return len(build_pyramid(size, recipe.replace(total_iterations=10_000))) == 1


class _Sweep:
    """Paints the cells, one after the other."""

    def __init__(self, plan: SweepPlan, listener: Listener, control: Control) -> None:
        self.results: dict[int, CellResult] = {cell.number: CellResult.of(cell) for cell in plan.cells}
        self._plan, self._folder, self._listener, self._control = plan, plan.folder, listener, control
        self._encoder: tuple[tuple[Any, ...], Encoder] | None = None
        self._targets = ExitStack()
        self._facts = CellFacts({cell.recipe.model for cell in plan.cells})
        self._clock = _Clock(plan)

    def paint(self) -> None:
        """Every chain, and in it every cell that is not finished."""
        with self._targets:
            for chain in self._plan.chains():
                self._paint_chain(chain)

    def _paint_chain(self, chain: Sequence[Cell]) -> None:
        for index, cell in enumerate(chain):
            if self._control.is_ended:
                state = self._folder.state(cell)
                self.results[cell.number] = (
                    self._finished(cell, state) if state is not CellState.OPEN else CellResult.of(cell)
                )
                continue
            if self._folder.state(cell) is CellState.DONE:
                self.results[cell.number] = self._finished(cell, CellState.DONE)
                continue
            if index:
                self._folder.hand_on(chain[index - 1], cell)
            self._clock.announce(cell, self._listener)
            self.results[cell.number] = self._paint(cell, is_last=index == len(chain) - 1)
            self._clock.finish(cell)
        if all(self.results[cell.number].state is CellState.DONE for cell in chain):
            for cell in chain:
                self._folder.drop_checkpoint(cell)

    def _paint(self, cell: Cell, *, is_last: bool) -> CellResult:
        try:
            with told_in_a_sentence(cell.content):
                facts, is_stopped = self._run(cell, is_last=is_last, resume=self._folder.has_checkpoint(cell))
        except CheckpointError:
            self._folder.drop_checkpoint(cell)
            return self._paint(cell, is_last=is_last)
        except ImpastoError as error:
            self._listener.error(f"Cell {cell.number} ({cell.label}) failed: {error}")
            return CellResult.of(cell, CellState.FAILED, error=str(error))
        self._folder.write_facts(cell, facts)
        return self._finished(cell, CellState.STOPPED if is_stopped else CellState.DONE)

    def _run(self, cell: Cell, *, is_last: bool, resume: bool) -> tuple[dict[str, Any], bool]:
        """Runs a cell and returns what is known of it, and whether it was stopped on its way."""
        given, picture = self._plan.options, self._folder.picture(cell)
        options = given.replace(
            output_file=picture, resume=resume, overwrite=picture.exists(),
            saving_interval=given.saving_interval if "saving_interval" in given.model_fields_set else 0,
        )  # fmt: skip
        forget_peak()
        report = run(
            cell.content, cell.styles, cell.recipe, options,
            encoder=lambda: self._encoder_of(cell.recipe), on_progress=self._listener.progress,
            on_saved=self._listener.saved, control=self._control, keeps_checkpoint=not is_last, keeps_losses=True,
            on_plan=lambda memory: self._listener.start(
                cell.content, cell.styles, memory.recipe, memory.peak_bytes
            ),
        )  # fmt: skip
        self._listener.done(report)
        return self._facts.of_run(
            report, self._encoder_of(cell.recipe)
        ), report.result.stop_reason is StopReason.STOPPED

    def _finished(self, cell: Cell, state: CellState) -> CellResult:
        """A cell whose picture is there; its facts are found again if a process was killed before it kept them."""
        picture = self._folder.picture(cell)
        facts = self._folder.read_facts(cell)
        if facts is None:
            facts = self._facts.of_picture(picture, self._folder.losses(cell), cell.content, cell.styles)
            self._folder.write_facts(cell, facts)
        return CellResult.of(cell, state, picture=picture, facts=facts, curve=self._folder.losses(cell))

    def _encoder_of(self, recipe: Recipe) -> Encoder:
        """The recipe's encoder; the one before goes, and the targets that it made."""
        key = encoder_key(recipe)
        if self._encoder is None or self._encoder[0] != key:
            self._encoder = None
            self._targets.close()
            options = self._plan.options
            encoder = encoder_of(
                recipe, pick_device(options.device), self._listener.download, trust=options.trust
            )  # fmt: skip
            self._encoder = (key, encoder)
            self._targets.enter_context(sharing_targets())
        return self._encoder[1]


class _Seconds:
    """Estimated seconds of a cell's run, timed once for all cells that cost the same."""

    def __init__(self, plan: SweepPlan) -> None:
        self.peak_bytes = 0
        self._plan = plan
        self._known: dict[Any, float] = {}
        plain = Recipe()
        self._plain = {name: getattr(plain, name) for name in _COSTLESS}

    def of(self, cell: Cell) -> float:
        """Seconds of one cell by itself."""
        sizes = self._plan.sizes
        content, styles = sizes.get(cell.content), [sizes.get(style) for style in cell.styles]
        known_styles = [size for size in styles if size is not None]
        if content is None or len(known_styles) < len(styles):
            return 0.0  # it will fail
        recipe = cell.recipe.replace(**self._plain)
        key = (content, tuple(known_styles), recipe.to_json())
        if key not in self._known:
            options = self._plan.options
            if options.threads is not None:
                torch.set_num_threads(options.threads)
            estimated = estimate(
                recipe, content, known_styles, options.device, trust=options.trust, max_memory=options.max_memory,
                has_scratch=options.scratch is not None,
            )  # fmt: skip
            self._known[key] = estimated.seconds
            self.peak_bytes = max(self.peak_bytes, estimated.memory.peak_bytes)
        return self._known[key]


class _Clock:
    """Tells how long the rest takes: by estimates at first, corrected by what cells took."""

    def __init__(self, plan: SweepPlan) -> None:
        self._shares: dict[int, float] = {}
        for chain in plan.chains():
            before = 0
            for cell in chain:
                done, before = before, cell.recipe.num_iterations if len(chain) > 1 else 0
                if plan.folder.state(cell) is not CellState.DONE:
                    self._shares[cell.number] = self._work(plan, cell, cell.recipe.num_iterations - done)
        self._num_all, self._num_begun = len(self._shares), 0
        self._done = self._seconds = 0.0
        self._began = time.monotonic()

    def announce(self, cell: Cell, listener: Listener) -> None:
        """Tells a listener which cell begins, and what is left."""
        self._num_begun += 1
        self._began = time.monotonic()
        rate = self._seconds / self._done if self._done else math.nan
        left = sum(self._shares.values())
        listener.cell(self._num_begun, self._num_all, cell.label, rate * left)

    def finish(self, cell: Cell) -> None:
        """Counts a cell that has just ended."""
        self._done += self._shares.pop(cell.number, 0.0)
        self._seconds += time.monotonic() - self._began

    @staticmethod
    def _work(plan: SweepPlan, cell: Cell, iterations: int) -> float:
        size = plan.sizes.get(cell.content)
        if size is None:
            return 0.0
        levels = build_pyramid(target_size(size, cell.recipe), cell.recipe)
        share = iterations / max(1, cell.recipe.num_iterations)
        return share * sum(math.prod(level.size) * level.iterations for level in levels) + 1.0


def _sizes(
    contents: Sequence[Path], styles: Sequence[Sequence[Path]], options: RunOptions
) -> dict[Path, tuple[int, int]]:
    """Heights and widths; a picture that cannot be read is refused, unless it is one of several.

    Raises:
        ImageError: If it is the only one of its kind.
    """
    sizes: dict[Path, tuple[int, int]] = {}
    kinds: list[list[tuple[Path, ...]]] = [[(path,) for path in contents], [tuple(row) for row in styles]]
    for rows in kinds:
        for path in (path for row in rows for path in row if path not in sizes):
            try:
                sizes[path] = _load(path, options).size
            except ImageError:
                if len(rows) == 1:
                    raise
    return sizes


def _load(path: Path, options: RunOptions) -> Picture:
    picture = load_picture(path, max_pixels=options.max_pixels)
    for note in picture.notes:
        logger.warning("%s: %s.", path, note)
    return picture


def _check_cells(
    cells: Sequence[Cell], sizes: Mapping[Path, tuple[int, int]], options: RunOptions, folder: Path
) -> None:
    """Raises `UserError` for what would let a cell fail and can be told now."""
    checked: set[Any] = set()
    for cell in cells:
        recipe = cell.recipe
        check_styles(recipe, len(cell.styles), options.content_mask, options.style_mask)
        if cell.content in sizes:
            size = target_size(sizes[cell.content], recipe)
            key = ("place", size, recipe.bit_depth)
            if key not in checked:
                checked.add(key)
                check_writable(folder / f"{cell.name}.png", size=size, bit_depth=recipe.bit_depth)
        layers = (recipe.model, str(recipe.content_layers), str(recipe.style_layers))
        if (recipe.content_layers or recipe.style_layers) and layers not in checked:
            checked.add(layers)
            outline = outline_encoder(recipe.model) or encoder_of(recipe, torch.device("cpu"), trust=options.trust)
            complete(recipe, outline)
    for sentence in dict.fromkeys(sentence for cell in cells for sentence in cell.recipe.warnings()):
        logger.warning("%s", sentence)


def _manifest(
    cells: Sequence[Cell], contents: Sequence[Path], styles: Sequence[Sequence[Path]], recipe: Recipe
) -> dict[str, Any]:
    """What is swept, as plain values: the base, what varies, inputs by name and hash, and the cells' names."""
    varies: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for cell in cells for name in cell.values):
        varies[name] = list(dict.fromkeys(cell.values[name] for cell in cells if name in cell.values))
    base = recipe.model_dump(mode="json") | {"model": public_name(recipe.model)}
    return {
        "recipe": base,
        "varies": varies,
        "inputs": {
            "content": [_identity(path) for path in contents],
            "style": [_identity(path) for row in styles for path in row],
        },
        "cells": [cell.name for cell in cells],
    }


def _identity(path: Path) -> dict[str, str]:
    try:
        return {"name": path.name, "sha256": sha256_of(path)}
    except ImageError:  # its cells will say so
        return {"name": path.name, "sha256": ""}
