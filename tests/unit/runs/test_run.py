import csv
import errno
import json
import logging
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.encoders import Encoder
from impasto.engine import Control, Progress
from impasto.errors import CheckpointError, ImageError, ImpastoError, OutputError
from impasto.images import load_picture, read_recipe_json
from impasto.recipe import Recipe, RunOptions
from impasto.runs.run import RunReport, run

RECIPE = Recipe(look="classic", height=24, total_iterations=6, levels=2)


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    """A content and a style picture."""
    noise = np.random.default_rng(0)
    paths = [tmp_path / "content.png", tmp_path / "style.png"]
    for path, size in zip(paths, [(48, 64, 3), (32, 32, 3)], strict=True):
        Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def paint(pictures, tiny_encoder):
    def paint(output: Path, recipe: Recipe = RECIPE, **options: object) -> RunReport:
        arguments = {
            name: options.pop(name) for name in ("encoder", "on_progress", "on_saved", "control") if name in options
        }
        return run(
            pictures[0], pictures[1:], recipe, RunOptions(output_file=output, **options),
            **({"encoder": tiny_encoder} | arguments),
        )  # fmt: skip

    return paint


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_folder_receives_pictures_by_iteration_the_final_one_and_the_losses(paint, tmp_path):
    report = paint(tmp_path / "out", saving_interval=2)
    assert names(tmp_path / "out") == {
        "00000.png", "00002.png", "00004.png", "00006.png", "final.png", "losses.csv", "checkpoint",
    }  # fmt: skip
    assert (report.final, report.folder) == (tmp_path / "out" / "final.png", tmp_path / "out")


def test_pictures_in_between_are_no_larger_than_a_screen(paint, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.runs.run.SCREEN_EDGE", 10)
    report = paint(tmp_path / "out", saving_interval=2)
    assert max(report.result.image.shape[-2:]) > 10
    for path in (tmp_path / "out").glob("0*.png"):
        assert max(load_picture(path).size) == 10
    assert load_picture(report.final).size == tuple(report.result.image.shape[-2:])


def test_pictures_of_coarse_levels_are_enlarged_to_the_final_size(paint, tmp_path):
    paint(tmp_path / "out", saving_interval=1)
    sizes = {load_picture(path).size for path in (tmp_path / "out").glob("*.png")}
    assert sizes == {(24, 32)}


def test_the_first_picture_is_the_one_that_the_run_starts_from(paint, pictures, tmp_path):
    paint(tmp_path / "out", RECIPE.replace(levels=1, height=48))
    assert torch.equal(load_picture(tmp_path / "out" / "00000.png").pixels, load_picture(pictures[0]).pixels)


def test_the_written_picture_is_the_result(paint, tmp_path):
    report = paint(tmp_path / "out.png")
    assert torch.allclose(load_picture(tmp_path / "out.png").pixels, report.result.image, atol=0.5 / 255 + 1e-6)


def test_the_table_has_a_row_for_each_iteration(paint, tmp_path):
    paint(tmp_path / "out")
    table = rows(tmp_path / "out" / "losses.csv")
    assert [row["iteration"] for row in table] == list("123456")
    assert [row["level"] for row in table] == list("111222")
    for row in table:
        parts = [float(row[name]) for name in ("content", "style", "tv")]
        assert float(row["total"]) == pytest.approx(sum(parts), rel=1e-4)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp", "out.tif"])
def test_the_recipe_is_written_into_every_format_without_a_path(name, paint, tmp_path, pictures):
    paint(tmp_path / name, saving_interval=0)
    text = read_recipe_json(tmp_path / name)
    origin = json.loads(text)
    assert Recipe(**origin["recipe"]).height == 24
    assert origin["content"]["name"] == "content.png"
    assert str(tmp_path) not in text and text.isascii()


def test_a_file_has_the_rest_in_a_folder_of_its_stem(paint, tmp_path):
    paint(tmp_path / "out.png", plot=True)
    assert names(tmp_path / "out") == {"00000.png", "losses.csv", "losses.png", "checkpoint"}


def test_a_file_without_saving_leaves_no_folder(paint, tmp_path):
    report = paint(tmp_path / "out.png", saving_interval=0)
    assert report.folder is None
    assert not (tmp_path / "out").exists()


def test_runs_in_one_folder_do_not_mix(paint, tmp_path):
    paint(tmp_path / "out")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    paint(tmp_path / "out", RECIPE.replace(total_iterations=3), plot=True)
    assert names(tmp_path / "out") == {
        *first,
        "00000-2.png",
        "final-2.png",
        "losses-2.csv",
        "losses-2.png",
        "checkpoint-2",
    }
    assert {name: (tmp_path / "out" / name).read_bytes() for name in first} == first


def test_a_second_run_may_replace_the_first(paint, tmp_path):
    paint(tmp_path / "out", saving_interval=1)
    paint(tmp_path / "out", RECIPE.replace(total_iterations=2), overwrite=True)
    assert names(tmp_path / "out") == {"00000.png", "final.png", "losses.csv", "checkpoint"}
    assert len(rows(tmp_path / "out" / "losses.csv")) == 2


def stopped_at(paint, output: Path, iteration: int, recipe: Recipe = RECIPE, **options: object) -> RunReport:
    control = Control()

    def stop(event: Progress) -> None:
        if event.iteration == iteration:
            control.stop()

    return paint(output, recipe, control=control, on_progress=stop, **options)


class TestResume:
    @pytest.mark.parametrize("iteration", [0, 2, 3, 5])
    def test_a_stopped_run_goes_on_to_the_same_picture(self, iteration, paint, tmp_path):
        paint(tmp_path / "whole", saving_interval=2)
        stopped_at(paint, tmp_path / "out", iteration, saving_interval=2)
        report = paint(tmp_path / "out", resume=True, saving_interval=2)
        assert report.final == tmp_path / "out" / "final-2.png"  # what was kept when it stopped is no less a result
        assert report.final.read_bytes() == (tmp_path / "whole" / "final.png").read_bytes()
        for name in ("00000.png", "00002.png", "00004.png", "00006.png"):
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert names(tmp_path / "out") == {*names(tmp_path / "whole"), "final-2.png"}

    def test_the_table_is_cut_back_and_continued(self, paint, tmp_path):
        paint(tmp_path / "whole")
        stopped_at(paint, tmp_path / "out", 4)
        with (tmp_path / "out" / "losses.csv").open("a") as stream:
            stream.write("5,2,0.1,0.1,0.1,0.1,9.0\n6,2,0.")  # written after the checkpoint, the last row not wholly
        paint(tmp_path / "out", resume=True)
        tables = [[row | {"seconds": ""} for row in rows(tmp_path / name / "losses.csv")] for name in ("whole", "out")]
        assert tables[0] == tables[1]

    def test_a_table_that_is_gone_is_begun_again(self, paint, tmp_path):
        stopped_at(paint, tmp_path / "out", 4)
        (tmp_path / "out" / "losses.csv").unlink()
        paint(tmp_path / "out", resume=True)
        assert [row["iteration"] for row in rows(tmp_path / "out" / "losses.csv")] == ["5", "6"]

    def test_a_finished_run_takes_more_iterations(self, paint, tmp_path):
        paint(tmp_path / "out.png")
        report = paint(tmp_path / "out.png", RECIPE.replace(total_iterations=9), resume=True, overwrite=True)
        assert (report.final, report.result.iterations) == (tmp_path / "out.png", 9)
        assert [row["iteration"] for row in rows(tmp_path / "out" / "losses.csv")] == list("123456789")

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, names are Unicode")
    def test_a_folder_whose_name_is_not_utf_8_keeps_its_runs(self, paint, tmp_path):
        folder = tmp_path / os.fsdecode(b"caf\xe9")
        paint(folder, saving_interval=2)
        report = paint(folder, RECIPE.replace(total_iterations=9), resume=True)
        assert (report.final.name, report.result.iterations) == ("final-2.png", 9)
        paint(folder, overwrite=True)
        assert names(folder) == {"00000.png", "checkpoint", "final.png", "final-2.png", "losses.csv"}

    def test_what_a_killed_process_left_half_written_goes(self, paint, tmp_path):
        stopped_at(paint, tmp_path / "out", 4)
        (tmp_path / "out" / ".impasto-0123456789abcdef.tmp").write_bytes(b"half")
        paint(tmp_path / "out", resume=True)
        assert not list((tmp_path / "out").glob(".*"))

    def test_the_latest_run_in_a_folder_goes_on(self, paint, tmp_path):
        paint(tmp_path / "out")
        stopped_at(paint, tmp_path / "out", 2, RECIPE.replace(seed=5))
        report = paint(tmp_path / "out", RECIPE.replace(seed=5), resume=True)
        assert report.final == tmp_path / "out" / "final-2-2.png"
        assert len(rows(tmp_path / "out" / "losses-2.csv")) == 6

    def test_without_a_checkpoint_it_says_what_to_do(self, paint, tmp_path):
        with pytest.raises(CheckpointError, match=r"no checkpoint in '.*out' to resume from; .* without --resume"):
            paint(tmp_path / "out", resume=True)
        assert not (tmp_path / "out").exists()

    def test_a_run_that_replaces_another_drops_its_checkpoint_first(self, paint, tmp_path):
        paint(tmp_path / "out")
        seen: list[bool] = []
        paint(
            tmp_path / "out", overwrite=True, checkpoint_every=1000,
            on_progress=lambda _: seen.append((tmp_path / "out" / "checkpoint").exists()),
        )  # fmt: skip
        assert not any(seen)


def test_a_stopped_run_keeps_its_best_picture(paint, tmp_path):
    control = Control()

    def stop(event: Progress) -> None:
        if event.iteration == 2:
            control.stop()

    report = paint(tmp_path / "out.png", on_progress=stop, control=control)
    assert load_picture(tmp_path / "out.png").size == (24, 32)
    assert report.result.iterations == 2


def test_a_cancelled_run_leaves_no_final_picture(paint, tmp_path):
    control = Control()
    control.cancel()
    assert paint(tmp_path / "out.png", control=control).final is None
    assert not (tmp_path / "out.png").exists()


def test_a_budget_of_nothing_gives_the_start(paint, tmp_path):
    paint(tmp_path / "out", RECIPE.replace(total_iterations=0), plot=True)
    assert names(tmp_path / "out") == {"00000.png", "final.png", "losses.csv", "checkpoint"}


def test_each_picture_in_between_is_told(paint, tmp_path):
    told: list[Path] = []
    paint(tmp_path / "out", saving_interval=3, on_saved=told.append)
    assert [path.name for path in told] == ["00000.png", "00003.png", "00006.png"]


class TestCheckedFirst:
    @pytest.fixture
    def no_encoder(self):
        def build() -> Encoder:
            pytest.fail("the encoder was built before the inputs were checked")

        return build

    def test_an_existing_picture(self, paint, no_encoder, tmp_path):
        (tmp_path / "out.png").write_bytes(b"dear")
        with pytest.raises(OutputError, match=r"^'.*out\.png' exists; add --overwrite to replace it"):
            paint(tmp_path / "out.png", encoder=no_encoder)
        assert (tmp_path / "out.png").read_bytes() == b"dear"

    def test_a_style_that_is_no_picture(self, paint, pictures, no_encoder, tmp_path):
        pictures[1].write_bytes(b"")
        with pytest.raises(ImageError, match=r"^'.*style\.png' is empty \(0 bytes\), a picture file is needed\.$"):
            paint(tmp_path / "out", encoder=no_encoder)
        assert not (tmp_path / "out").exists()

    def test_too_many_pixels(self, paint, no_encoder, tmp_path):
        with pytest.raises(ImageError, match=r"^'.*content\.png' has 64×48 pixels; at most 100 are allowed\."):
            paint(tmp_path / "out", encoder=no_encoder, max_pixels=100)


def test_a_failing_disk_costs_the_table_but_not_the_picture(paint, tmp_path, monkeypatch, caplog):
    def fail(*_: object, **__: object) -> None:
        raise OutputError("Cannot write to 'losses.csv': No space left on device.")

    monkeypatch.setattr("impasto.runs.outputs.LossLog.write", fail)
    with caplog.at_level(logging.WARNING):
        paint(tmp_path / "out", saving_interval=1)
    assert names(tmp_path / "out") == {"00000.png", "final.png", "losses.csv", "checkpoint"}
    assert sum("No space left" in message for message in caplog.messages) == 1


class TestALostPlace:
    """The folder is there before the run and gone, full or locked at its end."""

    @pytest.fixture(autouse=True)
    def refuge(self, tmp_path, monkeypatch) -> Path:
        """Where temporary files go."""
        folder = tmp_path / "refuge"
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        return folder

    @pytest.fixture
    def full(self, tmp_path, monkeypatch) -> Path:
        """A folder on a disk that takes nothing more."""
        folder = tmp_path / "full"
        folder.mkdir()
        replace = Path.replace

        def write(path: Path, target: Path) -> Path:
            if folder in target.parents:
                raise OSError(errno.ENOSPC, "No space left on device")
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", write)
        return folder

    def test_the_picture_is_kept_elsewhere_and_the_sentence_says_where(self, paint, full, refuge):
        with pytest.raises(ImpastoError) as error:
            paint(full / "out.png", saving_interval=0)
        assert str(error.value) == (
            f"Cannot write '{full / 'out.png'}': No space left on device. What was there before is untouched. "
            f"The finished picture is in '{refuge / 'out.png'}' instead."
        )
        assert load_picture(refuge / "out.png").size == (24, 32)
        assert read_recipe_json(refuge / "out.png")
        assert not list(full.iterdir())

    def test_a_picture_in_the_refuge_is_not_replaced(self, paint, full, refuge):
        (refuge / "out.png").write_bytes(b"dear")
        with pytest.raises(ImpastoError, match=r"out-2\.png' instead"):
            paint(full / "out.png", saving_interval=0)
        assert (refuge / "out.png").read_bytes() == b"dear"

    def test_with_nowhere_to_go_the_reason_is_said(self, paint, full, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(full))
        monkeypatch.setattr(Path, "home", lambda: full)
        monkeypatch.setattr(Path, "cwd", lambda: full)
        with pytest.raises(ImpastoError, match=r"No space left on device\. What was there before is untouched\.$"):
            paint(full / "out.png", saving_interval=0)

    def test_a_folder_that_vanishes_is_made_again(self, paint, tmp_path):
        def vanish(event: Progress) -> None:
            if event.iteration == 5:
                shutil.rmtree(tmp_path / "out")

        report = paint(tmp_path / "out", on_progress=vanish, saving_interval=2)
        assert report.final is not None and report.final.exists()

    def test_inputs_that_vanish_during_the_run_are_not_needed_any_more(self, paint, pictures, tmp_path):
        report = paint(tmp_path / "out", on_progress=lambda _: [path.unlink(missing_ok=True) for path in pictures])
        assert report.final is not None and report.final.exists()


def test_a_failed_run_keeps_the_earlier_final_picture(paint, tmp_path):
    paint(tmp_path / "out")
    earlier = (tmp_path / "out" / "final.png").read_bytes()

    def fail(event: Progress) -> None:
        raise RuntimeError("on the way")

    with pytest.raises(RuntimeError, match=r"^on the way$"):
        paint(tmp_path / "out", overwrite=True, on_progress=fail)
    assert (tmp_path / "out" / "final.png").read_bytes() == earlier
