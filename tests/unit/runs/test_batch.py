"""A folder as a batch: names, what is passed over, what is painted again."""

from pathlib import Path

import pytest
from PIL import Image

from impasto.cli.app import main
from impasto.recipe import Recipe, RunOptions
from impasto.runs.batch import pictures_in, plan_batch

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


def places(*names: str, **options: object) -> list[str]:
    for name in names:
        picture(Path("p") / name)
    batch = plan_batch(Path("p"), [STYLE], Recipe(), RunOptions(output_file="o", **options))
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
    Path("p/loop.png").symlink_to("loop.png")
    assert pictures_in(Path("p")) == ([Path("p/a.png")], 1)


def resumed(recipe: Recipe) -> tuple[int, int]:
    """Numbers of pictures to paint and of those passed over."""
    batch = plan_batch(Path("p"), [STYLE], recipe, RunOptions(output_file="o", resume=True))
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
    batch = plan_batch(Path("p"), [STYLE], Recipe(), RunOptions(output_file="o", resume=True))
    assert [job.output_file for _, job in batch.jobs] == [Path("o/a-2.png")]
    assert batch.notes == ["'o/a.png' was not painted by Impasto and stays; 'p/a.png' is painted beside it."]
