"""The report of a sweep: one HTML file that opens from disk, asks nobody for anything, and shows all of it.

Its parts lie beside this module, ``page.html``, ``page.css`` and ``page.js``; pictures are embedded at screen size, with
links to the full files beside the report.
"""

import base64
import html
import io
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from impasto.errors import ImageError
from impasto.formats.files import replace_file
from impasto.runs.contact_sheet import thumbnail
from impasto.runs.sweep_results import CellResult, Results, read_curve

__all__ = ["report_parts", "write_report"]

EDGES = ((60, 640), (240, 400), (1000, 240))
"""Up to so many cells, pictures are embedded with so long a longest edge, in pixels; of more, with `LEAST_EDGE`."""

LEAST_EDGE = 128
_QUALITY = 82
_MAX_CURVES = 2000
"""Of more cells, none has a curve on the page."""


def write_report(path: Path, results: Results) -> None:
    """Writes the report.

    Raises:
        OutputError: If it cannot be written.
    """
    replace_file(path, report_parts(results, path.parent))


def report_parts(results: Results, folder: Path) -> Iterator[bytes]:
    """The file, part by part, so that memory never holds all pictures.

    Args:
        results: The cells.
        folder: Where the report will be; links to full files start there.
    """
    page, style, script = (_part(name) for name in ("page.html", "page.css", "page.js"))
    before, after = page.split("{{data}}")
    before = before.replace("{{title}}", html.escape(results.title)).replace("{{style}}", style)
    yield before.encode()
    yield from (_json_in_html(part).encode() for part in _data(results, folder))
    yield after.replace("{{script}}", script).encode()


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _data(results: Results, folder: Path) -> Iterator[str]:
    """The data of the page as JSON, part by part."""
    edge = next((edge for count, edge in EDGES if len(results.cells) <= count), LEAST_EDGE)
    rows = results.rows()
    names = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
    head = {
        "title": results.title, "command": results.command, "axes": results.axes,
        "columns": [name for name in names if name not in ("cell", "picture")],
    }  # fmt: skip
    yield json.dumps(head)[:-1]
    yield ', "inputs": ['
    for index, (label, path) in enumerate(results.inputs):
        yield ", " * (index > 0) + json.dumps({"label": label, "image": _embedded(path, edge)})
    yield '], "cells": ['
    has_curves = len(results.cells) <= _MAX_CURVES
    for index, (cell, row) in enumerate(zip(results.cells, rows, strict=True)):
        values = {name: _json_value(row[name]) for name in names}
        yield ", " * (index > 0) + json.dumps(_cell(cell, values, folder, edge, has_curves=has_curves))
    yield "]}"


def _cell(cell: CellResult, row: dict[str, Any], folder: Path, edge: int, *, has_curves: bool) -> dict[str, Any]:
    curve = read_curve(cell.curve, max_points=120) if has_curves else {}
    return {
        "name": cell.name, "label": cell.label, "state": cell.state.value, "error": cell.error, "row": row,
        "image": None if cell.picture is None else _embedded(cell.picture, edge),
        "file": None if cell.picture is None else _link(cell.picture, folder),
        "recipe": "" if cell.recipe is None else cell.recipe.to_toml(), "command": cell.command,
        "curve": {name: [float(f"{value:.4g}") for value in values] for name, values in curve.items()},
    }  # fmt: skip


def _embedded(path: Path, edge: int) -> dict[str, Any] | None:
    """A picture as a data address with its size; None if it cannot be read."""
    try:
        picture = thumbnail(path, edge)
    except ImageError:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY, method=4)
    address = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return {"src": address, "width": picture.width, "height": picture.height}


def _link(path: Path, folder: Path) -> str:
    """From the report to a file: relative where it lies beside it, so that the folder can be moved."""
    if path.parent == folder:
        return "./" + quote(path.name)
    return path.absolute().as_uri()


def _json_value(value: Any) -> Any:
    """JSON knows no infinity."""
    return None if isinstance(value, float) and value - value != 0 else value


def _json_in_html(text: str) -> str:
    """JSON that no element of the page ends within, whatever a file is called."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
