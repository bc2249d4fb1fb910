"""The workers' side of jobs."""

import pytest

from impasto.service.jobs.attempts import LateError
from impasto.service.jobs.states import State
from tests.unit.service.conftest import new_job


@pytest.fixture
def job(core):
    return core.desk.create("ann", new_job())[0]


def test_a_job_is_begun_by_one_worker(core, job):
    assert core.attempts.begin(job.id, 1, "first").attempt == 1
    assert core.attempts.begin(job.id, 1, "second") is None


def test_a_late_worker_cannot_write(core, job):
    late = core.attempts.begin(job.id, 1, "first")
    core.attempts.lose("first", "it was killed")
    new = core.attempts.begin(job.id, 2, "second")
    for write in (
        lambda: core.attempts.tell_progress(late, {"iteration": 9}),
        lambda: core.attempts.tell_checkpoint(late, {"checkpoint": "late"}),
        lambda: core.attempts.finish(late, State.DONE, {"result": "late"}),
        lambda: core.attempts.fail(late, "late"),
        lambda: core.attempts.hand_back(late, paused=False),
        lambda: core.attempts.orders(late),
    ):
        with pytest.raises(LateError):
            write()
    core.attempts.finish(new, State.DONE, {"result": "new"})
    assert core.desk.get(None, job.id).artifacts == {"result": "new"}


def test_a_result_is_committed_once(core, job):
    assignment = core.attempts.begin(job.id, 1, "first")
    core.attempts.finish(assignment, State.DONE, {"result": "a"})
    with pytest.raises(LateError):
        core.attempts.finish(assignment, State.DONE, {"result": "b"})


def test_what_a_lost_worker_had_waits_again(core, job):
    core.attempts.begin(job.id, 1, "first")
    assert core.attempts.lose("first", "it was killed") == [job.id]
    assert core.desk.get(None, job.id).state is State.QUEUED


@pytest.mark.parametrize(
    ("ask", "state"), [("cancel", State.CANCELLED), ("pause", State.PAUSED), ("stop", State.QUEUED)]
)
def test_what_was_asked_of_a_lost_worker_is_done(core, job, ask, state):
    core.attempts.begin(job.id, 1, "first")
    getattr(core.desk, ask)("ann", job.id)
    core.attempts.lose("first", "it was killed")
    assert core.desk.get(None, job.id).state is state


def test_a_job_that_takes_down_its_workers_is_parked_with_the_reason(core, job):
    for number in range(3):
        assert core.attempts.begin(job.id, number + 1, f"worker-{number}") is not None
        core.attempts.lose(f"worker-{number}", "killed by SIGKILL")
    assert core.attempts.begin(job.id, 4, "another") is None
    parked = core.desk.get(None, job.id)
    assert parked.state is State.FAILED
    assert "3 times in a row" in parked.error
    assert "killed by SIGKILL" in parked.error


def test_a_checkpoint_shows_that_a_job_gets_ahead(core, job):
    for number in range(5):
        assignment = core.attempts.begin(job.id, number + 1, f"worker-{number}")
        core.attempts.tell_checkpoint(assignment, {"checkpoint": f"c{number}"})
        core.attempts.lose(f"worker-{number}", "killed")
    assert core.desk.get(None, job.id).state is State.QUEUED


def test_a_new_checkpoint_says_which_file_is_not_needed_any_more(core, job):
    assignment = core.attempts.begin(job.id, 1, "first")
    assert core.attempts.tell_checkpoint(assignment, {"checkpoint": "c1", "losses": "l"}) == []
    assert core.attempts.tell_checkpoint(assignment, {"checkpoint": "c2", "losses": "l"}) == ["c1"]


def test_a_job_that_is_handed_back_is_taken_by_another_worker(core, job):
    core.attempts.hand_back(core.attempts.begin(job.id, 1, "first"), paused=False)
    assert core.attempts.begin(job.id, 1, "second") is None
    assert core.attempts.begin(job.id, 2, "second").attempt == 2


def test_a_job_that_was_taken_and_not_begun_is_passed_on(core, job):
    core.attempts.pass_on(job.id, 1)
    assert core.attempts.begin(job.id, 2, "second") is not None


def test_progress_is_an_event_and_a_row(core, job):
    assignment = core.attempts.begin(job.id, 1, "first")
    core.attempts.tell_progress(assignment, {"iteration": 3, "losses": {"total": 0.5}}, ["A note."])
    record = core.desk.get(None, job.id)
    assert (record.iteration, record.losses, record.warnings) == (3, {"total": 0.5}, ["A note."])
    last = core.events.read(0, 100)[-1]
    assert (last.name, last.data) == ("progress", {"job_id": job.id, "iteration": 3, "losses": {"total": 0.5}})
