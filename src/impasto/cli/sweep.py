"""``impasto sweep``: a mirror of `impasto.runs.sweep` and `impasto.runs.experiments`."""

import json
import logging
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from impasto.cli.formatting import duration
from impasto.cli.options import INPUT, TypedPath, TypedPaths, build, given_values, named_as_typed, with_options
from impasto.cli.reporters import Reporter, reporter_for
from impasto.cli.signals import Interruption, stop_on_signal
from impasto.errors import ImpastoError, RecipeError, UserError
from impasto.recipe import Recipe, RunOptions, size_in_words
from impasto.recipe.messages import printable
from impasto.runs.presets import ALL, PRESETS, find_presets
from impasto.runs.sweep_plan import check_count, parse_vary, variants_of

if TYPE_CHECKING:
    from impasto.runs.experiments import Experiment
    from impasto.runs.sweep import SweepPlan
    from impasto.runs.sweep_results import Results

logger = logging.getLogger(__name__)

FOLDER, EXPERIMENTS = Path("sweep"), Path("docs/experiments")
"""Where the files go, if nothing is said; those of presets."""


@dataclass(frozen=True)
class _Request:
    """What was typed."""

    pictures: Sequence[Path]
    contents: Path | None
    styles: Path | None
    vary: Mapping[str, Sequence[str]]
    base: Recipe | None
    values: Mapping[str, Any]
    output: Path | None
    allow_many: bool

    @property
    def options(self) -> RunOptions:
        return build(RunOptions, self.values)


@with_options(Recipe, RunOptions, leave_out=("output_file", "resume"))
def sweep(
    *pictures: Annotated[
        TypedPath,
        Parameter(
            name="PICTURES", group=INPUT, help="CONTENT, then one STYLE or several, which are mixed in each cell."
        ),
    ],
    vary: Annotated[
        list[str] | None,
        Parameter(
            group=INPUT, negative=(),
            help="A parameter of the recipe with its values, as strength=10,50,90; with semicolons between values that "
            "hold commas. Once for each parameter; every combination is painted.",
        ),
    ] = None,
    contents: Annotated[
        TypedPath | None, Parameter(group=INPUT, help="A folder of contents, instead of CONTENT; each is painted.")
    ] = None,
    styles: Annotated[
        TypedPath | None, Parameter(group=INPUT, help="A folder of styles, instead of STYLE; each by itself.")
    ] = None,
    preset: Annotated[
        str | None,
        Parameter(
            group=INPUT, choices=(*PRESETS, ALL),
            help=f"An experiment, instead of --vary; without pictures, two that come with Impasto are taken. Its page "
            f"goes to {EXPERIMENTS}.",
        ),
    ] = None,
    recipe: Annotated[
        TypedPath | None,
        Parameter(group=INPUT, help="A recipe as .toml or .json; options given here override its values."),
    ] = None,
    output_file: Annotated[
        TypedPath | None,
        Parameter(
            name=["--output-file", "-o"], group=INPUT,
            help=f"The folder for pictures, sheet, tables and report; a sweep that is in it goes on. Default: {FOLDER}.",
        ),
    ] = None,
    yes: Annotated[
        bool, Parameter(group=INPUT, negative=(), help="Allow more than 10,000 cells.")
    ] = False,
    **values: Any,
) -> int:
    """Paint a picture for every combination of what varies, with a contact sheet, tables and a report."""
    base = None if recipe is None else Recipe.from_file(recipe)
    request = _Request(pictures, contents, styles, parse_vary(vary or []), base, values, output_file, yes)
    if recipe is not None:
        values["recipe_file"] = recipe
    if preset is not None:
        return _run_presets(preset, request)
    return _run_sweep(request)


def _run_sweep(request: _Request) -> int:
    given = given_values(Recipe, request.values)
    if twice := [name for name in request.vary if name in given]:
        raise RecipeError(f"{twice[0]} is given and varied; leave one of them away.")
    recipe = build(Recipe, request.values, request.base)
    variants = variants_of(request.vary, recipe, allow_many=request.allow_many)
    options = request.options
    with reporter_for(options) as reporter:
        try:
            from impasto.runs.sweep import plan_sweep, run_sweep

            contents, styles = _pictures(request)
            check_count(len(contents) * len(styles) * len(variants), allow_many=request.allow_many)
            plan = plan_sweep(
                contents, styles, recipe, variants, request.output or FOLDER, options,
                allow_many=request.allow_many, command=_command(),
            )  # fmt: skip
            if options.dry_run:
                _show_estimates([plan], options, reporter.text)
                return 0
            with _stopping() as (control, interruption):
                results = run_sweep(plan, listener=reporter, control=control)
        except ImpastoError as error:
            return _failed(error, reporter)
        return interruption.exit_code or _conclude(results, plan.folder.path, reporter)


def _run_presets(name: str, request: _Request) -> int:
    if request.vary or request.contents or request.styles:
        raise UserError("--preset says what varies; it goes with neither --vary nor --contents and --styles.")
    if len(request.pictures) not in (0, 2):
        raise UserError("--preset takes CONTENT and one STYLE, or no picture at all.")
    presets, options = find_presets(name), request.options
    given = {field: getattr(request.base, field) for field in request.base.model_fields_set} if request.base else {}
    given |= given_values(Recipe, request.values)
    folder = request.output or EXPERIMENTS
    with reporter_for(options) as reporter:
        try:
            from impasto.runs.experiments import plan_experiments, run_experiment, write_index

            places = dict(zip(("content", "style"), request.pictures, strict=False))
            with named_as_typed(Recipe, given):
                experiments = plan_experiments(presets, folder, given, options, command=_command(), **places)
            if options.dry_run:
                _show_estimates([experiment.plan for experiment in experiments], options, reporter.text)
                return 0
            codes: list[int] = []
            with _stopping() as (control, interruption):
                for experiment in experiments:
                    if not control.is_ended:
                        results = run_experiment(experiment, reporter, control)
                        codes.append(_conclude(results, experiment.plan.folder.path, reporter))
            if name == ALL and not control.is_ended:
                write_index(folder, experiments, _command())
        except ImpastoError as error:
            return _failed(error, reporter)
    return interruption.exit_code or max(codes, default=0)


def _pictures(request: _Request) -> tuple[list[Path], list[list[Path]]]:
    """The contents, and for each row the styles that are mixed in it."""
    from impasto.runs.batch import pictures_in

    rest = list(request.pictures)
    contents = pictures_in(request.contents)[0] if request.contents else [rest.pop(0)] if rest else []
    if request.styles and rest:
        raise UserError(f"'{rest[0]}' is given as a style, and --styles too; give one or the other.")
    styles = [[path] for path in pictures_in(request.styles)[0]] if request.styles else [rest] if rest else []
    if not contents or not styles:
        missing = "style" if contents else "content"
        raise UserError(
            f"No {missing} picture is given; write: impasto sweep CONTENT STYLE --vary strength=10,50,90, or give folders "
            "by --contents and --styles."
        )
    return contents, styles


class _stopping:  # noqa: N801 (a context manager is read as a word)
    """Lets the first signal end the sweep after an iteration, with the sheet of what is there."""

    def __enter__(self) -> "tuple[Any, Interruption]":
        from impasto.engine import Control

        control = Control()
        self._signals = stop_on_signal(control)
        interruption = self._signals.__enter__()
        interruption.has_picture = True  # there is always something to write: the sheet
        return control, interruption

    def __exit__(self, *error: Any) -> None:
        self._signals.__exit__(*error)


def _show_estimates(plans: "Sequence[SweepPlan]", options: RunOptions, show: Callable[[str], None]) -> None:
    """``--dry-run``: cells, time and memory of each sweep and of all."""
    from impasto.runs.sweep import estimate_sweep

    estimates = [estimate_sweep(plan) for plan in plans]
    total_cells, seconds = sum(each.num_cells for each in estimates), sum(each.seconds for each in estimates)
    peak = max(each.peak_bytes for each in estimates)
    if options.json_events:
        event = {
            "event": "sweep_plan", "path": str(plans[0].folder.path), "num_cells": total_cells,
            "num_finished": sum(each.num_finished for each in estimates), "seconds": round(seconds, 1),
            "peak_bytes": peak, "cells": [{"name": cell.name, **cell.values} for plan in plans for cell in plan.cells],
        }  # fmt: skip
        show(json.dumps(event) + "\n")
        return
    for plan, each in zip(plans, estimates, strict=True):
        finished = f", {each.num_finished} of them finished" if each.num_finished else ""
        line = f"{plan.folder.path}: {each.num_cells} cells{finished}, {plan.title}; about {duration(each.seconds)}"
        show(printable(f"{line} and {size_in_words(each.peak_bytes)} of memory.") + "\n")
    if len(plans) > 1:
        show(f"All: {total_cells} cells; about {duration(seconds)} and {size_in_words(peak)} of memory.\n")


def _conclude(results: "Results", folder: Path, reporter: Reporter) -> int:
    """Says what came of it; 1 if a cell failed."""
    states = [cell.state.value for cell in results.cells]
    reporter.sweep_done(folder, states.count("done"), len(states), states.count("failed"))
    return ImpastoError.exit_code if "failed" in states else 0


def _failed(error: ImpastoError, reporter: Reporter) -> int:
    reporter.error(str(error))
    return error.exit_code


def _command() -> str:
    """The command as it was typed."""
    return shlex.join(["impasto", *sys.argv[1:]])
