"""The contact sheet: every cell as a labeled tile, rows and columns named by what varies, the inputs at the side.

Cells that fill a grid stand in it: the last thing that varies gives the columns, the others the rows. Other cells
follow one after the other, each with its own label. A sheet that would grow beyond `MAX_PIXELS` is split into pages.
"""

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from impasto.errors import ImageError
from impasto.formats.files import replace_file
from impasto.images import load_picture, output_size
from impasto.images.picture import quantize, to_samples
from impasto.images.resizing import resize
from impasto.recipe.messages import printable, shortened
from impasto.runs.sweep_results import CellResult, CellState, Results

__all__ = ["MAX_PIXELS", "draw_sheets", "thumbnail", "write_sheets"]

MAX_PIXELS = 64_000_000
"""Of one page."""

MAX_EDGE = 16_000
"""Of one page, in pixels: what viewers and browsers take."""

TILE_EDGE = 320
"""Longest edge of a tile's picture, in pixels."""

_FEWEST_IN_ROW = 4
_MARGIN, _GAP, _LINE = 24, 12, 20
_PAPER, _INK, _FAINT, _ALARM, _BLANK = "#ffffff", "#1a1a1a", "#666666", "#9b1c1c", "#e9e9e9"


@dataclass(frozen=True)
class _Layout:
    """Which cell stands where.

    Attributes:
        places: Row and column of each cell, by its index.
        rows: Names of the rows; empty texts where cells have labels of their own.
        columns: Names of the columns.
        own_labels: Whether each tile carries its label.
    """

    places: Sequence[tuple[int, int]]
    rows: Sequence[str]
    columns: Sequence[str]
    own_labels: bool


@dataclass(frozen=True)
class _Page:
    """A part of a layout: its rows and columns from … to, and the tiles' size."""

    rows: range
    columns: range
    tile: tuple[int, int]


def write_sheets(folder: Path, results: Results) -> list[Path]:
    """Writes ``sheet.png``, and ``sheet-2.png`` … where one page is not enough; removes pages of an earlier sheet.

    Raises:
        OutputError: If they cannot be written.
    """
    written = []
    for number, sheet in enumerate(draw_sheets(results), start=1):
        path = folder / ("sheet.png" if number == 1 else f"sheet-{number}.png")
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        replace_file(path, buffer.getvalue())
        written.append(path)
    for page in folder.glob("sheet-*.png"):
        if page not in written and page.stem.removeprefix("sheet-").isdecimal():
            page.unlink(missing_ok=True)
    return written


def draw_sheets(results: Results, tile_edge: int = TILE_EDGE) -> Iterator[Image.Image]:
    """Draws the pages, one after the other, so that memory holds one at a time.

    Args:
        results: The cells; at least one.
        tile_edge: Longest edge of a tile's picture, in pixels; small pictures are not enlarged beyond it.
    """
    tile = _tile_size(results, tile_edge)
    layout = _layout(results, tile)
    for page in _pages(layout, tile, bool(results.inputs)):
        yield _draw(results, layout, page)


def thumbnail(path: Path, edge: int) -> Image.Image:
    """A picture on white, shrunk to a longest edge in pixels; not enlarged.

    Raises:
        ImageError: If it cannot be read.
    """
    picture = load_picture(path)
    size = picture.size if max(picture.size) <= edge else output_size(picture.size, height=1, longest_edge=edge)
    pixels = resize(picture.pixels, size)
    if picture.alpha is not None:
        alpha = resize(picture.alpha, size)
        pixels = pixels * alpha + (1 - alpha)
    return Image.fromarray(np.ascontiguousarray(quantize(to_samples(pixels), 8)))


def _layout(results: Results, tile: tuple[int, int]) -> _Layout:
    *row_axes, column_axis = results.axes or [""]
    keys = [
        (tuple(cell.values.get(axis, "") for axis in row_axes), cell.values.get(column_axis, ""))
        for cell in results.cells
    ]
    rows, columns = (list(dict.fromkeys(key[index] for key in keys)) for index in (0, 1))
    if row_axes and len(set(keys)) == len(keys) == len(rows) * len(columns) and len(columns) > 1:
        places = [(rows.index(row), columns.index(column)) for row, column in keys]
        names = [axis.replace("_", " ") for axis in row_axes]
        row_names = ["\n".join(f"{name} {value}" for name, value in zip(names, row, strict=True)) for row in rows]
        return _Layout(places, row_names, [f"{column_axis.replace('_', ' ')} {c}" for c in columns], own_labels=False)
    count = len(results.cells)
    in_row = min(count, max(_FEWEST_IN_ROW, round(math.sqrt(1.6 * count * tile[0] / tile[1]))))
    places = [divmod(index, in_row) for index in range(count)]
    return _Layout(places, [""] * math.ceil(count / in_row), [""] * in_row, own_labels=True)


def _tile_size(results: Results, edge: int) -> tuple[int, int]:
    """Height and width that hold every tile's picture."""
    sizes = [size for cell in results.cells if (size := _picture_size(cell.picture)) is not None]
    if not sizes:
        return edge * 3 // 4, edge
    shrunk = [size if max(size) <= edge else output_size(size, height=1, longest_edge=edge) for size in sizes]
    height, width = max(h for h, _ in shrunk), max(w for _, w in shrunk)
    return max(height, 48), max(width, 160)


def _picture_size(path: Path | None) -> tuple[int, int] | None:
    try:
        if path is not None:
            with Image.open(path) as picture:
                return picture.height, picture.width
    except (OSError, Image.DecompressionBombError):
        pass
    return None


def _pages(layout: _Layout, tile: tuple[int, int], has_inputs: bool) -> Iterator[_Page]:
    whole = _Page(range(len(layout.rows)), range(len(layout.columns)), tile)
    most_columns = max(1, (MAX_EDGE - _width(layout, replace(whole, columns=range(0)))) // (tile[1] + _GAP))
    for left in range(0, len(layout.columns), most_columns):
        columns = range(left, min(left + most_columns, len(layout.columns)))
        width = _width(layout, replace(whole, columns=columns))
        highest = min(MAX_EDGE, MAX_PIXELS // width)
        most_rows = max(1, (highest - _height(layout, replace(whole, rows=range(0)))) // _row_height(layout, tile))
        for top in range(0, len(layout.rows), most_rows):
            yield _Page(range(top, min(top + most_rows, len(layout.rows))), columns, tile)


def _side_width(tile: tuple[int, int]) -> int:
    return min(tile[1], 220)


def _row_label_width(layout: _Layout) -> int:
    longest = max(_font(15).getlength(line) for row in layout.rows for line in row.split("\n"))
    return 0 if layout.own_labels else min(360, math.ceil(longest) + _GAP)


def _lines_below(layout: _Layout) -> int:
    return 3 if layout.own_labels else 1


def _row_height(layout: _Layout, tile: tuple[int, int]) -> int:
    return tile[0] + _lines_below(layout) * _LINE + _GAP


def _head_height(layout: _Layout) -> int:
    return 44 + (0 if layout.own_labels else _LINE + 6)


def _width(layout: _Layout, page: _Page) -> int:
    return (
        2 * _MARGIN
        + _side_width(page.tile)
        + _GAP
        + _row_label_width(layout)
        + len(page.columns) * (page.tile[1] + _GAP)
    )


def _height(layout: _Layout, page: _Page) -> int:
    return 2 * _MARGIN + _head_height(layout) + len(page.rows) * _row_height(layout, page.tile)


def _draw(results: Results, layout: _Layout, page: _Page) -> Image.Image:
    side = _draw_inputs(results, _side_width(page.tile), MAX_EDGE - 2 * _MARGIN - _head_height(layout))
    height = max(_height(layout, page), side.height + 2 * _MARGIN + _head_height(layout))
    sheet = Image.new("RGB", (_width(layout, page), height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _text(draw, (_MARGIN, _MARGIN - 4), results.title, sheet.width - 2 * _MARGIN, size=22)
    top = _MARGIN + _head_height(layout)
    sheet.paste(side, (_MARGIN, top))
    left = _MARGIN + side.width + _GAP
    labels = _row_label_width(layout)
    for index, row in enumerate(page.rows):
        y = top + index * _row_height(layout, page.tile)
        for number, line in enumerate(layout.rows[row].split("\n")):
            _text(draw, (left, y + number * _LINE), line, labels - _GAP)
    for index, column in enumerate(page.columns):
        x = left + labels + index * (page.tile[1] + _GAP)
        _text(draw, (x, top - _LINE - 6), layout.columns[column], page.tile[1])
    for cell, (row, column) in zip(results.cells, layout.places, strict=True):
        if row in page.rows and column in page.columns:
            x = left + labels + page.columns.index(column) * (page.tile[1] + _GAP)
            y = top + page.rows.index(row) * _row_height(layout, page.tile)
            _draw_tile(sheet, draw, cell, (x, y), page.tile, own_label=layout.own_labels)
    return sheet


def _draw_inputs(results: Results, width: int, most: int) -> Image.Image:
    """The inputs below each other, each with what it is; those that find no room are counted."""
    blocks: list[Image.Image] = []
    for index, (label, path) in enumerate(results.inputs):
        try:
            picture = thumbnail(path, width)
        except ImageError:
            picture = Image.new("RGB", (width, width // 2), _BLANK)
        block = Image.new("RGB", (width, picture.height + _LINE + _GAP), _PAPER)
        block.paste(picture, (0, 0))
        _text(ImageDraw.Draw(block), (0, picture.height + 2), label, width, size=13, color=_FAINT)
        if sum(other.height for other in blocks) + block.height > most:
            rest = Image.new("RGB", (width, _LINE), _PAPER)
            _text(ImageDraw.Draw(rest), (0, 0), f"and {len(results.inputs) - index} more", width, size=13, color=_FAINT)
            blocks.append(rest)
            break
        blocks.append(block)
    side = Image.new("RGB", (width, sum(block.height for block in blocks)), _PAPER)
    y = 0
    for block in blocks:
        side.paste(block, (0, y))
        y += block.height
    return side


def _draw_tile(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, cell: CellResult, place: tuple[int, int], tile: tuple[int, int],
    *, own_label: bool,
) -> None:  # fmt: skip
    """The cell's picture, or why there is none, and below it what it is."""
    x, y = place
    height, width = tile
    picture = None
    try:
        if cell.picture is not None and cell.state in (CellState.DONE, CellState.STOPPED):
            picture = thumbnail(cell.picture, max(tile))
            if picture.height > height or picture.width > width:
                picture.thumbnail((width, height))
    except ImageError as error:
        cell = replace(cell, state=CellState.FAILED, error=str(error))
    if picture is not None:
        sheet.paste(picture, (x, y))
        below = y + picture.height + 3
    else:
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=_BLANK)
        sentence = f"failed: {cell.error}" if cell.state is CellState.FAILED else "not painted yet"
        _paragraph(draw, (x + 8, y + 6), sentence, (height - 12, width - 16))
        below = y + height + 3
    if own_label:
        lines = _wrapped(cell.label, width, 15)[:2]
        for line in lines:
            _text(draw, (x, below), line, width)
            below += _LINE
    _text(draw, (x, below), _facts_in_words(cell), width, size=13, color=_FAINT)


def _facts_in_words(cell: CellResult) -> str:
    """``"120 iterations, 8.2 s"``."""
    words = []
    iterations, seconds = cell.facts.get("iterations"), cell.facts.get("seconds")
    if isinstance(iterations, int):
        words.append(f"{'stopped after ' * (cell.state is CellState.STOPPED)}{iterations} iterations")
    if isinstance(seconds, int | float):
        words.append(f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min")
    return ", ".join(words)


def _text(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, width: int, *, size: int = 15, color: str = _INK
) -> None:
    """One line, the end left out where it is too long."""
    font, text = _font(size), printable(text)
    if font.getlength(text) > width:
        while text and font.getlength(f"{text}…") > width:
            text = text[:-1]
        text = f"{text}…" if text else ""
    draw.text(place, text, font=font, fill=color)


def _paragraph(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: tuple[int, int]) -> None:
    height, width = size
    lines = _wrapped(shortened(text, 600), width, 13)
    fitting = max(1, height // 17)
    if len(lines) > fitting:
        lines = [*lines[: fitting - 1], f"{lines[fitting - 1]} …"]
    for index, line in enumerate(lines):
        _text(draw, (place[0], place[1] + 17 * index), line, width, size=13, color=_ALARM)


def _wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines of at most so many pixels, by the mean width of a letter."""
    letter = _font(size).getlength("abcdefghijklmnopqrstuvwxyz0123456789 ") / 37
    return textwrap.wrap(text, max(4, int(width / letter))) or [""]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has the letters of most languages."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
