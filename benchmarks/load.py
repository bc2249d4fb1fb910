"""How much one API process bears: reads, event streams, uploads, a table of 100,000 jobs, and all that while it paints.

``python -m benchmarks.load`` measures everything on this machine, server and clients sharing its cores, and keeps the
JSON in ``benchmarks/results/load.json``; ``--only reads --seconds 5`` measures a part, and keeps nothing. The clients
write HTTP by hand onto sockets, so that they take little of the processor that the server needs.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import os
import platform
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from impasto.examples import example_path
from impasto.service.core import Core
from impasto.service.jobs.records import JobInputs, NewJob
from impasto.service.settings import PREFIX, Settings
from impasto.service.store.tables import Job, Worker, now

RESULTS = Path(__file__).parent / "results" / "load.json"
API = "/api/v1"

NUM_CONNECTIONS = 16
NUM_STREAMS, NUM_STREAMED_JOBS, NUM_EVENTS = 500, 20, 40
"""Streams, the jobs they follow, and the events of each job."""

NUM_UPLOADS, NUM_UPLOADERS = 500, 8
NUM_ROWS, NUM_LOOKS = 100_000, 200
PARTS = ("reads", "streams", "uploads", "rows", "painting")


class Connection:
    """One connection that stays open.

    Args:
        port: Of the service.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, *, method: str = "GET", body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
        """One request; returns status and body."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}{f'Content-Type: {kind}{chr(13)}{chr(10)}' if kind else ''}\r\n".encode() + body)
        await writer.drain()
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(answer.split(b" ", 2)[1])
        length = re.search(rb"content-length: (\d+)", answer)
        content = await reader.readexactly(int(length[1])) if length else await _chunks(reader)
        return status, content

    def close(self) -> None:
        """Closes it."""
        if self._streams is not None:
            self._streams[1].close()


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).strip() or b"0", 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)


@dataclass
class Server:
    """A running service."""

    process: psutil.Process
    port: int
    core: Core

    def rss(self) -> int:
        """Resident memory of the API's process."""
        return int(self.process.memory_info().rss)


@contextlib.contextmanager
def serving(data: Path, workers: int) -> Iterator[Server]:
    """``impasto serve`` in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings.load(data=data)
    core = Core.open(settings)
    environment = os.environ | {f"{PREFIX}REQUESTS_A_MINUTE": "100000000", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "impasto", "serve", "--data", str(data), "--port", str(port)]
    process = subprocess.Popen([*command, "--workers", str(workers)], env=environment)
    try:
        _wait_until_ready(port, process)
        yield Server(psutil.Process(process.pid), port, core)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        core.close()


def _wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("impasto serve ended before it was ready")
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            if asyncio.run(Connection(port).ask(f"{API}/ready"))[0] == 200:
                return
        time.sleep(0.1)
    raise SystemExit("impasto serve is not ready after a minute")


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles of latencies."""
    ranked = sorted(seconds)
    return {
        name: round(1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))], 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def new_job(**recipe: Any) -> NewJob:
    from impasto.recipe import Recipe

    inputs = JobInputs(content="example:coffee", styles=["example:oil"])
    return NewJob(inputs=inputs, recipe=Recipe(model="compact", **recipe), saving_interval=0)


async def read_mix(port: int, job_ids: Sequence[str], seconds: float, connections: int) -> dict[str, Any]:
    """A mix of what the studio asks for, as fast as the service answers."""
    addresses = [
        *(f"{API}/jobs/{job_id}" for job_id in job_ids), f"{API}/jobs?limit=20", f"{API}/jobs?state=queued&limit=20",
        f"{API}/jobs?search=coffee&limit=20", f"{API}/images?limit=20", f"{API}/looks", f"{API}/examples",
        f"{API}/images/example:coffee/thumbnail?size=256", f"{API}/jobs/{job_ids[0]}/thumbnail",
    ]  # fmt: skip
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def ask() -> None:
        connection, order = Connection(port), random.Random(0)
        while time.perf_counter() < end:
            start = time.perf_counter()
            status, _ = await connection.ask(order.choice(addresses))
            took.append(time.perf_counter() - start)
            assert status == 200, status
        connection.close()

    start = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(connections)))
    return {"requests_per_second": round(len(took) / (time.perf_counter() - start), 1), "ms": milliseconds(took)}


def measure_reads(server: Server, seconds: float) -> dict[str, Any]:
    ids = [server.core.desk.create("local", new_job(height=64))[0].id for _ in range(20)]
    asyncio.run(read_mix(server.port, ids, 1.0, NUM_CONNECTIONS))
    warm = server.rss()
    figures = asyncio.run(read_mix(server.port, ids, seconds, NUM_CONNECTIONS))
    return figures | {"rss_after_warm_up": warm, "rss_at_end": server.rss()}


def measure_streams(server: Server, seconds: float) -> dict[str, Any]:
    """500 readers, 25 at each of 20 jobs; workers tell progress meanwhile."""
    core = server.core
    moment = now()
    later = moment + datetime.timedelta(days=1)  # as if it were on another machine, and heard of all the time
    with core.database.writing() as session:
        session.add(Worker(id="bench", host="bench", pid=1, started_at=moment, heartbeat_at=later, is_draining=False))
    assignments = []
    for _ in range(NUM_STREAMED_JOBS):
        record, _ = core.desk.create("local", new_job(height=64))
        assignments.append(core.attempts.begin(record.id, 1, "bench"))
    told: dict[str, list[int]] = {}

    def tell() -> None:
        for number in range(NUM_EVENTS):
            for assignment in assignments:
                progress = {"iteration": number, "losses": {"total": 1.0}, "seconds": 0.1, "eta_seconds": 1.0}
                core.attempts.tell_progress(assignment, progress)

    before = core.events.newest_id()
    received = asyncio.run(_follow_all(server.port, [a.job.id for a in assignments], before, tell))
    for event in _all_events(core, before):
        told.setdefault(event.job_id, []).append(event.id)
    expected = [told[a.job.id] for a in assignments for _ in range(NUM_STREAMS // NUM_STREAMED_JOBS)]
    return {
        "streams": NUM_STREAMS, "events_delivered": sum(map(len, received.ids)),
        "streams_with_each_event_once_in_order": sum(map(list.__eq__, received.ids, expected)),
        "delay_ms": milliseconds(received.delays), "seconds": round(received.seconds, 1),
    }  # fmt: skip


def _all_events(core: Core, after: int) -> Iterator[Any]:
    while events := core.events.read(after, 500):
        yield from events
        after = events[-1].id


@dataclass
class Received:
    """What all streams got."""

    ids: list[list[int]]
    delays: list[float]
    seconds: float


async def _follow_all(port: int, job_ids: Sequence[str], after: int, tell: Callable[[], None]) -> Received:
    received = Received([], [], 0.0)
    opened = asyncio.Event()
    num_open = 0

    async def follow(job_id: str, ids: list[int]) -> None:
        nonlocal num_open
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        writer.write(
            f"GET {API}/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {after}\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        num_open += 1
        if num_open == NUM_STREAMS:
            opened.set()
        number = 0
        while len(ids) < NUM_EVENTS:
            line = await reader.readline()
            if line.startswith(b"id: "):
                number = int(line[4:])
            elif line.startswith(b"data: "):
                ids.append(number)
        writer.close()

    lists: list[list[int]] = [[] for _ in range(NUM_STREAMS)]
    per_job = NUM_STREAMS // NUM_STREAMED_JOBS
    tasks = [asyncio.create_task(follow(job_ids[n // per_job], ids)) for n, ids in enumerate(lists)]
    await opened.wait()
    start = time.perf_counter()
    await asyncio.to_thread(tell)
    end_of_telling = time.perf_counter()
    _, pending = await asyncio.wait(tasks, timeout=60)
    for task in pending:
        task.cancel()
    received.ids, received.seconds = lists, time.perf_counter() - start
    received.delays = [time.perf_counter() - end_of_telling]
    return received


async def upload_all(port: int) -> list[float]:
    """500 pictures that differ in what comes after their end."""
    picture = example_path("coffee").read_bytes()
    took: list[float] = []
    numbers = iter(range(NUM_UPLOADS))

    async def send() -> None:
        connection = Connection(port)
        for number in numbers:
            start = time.perf_counter()
            body = picture + f"picture {number}".encode()
            status, _ = await connection.ask(
                f"{API}/images?name={number}.jpg", method="POST", body=body, kind="application/octet-stream"
            )
            took.append(time.perf_counter() - start)
            assert status in (200, 201), status
        connection.close()

    await asyncio.gather(*(send() for _ in range(NUM_UPLOADERS)))
    return took


def measure_uploads(server: Server, seconds: float) -> dict[str, Any]:
    start = time.perf_counter()
    took = asyncio.run(upload_all(server.port))
    whole = time.perf_counter() - start
    return {"uploads": len(took), "uploads_per_second": round(len(took) / whole, 1), "ms": milliseconds(took)}


def measure_rows(server: Server, seconds: float) -> dict[str, Any]:
    """Lists, filters, search and events in a table of 100,000 finished jobs."""
    _fill(server.core)
    addresses = {
        "list": f"{API}/jobs?limit=50", "filter": f"{API}/jobs?state=done&limit=50",
        "search": f"{API}/jobs?search=row+777&limit=50", "one": f"{API}/jobs/row-50000",
        "events": f"{API}/jobs?limit=1",
    }  # fmt: skip

    async def look(address: str) -> list[float]:
        connection, took = Connection(server.port), []
        for _ in range(NUM_LOOKS):
            start = time.perf_counter()
            status, _ = await connection.ask(address)
            took.append(time.perf_counter() - start)
            assert status == 200, status
        connection.close()
        return took

    del addresses["events"]
    figures = {name: milliseconds(asyncio.run(look(address))) for name, address in addresses.items()}
    log = []
    for _ in range(NUM_LOOKS):
        start = time.perf_counter()
        server.core.events.read(max(0, server.core.events.newest_id() - 100), 100, "local")
        log.append(time.perf_counter() - start)
    return {"rows": NUM_ROWS, **figures, "events": milliseconds(log)}


def _fill(core: Core) -> None:
    """Copies a finished job many times."""
    import sqlalchemy as sa

    record, _ = core.desk.create("local", new_job(height=64))
    core.desk.cancel("local", record.id)
    with core.database.reading() as session:
        row = session.scalars(sa.select(Job).where(Job.id == record.id)).one()
    columns = [column.key for column in sa.inspect(Job).column_attrs if column.key != "number"]
    values = {column: getattr(row, column) for column in columns}
    for start in range(0, NUM_ROWS, 5000):
        rows = [
            values | {"id": f"row-{n}", "name": f"Row {n}", "search": f"row {n}\ncoffee\noil", "state": "done"}
            for n in range(start, start + 5000)
        ]
        with core.database.writing() as session:
            session.execute(sa.insert(Job), rows)


def measure_painting(server: Server, seconds: float) -> dict[str, Any]:
    """The same reads while two workers paint."""
    ids = [server.core.desk.create("local", new_job(height=200, total_iterations=100_000))[0].id for _ in range(2)]
    until = time.monotonic() + 60
    while any(server.core.desk.get("local", job_id).iteration == 0 for job_id in ids) and time.monotonic() < until:
        time.sleep(0.2)
    figures = asyncio.run(read_mix(server.port, ids, seconds, 1))
    for job_id in ids:
        server.core.desk.cancel("local", job_id)
    return figures


MEASURES = {
    "reads": measure_reads, "streams": measure_streams, "uploads": measure_uploads, "rows": measure_rows,
    "painting": measure_painting,
}  # fmt: skip


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", help="parts; by default all, and the JSON is kept")
    parser.add_argument("--seconds", type=float, default=20.0, help="of reading")
    arguments = parser.parse_args()
    parts = arguments.only or PARTS
    figures: dict[str, Any] = {}
    for workers in (0, 2):
        chosen = [part for part in parts if (part == "painting") == bool(workers)]
        if not chosen:
            continue
        with tempfile.TemporaryDirectory() as folder, serving(Path(folder), workers) as server:
            for part in chosen:
                figures[part] = MEASURES[part](server, arguments.seconds)
                figures[part]["rss"] = server.rss()
                print(part, json.dumps(figures[part]), flush=True)
    if not arguments.only:
        RESULTS.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    packages = {name: version(name) for name in ("fastapi", "uvicorn", "starlette", "sqlalchemy", "pydantic")}
    return {"cores": os.cpu_count(), "python": platform.python_version(), "commit": commit, **packages}


if __name__ == "__main__":
    main()
