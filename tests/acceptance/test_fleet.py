"""A fleet under fire, in short; `python -m benchmarks.fleet` is the long form."""

import pytest
from benchmarks.fleet import Report, storm


@pytest.mark.slow
def test_no_job_is_lost_or_done_twice_while_machines_and_servers_are_switched_off() -> None:
    report = storm(
        Report(jobs=12, workers=3, apis=2, kill_every_seconds=8), restarts=1, iterations=30, timeout=900
    )  # fmt: skip
    assert report.not_done == {}
    assert report.committed_twice == 0
    assert report.other_pixels == 0
    assert (report.api_kills, report.database_restarts, report.store_restarts, report.cuts) == (1, 1, 1, 1)
    assert report.worker_kills > 0
