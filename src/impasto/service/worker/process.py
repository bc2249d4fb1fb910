"""A worker process: ``python -m impasto.service.worker.process``, with its settings from the environment.

It ends in order when it is told to (SIGTERM, SIGINT) or when the service that started it is gone: the job at hand gets
a checkpoint and goes back into the queue.
"""

import argparse
import functools
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
import torch
from dbos import DBOS

from impasto.devices import pick_device
from impasto.encoders import Encoder
from impasto.errors import ImpastoError
from impasto.pipeline.build import encoder_of
from impasto.recipe import Recipe
from impasto.recipe.model_names import public_name
from impasto.runs.sweep import encoder_key
from impasto.service.core import Core
from impasto.service.jobs.attempts import Assignment, LateError
from impasto.service.jobs.moves import PICTURE
from impasto.service.jobs.routing import queue_of
from impasto.service.logs import configure_logs
from impasto.service.queue import APPLICATION, VERSION
from impasto.service.reaper import Reaper
from impasto.service.settings import Settings
from impasto.service.store.tables import Worker, now
from impasto.service.tracing import Tracing
from impasto.service.worker.overview import Overview
from impasto.service.worker.painting import Outcome, Painting
from impasto.service.worker.workflow import serve

__all__ = ["WorkerProcess", "main", "work"]

logger = logging.getLogger("impasto.service.worker.process")  # the module runs as __main__

BEATS_A_LEASE = 6
ORDERS_SECONDS = 0.2
QUEUE_SECONDS = 0.5
"""Time between two looks into the queue. It is most of what an idle worker computes, and up to so long a job waits."""


class WorkerProcess:
    """One worker.

    Args:
        core: The service's.
        worker_id: Unique among all workers, ever.
        has_parent: Whether the service that started it holds the other end of stdin.
    """

    def __init__(self, core: Core, *, worker_id: str | None = None, has_parent: bool = False) -> None:
        self.id = worker_id or f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._core, self._has_parent = core, has_parent
        self._queue = queue_of(core.settings.max_memory, core.settings.models)
        self._work: Painting | Overview | None = None
        self._encoder: tuple[object, Encoder] | None = None
        self._draining = threading.Event()
        self._lock = threading.Lock()
        self._reaper = Reaper(core)
        self._tracing = Tracing.of_environment("worker")

    # as `impasto.service.worker.workflow.Painter`

    def begin(self, job_id: str, run: int) -> Assignment | None:
        """Takes a job on, or passes it on where this worker is about to end."""
        if self._draining.is_set():
            self._core.attempts.pass_on(job_id, run)
            return None
        assignment = self._core.attempts.begin(job_id, run, self.id)
        if assignment is not None:
            self._tracing.begin(assignment)
        return assignment

    def step(self, assignment: Assignment) -> Outcome:
        """Paints to the next checkpoint."""
        with self._lock:
            if self._work is None or self._work.assignment != assignment:
                logger.info("job begun", extra={"job_id": assignment.job.id, "attempt": assignment.attempt})
                self._work = self._new_work(assignment)
            if self._draining.is_set():
                self._work.hand_back()
        with self._tracing.step(assignment):
            outcome = self._work.step()
        if outcome is not Outcome.MORE:
            logger.info("job %s", outcome, extra={"job_id": assignment.job.id, "attempt": assignment.attempt})
            self._work = None
        return outcome

    def _new_work(self, assignment: Assignment) -> "Painting | Overview":
        if assignment.job.kind == PICTURE:
            return Painting(self._core, assignment, self._encoder_of, self._core.settings.threads_a_worker)
        return Overview(self._core, assignment)

    def _encoder_of(self, recipe: Recipe, trust: bool) -> Encoder:
        """The recipe's encoder; that of the job before, if it is the same."""
        key = encoder_key(recipe)
        if self._encoder is None or self._encoder[0] != key:
            self._encoder = None
            self._encoder = key, encoder_of(recipe, self._device, trust=trust)
        return self._encoder[1]

    # the process

    def run(self) -> None:
        """Works until it is told to end."""
        settings = self._core.settings
        torch.set_num_threads(settings.threads_a_worker)
        self._device = pick_device(settings.device)
        self._sign_on()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._draining.set())
        serve(self)
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._core.database.engine.url.render_as_string(hide_password=False),
                "system_database_engine": self._core.database.engine,
                "executor_id": self.id,
                "application_version": VERSION,
                "run_migrations": False,
                "log_level": "WARNING",
                "enable_otlp": False,
                "max_executor_threads": 8,
            }
        )
        DBOS.listen_queues([self._queue])
        DBOS.launch()
        DBOS.register_queue(
            self._queue, worker_concurrency=1, polling_interval_sec=QUEUE_SECONDS, on_conflict="always_update"
        )
        logger.info("worker ready", extra={"worker": self.id})
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        if self._has_parent:
            threading.Thread(target=self._await_parents_end, name="parent", daemon=True).start()
        while not self._draining.wait(1.0):
            pass
        self._drain()

    def _await_parents_end(self) -> None:
        sys.stdin.buffer.read()
        logger.warning("the service is gone; the worker ends", extra={"worker": self.id})
        self._draining.set()

    def _drain(self) -> None:
        """Hands back what is at hand, and signs off."""
        until = time.monotonic() + self._core.settings.drain_seconds
        with self._lock:
            if self._work is not None:
                self._work.hand_back()
        while self._work is not None and time.monotonic() < until - 1:
            time.sleep(0.05)
        is_clean = self._work is None
        DBOS.destroy(workflow_completion_timeout_sec=1 if is_clean else 0)
        self._reaper.bury(self.id, "it was told to end, and did not come to its next checkpoint in time")
        self._tracing.close()
        logger.info("worker ended", extra={"worker": self.id, "is_clean": is_clean})
        logging.shutdown()
        os._exit(0)  # a thread deep in torch is waited for by nobody

    def _sign_on(self) -> None:
        settings = self._core.settings
        with self._core.database.writing() as session:
            session.add(
                Worker(id=self.id, host=socket.gethostname()[:200], pid=os.getpid(), started_at=now(),
                       heartbeat_at=now(), is_draining=False, queue=self._queue, device=str(self._device),
                       memory_bytes=settings.max_memory, models=sorted(map(public_name, settings.models)),
                       taken_bytes=None)
            )  # fmt: skip

    def _watch(self) -> None:
        """Heartbeat, orders of callers, and a look for workers that are lost."""
        next_beat = next_look = 0.0
        while True:
            clock = time.monotonic()
            if clock >= next_beat:
                _careful(self._beat)
                if self._work is None and not self._draining.is_set():
                    _careful(functools.partial(self._core.attempts.fetch_for, self._queue))
                next_beat = clock + self._core.settings.lease_seconds / BEATS_A_LEASE
            work = self._work
            if work is not None:
                _careful(functools.partial(self._follow, work))
            if clock >= next_look:
                _careful(self._reaper.look)
                next_look = clock + self._core.settings.lease_seconds / 3
            time.sleep(ORDERS_SECONDS)

    def _follow(self, work: "Painting | Overview") -> None:
        try:
            work.follow_orders()
        except LateError:
            work.abandon()

    def _beat(self) -> None:
        with self._core.database.writing() as session:
            told = session.execute(
                sa.update(Worker)
                .where(Worker.id == self.id)
                .values(heartbeat_at=now(), is_draining=self._draining.is_set(), taken_bytes=taken_bytes(self._device))
            )
        if not cast(sa.CursorResult[Any], told).rowcount:  # it was silent for so long that it was taken for dead
            self._sign_on()


def taken_bytes(device: torch.device) -> int | None:
    """Bytes that this process takes now: of a device with memory of its own, else of the machine; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device)
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.is_file() else None


def _careful(action: Callable[[], object]) -> None:
    """Does something that is tried again soon, should the database be busy or away."""
    try:
        action()
    except (sa.exc.SQLAlchemyError, ImpastoError) as error:
        logger.warning("the database does not answer", extra={"error": type(error).__name__})


def work(settings: Settings, *, worker_id: str | None = None, has_parent: bool = False) -> int:
    """Works until it is told to end.

    Args:
        settings: The operator's.
        worker_id: As in `WorkerProcess`.
        has_parent: As in `WorkerProcess`.
    """
    core = Core.open(settings, migrates=not has_parent)
    WorkerProcess(core, worker_id=worker_id, has_parent=has_parent).run()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a worker until it is told to end."""
    parser = argparse.ArgumentParser(prog="impasto worker")
    parser.add_argument("--waits", action="store_true", help="begin when an id comes on stdin, and end with it")
    given = parser.parse_args(arguments)
    worker_id = None
    if given.waits:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        worker_id = sys.stdin.buffer.readline().decode().strip()
        if not worker_id:  # the service has ended without need of it
            return 0
    settings = Settings.load()
    configure_logs(settings.log_format)
    try:
        return work(settings, worker_id=worker_id, has_parent=given.waits)
    except ImpastoError as error:
        logger.error("the worker cannot begin: %s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
