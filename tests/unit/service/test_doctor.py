"""Tables, files and queue that do not fit together."""

import datetime
import hashlib

import pytest
import sqlalchemy as sa

from impasto.service.api.example_pictures import all_by_id
from impasto.service.doctor import Ailment, Doctor
from impasto.service.jobs.images import add_image, get_image
from impasto.service.jobs.records import JobInputs, image_key
from impasto.service.jobs.states import State
from impasto.service.queue import workflow_id
from impasto.service.store.tables import Job, Worker, now
from tests.unit.service.conftest import new_job


def findings(core):
    return {(finding.ailment, finding.subject) for finding in Doctor(core, min_age_hours=0).examine()}


def mend(core):
    """Puts right what can be; a second look finds nothing of it."""
    found = list(Doctor(core, min_age_hours=0).examine())
    for finding in found:
        if finding.mend is not None:
            finding.mend()
    left = {(finding.ailment, finding.subject) for finding in found if finding.mend is None}
    assert findings(core) == left


def upload(core, tmp_path, data=b"picture"):
    path = tmp_path / "upload"
    path.write_bytes(data)
    return add_image(
        core.database, core.artifacts, "ann", path, sha256=hashlib.sha256(data).hexdigest(), name="a.png",
        format_name="PNG", media_type="image/png", size=(32, 48),
    )[0]  # fmt: skip


def finished(core, **artifacts):
    """A job that is done, with files by role."""
    job, _ = core.desk.create("ann", new_job())
    assignment = core.attempts.begin(job.id, 1, "worker")
    keys = {role: f"jobs/{job.id}/1/{name}" for role, name in artifacts.items()}
    for key in keys.values():
        core.artifacts.put(key, b"x")
    core.attempts.finish(assignment, State.DONE, keys)
    return core.desk.get(None, job.id)


def test_a_service_that_fits_together_has_no_findings(core, tmp_path):
    upload(core, tmp_path)
    finished(core, result="result.png", losses="losses.csv")
    core.desk.create("ann", new_job())
    core.desk.create_sweep("ann", new_job(), {"strength": [30, 40]})
    example = next(iter(all_by_id().values()))
    core.artifacts.put(f"thumbnails/{example.sha256}/256.webp", b"x")
    assert findings(core) == set()


def test_files_that_no_row_names_go(core, tmp_path):
    job, image = finished(core, result="result.png"), upload(core, tmp_path)
    orphans = [
        image_key("0" * 64), f"thumbnails/{'0' * 64}/256.webp", "jobs/gone/1/result.png",
        "thumbnails/jobs/gone/1/256.webp",
        f"jobs/{job.id}/1/checkpoint-7",
    ]  # fmt: skip
    kept = [f"jobs/{job.id}/pictures/00002.png", f"thumbnails/{image.sha256}/256.webp"]
    for key in [*orphans, *kept]:
        core.artifacts.put(key, b"x")
    assert findings(core) == {(Ailment.ORPHAN_FILE, key) for key in orphans}
    assert not list(Doctor(core, min_age_hours=1).examine())  # their rows may be about to come
    mend(core)
    assert [core.artifacts.exists(key) for key in orphans] == [False] * 5
    assert all(core.artifacts.exists(key) for key in [*kept, job.artifacts["result"], image.artifact])


def test_a_job_names_no_files_that_are_gone(core):
    job = finished(core, result="result.png", losses="losses.csv")
    with core.database.writing() as session:
        session.execute(sa.update(Job).values(pictures=[100]))
    core.artifacts.delete(job.artifacts["result"])
    assert findings(core) == {(Ailment.LOST_FILE, job.id)}
    mend(core)
    after = core.desk.get(None, job.id)
    assert (list(after.artifacts), after.pictures, after.state) == (["losses"], [], State.DONE)
    assert "lost" in after.warnings[-1]


def test_a_picture_that_is_gone_goes_from_the_list_or_is_uploaded_again(core, tmp_path):
    needed, free = upload(core, tmp_path), upload(core, tmp_path, b"another")
    core.desk.create(
        "ann", new_job().model_copy(update={"inputs": JobInputs(content=needed.id, styles=["example:oil"])})
    )
    core.artifacts.delete(needed.artifact, free.artifact)
    assert findings(core) == {(Ailment.LOST_FILE, needed.id), (Ailment.LOST_FILE, free.id)}
    mend(core)
    assert get_image(core.database, "ann", needed.id) == needed
    assert upload(core, tmp_path).id == needed.id
    assert findings(core) == set()


def test_a_job_of_a_worker_that_is_not_heard_of_waits_again(core):
    job, _ = core.desk.create("ann", new_job())
    core.attempts.begin(job.id, 1, "gone")
    assert findings(core) == {(Ailment.LOST_WORKER, job.id)}
    with core.database.writing() as session:
        session.add(Worker(id="gone", host="elsewhere", pid=1, started_at=now(), heartbeat_at=now(), is_draining=False))
    assert findings(core) == set()
    with core.database.writing() as session:
        session.execute(sa.update(Worker).values(heartbeat_at=now() - datetime.timedelta(hours=1)))
    mend(core)
    assert core.desk.get(None, job.id).state is State.QUEUED


def test_a_job_that_is_not_in_the_queue_is_queued_anew(core):
    job, _ = core.desk.create("ann", new_job())
    core.queue.forget([workflow_id(job.id, 1)])
    assert findings(core) == {(Ailment.NOT_QUEUED, job.id)}
    mend(core)
    assert core.attempts.begin(job.id, 2, "worker") is not None


@pytest.mark.parametrize("vary", [{"strength": [30, 40]}])
def test_a_sweep_whose_cells_have_ended_ends(core, vary):
    parent, _ = core.desk.create_sweep("ann", new_job(), vary)
    with core.database.writing() as session:
        session.execute(
            sa.update(Job).where(Job.parent_id == parent.id).values(state=State.CANCELLED, finished_at=now())
        )
    assert findings(core) == {(Ailment.OPEN_PARENT, parent.id)}
    mend(core)
    assert core.desk.get(None, parent.id).state is State.CANCELLED
