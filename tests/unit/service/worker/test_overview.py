"""The overview of a sweep."""

from impasto.service.jobs.listing import list_jobs
from impasto.service.jobs.states import State
from impasto.service.worker.overview import Overview
from impasto.service.worker.painting import Outcome, Painting
from tests.unit.service.conftest import new_job
from tests.unit.service.worker.test_painting import build, finish


def test_a_sweep_ends_with_a_sheet_and_a_report_of_all_cells(core):
    sweep, _ = core.desk.create_sweep("ann", new_job(), {"strength": [10, 90]})
    first, second = list_jobs(core.database, "ann", parent_id=sweep.id).items
    finish(Painting(core, core.attempts.begin(first.id, 1, "worker"), build, threads=1))
    core.attempts.fail(core.attempts.begin(second.id, 1, "worker"), "No luck.")
    assignment = core.attempts.begin(sweep.id, 1, "worker")
    assert Overview(core, assignment).step() is Outcome.ENDED
    done = core.desk.get("ann", sweep.id)
    assert (done.state, done.num_done, done.num_failed) == (State.DONE, 1, 1)
    report = core.artifacts.read(done.artifacts["report"]).decode()
    assert "No luck." in report
    assert str(core.settings.data) not in report
    assert core.artifacts.read(done.artifacts["sheet"]).startswith(b"\x89PNG")
