"""How fast jobs are put into the queue and taken from it while many wait: 8 claimers on PostgreSQL.

    python -m benchmarks.job_queue --output benchmarks/results/job_queue.json
    python -m benchmarks.job_queue --waiting 200 --claims 40

A claim is what a worker does from its look into the queue to a job that is its own: DBOS's dequeue, the lock on the
job's row, its move to running, the event that says so. A claimer then ends the job at once and takes the next, so
that all claimers are always at it: more than eight workers that paint would ever do. What waits are copies of 200 jobs
that were ordered one by one. Needs a PostgreSQL server's programs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from benchmarks.under_fire import order, tell
from tests.postgres import postgres_server

from impasto.service.core import Core
from impasto.service.jobs.listing import list_jobs
from impasto.service.jobs.routing import QUEUE
from impasto.service.jobs.states import State
from impasto.service.jobs.turns import queue_priority
from impasto.service.queue import VERSION, parse_workflow_id
from impasto.service.settings import Settings
from impasto.service.store.tables import Job

OWNERS = 20
ORDERS = 200
"""That are made one by one."""


@dataclass
class Report:
    """What came of it; times are in milliseconds."""

    waiting: int
    claimers: int
    claims: int = 0
    claimed_twice: int = 0
    claim_median: float = 0.0
    claim_p95: float = 0.0
    claim_worst: float = 0.0
    order_median: float = 0.0
    order_p95: float = 0.0
    list_p95: float = 0.0
    numbers_p95: float = 0.0
    load_average: float = 0.0


class Claimer:
    """Takes jobs as a worker of DBOS does, without a process of its own.

    Args:
        core: With connections that are shared.
        name: Of the worker.
    """

    def __init__(self, core: Core, name: str) -> None:
        from dbos import DBOSClient

        self._core, self._name = core, name
        self._client = DBOSClient(system_database_engine=core.database.engine, application_name="impasto")
        self._queue = self._client.register_queue(QUEUE, worker_concurrency=1, on_conflict="always_update")
        self.seconds: list[float] = []
        self.jobs: list[str] = []

    def run(self, count: int) -> None:
        """Takes so many, one after the other."""
        database = self._client._sys_db
        while len(self.jobs) < count:
            start = time.perf_counter()
            taken, _ = database.start_queued_workflows(self._queue, self._name, VERSION, None, owner_xid=self._name)
            if not taken:
                continue  # others were faster
            assignment = self._core.attempts.begin(*parse_workflow_id(taken[0]), self._name)
            self.seconds.append(time.perf_counter() - start)
            assert assignment is not None
            self.jobs.append(assignment.job.id)
            self._core.attempts.finish(assignment, State.DONE, {})


def main() -> int:
    """Measures with each number of jobs that wait."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1000, 20_000])
    parser.add_argument("--claimers", type=int, default=8)
    parser.add_argument("--claims", type=int, default=400, help="in all")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    reports = measure(given.waiting, given.claimers, given.claims)
    tell(reports, given.output)
    return 1 if any(report.claimed_twice for report in reports) else 0


def measure(waiting: list[int], num_claimers: int, claims: int) -> list[Report]:
    """Measures with each number of jobs that wait, the smallest first."""
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        core = Core.open(Settings.load(data=folder, database_url=server.url, max_queued=1_000_000))
        try:
            return [_measure(core, Report(count, num_claimers), claims) for count in sorted(waiting)]
        finally:
            core.close()


def _measure(core: Core, report: Report, claims: int) -> Report:
    orders = _fill(core, report.waiting)
    with core.database.engine.connect() as connection:  # what autovacuum does once a minute
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))
    claimers = [Claimer(core, f"claimer-{number}") for number in range(report.claimers)]
    threads = [threading.Thread(target=claimer.run, args=(claims // report.claimers,)) for claimer in claimers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = [second for claimer in claimers for second in claimer.seconds]
    jobs = [job for claimer in claimers for job in claimer.jobs]
    report.claims, report.claimed_twice = len(jobs), len(jobs) - len(set(jobs))
    report.claim_median, report.claim_p95 = _ms(statistics.median(seconds)), _ms(_p95(seconds))
    report.claim_worst = _ms(max(seconds))
    report.order_median, report.order_p95 = _ms(statistics.median(orders)), _ms(_p95(orders))
    report.list_p95 = _ms(_p95([_timed(lambda: list_jobs(core.database, "owner-0")) for _ in range(50)]))
    report.numbers_p95 = _ms(_p95([_timed(lambda: _count(core)) for _ in range(20)]))
    report.load_average = os.getloadavg()[0]
    return report


def _fill(core: Core, count: int) -> list[float]:
    """Puts jobs in until so many wait; returns seconds of each of the last orders."""
    with core.database.reading() as session:
        there = session.scalar(sa.select(sa.func.count()).where(Job.state == State.QUEUED)) or 0
    if there:
        _copy(core, count - there - ORDERS)
    seconds = list[float]()
    for number in range(min(ORDERS, count)):
        new = order(number % 8, 30)
        start = time.perf_counter()
        core.desk.create(f"owner-{number % OWNERS}", new)
        seconds.append(time.perf_counter() - start)
    if not there:
        _copy(core, count - len(seconds))
    return seconds


def _copy(core: Core, count: int) -> None:
    """Copies a waiting job and its workflow, as if its owners had ordered it so often."""
    copies = f"""
        CREATE TEMP TABLE copies ON COMMIT DROP AS
        SELECT substr(md5(random()::text || n), 1, 16) AS id, 'owner-' || n % {OWNERS} AS owner,
               1000 + n / {OWNERS} AS turn
        FROM generate_series(1, {count}) AS n"""
    with core.database.engine.begin() as connection:
        connection.execute(sa.text(copies))
        for table, own in (
            ("jobs", {"id": "c.id", "owner": "c.owner", "turn": "c.turn", "idempotency_key": "NULL"}),
            ("dbos.workflow_status",
             {"workflow_uuid": "c.id || '.1'", "priority": f"{queue_priority(5, 0)} + c.turn"}),
        ):  # fmt: skip
            schema, _, name = table.rpartition(".")
            found = sa.inspect(connection).get_columns(name, schema=schema or None)
            names = [column["name"] for column in found if column["name"] != "number" and not column.get("computed")]
            values = [own.get(column, f"t.{column}") for column in names]
            is_first = "t.state = 'queued'" if name == "jobs" else "t.status = 'ENQUEUED'"
            connection.execute(
                sa.text(
                    f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM copies c, "
                    f"(SELECT * FROM {table} t WHERE {is_first} LIMIT 1) t"
                )
            )


def _count(core: Core) -> None:
    from impasto.service.jobs.numbers import count_fleet

    count_fleet(core.database, 15)


def _timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 1)


if __name__ == "__main__":
    sys.exit(main())
