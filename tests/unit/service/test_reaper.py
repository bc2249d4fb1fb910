"""Workers that are lost."""

import datetime
import os
import socket
import subprocess
import sys

import sqlalchemy as sa

from impasto.service.jobs.states import State
from impasto.service.reaper import Reaper
from impasto.service.store.tables import Worker, now
from tests.service import table_of_workflows
from tests.unit.service.conftest import new_job


def sign_on(core, name, *, host=None, pid=None, age=0.0):
    seen = now() - datetime.timedelta(seconds=age)
    with core.database.writing() as session:
        session.add(
            Worker(id=name, host=host or socket.gethostname(), pid=pid or os.getpid(), started_at=seen,
                   heartbeat_at=seen, is_draining=False)
        )  # fmt: skip


def begun(core, worker):
    job, _ = core.desk.create("ann", new_job())
    core.attempts.begin(job.id, 1, worker)
    return job


def test_a_worker_that_is_heard_of_keeps_its_job(core):
    sign_on(core, "here")
    job = begun(core, "here")
    assert Reaper(core).look() == []
    assert core.desk.get(None, job.id).state is State.RUNNING


def test_a_worker_that_went_silent_is_buried(core):
    sign_on(core, "elsewhere", host="another machine", age=60)
    job = begun(core, "elsewhere")
    assert Reaper(core).look() == [job.id]
    assert core.desk.get(None, job.id).state is State.QUEUED


def test_a_process_that_has_gone_is_not_waited_for(core):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    sign_on(core, "gone", pid=gone.pid)
    job = begun(core, "gone")
    assert Reaper(core).look() == [job.id]


def take(core, worker):
    """As DBOS does when a worker takes what waits."""
    with core.database.writing() as session:
        table = table_of_workflows(core.database)
        session.execute(
            sa.text(f"UPDATE {table} SET status = 'PENDING', executor_id = '{worker}' WHERE status = 'ENQUEUED'")
        )


def statuses(core):
    with core.database.reading() as session:
        rows = session.execute(sa.text(f"SELECT workflow_uuid, status FROM {table_of_workflows(core.database)}"))
        return dict(rows.all())


def test_what_was_taken_from_the_queue_and_not_begun_is_handed_over_anew(core):
    job, _ = core.desk.create("ann", new_job())
    take(core, "gone")
    sign_on(core, "gone", host="another machine", age=60)
    Reaper(core).look()
    assert statuses(core) == {f"{job.id}.1": "CANCELLED", f"{job.id}.2": "ENQUEUED"}


def test_what_a_worker_at_work_took_and_does_not_know_of_is_handed_over_anew(core):
    job, _ = core.desk.create("ann", new_job())
    take(core, "here")
    sign_on(core, "here")
    reaper = Reaper(core)
    reaper.look()
    assert statuses(core) == {f"{job.id}.1": "PENDING"}  # it may be about to begin
    reaper.look()
    assert statuses(core) == {f"{job.id}.1": "CANCELLED", f"{job.id}.2": "ENQUEUED"}


def test_what_a_worker_has_begun_is_left_alone(core):
    sign_on(core, "here")
    job = begun(core, "here")
    take(core, "here")
    reaper = Reaper(core)
    for _ in range(3):
        assert reaper.look() == []
    assert statuses(core) == {f"{job.id}.1": "PENDING"}


def test_what_is_begun_at_the_last_moment_is_not_called_off(core):
    job, _ = core.desk.create("ann", new_job())
    take(core, "here")
    seen = core.queue.taken("here")
    assert core.attempts.begin(job.id, 1, "here") is not None
    core.attempts.hand_over_anew(seen)
    assert statuses(core) == {f"{job.id}.1": "PENDING"}


def test_a_job_that_two_take_back_at_once_waits_once_and_outlives_another_loss(core):
    job = begun(core, "silent")
    take(core, "silent")
    seen = core.queue.taken("silent")
    assert Reaper(core).bury("silent", "it was silent") == [job.id]
    assert core.attempts.begin(job.id, 2, "next") is not None
    take(core, "next")
    core.attempts.hand_over_anew(seen)  # by one who saw the same, and is late
    assert core.queue.taken() == {f"{job.id}.2": "next"}
    Reaper(core).bury("next", "it was silent, too")
    assert statuses(core) == {f"{job.id}.1": "CANCELLED", f"{job.id}.2": "CANCELLED", f"{job.id}.3": "ENQUEUED"}


def test_a_late_worker_that_ends_its_workflow_before_it_is_called_off_takes_no_job_along(core):
    job = begun(core, "late")
    with core.database.writing() as session:
        session.execute(sa.text(f"UPDATE {table_of_workflows(core.database)} SET status = 'SUCCESS'"))
    Reaper(core).bury("late", "it was silent")
    assert statuses(core) == {f"{job.id}.1": "SUCCESS", f"{job.id}.2": "ENQUEUED"}


def test_a_worker_that_took_work_after_it_was_buried_is_missed(core):
    job = begun(core, "buried")
    assert Reaper(core).look() == [job.id]
    assert core.desk.get(None, job.id).state is State.QUEUED


def test_what_a_buried_worker_took_from_the_queue_and_did_not_begin_goes_back(core):
    job, _ = core.desk.create("ann", new_job())
    take(core, "buried")
    Reaper(core).look()
    assert core.queue.taken() == {}
    assert core.queue.find_waiting([f"{job.id}.2"])
