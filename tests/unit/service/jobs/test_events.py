"""The log of events."""

from tests.unit.service.conftest import new_job


def test_ids_increase_and_reading_goes_on_where_it_ended(core):
    assert core.events.newest_id() == 0
    job, _ = core.desk.create("ann", new_job())
    core.desk.pause("ann", job.id)
    events = core.events.read(0, 10)
    assert [event.data["state"] for event in events] == ["queued", "paused"]
    assert core.events.read(events[0].id, 10) == events[1:]
    assert core.events.newest_id() == events[-1].id


def test_a_reader_sees_one_caller_or_one_job(core):
    job, _ = core.desk.create("ann", new_job())
    core.desk.create("bob", new_job())
    assert {event.owner for event in core.events.read(0, 10, owner="bob")} == {"bob"}
    assert {event.job_id for event in core.events.read(0, 10, job_id=job.id)} == {job.id}


def test_a_change_that_is_rolled_back_leaves_no_event(core):
    core.desk.create("ann", new_job(), max_queued=1)
    before = core.events.newest_id()
    try:
        core.desk.create("ann", new_job(), max_queued=1)
    except Exception:
        assert core.events.newest_id() == before
    else:
        raise AssertionError("the quota was not kept")


def test_a_later_answer_has_the_higher_revision(core):
    job, _ = core.desk.create("ann", new_job())
    paused = core.desk.pause("ann", job.id)
    assert paused.revision > job.revision
    assert core.events.read(0, 10)[-1].data["revision"] == paused.revision
