import csv
import os
from pathlib import Path

import pytest

from impasto.errors import OutputError
from impasto.runs.outputs import LOSS_COLUMNS, LossLog, names_a_picture, next_free, plan_outputs


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def log(path: Path, iterations=(1,)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = LossLog(path)
    for iteration in iterations:
        table.write(iteration=iteration, level=1, losses={"total": 1.0}, seconds=0.5)
    table.close()


class TestFolder:
    def test_a_name_without_a_suffix_receives_everything(self, tmp_path):
        outputs = plan_outputs(tmp_path / "out")
        names = [outputs.intermediate(0), outputs.intermediate(100), outputs.final, outputs.losses, outputs.plot]
        assert [path.relative_to(tmp_path).as_posix() for path in names] == [
            "out/00000.png", "out/00100.png", "out/final.png", "out/losses.csv", "out/losses.png",
        ]  # fmt: skip
        assert outputs.is_folder

    @pytest.mark.parametrize("name", ["v1.2", "my.painting", "out."])
    def test_a_suffix_of_no_picture_is_part_of_the_folders_name(self, name, tmp_path):
        assert plan_outputs(tmp_path / name).final == tmp_path / name / "final.png"

    def test_planning_creates_nothing(self, tmp_path):
        plan_outputs(tmp_path / "a" / "b")
        plan_outputs(tmp_path / "a" / "b.png")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("taken", ["final.png", "losses.csv", "00100.png", "123456.png"])
    def test_any_file_of_an_earlier_run_gives_this_run_the_next_number(self, taken, tmp_path):
        touch(tmp_path / taken)
        outputs = plan_outputs(tmp_path)
        assert outputs.final.name == "final-2.png"
        assert outputs.losses.name == "losses-2.csv"
        assert outputs.intermediate(5).name == "00005-2.png"

    def test_numbers_go_on_after_the_highest(self, tmp_path):
        touch(tmp_path / "final.png", tmp_path / "final-4.png")
        assert plan_outputs(tmp_path).final.name == "final-5.png"

    @pytest.mark.parametrize("other", ["holiday.jpg", "finally.png", "0100.png", "final-x.png", "notes.csv"])
    def test_other_files_do_not_count(self, other, tmp_path):
        touch(tmp_path / other)
        assert plan_outputs(tmp_path).number == 1

    def test_a_name_that_is_taken_during_the_run_is_left_alone(self, tmp_path):
        outputs = plan_outputs(tmp_path)
        touch(outputs.final)
        assert outputs.final_now() == tmp_path / "final-2.png"

    def test_a_file_in_the_folders_place_is_refused(self, tmp_path):
        touch(tmp_path / "out")
        with pytest.raises(OutputError, match="is a file, and a folder of that name is needed"):
            plan_outputs(tmp_path / "out")


class TestOverwrite:
    def test_the_plain_names_are_taken_again(self, tmp_path):
        touch(tmp_path / "final.png", tmp_path / "final-2.png")
        outputs = plan_outputs(tmp_path, overwrite=True)
        assert (outputs.final.name, outputs.losses.name) == ("final.png", "losses.csv")
        assert outputs.final_now() == outputs.final

    def test_intermediates_of_the_earlier_run_go_but_its_final_picture_stays_for_now(self, tmp_path):
        log(tmp_path / "losses.csv", range(1, 201))
        kept = [tmp_path / name for name in ("final.png", "00100-2.png", "00300.png", "losses-2.csv")]
        gone = [tmp_path / name for name in ("00000.png", "00100.png", "00200.png", "losses.png")]
        touch(*kept, *gone)
        plan_outputs(tmp_path, overwrite=True).prepare_folder()
        assert all(path.exists() for path in kept)
        assert not any(path.exists() for path in [*gone, tmp_path / "losses.csv"])

    def test_frames_of_somebody_else_are_never_removed(self, tmp_path):
        touch(tmp_path / "00001.png")
        plan_outputs(tmp_path, overwrite=True).prepare_folder()
        assert (tmp_path / "00001.png").exists()

    def test_a_table_that_is_none_removes_no_picture(self, tmp_path):
        touch(tmp_path / "00001.png")
        (tmp_path / "losses.csv").write_bytes(b"\xff\x00iteration\n1,,\n../../x\n")
        plan_outputs(tmp_path, overwrite=True).prepare_folder()
        assert (tmp_path / "00001.png").exists()

    def test_without_it_preparing_removes_nothing(self, tmp_path):
        log(tmp_path / "losses.csv", [1])
        touch(tmp_path / "00001.png")
        plan_outputs(tmp_path).prepare_folder()
        assert {path.name for path in tmp_path.iterdir()} == {"losses.csv", "00001.png"}


class TestFile:
    def test_the_rest_goes_to_a_folder_of_the_same_stem(self, tmp_path):
        outputs = plan_outputs(tmp_path / "van.gogh.JPG")
        assert outputs.final == tmp_path / "van.gogh.JPG"
        assert outputs.losses == tmp_path / "van.gogh" / "losses.csv"
        assert not outputs.is_folder

    def test_an_existing_file_needs_overwrite(self, tmp_path):
        touch(tmp_path / "out.png")
        with pytest.raises(OutputError, match="exists; add --overwrite"):
            plan_outputs(tmp_path / "out.png")
        assert plan_outputs(tmp_path / "out.png", overwrite=True).final == tmp_path / "out.png"

    def test_an_input_is_never_replaced(self, tmp_path):
        touch(tmp_path / "photo.png")
        with pytest.raises(OutputError, match="is an input of this run"):
            plan_outputs(tmp_path / "photo.png", overwrite=True, inputs=[tmp_path / "." / "photo.png"])

    def test_losses_of_an_earlier_run_in_the_folder_stay(self, tmp_path):
        log(tmp_path / "out" / "losses.csv")
        assert plan_outputs(tmp_path / "out.png").losses.name == "losses-2.csv"

    @pytest.mark.parametrize("name", ["out.gif", "out.svg", "out.bmp"])
    def test_a_format_that_cannot_be_written_is_refused_and_makes_no_folder(self, name, tmp_path):
        with pytest.raises(OutputError, match="format"):
            plan_outputs(tmp_path / name)

    def test_a_folder_in_the_files_place_is_refused(self, tmp_path):
        (tmp_path / "out.png").mkdir()
        with pytest.raises(OutputError, match=r"out\.png"):
            plan_outputs(tmp_path / "out.png")


class TestLossLog:
    def test_each_row_is_on_the_disk_at_once(self, tmp_path):
        table = LossLog(tmp_path / "losses.csv")
        for iteration in (1, 2):
            table.write(iteration=iteration, level=1, losses={"total": 0.5, "style": 0.5}, seconds=1.23456)
            with (tmp_path / "losses.csv").open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            assert len(rows) == iteration
        table.close()
        assert tuple(rows[0]) == LOSS_COLUMNS
        assert rows[1] == {
            "iteration": "2", "level": "1", "total": "0.5", "content": "", "style": "0.5", "tv": "", "seconds": "1.235",
        }  # fmt: skip

    def test_an_existing_table_is_never_replaced(self, tmp_path):
        log(tmp_path / "losses.csv")
        with pytest.raises(OutputError, match=r"Cannot write to '.*losses\.csv': File exists"):
            LossLog(tmp_path / "losses.csv")

    def test_a_missing_folder_is_an_output_error(self, tmp_path):
        with pytest.raises(OutputError, match="No such file or directory"):
            LossLog(tmp_path / "none" / "losses.csv")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
    def test_a_full_disk_is_an_output_error(self, tmp_path):
        table = LossLog(tmp_path / "losses.csv")
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), table._stream.fileno())
        with pytest.raises(OutputError, match="No space left"):
            table.write(iteration=1, level=1, losses={}, seconds=0)
        with pytest.raises(OutputError, match="No space left"):
            table.close()


def test_next_free_counts_up(tmp_path):
    picture = tmp_path / "a.png"
    assert next_free(picture) == picture
    touch(picture, tmp_path / "a-2.png")
    assert next_free(picture) == tmp_path / "a-3.png"


@pytest.mark.parametrize(
    ("name", "expected"), [("a.png", True), ("a.TIFF", True), ("a.gif", True), ("a.txt", False), ("a", False)]
)
def test_pictures_are_known_by_their_suffix(name, expected):
    assert names_a_picture(Path(name)) is expected
