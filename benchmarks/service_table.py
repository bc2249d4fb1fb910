"""The jobs' table at its size of years: lists, filters, searches and events among 100,000 finished jobs.

python -m benchmarks.service_table --output benchmarks/results/service_table.json
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from impasto.recipe import Recipe
from impasto.service.core import Core
from impasto.service.jobs.listing import list_jobs
from impasto.service.jobs.records import JobInputs, NewJob
from impasto.service.settings import Settings
from impasto.service.store.tables import Event, Job, now

REPEATS = 60


def main() -> None:
    """Fills a table, and times what people ask of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        core = Core.open(Settings.load(data=Path(folder)))
        fill(core, given.jobs)
        times = {name: timed(call) for name, call in questions(core, given.jobs).items()}
        core.close()
    result = {"jobs": given.jobs, "load_average": os.getloadavg()[0], "milliseconds": times}
    text = json.dumps(result, indent=1)
    print(text)
    if given.output:
        given.output.write_text(text + "\n")


def fill(core: Core, count: int) -> None:
    """Finished jobs of ten callers, each with two events, and one job of an eleventh."""
    new = NewJob(inputs=JobInputs(content="example:coffee", styles=["example:oil"]), recipe=Recipe(model="compact"))
    core.desk.create("caller-x", new)
    with core.database.reading() as session:
        row = session.execute(sa.select(Job.__table__)).mappings().one()
        event = session.execute(sa.select(Event.__table__)).mappings().one()
    states = ("done", "done", "done", "stopped", "failed", "cancelled")
    moment = now()
    for start in range(0, count, 5000):
        numbers = range(start + 2, min(start + 5000, count) + 2)
        jobs = [
            {**row, "number": n, "id": f"job{n}", "owner": f"caller-{n % 10}", "state": states[n % 6],
             "name": f"coffee {n}", "search": f"coffee {n}\ncoffee\noil\ncompact", "finished_at": moment,
             "created_at": moment}
            for n in numbers
        ]  # fmt: skip
        events = [
            {**event, "id": 2 * n + k, "owner": f"caller-{n % 10}", "job_id": f"job{n}", "created_at": moment}
            for n in numbers for k in (0, 1)
        ]  # fmt: skip
        with core.database.writing() as session:
            session.execute(sa.insert(Job), jobs)
            session.execute(sa.insert(Event), events)


def questions(core: Core, count: int) -> dict[str, Callable[[], object]]:
    """What is asked, by name."""
    database, newest, amid = core.database, core.events.newest_id(), f"job{count // 20 * 10 + 3}"
    middle = list_jobs(database, "caller-3", limit=200).next_cursor
    new = NewJob(inputs=JobInputs(content="example:coffee", styles=["example:oil"]), recipe=Recipe(model="compact"))
    return {
        "first page": lambda: list_jobs(database, "caller-3"),
        "later page": lambda: list_jobs(database, "caller-3", cursor=middle),
        "by state": lambda: list_jobs(database, "caller-3", state="failed"),
        "by kind": lambda: list_jobs(database, "caller-3", kind="sweep"),
        "search, many found": lambda: list_jobs(database, "caller-3", search="coffee oil"),
        "search, one found": lambda: list_jobs(database, "caller-3", search="99993"),
        "search, none found": lambda: list_jobs(database, "caller-3", search="nowhere"),
        "search, one letter": lambda: list_jobs(database, "caller-3", search="z"),
        "search within a state": lambda: list_jobs(database, "caller-3", search="coffee", state="failed"),
        "search of a caller who has few": lambda: list_jobs(database, "caller-x", search="coffee"),
        "one job": lambda: core.desk.get("caller-3", amid),
        "newest events": lambda: core.events.read(newest - 100, 100),
        "events of a caller": lambda: core.events.read(newest - 1000, 100, owner="caller-3"),
        "events of a caller who has few": lambda: core.events.read(0, 100, owner="caller-x"),
        "events of a job": lambda: core.events.read(0, 100, job_id=amid),
        "create": lambda: core.desk.create("caller-3", new),
    }


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds."""
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return {"median": round(statistics.median(times), 2), "p95": round(sorted(times)[int(0.95 * REPEATS)], 2)}


if __name__ == "__main__":
    main()
