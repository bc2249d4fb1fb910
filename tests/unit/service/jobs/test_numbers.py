"""Numbers of the fleet, from a service without workers."""

import datetime
from pathlib import Path

import sqlalchemy as sa

from impasto.service.jobs.attempts import Assignment
from impasto.service.jobs.numbers import count_fleet
from impasto.service.jobs.states import State
from impasto.service.store.tables import Attempt, Worker, now
from tests.service import API, ORDER, Service, api


def sign_on(service: Service, worker: str, *, is_draining: bool = False) -> None:
    with service.database.writing() as session:
        session.add(
            Worker(id=worker, host="h", pid=1, started_at=now(), heartbeat_at=now(), is_draining=is_draining)
        )  # fmt: skip


def test_an_empty_service_says_zeros(tmp_path: Path) -> None:
    with api(tmp_path) as (_, service):
        numbers = count_fleet(service.database, 15)
    assert numbers.states == {"queued": 0, "running": 0, "paused": 0}
    assert numbers.workers == {"working": 0, "idle": 0, "draining": 0}
    assert (numbers.queued, numbers.ended, numbers.lost_attempts) == ({}, [], 0)


def test_jobs_are_counted_from_their_order_to_their_end(tmp_path: Path) -> None:
    with api(tmp_path) as (client, service):
        ids = [
            client.post(f"{API}/jobs", json={**ORDER, "priority": priority}).raise_for_status().json()["id"]
            for priority in (0, 0, 7)
        ]
        sign_on(service, "busy")
        sign_on(service, "idle")
        sign_on(service, "going", is_draining=True)
        numbers = count_fleet(service.database, 15)
        assert numbers.states["queued"] == 3
        assert numbers.queued == {0: 2, 7: 1}
        assert set(numbers.oldest_seconds) == {0, 7} and min(numbers.oldest_seconds.values()) >= 0
        assert numbers.workers == {"working": 0, "idle": 2, "draining": 1}

        assignment = service.attempts.begin(ids[0], 1, "busy")
        assert assignment is not None
        numbers = count_fleet(service.database, 15)
        assert (numbers.states["queued"], numbers.states["running"]) == (2, 1)
        assert numbers.workers == {"working": 1, "idle": 1, "draining": 1}

        values = {"iteration": 40, "seconds": 8.0, "size": [600, 800]}
        service.attempts.finish(assignment, State.DONE, {}, values)
        ended = count_fleet(service.database, 15).ended
        assert [(job.state, job.priority, job.size) for job in ended] == [("done", 0, "medium")]
        assert (ended[0].iterations, ended[0].run_seconds) == (40, 8.0)
        assert ended[0].wait_seconds is not None


def test_what_is_gone_is_not_told_to_prometheus_any_more(tmp_path: Path) -> None:
    with api(tmp_path) as (client, _):
        job = client.post(f"{API}/jobs", json={**ORDER, "priority": 3}).raise_for_status().json()
        told = client.get("/metrics").text
        assert 'impasto_jobs{state="queued"} 1.0' in told
        assert 'impasto_queued_jobs{priority="3"} 1.0' in told
        client.post(f"{API}/jobs/{job['id']}/cancel").raise_for_status()
        told = client.get("/metrics").text
        assert 'impasto_jobs{state="queued"} 0.0' in told
        assert 'impasto_queued_jobs{priority="3"}' not in told
        assert 'impasto_jobs_ended_lately{state="cancelled"} 1.0' in told


def test_an_attempt_that_ends_with_its_worker_is_told(tmp_path: Path) -> None:
    with api(tmp_path) as (client, service):
        job = client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()
        assert service.attempts.begin(job["id"], 1, "busy") is not None
        service.attempts.lose("busy", "its machine burned")
        numbers = count_fleet(service.database, 15)
        assert numbers.lost_attempts == 1
        assert numbers.states["queued"] == 1


def test_failures_are_counted_by_cause_and_memory_by_what_was_planned(tmp_path: Path) -> None:
    with api(tmp_path) as (client, service):
        ids = [client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()["id"] for _ in range(2)]
        for worker, job_id in zip(("one", "two"), ids, strict=True):
            sign_on(service, worker)
            assert service.attempts.begin(job_id, 1, worker) is not None
        with service.database.writing() as session:
            session.execute(sa.update(Worker).values(taken_bytes=5))
        numbers = count_fleet(service.database, 15)
        assert (numbers.planned_bytes, numbers.taken_bytes) == (2 * 10**8, 10)
        assignment = Assignment(service.desk.get(None, ids[0]), 1, "one")
        service.attempts.fail(assignment, "Memory ran out.", "memory")
        assert count_fleet(service.database, 15).failures == {"memory": 1}
        service.desk.retry(None, ids[0])
        assert count_fleet(service.database, 15).failures == {}


def test_recovery_is_from_the_last_heartbeat_to_the_next_attempt(tmp_path: Path) -> None:
    with api(tmp_path) as (client, service):
        job_id = client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()["id"]
        sign_on(service, "gone")
        assert service.attempts.begin(job_id, 1, "gone") is not None
        with service.database.writing() as session:
            session.execute(sa.update(Attempt).values(started_at=now() - datetime.timedelta(seconds=60)))
            session.execute(sa.update(Worker).values(heartbeat_at=now() - datetime.timedelta(seconds=20)))
        assert service.attempts.lose("gone", "no word") == [job_id]
        assert count_fleet(service.database, 15).queues == {"impasto-jobs": 1}
        assert service.attempts.begin(job_id, 2, "another") is not None
        (seconds,) = count_fleet(service.database, 15).recovery_seconds
        assert seconds >= 20
