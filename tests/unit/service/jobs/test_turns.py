"""The fair order between callers."""

import sqlalchemy as sa

from impasto.service.store.tables import Job
from tests.service import table_of_workflows
from tests.unit.service.conftest import new_job


def order(core):
    """Whose jobs the queue gives out, one after the other."""
    table = table_of_workflows(core.database)
    query = f"SELECT workflow_uuid FROM {table} WHERE status = 'ENQUEUED' ORDER BY priority, created_at"
    with core.database.reading() as session:
        ids = [name.partition(".")[0] for name in session.scalars(sa.text(query))]
        owners = dict(session.execute(sa.select(Job.id, Job.owner)).all())
    return [owners[job_id] for job_id in ids]


def test_callers_alternate_however_many_jobs_each_has(core):
    for _ in range(4):
        core.desk.create("ann", new_job())
    for _ in range(2):
        core.desk.create("bob", new_job())
    assert order(core) == ["ann", "bob", "ann", "bob", "ann", "ann"]


def test_who_comes_late_does_not_wait_for_all_others(core):
    jobs = [core.desk.create("ann", new_job())[0] for _ in range(4)]
    for job in jobs[:2]:
        core.attempts.begin(job.id, 1, f"worker-{job.id}")
    core.desk.create("bob", new_job())
    with core.database.reading() as session:
        turns = dict(session.execute(sa.select(Job.owner, sa.func.max(Job.turn)).group_by(Job.owner)).all())
    assert turns["bob"] < turns["ann"]


def test_a_higher_priority_goes_first(core):
    core.desk.create("ann", new_job(priority=5))
    core.desk.create("bob", new_job(priority=9))
    assert order(core) == ["bob", "ann"]
