import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from impasto.errors import ImageError
from impasto.images import read_recipe_json, save_picture
from impasto.recipe import Recipe
from impasto.runs.rerun import plan_rerun, read_provenance


def identity(path: Path) -> dict[str, str]:
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.fixture
def painted(tmp_path, monkeypatch) -> Path:
    """A picture in a folder of its own, its inputs in the folder above."""
    content, style = tmp_path / "photo.png", tmp_path / "oil.png"
    for path, color in ((content, "red"), (style, "blue")):
        Image.new("RGB", (4, 4), color).save(path)
    provenance = {
        "recipe": Recipe(height=24).model_dump(mode="json"), "content": identity(content), "styles": [identity(style)],
        "weights_sha256": "", "iterations": 5, "stop_reason": "budget",
    }  # fmt: skip
    picture = tmp_path / "out" / "final.png"
    save_picture(torch.zeros(1, 3, 4, 4), picture, recipe_json=json.dumps(provenance))
    monkeypatch.chdir(tmp_path)
    return picture


def assert_found(request: object, folder: Path) -> None:
    assert request.content.samefile(folder / "photo.png")
    assert [style.resolve() for style in request.styles] == [(folder / "oil.png").resolve()]


def test_inputs_are_found_from_within_the_folder_of_the_picture(painted, tmp_path, monkeypatch):
    monkeypatch.chdir(painted.parent)
    assert_found(plan_rerun(Path("final.png")), tmp_path)


def test_inputs_are_found_through_a_link_to_the_picture(painted, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere" / "deep"
    elsewhere.mkdir(parents=True)
    (elsewhere / "latest.png").symlink_to(painted)
    monkeypatch.chdir(elsewhere)
    assert_found(plan_rerun(Path("latest.png")), tmp_path)


def test_inputs_are_found_through_a_link_to_the_folder_above_it_or_behind_it(painted, tmp_path):
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "out"
    link.symlink_to(painted.parent)
    assert_found(plan_rerun(link / "final.png"), tmp_path)
    for name in ("photo.png", "oil.png"):
        (tmp_path / name).rename(tmp_path / "other" / name)
    assert_found(plan_rerun(link / "final.png"), tmp_path / "other")


def test_what_lies_below_the_current_folder_is_named_from_there(painted):
    assert plan_rerun(Path("out/final.png")).content == Path("photo.png")


def test_an_unreadable_neighbor_is_passed_over_in_the_search(painted, tmp_path):
    (tmp_path / "photo.png").rename(tmp_path / "out" / "renamed.png")
    (tmp_path / "out" / "a.png").symlink_to("a.png")
    assert plan_rerun(painted).content == Path("out/renamed.png")


def test_given_values_override_the_recorded_ones(painted):
    recipe = plan_rerun(painted, changes={"tv_weight": 0.5}).recipe
    assert (recipe.height, recipe.tv_weight) == (24, 0.5)


def test_another_input_is_taken_and_noted(painted, tmp_path):
    request = plan_rerun(painted, content=tmp_path / "oil.png")
    assert request.content == tmp_path / "oil.png"
    assert request.notes == [f"{tmp_path / 'oil.png'} is not the photo.png of {painted}; the picture will differ."]


@pytest.mark.parametrize(
    ("name", "shown"), [("a" * 300, "a" * 28 + r"\.\.\." + "a" * 28), (r"\u001b[31m", r"\\x1b\[31m"), ("..", r"\.\.")]
)
def test_a_recorded_name_that_no_file_has_is_shown_and_not_found(name, shown, painted):
    text = read_recipe_json(painted).replace('"photo.png"', f'"{name}"')
    save_picture(torch.zeros(1, 3, 4, 4), painted, recipe_json=text)
    with pytest.raises(ImageError, match=rf"was painted from '{shown}', and it is not there \(looked in "):
        plan_rerun(painted)


def test_a_text_by_another_program_in_another_encoding_hides_no_recipe(painted):
    text = PngInfo()
    text.add(b"tEXt", "Título".encode("latin-1") + b"\0Caf\xe9")
    text.add_text("impasto", read_recipe_json(painted))
    Image.new("RGB", (4, 4)).save(painted, pnginfo=text)
    assert read_provenance(painted).iterations == 5


ENDLESS = (
    '{"recipe": {}, "content": {"name": "", "sha256": ""}, "styles": [], "weights_sha256": "", "iterations": Infinity}'
)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"recipe": 1}',
        '{"recipe": {}, "content": []}',
        "{}",
        "not json",
        ENDLESS,
        ENDLESS.replace('""', "1"),
    ],
)
def test_a_damaged_provenance_is_one_sentence(text, painted):
    save_picture(torch.zeros(1, 3, 4, 4), painted, recipe_json=text)
    with pytest.raises(ImageError, match=r"^The recipe in '.+' is damaged or of another version; "):
        read_provenance(painted)
