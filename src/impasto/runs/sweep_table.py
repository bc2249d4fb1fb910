"""A sweep from Python: ``impasto.sweep``, and the table that it returns, which shows itself in a notebook."""

import base64
import html
import io
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from impasto.errors import UserError
from impasto.images import as_picture, save_picture
from impasto.recipe import Recipe, RunOptions
from impasto.runs.contact_sheet import draw_sheets
from impasto.runs.events import Listener
from impasto.runs.sweep import plan_sweep, run_sweep
from impasto.runs.sweep_plan import Variant, variants_of
from impasto.runs.sweep_results import CellResult, Fact, Results

if TYPE_CHECKING:
    import pandas

__all__ = ["SweepTable", "sweep"]

_SHOWN_ROWS = 100
"""Of a table in a notebook."""


class SweepTable:
    """The finished cells of a sweep; in a notebook it shows the contact sheet and the figures.

    Args:
        results: The cells.
        folder: Where their files are.

    Attributes:
        cells: Each cell's picture, values, facts and recipe, in the order of the sheet.
        folder: With the pictures, ``sheet.png``, ``results.csv``, ``results.json`` and ``report.html``.
    """

    def __init__(self, results: Results, folder: Path) -> None:
        self.cells: Sequence[CellResult] = results.cells
        self.folder = folder
        self._results = results

    def rows(self) -> list[dict[str, Fact]]:
        """A dict for each cell: what varies, its state and picture, and all that was measured."""
        return self._results.rows()

    def to_pandas(self) -> "pandas.DataFrame":
        """The rows as a frame.

        Raises:
            UserError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise UserError("pandas is not installed; pip install pandas, or take rows().") from None
        return pandas.DataFrame(self.rows())

    def sheet(self) -> Image.Image:
        """The first page of the contact sheet."""
        return next(draw_sheets(self._results))

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[dict[str, Fact]]:
        return iter(self.rows())

    def __repr__(self) -> str:
        done = sum(cell.state == "done" for cell in self.cells)
        return f"SweepTable({done} of {len(self)} cells done, in '{self.folder}')"

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.sheet().save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        buffer = io.BytesIO()
        self.sheet().save(buffer, "WEBP", quality=85)
        address = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
        rows = self.rows()[:_SHOWN_ROWS]
        names = [name for name in (rows[0] if rows else {}) if any(row[name] is not None for row in rows)]
        head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(row[name]))}</td>" for name in names) + "</tr>" for row in rows
        )
        more = f"<p>and {len(self) - _SHOWN_ROWS} more rows</p>" if len(self) > _SHOWN_ROWS else ""
        return (
            f'<img src="{address}" alt="Contact sheet of {len(self)} cells" style="max-width: 100%">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
        )


def sweep(
    content: Any,
    style: Any,
    vary: Mapping[str, Sequence[Any]],
    recipe: Recipe | None = None,
    *,
    folder: str | Path | None = None,
    options: RunOptions | None = None,
    listener: Listener | None = None,
    allow_many: bool = False,
    **changes: Any,
) -> SweepTable:
    """Paints a picture for every combination of what varies, and measures each.

    A sweep that is in the folder already goes on: finished cells are not painted again.

    Args:
        content: A picture in any form that `impasto.stylize` takes, or a list of them, each of which is painted.
        style: Likewise; a tuple in the list is several styles that are mixed in one picture.
        vary: Values by name of a parameter of the recipe, as ``{"strength": [10, 50, 90]}``.
        recipe: The base; None for the defaults.
        folder: For pictures, sheet, tables and report; None for a temporary one, which goes with the table.
        options: Device, threads, memory, masks.
        listener: Follows the cells; see `impasto.runs.events.Listener`.
        allow_many: Whether there may be more than 10,000 cells.
        changes: Values of the base by name, as ``height=200``.

    Returns:
        The table of the cells. A cell that failed has a sentence in ``error``.

    Raises:
        RecipeError: If a parameter is unknown or has one value twice, or a value is out of its range.
        ImageError: If a picture cannot be read.
        OutputError: If the folder holds another sweep, or cannot be written to.
    """
    base = (recipe or Recipe()).replace(**changes)
    variants = variants_of(vary, base, allow_many=allow_many)
    if folder is not None:
        return _sweep(content, style, base, variants, Path(folder), options, listener, allow_many=allow_many)
    place = Path(tempfile.mkdtemp(prefix="impasto-sweep-"))
    try:
        table = _sweep(content, style, base, variants, place, options, listener, allow_many=allow_many)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    weakref.finalize(table, shutil.rmtree, place, ignore_errors=True)
    return table


def _sweep(
    content: Any,
    style: Any,
    base: Recipe,
    variants: Sequence[Variant],
    place: Path,
    options: RunOptions | None,
    listener: Listener | None,
    *,
    allow_many: bool,
) -> SweepTable:
    inputs = _Inputs(place / "inputs")
    contents = [inputs.path(each) for each in (content if isinstance(content, list) else [content])]
    styles = [
        [inputs.path(each) for each in (row if isinstance(row, tuple) else (row,))]
        for row in (style if isinstance(style, list) else [style])
    ]
    plan = plan_sweep(contents, styles, base, variants, place, options, allow_many=allow_many)
    return SweepTable(run_sweep(plan, listener=listener), place)


class _Inputs:
    """Gives every picture a file: its own, or one in a folder if it came from memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, source: Any) -> Path:
        """The file of a picture in any form that `impasto.images.as_picture` takes."""
        if isinstance(source, str | Path):
            return Path(source)
        picture = as_picture(source)
        path = self._folder / f"{Path(picture.name).stem or 'picture'}-{picture.sha256[:8]}.png"
        if not path.exists():
            save_picture(picture.pixels, path, source=picture)
        return path


def _shown(value: Fact) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
