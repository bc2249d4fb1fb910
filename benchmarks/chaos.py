"""Jobs under fire: workers killed at random, the whole service killed and restarted; nothing lost, nothing twice.

    python -m benchmarks.chaos                     # 200 jobs, 2 workers, a kill every 5 seconds, 2 restarts
    python -m benchmarks.chaos --jobs 12 --kill-every 4 --restarts 1

Every job must end done, with exactly one committed result, and with the pixels of a run that nobody disturbed.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from benchmarks.under_fire import Outcome, judge, num_ended, order, pixels, recoveries, tell

from impasto.service.core import Core
from impasto.service.settings import Settings
from impasto.service.store.tables import Job, Worker, now

OWNER = "chaos"
VARIANTS = 8


@dataclass
class Report(Outcome):
    """What came of it."""

    workers: int
    kill_every_seconds: float
    worker_kills: int = 0
    service_kills: int = 0


class Service:
    """``impasto serve`` as a process.

    Args:
        data: Its folder.
        workers: How many.
    """

    def __init__(self, data: Path, workers: int, checkpoint_seconds: float) -> None:
        self._command = [
            sys.executable, "-m", "impasto", "serve", "--port", "0", "--data", str(data), "--workers", str(workers),
        ]  # fmt: skip
        self._environment = {**os.environ, "IMPASTO_SERVICE_CHECKPOINT_SECONDS": str(checkpoint_seconds),
                             "IMPASTO_SERVICE_THREADS": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
        self._log = (data.parent / "service.log").open("ab")
        self.start()

    def start(self) -> None:
        """Starts it."""
        self.process = subprocess.Popen(
            self._command, env=self._environment, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def kill(self, workers: list[int]) -> None:
        """Kills it and its workers, without a word."""
        for pid in [self.process.pid, *workers]:
            _kill(pid)
        self.process.wait()

    def end(self) -> None:
        """Ends it in order."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self._log.close()


def main() -> int:
    """Runs it and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=5.0)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--timeout", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    report = chaos(
        given.jobs, given.workers, given.kill_every, given.restarts, given.iterations, given.timeout, given.seed
    )
    tell(report, given.output)
    return 0 if report.is_clean else 1


def chaos(
    jobs: int, workers: int, kill_every: float, restarts: int, iterations: int, timeout: float, seed: int = 0
) -> Report:
    """Paints quietly first, then under fire, and compares.

    Args:
        jobs: How many.
        workers: Worker processes.
        kill_every: Mean seconds between kills.
        restarts: How often the whole service is killed.
        iterations: Of each job.
        timeout: Seconds after which it is given up.
        seed: Of what is killed when.
    """
    report = Report(jobs, workers, kill_every)
    with tempfile.TemporaryDirectory(prefix="impasto-chaos-") as folder:
        quiet = _paint(Path(folder) / "quiet", VARIANTS, workers, iterations, timeout)
        expected = dict(enumerate(quiet))
        _Storm(Path(folder) / "storm", report, iterations, seed).run(expected, restarts, timeout)
    report.load_average = os.getloadavg()[1]
    return report


def _paint(data: Path, count: int, workers: int, iterations: int, timeout: float) -> list[bytes]:
    """The pixels of every variant, undisturbed."""
    core = _open(data)
    service = Service(data, workers, checkpoint_seconds=1.0)
    ids = [core.desk.create(OWNER, order(variant, iterations))[0].id for variant in range(count)]
    until = time.monotonic() + timeout
    while time.monotonic() < until and not all(core.desk.get(None, job).is_ended for job in ids):
        time.sleep(0.2)
    painted = [pixels(core, core.desk.get(None, job).artifacts["result"]) for job in ids]
    service.end()
    core.close()
    return painted


class _Storm:
    """The jobs under fire."""

    def __init__(self, data: Path, report: Report, iterations: int, seed: int) -> None:
        self._core = _open(data)
        self._data, self._report, self._iterations = data, report, iterations
        self._chance = random.Random(seed)
        self._kills: list[tuple[str, datetime]] = []
        self._service_kills: list[datetime] = []

    def run(self, expected: dict[int, bytes], restarts: int, timeout: float) -> None:
        """All of it."""
        report, core = self._report, self._core
        ids = [core.desk.create(OWNER, order(n % VARIANTS, self._iterations))[0].id for n in range(report.jobs)]
        start = time.monotonic()
        service = Service(self._data, report.workers, checkpoint_seconds=1.0)
        next_kill = time.monotonic() + report.kill_every_seconds
        while (ended := num_ended(core)) < report.jobs and time.monotonic() - start < timeout:
            time.sleep(0.1)
            is_time = ended >= report.jobs * (report.service_kills + 1) / (restarts + 1)
            if report.service_kills < restarts and is_time:
                self._service_kills.append(now())
                self._note_kills(self._workers())
                service.kill([worker.pid for worker in self._workers()])
                report.service_kills += 1
                service.start()
                next_kill = time.monotonic() + report.kill_every_seconds
            elif time.monotonic() >= next_kill and (workers := self._workers()):
                victim = self._chance.choice(workers)
                self._note_kills([victim])
                _kill(victim.pid)
                report.worker_kills += 1
                next_kill = time.monotonic() + self._chance.uniform(0.5, 1.5) * report.kill_every_seconds
        report.seconds = round(time.monotonic() - start, 1)
        service.end()
        self._judge(ids, expected)
        core.close()

    def _workers(self) -> list[Worker]:
        with self._core.database.reading() as session:
            return list(session.scalars(sa.select(Worker)))

    def _note_kills(self, victims: list[Worker]) -> None:
        with self._core.database.reading() as session:
            query = sa.select(Job.id).where(Job.worker.in_([worker.id for worker in victims]))
            self._kills += [(job, now()) for job in session.scalars(query)]

    def _judge(self, ids: list[str], expected: dict[int, bytes]) -> None:
        report, core = self._report, self._core
        for number, record in enumerate(judge(core, ids, report)):
            if "result" in record.artifacts:
                report.other_pixels += pixels(core, record.artifacts["result"]) != expected[number % VARIANTS]
        report.recovery = recoveries(core, self._kills, [(at, at) for at in self._service_kills])


def _open(data: Path) -> Core:
    return Core.open(Settings.load(data=data))


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
