"""Pictures side by side: painted by Impasto or not."""

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from impasto.errors import ImageError, OutputError, UserError
from impasto.images import load_picture, save_picture
from impasto.recipe import Recipe
from impasto.runs.compare import compare, write_comparison


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, color in (("c.png", "teal"), ("s.png", "orange"), ("x.png", "gray"), ("y.png", "navy")):
        Image.new("RGB", (40, 30), color).save(name)
    return tmp_path


def painted(name: str, **values: object) -> Path:
    """A picture that says that it was painted from ``c.png`` and ``s.png``."""
    inputs = {
        file: {"name": file, "sha256": hashlib.sha256(Path(file).read_bytes()).hexdigest()}
        for file in ("c.png", "s.png")
    }
    provenance = {
        "impasto": "0", "recipe": Recipe(model="compact", **values).model_dump(mode="json"),
        "content": inputs["c.png"], "styles": [inputs["s.png"]], "weights_sha256": "0" * 64, "iterations": 7,
        "stop_reason": "budget",
    }  # fmt: skip
    save_picture(load_picture("x.png").pixels, name, recipe_json=json.dumps(provenance))
    return Path(name)


def test_recipes_are_told_apart_by_what_differs() -> None:
    results = compare([painted("a.png", strength=20), painted("b.png", strength=80, optimizer="adam")])
    assert results.axes == ["picture", "strength", "optimizer"]
    assert results.cells[1].values == {"picture": "b.png", "strength": "80", "optimizer": "adam"}
    assert [label for label, _ in results.inputs] == ["content c.png", "style s.png"]
    row = results.rows()[1]
    assert row["iterations"] == 7
    assert isinstance(row["color_to_content"], float)
    assert row["ssim_to_first"] == pytest.approx(1)


def test_pictures_of_any_origin_are_compared_without_recipes() -> None:
    results = compare([Path("x.png"), Path("y.png"), painted("a.png")], Path("c.png"), [Path("s.png")])
    assert results.axes == ["picture"]
    assert results.cells[0].recipe is None
    assert results.rows()[1]["color_to_first"] > 0


def test_a_single_picture_and_one_that_is_none_are_refused() -> None:
    with pytest.raises(UserError, match="give two pictures or more"):
        compare([Path("x.png")])
    Path("no.png").write_text("no")
    with pytest.raises(ImageError, match="is not a readable image"):
        compare([Path("x.png"), Path("no.png")])


def test_nothing_that_is_compared_is_replaced() -> None:
    Path("o").mkdir()
    Path("x.png").rename("o/sheet.png")
    results = compare([Path("o/sheet.png"), Path("y.png")])
    with pytest.raises(OutputError, match=r"sheet\.png' is compared"):
        write_comparison(Path("o"), results, overwrite=True)
    write_comparison(Path("p"), results)
    with pytest.raises(OutputError, match="holds results already"):
        write_comparison(Path("p"), results)
