"""What callers ask of jobs."""

import pytest
import sqlalchemy as sa

from impasto.errors import RecipeError
from impasto.service.jobs.desk import IdempotencyError, QuotaError, UnknownJobError
from impasto.service.jobs.images import UnknownImageError
from impasto.service.jobs.records import JobInputs
from impasto.service.jobs.states import ConflictError, State
from tests.service import table_of_workflows
from tests.unit.service.conftest import new_job


def begin(core, job, run=1):
    return core.attempts.begin(job.id, run, "worker")


def test_a_new_job_waits_in_the_queue(core):
    job, is_new = core.desk.create("ann", new_job())
    assert is_new
    assert job.state is State.QUEUED
    assert job.name == "coffee in oil"
    with core.database.reading() as session:
        assert session.execute(sa.text(f"SELECT status FROM {table_of_workflows(core.database)}")).scalars().all() == [
            "ENQUEUED"
        ]


def test_the_same_idempotency_key_gives_the_same_job(core):
    job, _ = core.desk.create("ann", new_job(), idempotency_key="order-1")
    again, is_new = core.desk.create("ann", new_job(), idempotency_key="order-1")
    assert (again.id, is_new) == (job.id, False)
    assert core.desk.create("bob", new_job(), idempotency_key="order-1")[0].id != job.id


def test_an_idempotency_key_stands_for_one_request(core):
    core.desk.create("ann", new_job(), idempotency_key="order-1")
    with pytest.raises(IdempotencyError, match="another request"):
        core.desk.create("ann", new_job(strength=70), idempotency_key="order-1")


def test_a_caller_sees_only_own_jobs(core):
    job, _ = core.desk.create("ann", new_job())
    with pytest.raises(UnknownJobError):
        core.desk.get("bob", job.id)
    assert core.desk.get(None, job.id).id == job.id


def test_a_quota_is_kept(core):
    for _ in range(2):
        core.desk.create("ann", new_job(), max_queued=2)
    with pytest.raises(QuotaError, match="2 are allowed"):
        core.desk.create("ann", new_job(), max_queued=2)
    core.desk.create("bob", new_job(), max_queued=2)


def test_a_picture_that_is_not_there_makes_no_job(core):
    inputs = JobInputs(content="nowhere", styles=["example:oil"])
    with pytest.raises(UnknownImageError, match="nowhere"):
        core.desk.create("ann", new_job().model_copy(update={"inputs": inputs}))


def test_a_model_that_the_operator_does_not_offer_is_refused(core):
    with pytest.raises(RecipeError, match="does not offer"):
        core.desk.create("ann", new_job(model="timm:resnet18"))


def test_what_waits_is_paused_resumed_and_cancelled_at_once(core):
    job, _ = core.desk.create("ann", new_job())
    assert core.desk.pause("ann", job.id).state is State.PAUSED
    assert core.desk.resume("ann", job.id).state is State.QUEUED
    assert core.desk.cancel("ann", job.id).state is State.CANCELLED


def test_an_order_from_before_a_pause_does_not_begin_the_job(core):
    job, _ = core.desk.create("ann", new_job())
    core.desk.pause("ann", job.id)
    core.desk.resume("ann", job.id)
    assert begin(core, job, run=1) is None
    assert begin(core, job, run=2) is not None


def test_what_runs_is_asked_and_not_moved(core):
    job, _ = core.desk.create("ann", new_job())
    assignment = begin(core, job)
    for ask, wanted in ((core.desk.pause, "pause"), (core.desk.stop, "stop"), (core.desk.cancel, "cancel")):
        assert ask("ann", job.id).state is State.RUNNING
        assert core.attempts.orders(assignment).wanted == wanted


def test_stopping_what_has_painted_nothing_cancels_it(core):
    job, _ = core.desk.create("ann", new_job())
    assert core.desk.stop("ann", job.id).state is State.CANCELLED


def test_stopping_a_paused_job_lets_a_worker_make_its_picture(core):
    job, _ = core.desk.create("ann", new_job())
    assignment = begin(core, job)
    core.attempts.tell_checkpoint(assignment, {"checkpoint": "jobs/x/1/checkpoint-1"})
    core.attempts.hand_back(assignment, paused=True)
    stopped = core.desk.stop("ann", job.id)
    assert (stopped.state, stopped.wanted) == (State.QUEUED, "stop")


def test_changes_wait_until_a_checkpoint_holds_them(core):
    job, _ = core.desk.create("ann", new_job())
    assignment = begin(core, job)
    core.desk.change("ann", job.id, {"strength": 70})
    core.desk.change("ann", job.id, {"strength": 90})
    assert [change["values"] for change in core.attempts.orders(assignment).changes] == [
        {"strength": 70.0},
        {"strength": 90.0},
    ]
    core.attempts.tell_checkpoint(assignment, {"checkpoint": "a"}, taken=[1])
    assert [change["id"] for change in core.attempts.orders(assignment).changes] == [2]


def test_what_cannot_be_changed_on_the_way_is_refused(core):
    job, _ = core.desk.create("ann", new_job())
    with pytest.raises(RecipeError, match="cannot be changed while a run goes on"):
        core.desk.change("ann", job.id, {"height": 70})


def test_an_ended_job_is_not_paused(core):
    job, _ = core.desk.create("ann", new_job())
    core.desk.cancel("ann", job.id)
    with pytest.raises(ConflictError, match="cancelled"):
        core.desk.pause("ann", job.id)


def test_a_failed_job_is_retried(core):
    job, _ = core.desk.create("ann", new_job())
    core.attempts.fail(begin(core, job), "No luck.")
    assert core.desk.get("ann", job.id).error == "No luck."
    retried = core.desk.retry("ann", job.id)
    assert (retried.state, retried.error) == (State.QUEUED, None)


def test_again_makes_another_job_with_other_values(core):
    job, _ = core.desk.create("ann", new_job(strength=20))
    other = core.desk.again("ann", job.id, recipe={"strength": 80}, styles=["example:mosaic"])
    assert other.id != job.id
    assert other.recipe == {**job.recipe, "strength": 80.0}
    assert other.inputs.styles == ["example:mosaic"]


def test_a_deleted_job_is_gone_until_it_is_restored(core):
    job, _ = core.desk.create("ann", new_job())
    core.desk.delete("ann", job.id)
    with pytest.raises(UnknownJobError):
        core.desk.get("ann", job.id)
    assert core.desk.restore("ann", job.id).state is State.CANCELLED


class TestGroups:
    def test_a_sweep_has_a_cell_for_each_combination(self, core):
        sweep, _ = core.desk.create_sweep("ann", new_job(), {"strength": [10, 90], "optimizer": ["adam", "lbfgs"]})
        assert (sweep.kind, sweep.num_cells, sweep.state) == ("sweep", 4, State.QUEUED)

    def test_a_value_out_of_its_range_makes_no_sweep(self, core):
        with pytest.raises(RecipeError, match="strength"):
            core.desk.create_sweep("ann", new_job(), {"strength": [10, 900]})

    def test_a_batch_is_done_with_its_last_cell(self, core):
        batch, _ = core.desk.create_batch("ann", new_job(), ["example:coffee", "example:chelsea"])
        self.finish_cells(core)
        batch = core.desk.get("ann", batch.id)
        assert (batch.state, batch.num_done) == (State.DONE, 2)

    def test_a_sweep_waits_for_its_sheet(self, core):
        sweep, _ = core.desk.create_sweep("ann", new_job(), {"strength": [10, 90]})
        self.finish_cells(core)
        assert core.desk.get("ann", sweep.id).state is State.RUNNING
        overview = core.attempts.begin(sweep.id, 1, "worker")
        core.attempts.finish(overview, State.DONE, {"sheet": "a.png"})
        assert core.desk.get("ann", sweep.id).state is State.DONE

    def test_cancelling_a_sweep_cancels_its_cells(self, core):
        sweep, _ = core.desk.create_sweep("ann", new_job(), {"strength": [10, 90]})
        assert core.desk.cancel("ann", sweep.id).state is State.CANCELLED

    def test_a_batch_of_failures_has_failed(self, core):
        batch, _ = core.desk.create_batch("ann", new_job(), ["example:coffee"])
        for job_id in waiting(core):
            core.attempts.fail(core.attempts.begin(job_id, 1, "worker"), "No luck.")
        assert core.desk.get("ann", batch.id).state is State.FAILED

    @staticmethod
    def finish_cells(core):
        for job_id in waiting(core):
            core.attempts.finish(core.attempts.begin(job_id, 1, "worker"), State.DONE, {"result": "r.png"})


def waiting(core):
    """Ids of what the queue holds, in its order."""
    table = table_of_workflows(core.database)
    query = f"SELECT workflow_uuid FROM {table} WHERE status = 'ENQUEUED' ORDER BY priority, created_at"
    with core.database.reading() as session:
        return [name.partition(".")[0] for name in session.scalars(sa.text(query))]
