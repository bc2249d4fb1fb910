"""A fleet under fire, and restarted machine by machine: in short what benchmarks fleet and rolling do at length."""

import pytest
from benchmarks import rolling
from benchmarks.fleet import Report, storm
from benchmarks.rolling import roll


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


@pytest.mark.slow
def test_a_rolling_restart_fails_no_request_and_loses_neither_jobs_nor_events() -> None:
    report = roll(rolling.Report(jobs=8, workers=2, apis=2), timeout=900)
    assert report.restarts == 4
    assert report.requests_failed == 0
    assert report.done == report.ends_told == 8
    assert report.told_twice == 0
