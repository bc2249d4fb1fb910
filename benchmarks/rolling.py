"""A rolling restart under load: each API and each worker is told to end and started again, one after the other.

    python -m benchmarks.rolling                    # 60 jobs, 2 APIs, 2 workers
    python -m benchmarks.rolling --jobs 8

Meanwhile jobs are ordered and asked for, and a stream of events is followed, which comes back with its last event's id.
No request may fail after it was repeated, no job may be lost, and the stream must have told every end of a job once.
Needs a PostgreSQL server's programs and the extra `dev`.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import sqlalchemy as sa
from benchmarks.machines import Fleet, Retries, to_json
from benchmarks.under_fire import num_ended, order, tell

from impasto.service.store.tables import Attempt, Job

ASK_SECONDS = 0.2


@dataclass
class Report:
    """What came of it."""

    jobs: int
    workers: int
    apis: int
    seconds: float = 0.0
    restarts: int = 0
    requests: int = 0
    requests_repeated: int = 0
    requests_failed: int = 0
    done: int = 0
    attempts: int = 0
    stream_connections: int = 0
    ends_told: int = 0
    told_twice: int = 0
    load_average: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return self.done == self.jobs == self.ends_told and not self.requests_failed and not self.told_twice


def main() -> int:
    """Runs it and says what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--apis", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=3600.0)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    report = roll(Report(given.jobs, given.workers, given.apis), given.timeout)
    tell(report, given.output)
    return 0 if report.is_clean else 1


def roll(report: Report, timeout: float) -> Report:
    """Restarts all machines while the jobs are painted.

    Args:
        report: With the numbers of jobs and machines; filled in.
        timeout: Seconds after which it is given up.
    """
    with tempfile.TemporaryDirectory(prefix="impasto-rolling-") as folder:
        settings = {"IMPASTO_SERVICE_CHECKPOINT_SECONDS": "1"}
        fleet = Fleet(Path(folder), report.workers, report.apis, settings)
        try:
            _roll(fleet, report, timeout)
        finally:
            if not report.is_clean:
                print(fleet.logs(), file=sys.stderr)
            fleet.close()
    report.load_average = os.getloadavg()[1]
    return report


def _roll(fleet: Fleet, report: Report, timeout: float) -> None:
    fleet.start()
    retries, is_over = Retries(), threading.Event()
    stream = _Stream(fleet.ports, is_over)
    stream.thread.start()
    start = time.monotonic()
    machines = [*fleet.apis, *fleet.workers]
    ids = list[str]()
    while time.monotonic() - start < timeout:
        try:
            if len(ids) < report.jobs:
                headers = {"Idempotency-Key": f"job-{len(ids)}"}
                body = to_json(order(len(ids) % 4, 30))
                answer = fleet.ask("POST", "/jobs", retries=retries, json=body, headers=headers)
                ids.append(answer.raise_for_status().json()["id"])
            else:
                fleet.ask("GET", f"/jobs/{ids[report.requests % len(ids)]}", retries=retries).raise_for_status()
        except (httpx.HTTPError, TimeoutError):
            report.requests_failed += 1
        report.requests += 1
        ended = num_ended(fleet.core)
        if machines and ended >= report.jobs * (report.restarts + 1) / (len(fleet.apis) + len(fleet.workers) + 2):
            machine = machines.pop(0)
            machine.end()
            machine.start()
            report.restarts += 1
            if machine in fleet.apis:  # the next one ends when this one serves
                fleet.wait_for_api(fleet.apis.index(machine))
        if ended == report.jobs and not machines:
            break
        time.sleep(ASK_SECONDS)
    report.seconds = round(time.monotonic() - start, 1)
    until = time.monotonic() + 30
    while len(stream.ends) < report.jobs and time.monotonic() < until:
        time.sleep(0.1)
    is_over.set()
    with fleet.core.database.reading() as session:
        report.done = session.scalar(sa.select(sa.func.count()).where(Job.state == "done")) or 0
        report.attempts = session.scalar(sa.select(sa.func.count()).select_from(Attempt)) or 0
    report.requests_repeated, report.stream_connections = retries.count, stream.num_connections
    report.ends_told = len(stream.ends)
    report.told_twice = sum(count > 1 for count in Counter(stream.event_ids).values())


class _Stream:
    """Follows all jobs, at one API after the other, each time from the last event on.

    Args:
        ports: Of the APIs.
        is_over: When it ends.
    """

    def __init__(self, ports: list[int], is_over: threading.Event) -> None:
        self._ports, self._is_over = ports, is_over
        self.event_ids: list[str] = []
        self.ends: set[str] = set()
        self.num_connections = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._is_over.is_set():
            port = self._ports[self.num_connections % len(self._ports)]
            headers = {"Last-Event-ID": self.event_ids[-1]} if self.event_ids else {}
            self.num_connections += 1
            with suppress(httpx.HTTPError):
                url = f"http://127.0.0.1:{port}/api/v1/events"
                with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
                    self._read(answer)
            time.sleep(0.2)

    def _read(self, answer: httpx.Response) -> None:
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if self._is_over.is_set():
                return
            name, _, value = line.partition(":")
            if name:
                event[name] = value.strip()
            elif line == "":
                self._take(event)
                event = {}

    def _take(self, event: dict[str, str]) -> None:
        if "id" not in event or "data" not in event:
            return
        self.event_ids.append(event["id"])
        if event.get("event") == "job" and (job := json.loads(event["data"]))["state"] == "done":
            self.ends.add(job["id"])


if __name__ == "__main__":
    sys.exit(main())
