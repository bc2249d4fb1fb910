"""Finished pictures side by side: a sheet, the metrics, and in what their recipes differ; of any origin."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from impasto.errors import ImageError, OutputError, UserError
from impasto.images import Picture, load_picture, resize
from impasto.recipe import Recipe
from impasto.runs.contact_sheet import write_sheets
from impasto.runs.metrics import (
    color_distance,
    edges_in_common,
    is_available,
    measure,
    pick_judge,
    structural_similarity,
)
from impasto.runs.outputs import names_a_picture
from impasto.runs.report import write_report
from impasto.runs.rerun import Provenance, plan_rerun, read_provenance
from impasto.runs.sweep_plan import as_typed
from impasto.runs.sweep_results import CellResult, CellState, Results, write_tables

__all__ = ["compare", "write_comparison"]

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""The value of a parameter of a picture that does not say it."""

_FILES = ("sheet.png", "results.csv", "results.json", "report.html")


def compare(
    pictures: Sequence[Path], content: Path | None = None, styles: Sequence[Path] = (), *, command: str = ""
) -> Results:
    """Measures pictures, and tells in what their recipes differ; writes nothing.

    Args:
        pictures: Two or more.
        content: The content image to measure by; by default the one that a picture names, where that is found.
        styles: The style images, likewise.
        command: That does this again.

    Raises:
        UserError: If there are fewer than two.
        ImageError: If one cannot be read.
    """
    if len(pictures) < 2:
        raise UserError("There is nothing to compare; give two pictures or more: impasto compare A.png B.png.")
    loaded = [load_picture(path) for path in pictures]
    provenances = [_provenance(path) for path in pictures]
    content, styles = _inputs(pictures, content, styles)
    recipes = [None if provenance is None else _recipe(provenance) for provenance in provenances]
    judge = pick_judge({recipe.model for recipe in recipes if recipe is not None})
    content_pixels = None if content is None else load_picture(content).pixels
    style_pixels = [load_picture(style).pixels for style in styles]
    differences = _differences(recipes)
    cells = []
    for path, picture, provenance, recipe, name in zip(
        pictures, loaded, provenances, recipes, _names(pictures), strict=True
    ):
        facts: dict[str, Any] = {"width": picture.size[1], "height": picture.size[0]}
        if provenance is not None:
            facts |= {"iterations": provenance.iterations, "stop_reason": provenance.stop_reason}
        if picture is not loaded[0]:
            facts |= _against(picture, loaded[0])
        facts |= measure(picture.pixels, content_pixels, style_pixels, judge)
        values = {"picture": name, **{key: _value(recipe, key) for key in differences}}
        cells.append(CellResult(name, values, CellState.DONE, picture=path, facts=facts, recipe=recipe))
    inputs = [(f"content {content.name}", content)] if content else []
    inputs += [(f"style {style.name}", style) for style in styles]
    return Results("Comparison", cells, inputs, command)


def write_comparison(folder: Path, results: Results, *, overwrite: bool = False) -> None:
    """Writes sheet, tables and report.

    Args:
        folder: Where to; an earlier comparison there stays unless `overwrite`.
        results: From `compare`.
        overwrite: Whether one is replaced.

    Raises:
        OutputError: If the place is no folder, holds other files of these names, or cannot be written to.
    """
    if names_a_picture(folder) or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"'{folder}' is no folder, and a comparison fills one; choose another --output-file.")
    inputs = {
        path.resolve() for path in [*(cell.picture for cell in results.cells), *(p for _, p in results.inputs)] if path
    }
    for name in _FILES:
        if (folder / name).resolve() in inputs:
            raise OutputError(f"'{folder / name}' is compared and would be replaced; choose another --output-file.")
    if (folder / "results.json").exists() and not overwrite:
        raise OutputError(f"'{folder}' holds results already; add --overwrite to replace them, or choose another.")
    write_tables(folder, results)
    write_sheets(folder, results)
    write_report(folder / "report.html", results)


def _against(picture: Picture, first: Picture) -> dict[str, float | None]:
    """Measures of a picture against the first one, in the first one's size."""
    if not is_available():
        return {}
    pixels = resize(picture.pixels, first.size)
    return {
        "ssim_to_first": structural_similarity(pixels, first.pixels),
        "edge_agreement_to_first": edges_in_common(pixels, first.pixels),
        "color_to_first": color_distance(pixels, first.pixels),
    }


def _inputs(
    pictures: Sequence[Path], content: Path | None, styles: Sequence[Path]
) -> tuple[Path | None, Sequence[Path]]:
    """Content and styles: as given, else those that a picture names, if they are found."""
    for picture in pictures if content is None or not styles else ():
        try:
            request = plan_rerun(picture, content=content, styles=styles)
        except (UserError, OSError):
            continue
        return request.content, request.styles
    return content, styles


def _provenance(path: Path) -> Provenance | None:
    try:
        return read_provenance(path)
    except ImageError:
        return None


def _recipe(provenance: Provenance) -> Recipe | None:
    """The recorded recipe; None if this version does not understand it."""
    try:
        return Recipe(**{"look": "classic", **provenance.recipe})
    except UserError as error:
        logger.warning("The recipe of a picture cannot be read: %s", error)
        return None


def _differences(recipes: Sequence[Recipe | None]) -> list[str]:
    """Names of the parameters in which those recipes differ that are known."""
    known = [recipe for recipe in recipes if recipe is not None]
    return [name for name in Recipe.model_fields if any(getattr(r, name) != getattr(known[0], name) for r in known)]


def _value(recipe: Recipe | None, name: str) -> str:
    if recipe is None:
        return UNKNOWN
    value: Any = getattr(recipe, name)
    return str(len(value)) if name == "changes" else as_typed(value)


def _names(pictures: Sequence[Path]) -> list[str]:
    """Base names; whole paths where those are not enough."""
    counts: Mapping[str, int] = {path.name: sum(other.name == path.name for other in pictures) for path in pictures}
    return [path.name if counts[path.name] == 1 else str(path) for path in pictures]
