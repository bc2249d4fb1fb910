"""Rows, tables, curves, and the command that paints a cell again."""

import csv
import json
import math
import shlex
from pathlib import Path

import pytest

from impasto.cli.app import app
from impasto.recipe import Recipe
from impasto.runs.sweep_plan import plan_cells, variants_of
from impasto.runs.sweep_results import CellResult, CellState, Results, command_of, read_curve, write_tables


def results() -> Results:
    recipe = Recipe()
    planned = plan_cells([Path("c.png")], [[Path("s.png")]], recipe, variants_of({"strength": [10, 50]}, recipe))
    facts = {"seconds": 1.5, "ssim": math.nan}
    return Results(
        "t",
        [
            CellResult.of(planned[0], CellState.DONE, picture=Path("o/a.png"), facts=facts),
            CellResult.of(planned[1], CellState.FAILED, error="No."),
        ],
    )


def test_all_rows_have_the_same_names() -> None:
    rows = results().rows()
    assert list(rows[0]) == list(rows[1])
    assert rows[1]["seconds"] is None
    assert rows[1]["error"] == "No."
    assert [row["strength"] for row in rows] == [10, 50]


def test_tables_are_written_for_people_and_programs(tmp_path: Path) -> None:
    write_tables(tmp_path, results())
    with (tmp_path / "results.csv").open(newline="") as stream:
        assert [row["state"] for row in csv.DictReader(stream)] == ["done", "failed"]
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["varies"] == ["strength"]
    assert document["cells"][0]["recipe"]["strength"] == 10
    assert document["cells"][0]["ssim"] is None  # JSON knows no NaN


def test_the_command_of_a_cell_gives_its_recipe() -> None:
    recipe = Recipe(
        look="bold", strength=12.5, tileable=True, style_layers={"relu1_1": 0.5}, style_scale=[1, 2], size=128,
        keep_profile=False,
    )  # fmt: skip
    words = shlex.split(command_of(Path("a b.png"), [Path("s.png"), Path("t.png")], recipe, "o.png"))
    assert words[:5] == ["impasto", "stylize", "a b.png", "s.png", "t.png"]
    _, bound, _ = app.parse_args(words[1:], print_error=False, exit_on_error=False)
    given = {name: value for name, value in bound.arguments.items() if name in Recipe.model_fields}
    assert Recipe(**given) == recipe


def test_a_curve_holds_the_lowest_objective_so_far_of_each_level(tmp_path: Path) -> None:
    table = tmp_path / "losses.csv"
    table.write_text("iteration,level,total,seconds\n1,1,4,0.1\n2,1,5,0.2\n3,2,9,0.3\n4,2,7,0.4\n")
    assert read_curve(table) == {
        "iterations": [1, 2, 3, 4], "seconds": [0.1, 0.2, 0.3, 0.4], "objective": [4, 4, 9, 7], "level": [1, 1, 2, 2],
    }  # fmt: skip


@pytest.mark.parametrize("text", [None, "", "iteration,level\nx,y\n"])
def test_a_table_that_says_nothing_is_no_curve(text: str | None, tmp_path: Path) -> None:
    table = tmp_path / "losses.csv"
    if text is not None:
        table.write_text(text)
    assert read_curve(table) == {}


def test_a_long_curve_is_thinned_out_and_keeps_its_ends(tmp_path: Path) -> None:
    table = tmp_path / "losses.csv"
    table.write_text("iteration,level,total,seconds\n" + "".join(f"{i},1,{1 / i},{i}\n" for i in range(1, 1001)))
    curve = read_curve(table, max_points=50)
    assert (curve["iterations"][0], curve["iterations"][-1]) == (1, 1000)
    assert len(curve["iterations"]) <= 51
