"""What is kept for how long."""

import datetime

import pytest
import sqlalchemy as sa

from impasto.service.core import Core
from impasto.service.jobs.desk import UnknownJobError
from impasto.service.jobs.listing import list_jobs
from impasto.service.jobs.records import thumbnails_of_job
from impasto.service.retention import Cleaner
from impasto.service.store.tables import Event, Job, now
from tests.service import settings_for
from tests.unit.service.conftest import new_job


def test_a_deleted_job_keeps_its_files_for_the_grace(core):
    job, _ = core.desk.create("ann", new_job())
    core.artifacts.put(f"jobs/{job.id}/1/result.png", b"x")
    core.desk.delete("ann", job.id)
    Cleaner(core).clean()
    assert core.artifacts.exists(f"jobs/{job.id}/1/result.png")
    core.desk.restore("ann", job.id)


def test_after_the_grace_row_and_files_are_gone(core):
    job, _ = core.desk.create("ann", new_job())
    for key in (f"jobs/{job.id}/1/result.png", f"{thumbnails_of_job(job.id)}/1/256.webp"):
        core.artifacts.put(key, b"x")
    core.desk.delete("ann", job.id)
    with core.database.writing() as session:
        session.execute(sa.update(Job).values(deleted_at=now() - datetime.timedelta(hours=1)))
    with pytest.raises(UnknownJobError):
        core.desk.restore("ann", job.id)
    Cleaner(core).clean()
    assert [*core.artifacts.keys("jobs"), *core.artifacts.keys("thumbnails")] == []
    with core.database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Job)) == 0


def test_finished_jobs_go_after_their_days(tmp_path):
    core = Core.open(settings_for(tmp_path, keep_days=1))
    job, _ = core.desk.create("ann", new_job())
    core.desk.cancel("ann", job.id)
    Cleaner(core).clean()
    assert list_jobs(core.database, "ann").items
    with core.database.writing() as session:
        session.execute(sa.update(Job).values(finished_at=now() - datetime.timedelta(days=2)))
    Cleaner(core).clean()
    assert not list_jobs(core.database, "ann").items
    core.close()


def test_old_events_go_and_ids_still_increase(core):
    core.desk.create("ann", new_job())
    core.desk.create("ann", new_job())
    newest = core.events.newest_id()
    with core.database.writing() as session:
        session.execute(sa.update(Event).values(created_at=now() - datetime.timedelta(days=9)))
    Cleaner(core).clean()
    assert [event.id for event in core.events.read(0, 10)] == [newest]
    core.desk.create("ann", new_job())
    assert core.events.newest_id() > newest
