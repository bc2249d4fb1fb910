"""The service under fire, in short; `python -m benchmarks.chaos` is the long form."""

import pytest
from benchmarks.chaos import chaos


@pytest.mark.slow
def test_no_job_is_lost_or_done_twice_while_workers_and_service_are_killed():
    report = chaos(jobs=12, workers=2, kill_every=12, restarts=1, iterations=30, timeout=900)
    assert report.not_done == {}
    assert report.committed_twice == 0
    assert report.other_pixels == 0
    assert report.service_kills == 1
