"""A fleet under fire: machines switched off, PostgreSQL and S3 restarted, the network cut; nothing lost, nothing twice.

    python -m benchmarks.fleet                     # 300 jobs, 3 workers, 2 APIs, a kill every 6 seconds
    python -m benchmarks.fleet --jobs 12 --kill-every 8

Needs a PostgreSQL server's programs and the extra `dev`. Every process has the name of a machine of its own, so that
one that is killed is missed by its heartbeat alone, as on another machine; one in three never comes back, and a new one
takes its place. Every job must end done, with exactly one committed result, whose pixels are those of all jobs of the
same recipe.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from benchmarks.machines import Fleet, Retries, to_json
from benchmarks.under_fire import Outcome, judge, num_ended, order, pixels, recoveries, tell

from impasto.service.store.tables import Job, Worker, now

VARIANTS = 4
NEVER_RETURNS = 1 / 3
REPLACED_AFTER = 10.0
RETURNS_AFTER = 2.0
CUT_SECONDS = 10.0
AWAY_SECONDS = 3.0
"""How long a server is away that is restarted."""


@dataclass
class Report(Outcome):
    """What came of it."""

    workers: int
    apis: int
    kill_every_seconds: float
    worker_kills: int = 0
    never_returned: int = 0
    api_kills: int = 0
    database_restarts: int = 0
    store_restarts: int = 0
    cuts: int = 0
    requests_repeated: int = 0


def main() -> int:
    """Runs it and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=6.0)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--timeout", type=float, default=7200.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    report = storm(
        Report(given.jobs, given.workers, given.apis, given.kill_every), restarts=given.restarts,
        iterations=given.iterations, timeout=given.timeout, seed=given.seed,
    )  # fmt: skip
    tell(report, given.output)
    return 0 if report.is_clean else 1


def storm(report: Report, *, restarts: int, iterations: int, timeout: float, seed: int = 0) -> Report:
    """Paints under fire.

    Args:
        report: With the numbers of jobs and machines; filled in.
        restarts: How often PostgreSQL and S3 are restarted, each.
        iterations: Of each job.
        timeout: Seconds after which it is given up.
        seed: Of what is killed when.
    """
    with tempfile.TemporaryDirectory(prefix="impasto-fleet-") as folder:
        fleet = Fleet(
            Path(folder), report.workers, report.apis, {"IMPASTO_SERVICE_CHECKPOINT_SECONDS": "1"}
        )  # fmt: skip
        try:
            _Storm(fleet, report, seed).run(restarts, iterations, timeout)
        finally:
            if not report.is_clean:
                print(fleet.logs(), file=sys.stderr)
            fleet.close()
    report.load_average = os.getloadavg()[1]
    return report


class _Storm:
    """What happens to a fleet."""

    def __init__(self, fleet: Fleet, report: Report, seed: int) -> None:
        self._fleet, self._report, self._core = fleet, report, fleet.core
        self._chance = random.Random(seed)
        self._kills: list[tuple[str, datetime]] = []
        self._outages: list[tuple[datetime, datetime]] = []
        self._num_machines = report.workers

    def run(self, restarts: int, iterations: int, timeout: float) -> None:
        """All of it."""
        fleet, report, retries = self._fleet, self._report, Retries()
        fleet.start()
        ids = [
            fleet.ask(
                "POST", "/jobs", retries=retries, json=to_json(order(number % VARIANTS, iterations)),
                headers={"Idempotency-Key": f"job-{number}"},
            ).raise_for_status().json()["id"]
            for number in range(report.jobs)
        ]  # fmt: skip
        blows = [self._kill_api, self._cut]
        for _ in range(restarts):
            blows += [self._restart_database, self._restart_store]
        self._chance.shuffle(blows)
        num_blows, start = len(blows), time.monotonic()
        next_kill, ended_at_kill = start + report.kill_every_seconds, -1
        while (ended := num_ended(self._core)) < report.jobs and time.monotonic() - start < timeout:
            fleet.tend()
            if blows and ended >= report.jobs * (num_blows - len(blows) + 1) / (num_blows + 2):
                blows.pop()()
            elif time.monotonic() >= next_kill and ended > ended_at_kill and self._kill_worker():
                # Not before another job has ended, so that it comes to an end on a machine of any speed.
                next_kill, ended_at_kill = time.monotonic() + self._pause(), ended
            time.sleep(0.1)
        report.seconds = round(time.monotonic() - start, 1)
        report.requests_repeated = retries.count
        for job in ids:  # any API knows all of them
            fleet.ask("GET", f"/jobs/{job}", retries=retries).raise_for_status()
        self._judge(ids)

    # blows

    def _pause(self) -> float:
        return self._chance.uniform(0.5, 1.5) * self._report.kill_every_seconds

    def _kill_worker(self) -> bool:
        """Switches off one that has signed on; returns whether there was one."""
        fleet, report = self._fleet, self._report
        with self._core.database.reading() as session:
            hosts = set(session.scalars(sa.select(Worker.host)))
            alive = [worker for worker in fleet.workers if worker.is_alive and worker.name in hosts]
            if not alive:
                return False
            victim = self._chance.choice(alive)
            query = sa.select(Job.id).join(Worker, Worker.id == Job.worker).where(Worker.host == victim.name)
            self._kills += [(job, now()) for job in session.scalars(query)]
        report.worker_kills += 1
        if self._chance.random() < NEVER_RETURNS:
            report.never_returned += 1
            victim.kill(returns_after=0)
            self._num_machines += 1
            fleet.workers[fleet.workers.index(victim)] = new = fleet.new_worker(self._num_machines)
            new.returns_at = time.monotonic() + REPLACED_AFTER
        else:
            victim.kill(returns_after=RETURNS_AFTER)
        return True

    def _kill_api(self) -> None:
        self._fleet.apis[0].kill(returns_after=RETURNS_AFTER)
        self._report.api_kills += 1

    def _restart_database(self) -> None:
        start, server = now(), self._fleet.database
        server.stop()
        time.sleep(AWAY_SECONDS)
        server.start()
        self._core.database.close()
        self._outages.append((start, now()))
        self._report.database_restarts += 1

    def _restart_store(self) -> None:
        start, server = now(), self._fleet.store
        server.kill()
        time.sleep(AWAY_SECONDS)
        server.start()
        self._outages.append((start, now()))
        self._report.store_restarts += 1

    def _cut(self) -> None:
        start = now()
        for proxy in self._fleet.proxies:
            proxy.cut()
        time.sleep(CUT_SECONDS)
        for proxy in self._fleet.proxies:
            proxy.mend()
        self._outages.append((start, now()))
        self._report.cuts += 1

    # what came of it

    def _judge(self, ids: list[str]) -> None:
        report, core = self._report, self._core
        found: dict[int, Counter[bytes]] = {}
        for number, record in enumerate(judge(core, ids, report)):
            if "result" in record.artifacts:
                found.setdefault(number % VARIANTS, Counter())[pixels(core, record.artifacts["result"])] += 1
        report.other_pixels = sum(counts.total() - max(counts.values()) for counts in found.values())
        report.recovery = recoveries(core, self._kills, self._outages)


if __name__ == "__main__":
    sys.exit(main())
