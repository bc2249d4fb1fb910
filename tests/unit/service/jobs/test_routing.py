"""Which queue a job joins."""

import pytest
import sqlalchemy as sa

from impasto.service.jobs.routing import QUEUE, largest_memory, queue_of
from impasto.service.reaper import Reaper
from impasto.service.store.tables import Worker, now
from tests.unit.service.conftest import new_job

GB = 10**9
SMALL, LARGE = queue_of(4 * GB, []), queue_of(40 * GB, [])


def sign_on(core, name, memory_bytes, models=(), *, is_draining=False):
    with core.database.writing() as session:
        session.add(
            Worker(
                id=name, host="elsewhere", pid=1, started_at=now(), heartbeat_at=now(), is_draining=is_draining,
                queue=queue_of(memory_bytes, models), memory_bytes=memory_bytes, models=list(models), device="cpu",
            )
        )  # fmt: skip


def sign_off(core, name):
    with core.database.writing() as session:
        session.execute(sa.delete(Worker).where(Worker.id == name))


def order(core, peak_bytes, **recipe):
    new = new_job(**recipe).model_copy(update={"plan": {"peak_bytes": peak_bytes}})
    return core.desk.create("ann", new)[0]


def queue(core, job):
    from impasto.service.store.tables import Job

    with core.database.reading() as session:
        return session.scalar(sa.select(Job.queue).where(Job.id == job.id))


@pytest.fixture
def fleet(core):
    """One small worker and one large."""
    sign_on(core, "small", 4 * GB)
    sign_on(core, "large", 40 * GB)
    return core


def test_workers_that_declare_the_same_share_a_queue():
    assert queue_of(4 * GB, ["/srv/a/net.py:make"]) == queue_of(4 * GB, ["/elsewhere/net.py:make"])
    assert len({queue_of(None, []), SMALL, LARGE, queue_of(4 * GB, ["net.py:make"])}) == 4


def test_a_job_joins_the_queue_of_the_smallest_workers_that_it_fits(fleet):
    jobs = [order(fleet, peak) for peak in (GB, 4 * GB, 5 * GB, None)]
    assert [queue(fleet, job) for job in jobs] == [SMALL, SMALL, LARGE, SMALL]


def test_workers_that_are_about_to_end_are_given_nothing(core):
    sign_on(core, "small", 4 * GB, is_draining=True)
    sign_on(core, "large", 40 * GB)
    assert queue(core, order(core, GB)) == LARGE


def test_a_model_of_the_operators_goes_to_workers_that_have_it(tmp_path, core):
    sign_on(core, "plain", None)
    sign_on(core, "own", None, ["net.py:make"])
    with core.database.reading() as session:
        from impasto.service.jobs.routing import Need, abilities, route

        assert route(abilities(session), Need(GB, "net.py:make")) == queue_of(None, ["net.py:make"])
        assert route(abilities(session), Need(GB, None)) == QUEUE


def test_an_idle_large_worker_helps_small_ones_and_not_the_other_way_round(fleet):
    small, large = order(fleet, GB), order(fleet, 5 * GB)
    assert not fleet.attempts.fetch_for(LARGE)  # it has a job of its own
    assert fleet.attempts.begin(large.id, 1, "large") is not None
    assert fleet.attempts.fetch_for(LARGE)
    assert queue(fleet, small) == LARGE
    assert fleet.attempts.begin(small.id, 1, "small") is None  # which took it from the queue a moment too late
    assert fleet.attempts.begin(small.id, 2, "large") is not None
    order(fleet, 5 * GB)
    assert not fleet.attempts.fetch_for(SMALL)


def test_a_job_that_came_before_its_workers_finds_them(core):
    job = order(core, 5 * GB)
    sign_on(core, "large", 40 * GB)
    Reaper(core).look()
    assert queue(core, job) == LARGE


def test_a_job_that_nobody_can_take_says_why_it_waits_and_goes_on_once_somebody_can(fleet):
    sign_off(fleet, "large")
    job = order(fleet, 5 * GB)
    Reaper(fleet).look()
    (reason,) = fleet.desk.get(None, job.id).warnings
    assert reason == "It waits for a worker with 5.0 GB of memory; the largest at work has 4.0 GB."
    Reaper(fleet).look()
    assert fleet.desk.get(None, job.id).warnings == [reason]
    sign_on(fleet, "large", 40 * GB)
    Reaper(fleet).look()
    assert fleet.desk.get(None, job.id).warnings == []
    assert queue(fleet, job) == LARGE


def test_cells_of_a_sweep_join_queues_by_their_own_size(fleet):
    new = new_job().model_copy(update={"plan": {"peak_bytes": 2 * GB}})
    parent, _ = fleet.desk.create_sweep("ann", new, {"height": [32, 64]})
    from impasto.service.jobs.listing import list_jobs

    cells = list_jobs(fleet.database, "ann", parent_id=parent.id).items
    assert sorted(queue(fleet, cell) for cell in cells) == sorted([SMALL, LARGE])


def test_what_a_job_may_take_is_what_the_largest_worker_has(core):
    def largest():
        with core.database.reading() as session:
            return largest_memory(session, otherwise=7)

    assert largest() == 7
    sign_on(core, "small", 4 * GB)
    assert largest() == 4 * GB
    sign_on(core, "boundless", None)
    assert largest() is None
