"""A sweep in its folder: cells that share, that go on, that fail; and what is refused before anything is written."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import impasto.runs.sweep
from impasto.engine import Control
from impasto.errors import ImageError, OutputError, UserError
from impasto.recipe import Recipe, RunOptions
from impasto.runs.events import Listener
from impasto.runs.rerun import read_provenance
from impasto.runs.run import run
from impasto.runs.sweep import SweepPlan, estimate_sweep, plan_sweep, run_sweep, shares_its_way
from impasto.runs.sweep_plan import variants_of
from impasto.runs.sweep_results import Results
from tests.tiny import TinyEncoder

BASE = Recipe(look="classic", model="compact", height=24, levels=1, total_iterations=3)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two contents and a style, and an encoder that costs nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(impasto.runs.sweep, "encoder_of", lambda *_, **__: TinyEncoder())
    noise = np.random.default_rng(0)
    for name in ("c.png", "d.png", "s.png"):
        Image.fromarray(noise.integers(0, 256, (24, 36, 3), dtype=np.uint8)).save(name)
    yield tmp_path


def plan(vary: dict[str, list], folder: str = "o", base: Recipe = BASE, **options: object) -> SweepPlan:
    options = {"checkpoint_every": 1e-6, **options}
    return plan_sweep(
        [Path("c.png")], [[Path("s.png")]], base, variants_of(vary, base), Path(folder), RunOptions(**options)
    )


def digests(folder: str = "o") -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).glob("0*.png")}


class Cells(Listener):
    """Remembers which cells began, and counts iterations."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.num_iterations = 0
        self.errors: list[str] = []

    def cell(self, number, num_all, label, seconds_left):
        self.labels.append(f"{number}/{num_all} {label}")

    def progress(self, event):
        self.num_iterations += bool(event.losses)

    def error(self, sentence):
        self.errors.append(sentence)


def sweep(vary: dict[str, list], **options: object) -> tuple[Results, Cells]:
    cells = Cells()
    return run_sweep(plan(vary, **options), listener=cells), cells


def test_a_sweep_leaves_pictures_sheet_tables_and_report() -> None:
    results, cells = sweep({"strength": [10, 90]})
    assert [cell.state for cell in results.cells] == ["done", "done"]
    assert cells.labels == ["1/2 strength 10", "2/2 strength 90"]
    names = {path.name for path in Path("o").iterdir() if path.is_file()}
    assert names == {
        "001-strength-10.png", "002-strength-90.png", "sheet.png", "results.csv", "results.json", "report.html",
        "sweep.json",
    }  # fmt: skip
    assert read_provenance(Path("o/002-strength-90.png")).recipe["strength"] == 90
    row = results.rows()[0]
    for fact in ("iterations", "seconds", "loss_total", "distance_style", "influence_content", "memory_bytes", "ssim"):
        assert isinstance(row[fact], int | float), fact


def test_a_cell_has_the_bytes_of_a_run_by_itself() -> None:
    sweep({"strength": [10, 90], "optimizer": ["adam", "lbfgs"]})
    recipe = BASE.replace(strength=90, optimizer="lbfgs")
    run(
        Path("c.png"),
        [Path("s.png")],
        recipe,
        RunOptions(output_file="alone.png", saving_interval=0),
        encoder=TinyEncoder(),
    )
    assert Path("alone.png").read_bytes() == Path("o/004-strength-90-optimizer-lbfgs.png").read_bytes()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_cells_that_differ_in_their_budget_alone_are_one_run_with_the_same_pixels(optimizer: str) -> None:
    base = BASE.replace(optimizer=optimizer)
    results, cells = sweep({"total_iterations": [4, 9, 6]}, base=base)
    assert cells.num_iterations == 9
    assert [cell.facts["iterations"] for cell in results.cells] == [4, 9, 6]
    for number, count in enumerate([4, 9, 6], start=1):
        options = RunOptions(output_file=f"{count}.png", saving_interval=0)
        run(Path("c.png"), [Path("s.png")], base.replace(total_iterations=count), options, encoder=TinyEncoder())
        assert Path(f"{count}.png").read_bytes() == Path(f"o/00{number}-total-iterations-{count}.png").read_bytes()
    assert not list(Path("o").rglob("checkpoint"))


@pytest.mark.parametrize(
    "changes", [{"levels": 2}, {"style_loss": "neighbors"}, {"finish": "vgg19:1"}, {"levels": "auto", "min_size": 16}]
)
def test_budgets_are_runs_of_their_own_where_they_are_divided(changes: dict) -> None:
    assert shares_its_way(BASE, (24, 36))
    assert not shares_its_way(BASE.replace(height=64, **changes), (24, 36))


def test_a_finished_cell_is_never_painted_again() -> None:
    sweep({"strength": [10, 90]})
    before = {path: path.stat().st_mtime_ns for path in Path("o").glob("0*.png")}
    results, cells = sweep({"strength": [10, 90]})
    assert (cells.labels, cells.num_iterations) == ([], 0)
    assert {path: path.stat().st_mtime_ns for path in Path("o").glob("0*.png")} == before
    assert isinstance(results.rows()[1]["influence_style"], float)


def test_a_stopped_cell_goes_on_to_the_bytes_of_an_undisturbed_sweep() -> None:
    vary = {"strength": [10, 90], "total_iterations": [5, 12]}
    sweep(vary, folder="whole")
    control, cells = Control(), Cells()
    cells.progress = lambda event: control.stop() if event.iteration >= 8 else None  # type: ignore[method-assign]
    results = run_sweep(plan(vary), listener=cells, control=control)
    assert [cell.state for cell in results.cells] == ["done", "stopped", "open", "open"]
    assert Path("o/sheet.png").is_file()
    again, _ = sweep(vary)
    assert {cell.state for cell in again.cells} == {"done"}
    assert digests() == digests("whole")


def test_a_picture_whose_facts_were_lost_is_not_painted_again() -> None:
    sweep({"strength": [10, 90]})
    Path("o/001-strength-10/facts.json").unlink()
    results, cells = sweep({"strength": [10, 90]})
    assert cells.num_iterations == 0
    row, other = results.rows()
    assert row["loss_total"] == pytest.approx(json.loads(Path("o/results.json").read_text())["cells"][0]["loss_total"])
    assert row["influence_style"] is None
    assert isinstance(other["influence_style"], float)


def test_a_failed_cell_becomes_a_tile_and_the_sweep_goes_on() -> None:
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    contents = [Path("broken.png"), Path("c.png")]
    cells = Cells()
    planned = plan_sweep(contents, [[Path("s.png")]], BASE, variants_of({}, BASE), Path("o"))
    results = run_sweep(planned, listener=cells)
    assert [cell.state for cell in results.cells] == ["failed", "done"]
    assert "broken.png" in results.cells[0].error
    assert len(cells.errors) == 1


def test_a_damaged_checkpoint_costs_no_cell() -> None:
    Path("o/001-strength-10").mkdir(parents=True)
    Path("o/001-strength-10/checkpoint").write_bytes(b"no checkpoint")
    results, _ = sweep({"strength": [10, 90]})
    assert [cell.state for cell in results.cells] == ["done", "done"]


def test_the_estimate_knows_what_is_finished_and_what_is_shared() -> None:
    vary = {"total_iterations": [50, 100]}
    both = estimate_sweep(plan(vary))
    alone = estimate_sweep(plan({"total_iterations": [100]}, folder="p"))
    assert (both.num_cells, both.num_finished) == (2, 0)
    assert both.peak_bytes == alone.peak_bytes > 0
    sweep({"strength": [10, 90]}, folder="q")
    done = estimate_sweep(plan({"strength": [10, 90]}, folder="q"))
    assert (done.num_finished, done.seconds) == (2, 0)


# --- what is refused, with nothing written ----------------------------------------------------------------------------


def test_a_folder_that_holds_another_sweep_is_refused_by_the_first_difference() -> None:
    sweep({"strength": [10, 90]})
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("o").rglob("*"))
    with pytest.raises(OutputError, match="holds another sweep: strength was 10, 90 and is 10, 50 now"):
        plan({"strength": [10, 50]})
    with pytest.raises(OutputError, match="holds another sweep: height was 24 and is 32 now"):
        plan({"strength": [10, 90]}, base=BASE.replace(height=32))
    with pytest.raises(OutputError, match="holds another sweep: optimizer did not vary and is adam, lbfgs now"):
        plan({"strength": [10, 90], "optimizer": ["adam", "lbfgs"]})
    Path("c.png").write_bytes(Path("d.png").read_bytes())
    with pytest.raises(OutputError, match=r"the content is not the 'c\.png' of that sweep"):
        plan({"strength": [10, 90]})
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("o").rglob("*")) == before


def test_an_earlier_sweep_is_replaced_if_that_is_asked_for() -> None:
    sweep({"strength": [10, 90]})
    Path("o/notes.txt").write_text("mine")
    results, _ = sweep({"strength": [30, 50, 70]}, overwrite=True)
    assert len(results.cells) == 3
    assert set(digests()) == {"001-strength-30.png", "002-strength-50.png", "003-strength-70.png"}
    assert Path("o/notes.txt").read_text() == "mine"
    assert not Path("o/001-strength-10").exists()


def test_cells_never_replace_an_input() -> None:
    Path("o").mkdir()
    Path("o/001-strength-10.png").hardlink_to("c.png")
    with pytest.raises(OutputError, match=r"001-strength-10\.png' is an input of this sweep"):
        plan({"strength": [10, 90]})


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_picture_is_never_replaced(overwrite: bool) -> None:
    Path("o").mkdir()
    Image.new("RGB", (4, 4)).save("o/002-strength-90.png")
    with pytest.raises(OutputError, match="is in the way and is not of this sweep"):
        plan({"strength": [10, 90]}, overwrite=overwrite)


@pytest.mark.parametrize(("place", "sentence"), [("o.png", "is a picture's name"), ("c", "is a file")])
def test_a_place_that_is_no_folder_is_refused(place: str, sentence: str) -> None:
    Path("c").touch()
    with pytest.raises(OutputError, match=sentence):
        plan({"strength": [10, 90]}, folder=place)


def test_the_only_picture_of_its_kind_must_be_readable() -> None:
    with pytest.raises(ImageError, match=r"There is no picture 'no\.png'"):
        plan_sweep([Path("no.png")], [[Path("s.png")]], BASE, variants_of({}, BASE), Path("o"))
    assert not Path("o").exists()


def test_values_that_do_not_suit_the_styles_are_refused() -> None:
    with pytest.raises(UserError, match="style_scale has 2 numbers for 1 style images"):
        plan({"style_scale": ["1", "1,2"]})


def test_layers_that_the_encoder_lacks_are_refused() -> None:
    with pytest.raises(UserError, match="relu9_9"):
        plan({"style_layers": ["relu1_1", "relu9_9"]})
    assert not Path("o").exists()
