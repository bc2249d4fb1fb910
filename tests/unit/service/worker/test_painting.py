"""One attempt at a job, in this process."""

import json

import pytest

from impasto.encoders import Encoder
from impasto.errors import ImpastoError, WeightsError
from impasto.images import load_picture, read_recipe_json
from impasto.pipeline.build import encoder_of
from impasto.recipe import Recipe, RunOptions
from impasto.runs.run import run
from impasto.service.core import Core
from impasto.service.jobs.states import State
from impasto.service.worker.inputs import fetch_inputs
from impasto.service.worker.painting import Outcome, Painting
from tests.service import settings_for
from tests.unit.service.conftest import new_job

LONG = {"total_iterations": 100_000, "optimizer": "adam"}
"""A run that no test waits for: L-BFGS ends by itself where nothing is left to gain."""


@pytest.fixture
def quick(tmp_path):
    """A core whose jobs have a checkpoint after each iteration."""
    core = Core.open(settings_for(tmp_path / "data", checkpoint_seconds=1e-6, preview_seconds=0.001))
    yield core
    core.close()


def build(recipe: Recipe, trust: bool) -> Encoder:
    return encoder_of(recipe, "cpu", trust=trust)


def begin(core, job, worker="worker", encoder=build):
    record = core.desk.get(None, job.id)
    run_number = record.attempt + 1 if record.attempt and record.worker is None else 1
    for number in range(run_number, 0, -1):
        assignment = core.attempts.begin(job.id, number, worker)
        if assignment is not None:
            return Painting(core, assignment, encoder, threads=1)
    raise AssertionError("the job does not wait")


def finish(painting):
    outcome = painting.step()
    while outcome is Outcome.MORE:
        outcome = painting.step()
    return outcome


def pixels(core, job, tmp_path):
    path = tmp_path / "result.png"
    core.artifacts.fetch(core.desk.get(None, job.id).artifacts["result"], path)
    return load_picture(path).pixels


def expected(core, job, tmp_path):
    """What `impasto stylize` paints."""
    files = fetch_inputs(core.database, core.artifacts, job, tmp_path / "in")
    options = RunOptions(output_file=tmp_path / "direct.png", threads=1, saving_interval=0)
    report = run(files.content, files.styles, Recipe(**job.recipe), options)
    return load_picture(report.final).pixels


def test_a_job_comes_to_the_picture_of_the_command_line(quick, tmp_path):
    job, _ = quick.desk.create("ann", new_job())
    assert finish(begin(quick, job)) is Outcome.ENDED
    done = quick.desk.get("ann", job.id)
    assert (done.state, done.iteration, done.stop_reason) == (State.DONE, 4, "budget")
    assert pixels(quick, done, tmp_path).equal(expected(quick, done, tmp_path))


def test_nothing_is_left_but_what_the_job_names(quick):
    job, _ = quick.desk.create("ann", new_job())
    finish(begin(quick, job))
    assert sorted(quick.artifacts.keys("jobs")) == sorted(quick.desk.get("ann", job.id).artifacts.values())
    assert list(quick.settings.scratch.iterdir()) == []


def test_pictures_in_between_are_kept(quick):
    job, _ = quick.desk.create("ann", new_job().model_copy(update={"saving_interval": 2}))
    finish(begin(quick, job))
    assert quick.desk.get("ann", job.id).pictures == [0, 2, 4]
    assert quick.artifacts.exists(f"jobs/{job.id}/pictures/00002.png")


def test_what_another_worker_goes_on_with_comes_to_the_same_pixels(quick, tmp_path):
    job, _ = quick.desk.create("ann", new_job(total_iterations=12))
    first = begin(quick, job, "first")
    assert first.step() is Outcome.MORE
    first.abandon()  # as a kill does, it leaves the last checkpoint and no word
    quick.attempts.lose("first", "killed")
    assert quick.desk.get(None, job.id).artifacts["checkpoint"]
    finish(begin(quick, job, "second"))
    done = quick.desk.get(None, job.id)
    assert (done.state, done.attempt) == (State.DONE, 2)
    assert pixels(quick, done, tmp_path).equal(expected(quick, done, tmp_path))


def test_a_late_worker_commits_nothing(quick):
    job, _ = quick.desk.create("ann", new_job(**LONG))
    late = begin(quick, job, "first")
    assert late.step() is Outcome.MORE
    quick.attempts.lose("first", "not heard of")
    assert finish(late) is Outcome.LATE
    assert "result" not in quick.desk.get(None, job.id).artifacts


def test_pausing_and_resuming_changes_no_pixel(quick, tmp_path):
    job, _ = quick.desk.create("ann", new_job(total_iterations=12))
    painting = begin(quick, job)
    assert painting.step() is Outcome.MORE
    quick.desk.pause("ann", job.id)
    painting.follow_orders()
    outcome = finish(painting)
    paused = quick.desk.get("ann", job.id)
    if outcome is Outcome.HANDED_BACK:  # else it was through before it could halt
        assert paused.state is State.PAUSED
        quick.desk.resume("ann", job.id)
        finish(begin(quick, job))
    done = quick.desk.get("ann", job.id)
    assert done.state is State.DONE
    assert pixels(quick, done, tmp_path).equal(expected(quick, done, tmp_path))


def test_a_changed_job_says_so_in_its_recipe(quick, tmp_path):
    job, _ = quick.desk.create("ann", new_job(**LONG))
    painting = begin(quick, job)
    assert painting.step() is Outcome.MORE
    quick.desk.change("ann", job.id, {"strength": 80})
    painting.follow_orders()
    while not quick.desk.get(None, job.id).changes:
        painting.step()
    quick.desk.stop("ann", job.id)
    painting.follow_orders()
    assert finish(painting) is Outcome.ENDED
    done = quick.desk.get("ann", job.id)
    (change,) = done.changes
    assert (done.state, change["values"]) == (State.STOPPED, {"strength": 80.0})
    path = tmp_path / "result.png"
    quick.artifacts.fetch(done.artifacts["result"], path)
    assert json.loads(read_recipe_json(path))["recipe"]["changes"] == [change]


def test_a_cancelled_job_has_no_result(quick):
    job, _ = quick.desk.create("ann", new_job(**LONG))
    painting = begin(quick, job)
    assert painting.step() is Outcome.MORE
    quick.desk.cancel("ann", job.id)
    painting.follow_orders()
    assert finish(painting) is Outcome.ENDED
    done = quick.desk.get("ann", job.id)
    assert done.state is State.CANCELLED
    assert "result" not in done.artifacts


def test_handing_back_leaves_a_checkpoint_for_another_worker(quick):
    job, _ = quick.desk.create("ann", new_job(**LONG))
    painting = begin(quick, job)
    assert painting.step() is Outcome.MORE
    painting.hand_back()
    assert finish(painting) is Outcome.HANDED_BACK
    waiting = quick.desk.get("ann", job.id)
    assert (waiting.state, waiting.worker) == (State.QUEUED, None)
    assert quick.artifacts.exists(waiting.artifacts["checkpoint"])


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (WeightsError("There are no weights."), "There are no weights."),
        (MemoryError(), "Memory ran out"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ZeroDivisionError("secret"), "by a defect (ZeroDivisionError)"),
    ],
)
def test_what_goes_wrong_fails_the_job_with_its_sentence(quick, error, sentence):
    def fail(recipe: Recipe, trust: bool) -> Encoder:
        raise error

    job, _ = quick.desk.create("ann", new_job())
    assert finish(begin(quick, job, encoder=fail)) is Outcome.ENDED
    failed = quick.desk.get("ann", job.id)
    assert failed.state is State.FAILED
    assert sentence in failed.error
    assert "secret" not in failed.error


def test_a_full_store_fails_the_job_with_the_reason(quick, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise ImpastoError("The artifact cannot be kept: the disk is full.")

    job, _ = quick.desk.create("ann", new_job())
    painting = begin(quick, job)
    monkeypatch.setattr(quick.artifacts, "put", refuse)
    assert finish(painting) is Outcome.ENDED
    assert "the disk is full" in quick.desk.get("ann", job.id).error
