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


def test_what_was_taken_from_the_queue_and_not_begun_goes_back(core):
    core.desk.create("ann", new_job())
    with core.database.writing() as session:
        session.execute(
            sa.text(f"UPDATE {table_of_workflows(core.database)} SET status = 'PENDING', executor_id = 'gone'")
        )
    sign_on(core, "gone", host="another machine", age=60)
    Reaper(core).look()
    with core.database.reading() as session:
        assert session.execute(
            sa.text(f"SELECT status, queue_name FROM {table_of_workflows(core.database)}")
        ).all() == [("ENQUEUED", "impasto-jobs")]


def test_a_worker_that_took_work_after_it_was_buried_is_missed(core):
    job = begun(core, "buried")
    assert Reaper(core).look() == [job.id]
    assert core.desk.get(None, job.id).state is State.QUEUED


def test_what_a_buried_worker_took_from_the_queue_and_did_not_begin_goes_back(core):
    job, _ = core.desk.create("ann", new_job())
    with core.database.writing() as session:
        table = table_of_workflows(core.database)
        session.execute(sa.text(f"UPDATE {table} SET status = 'PENDING', executor_id = 'buried'"))
    Reaper(core).look()
    assert core.queue.executors() == set()
    assert core.queue.find_waiting([f"{job.id}.1"])
