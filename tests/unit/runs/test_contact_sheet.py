"""The contact sheet: who stands where, what is written on it, and when it becomes several pages."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.recipe import Recipe
from impasto.runs.contact_sheet import MAX_EDGE, MAX_PIXELS, draw_sheets, thumbnail, write_sheets
from impasto.runs.sweep_plan import plan_cells, variants_of
from impasto.runs.sweep_results import CellResult, CellState, Results

COLORS = [(220, 20, 20), (20, 160, 20), (20, 20, 220), (220, 160, 20)]


def results(folder: Path, vary: dict[str, list], size: tuple[int, int] = (160, 100)) -> Results:
    """Cells with pictures of one color each."""
    recipe = Recipe()
    cells = []
    for cell in plan_cells([Path("c.png")], [[Path("s.png")]], recipe, variants_of(vary, recipe)):
        picture = folder / f"{cell.name}.png"
        Image.new("RGB", size, COLORS[(cell.number - 1) % 4]).save(picture)
        cells.append(CellResult.of(cell, CellState.DONE, picture=picture, facts={"iterations": 3, "seconds": 1.0}))
    return Results("a title", cells)


def place_of(sheet: Image.Image, color: tuple[int, int, int]) -> tuple[int, int]:
    """Left and top of what has a color."""
    there = (np.asarray(sheet) == color).all(axis=2)
    top, left = (int(np.flatnonzero(there.any(axis=axis))[0]) for axis in (1, 0))
    return left, top


def test_two_things_that_vary_give_rows_and_columns(tmp_path: Path) -> None:
    (sheet,) = draw_sheets(results(tmp_path, {"optimizer": ["adam", "lbfgs"], "strength": [10, 90]}))
    first, second, third, fourth = (place_of(sheet, color) for color in COLORS)
    assert first[1] == second[1] < third[1] == fourth[1]
    assert first[0] == third[0] < second[0] == fourth[0]


def test_one_thing_that_varies_fills_lines(tmp_path: Path) -> None:
    (sheet,) = draw_sheets(results(tmp_path, {"strength": [1, 2, 3, 4, 5, 6, 7, 8]}))
    assert sheet.width > 4 * 160
    assert place_of(sheet, COLORS[1])[0] > place_of(sheet, COLORS[0])[0]


@pytest.mark.parametrize("state", [CellState.FAILED, CellState.OPEN])
def test_a_cell_without_a_picture_is_a_labeled_tile(state: CellState, tmp_path: Path) -> None:
    whole = results(tmp_path, {"strength": [10, 90]})
    sentence = "Memory ran out. " * 40
    cells = [whole.cells[0], CellResult("b", {"strength": "90"}, state, error=sentence)]
    (sheet,) = draw_sheets(Results("t", cells))
    assert (233, 233, 233) in {color for _, color in sheet.getcolors(1 << 24)}


def test_a_sheet_that_would_be_too_large_is_split_into_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.runs.contact_sheet.MAX_PIXELS", 300_000)
    table = results(tmp_path, {"seed": [1, 2, 3, 4, 5, 6], "strength": [10, 90]})
    (tmp_path / "sheet-9.png").touch()
    pages = write_sheets(tmp_path, table)
    assert len(pages) > 1
    assert [page.name for page in pages][:2] == ["sheet.png", "sheet-2.png"]
    assert not (tmp_path / "sheet-9.png").exists()  # of an earlier sheet
    for page in pages:
        with Image.open(page) as sheet:
            assert sheet.width * sheet.height <= 300_000


def test_no_page_grows_beyond_what_viewers_take(tmp_path: Path) -> None:
    table = results(tmp_path, {"seed": list(range(120)), "strength": [10, 90]}, size=(320, 320))
    wide = Results("t", [*table.cells])
    for sheet in draw_sheets(wide):
        assert max(sheet.size) <= MAX_EDGE
        assert sheet.width * sheet.height <= MAX_PIXELS


def test_inputs_stand_at_the_side_and_a_missing_one_is_no_obstacle(tmp_path: Path) -> None:
    table = results(tmp_path, {"strength": [10, 90]})
    Image.new("RGB", (50, 50), (1, 2, 3)).save(tmp_path / "in.png")
    inputs = [("content in.png", tmp_path / "in.png"), ("style gone.png", tmp_path / "gone.png")]
    (sheet,) = draw_sheets(Results("t", table.cells, inputs))
    assert place_of(sheet, (1, 2, 3))[0] < place_of(sheet, COLORS[0])[0]


def test_a_thumbnail_lies_on_white_and_is_not_enlarged(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 20), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert thumbnail(tmp_path / "a.png", 20).size == (20, 10)
    assert thumbnail(tmp_path / "a.png", 99).getpixel((0, 0)) == (255, 255, 255)
