import csv
import re
from pathlib import Path

import pytest
import torch

from impasto.engine.checkpoint import Checkpoint
from impasto.errors import OutputError
from impasto.images import save_picture
from impasto.runs.outputs import LossLog, Outputs, names_a_picture, next_free, plan_outputs
from impasto.runs.own_files import LOSS_COLUMNS, is_own, marker
from tests.limits import largest_file


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


def leave(outputs: Outputs, iterations=(0, 100)) -> list[Path]:
    """All files that a run leaves."""
    log(outputs.losses, range(1, 101))
    image = torch.zeros((1, 3, 4, 4))
    texts = {outputs.final: '{"impasto": "1.0", "recipe": {}}', outputs.plot: marker(table="losses.csv")}
    texts |= {outputs.intermediate(iteration): marker(iteration=iteration) for iteration in iterations}
    for path, text in texts.items():
        save_picture(image, path, recipe_json=text)
    Checkpoint({}, {"image": image}, {}).save(outputs.checkpoint)
    return [outputs.losses, outputs.checkpoint, *texts]


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
        leave(plan_outputs(tmp_path))
        leave(plan_outputs(tmp_path))
        outputs = plan_outputs(tmp_path, overwrite=True)
        assert (outputs.final.name, outputs.losses.name) == ("final.png", "losses.csv")
        assert outputs.final_now() == outputs.final
        assert not outputs.notes

    def test_files_in_between_of_the_earlier_run_go_but_its_final_picture_and_checkpoint_stay_for_now(self, tmp_path):
        leave(plan_outputs(tmp_path))
        second = leave(plan_outputs(tmp_path))
        plan_outputs(tmp_path, overwrite=True).prepare_folder()
        assert set(tmp_path.iterdir()) == {*second, tmp_path / "final.png", tmp_path / "checkpoint"}

    @pytest.mark.parametrize(
        "name", ["00000.png", "00123.png", "losses.csv", "losses.png", "final.png", "checkpoint", "Losses.CSV"]
    )
    def test_a_file_that_impasto_did_not_leave_gives_this_run_the_next_number(self, name, tmp_path):
        earlier = [path for path in leave(plan_outputs(tmp_path)) if path.name != name]
        (tmp_path / name).write_bytes(b"dear")
        outputs = plan_outputs(tmp_path, overwrite=True)
        assert outputs.number == 2
        assert outputs.notes == (
            f"'{tmp_path}' holds files that Impasto did not leave; they stay, and this run's files are numbered 2.",
        )
        outputs.prepare_folder()
        outputs.drop_checkpoint()
        assert (tmp_path / name).read_bytes() == b"dear"
        assert all(path.exists() for path in earlier)

    def test_files_of_that_number_are_taken_again_in_their_turn(self, tmp_path):
        touch(tmp_path / "00000.png")
        leave(plan_outputs(tmp_path, overwrite=True))
        assert plan_outputs(tmp_path, overwrite=True).number == 2

    def test_a_link_to_an_own_picture_is_not_followed(self, tmp_path):
        elsewhere = plan_outputs(tmp_path / "dear").intermediate(0)
        save_picture(torch.zeros((1, 3, 4, 4)), elsewhere, recipe_json=marker(iteration=0))
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "00000.png").symlink_to(elsewhere)
        assert plan_outputs(tmp_path / "out", overwrite=True).number == 2

    def test_a_foreign_final_picture_that_appears_during_the_run_stays(self, tmp_path):
        outputs = plan_outputs(tmp_path, overwrite=True)
        touch(outputs.final)
        assert outputs.final_now() == tmp_path / "final-2.png"

    def test_a_foreign_picture_in_between_that_appears_during_the_run_stays(self, tmp_path):
        outputs = plan_outputs(tmp_path)
        touch(outputs.intermediate(5))
        outputs.check_free(outputs.intermediate(4))
        with pytest.raises(OutputError, match=r"00005\.png' was not left by Impasto and is not replaced\.$"):
            outputs.check_free(outputs.intermediate(5))

    def test_without_it_preparing_removes_nothing(self, tmp_path):
        files = leave(plan_outputs(tmp_path))
        plan_outputs(tmp_path).prepare_folder()
        assert set(tmp_path.iterdir()) == set(files)


class TestInputs:
    NAMES = ("00000.png", "123456.png", "losses.csv", "losses.png", "final.png", "checkpoint")

    @pytest.mark.parametrize("name", NAMES)
    def test_an_input_with_the_name_of_a_file_of_the_run_is_refused(self, name, tmp_path):
        touch(tmp_path / "out" / name)
        with pytest.raises(OutputError, match=rf"'.*{re.escape(name)}' is an input of this run; choose another name"):
            plan_outputs(tmp_path / "out", overwrite=True, inputs=[tmp_path / "out" / ".." / "out" / name])

    @pytest.mark.parametrize("name", NAMES)
    def test_an_input_that_an_earlier_run_has_left_is_refused_too(self, name, tmp_path):
        leave(plan_outputs(tmp_path), iterations=[0, 123456])
        with pytest.raises(OutputError, match="is an input of this run"):
            plan_outputs(tmp_path, overwrite=True, inputs=[tmp_path / name])

    def test_it_is_known_by_links_of_either_kind(self, tmp_path):
        touch(tmp_path / "photo.png", tmp_path / "oil.png")
        out = tmp_path / "out"
        out.mkdir()
        (out / "00000.png").symlink_to(tmp_path / "photo.png")
        (out / "losses.csv").hardlink_to(tmp_path / "oil.png")
        for path in ("photo.png", "oil.png"):
            with pytest.raises(OutputError, match="is an input of this run"):
                plan_outputs(out, overwrite=True, inputs=[tmp_path / path])

    def test_without_overwrite_the_next_number_is_out_of_its_way(self, tmp_path):
        touch(tmp_path / "00000.png")
        assert plan_outputs(tmp_path, inputs=[tmp_path / "00000.png"]).number == 2


class TestResume:
    def test_the_latest_run_with_a_checkpoint_of_impasto_goes_on(self, tmp_path):
        leave(plan_outputs(tmp_path))
        touch(tmp_path / "checkpoint-7")
        assert plan_outputs(tmp_path, resume=True).number == 1

    def test_a_foreign_file_among_its_own_is_refused(self, tmp_path):
        leave(plan_outputs(tmp_path))
        touch(tmp_path / "00200.png")
        with pytest.raises(OutputError, match=r"00200\.png' was not left by Impasto and is in the way of --resume"):
            plan_outputs(tmp_path, resume=True)


def test_all_that_a_run_leaves_is_known_again(tmp_path):
    assert all(map(is_own, leave(plan_outputs(tmp_path))))
    assert all(map(is_own, leave(plan_outputs(tmp_path))))


@pytest.mark.parametrize(("held", "name"), [("final.png", "00000.png"), ("00000.png", "final.png")])
def test_a_picture_of_impasto_under_another_name_is_its_owners(held, name, tmp_path):
    leave(plan_outputs(tmp_path))
    (tmp_path / held).replace(tmp_path / name)
    assert not is_own(tmp_path / name)


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
        with pytest.raises(OutputError, match=r"which names no format that can be written\."):
            plan_outputs(tmp_path / name)

    @pytest.mark.parametrize("name", ["loop", "loop.png"])
    def test_a_loop_of_links_is_one_sentence(self, name, tmp_path):
        (tmp_path / name).symlink_to(tmp_path / name)
        for path in (tmp_path / name, tmp_path / name / "out.png"):
            with pytest.raises(OutputError, match=r"^Cannot write to '.*': Too many levels of symbolic links\. Choose"):
                plan_outputs(path)

    def test_a_folder_in_the_files_place_is_refused(self, tmp_path):
        (tmp_path / "out.png").mkdir()
        with pytest.raises(OutputError, match=r"^'.*out\.png' is a folder; a file is needed\."):
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
        with pytest.raises(OutputError, match=r"^Cannot write to '.*losses\.csv': No such file or directory\.$"):
            LossLog(tmp_path / "none" / "losses.csv")

    def test_a_disk_that_takes_no_more_is_an_output_error(self, tmp_path):
        path = tmp_path / "losses.csv"
        table = LossLog(path)
        with largest_file(path.stat().st_size):
            with pytest.raises(OutputError, match=r"^Cannot write to '.*losses\.csv': File too large"):
                table.write(iteration=1, level=1, losses={}, seconds=0)
            with pytest.raises(OutputError, match=r"^Cannot write to '.*losses\.csv': File too large"):
                table.close()


def test_next_free_counts_up(tmp_path):
    picture = tmp_path / "a.png"
    assert next_free(picture) == picture
    touch(picture, tmp_path / "a-2.png")
    assert next_free(picture) == tmp_path / "a-3.png"


def test_next_free_shortens_a_name_that_would_become_too_long(tmp_path):
    picture = tmp_path / f"{'ü' * 125}.png"
    touch(picture)
    assert next_free(picture) == tmp_path / f"{'ü' * 120}-2.png"


@pytest.mark.parametrize(
    ("name", "expected"), [("a.png", True), ("a.TIFF", True), ("a.gif", True), ("a.txt", False), ("a", False)]
)
def test_pictures_are_known_by_their_suffix(name, expected):
    assert names_a_picture(Path(name)) is expected
