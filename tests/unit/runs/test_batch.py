"""A folder as a batch: names, what is passed over, what is painted again."""

import logging
from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import main
from impasto.encoders import build_encoder
from impasto.recipe import Recipe, RunOptions
from impasto.runs.batch import Batch, pictures_in, plan_batch

STYLE = Path("s.png")
QUICK = ["--model=compact", "--total-iterations=2", "--height=16", "--saving-interval=0"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("p").mkdir()
    picture(STYLE)
    return tmp_path


def picture(path: Path, color: str = "teal") -> None:
    Image.new("RGB", (24, 16), color).save(path)


def plan(recipe: Recipe, output: str = "o", **options: object) -> Batch:
    """The plan for the folder ``p``."""
    run_options = RunOptions(output_file=output, **options)
    return plan_batch(Path("p"), [STYLE], recipe, run_options, lambda: build_encoder(recipe.model))


def places(*names: str, **options: object) -> list[str]:
    for name in names:
        picture(Path("p") / name)
    batch = plan(Recipe(), **options)
    return [job.output_file.name for _, job in batch.jobs]


@pytest.mark.parametrize(
    "names",
    [("a.jpg", "a.tif"), ("a.jpg", "a.tif", "a-jpg.png"), ("A.png", "a.jpg"), ("a.jpg", "a.tif", "A-JPG.png", "b.png")],
)
def test_no_picture_of_a_batch_is_lost_to_another(names: tuple[str, ...]) -> None:
    found = places(*names, overwrite=True)
    assert len({name.casefold() for name in found}) == len(names)
    assert found == places(*names, overwrite=True)


def test_hidden_files_are_passed_over_and_other_files_are_counted() -> None:
    picture(Path("p/a.png"))
    Path("p/._a.png").write_bytes(b"resource fork")
    Path("p/notes.txt").write_text("x")
    Path("p/folder.png").mkdir()
    assert pictures_in(Path("p")) == ([Path("p/a.png")], 1)


def resumed(recipe: Recipe) -> tuple[int, int]:
    """Numbers of pictures to paint and of those passed over."""
    batch = plan(recipe, resume=True)
    return len(batch.jobs), len(batch.passed_over)


def test_a_batch_goes_on_with_what_is_not_finished(capfd: pytest.CaptureFixture) -> None:
    picture(Path("p/a.png"))
    recipe = Recipe(model="compact", total_iterations=2, height=16)
    assert resumed(recipe) == (1, 0)
    assert main(["stylize", "p", "s.png", *QUICK, "-o", "o"]) == 0
    assert resumed(recipe) == (0, 1)
    assert resumed(recipe.replace(total_iterations=3)) == (1, 0)
    assert resumed(recipe.replace(strength=70)) == (1, 0)
    capfd.readouterr()
    assert main(["stylize", "p", "s.png", *QUICK, "-o", "o", "--resume"]) == 0
    out, err = capfd.readouterr()
    assert out.endswith("0 of 0 pictures painted, 1 passed over.\n")
    assert "p/a.png: passed over, 'o/a.png' is finished." in err
    assert main(["stylize", "p", "s.png", *QUICK, "-o", "o", "--resume", "--dry-run"]) == 0
    picture(Path("p/a.png"), "red")
    assert resumed(recipe) == (1, 0)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_a_foreign_file_is_not_finished_and_never_replaced(content: bytes) -> None:
    picture(Path("p/a.png"))
    Path("o").mkdir()
    Path("o/a.png").write_bytes(content)
    batch = plan(Recipe(), resume=True)
    assert [job.output_file for _, job in batch.jobs] == [Path("o/a-2.png")]
    assert batch.notes == ["'o/a.png' was not painted by Impasto and stays; 'p/a.png' is painted beside it."]


def paint(*options: str, output: str = "o") -> int:
    return main(["stylize", "p", "s.png", *QUICK, "-o", output, *options])


QUICK_RECIPE = Recipe(model="compact", total_iterations=2, height=16)


def test_a_name_that_is_taken_on_the_disk_is_not_given_to_two() -> None:
    Path("o").mkdir()
    Path("o/a.png").touch()
    assert places("a.jpg", "a-2.jpg") == ["a-2.png", "a-3.png"]


def test_the_folder_of_one_run_is_not_the_picture_of_another() -> None:
    assert places("photo.jpg", "photo.png.jpg") == ["photo.png", "photo.png-jpg.png"]


def test_names_of_any_length_and_bytes_find_a_place_that_can_be_written(
    capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("impasto"), "propagate", False)  # pytest-xdist cannot hand such names on
    names = ["b" * 250 + ".jpeg", "b" * 250 + ".tif", "ö" * 125 + ".jpg", "caf\udce9.png"]
    assert len(set(places(*names))) == 4
    Path("p/loop.png").symlink_to("loop.png")
    assert paint() == 2
    assert capfd.readouterr().out.endswith("4 of 5 pictures painted.\n")
    assert paint("--resume") == 2
    assert capfd.readouterr().out.endswith("0 of 1 pictures painted, 4 passed over.\n")


def test_layers_are_compared_as_the_encoder_knows_them() -> None:
    picture(Path("p/a.png"))
    assert paint("--style-layers", "relu1_*") == 0
    given = QUICK_RECIPE.replace(style_layers={"relu1_*": 1})
    assert resumed(given) == (0, 1)
    batch = plan(QUICK_RECIPE, resume=True)
    assert len(batch.jobs) == 1
    assert batch.notes[0].startswith("'o/a.png' is painted again: style_layers was {'relu1_1': 1.0")


def test_a_mask_makes_another_picture() -> None:
    picture(Path("p/a.png"))
    picture(Path("white.png"), "white")
    assert paint() == 0
    assert len(plan(QUICK_RECIPE, resume=True, style_mask=["white.png"]).jobs) == 1


def test_a_picture_from_another_content_stays_and_the_new_one_is_told_from_it_later() -> None:
    picture(Path("p/a.png"))
    assert paint() == 0
    before = Path("o/a.png").read_bytes()
    picture(Path("p/a.png"), "red")
    assert paint("--resume") == 0
    assert Path("o/a.png").read_bytes() == before
    assert resumed(QUICK_RECIPE) == (0, 1)
    assert {path.name for path in Path("o").iterdir()} == {"a.png", "a-2.png"}


def test_a_batch_into_its_own_folder_takes_no_result_for_a_content() -> None:
    picture(Path("p/a.png"))
    for _ in range(3):
        assert paint("--resume", output="p") == 0
    assert {path.name for path in Path("p").iterdir()} == {"a.png", "a-2.png"}


def test_a_checkpoint_that_does_not_fit_costs_no_picture(capfd: pytest.CaptureFixture) -> None:
    picture(Path("p/a.png"))
    kept = ["stylize", "p", "s.png", *QUICK[:-1], "-o", "o"]
    assert main([*kept, "--checkpoint-every=10"]) == 0
    Path("o/a.png").unlink()
    assert main([*kept, "--strength=90", "--resume"]) == 0
    assert f"belongs to another run: strength was {Recipe().strength} and is 90.0 now." in capfd.readouterr().err
    assert resumed(QUICK_RECIPE.replace(strength=90)) == (0, 1)


@pytest.mark.parametrize(("options", "is_kept"), [([], False), (["--checkpoint-every=10"], True)])
def test_checkpoints_of_finished_pictures_stay_only_if_they_are_asked_for(options: list[str], is_kept: bool) -> None:
    picture(Path("p/a.png"))
    assert main(["stylize", "p", "s.png", *QUICK[:-1], "-o", "o", *options]) == 0
    assert Path("o/a/losses.csv").exists()
    assert Path("o/a/checkpoint").exists() is is_kept
