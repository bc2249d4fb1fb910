"""The worker processes of ``impasto serve``: started, watched, started again, and ended in order."""

import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from impasto.service.core import Core
from impasto.service.reaper import Reaper
from impasto.service.retention import Cleaner
from impasto.service.settings import PREFIX, Settings

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.1
LOOK_SECONDS = 2.0
CLEAN_SECONDS = 60.0
SHORT_LIFE_SECONDS = 5.0
"""A worker that ends sooner is started again only after a while."""

MAX_PAUSE_SECONDS = 30.0

SPARE_AFTER_SECONDS = 3.0
"""Time after the start of the youngest worker at which the spare one is loaded."""


@dataclass
class _Slot:
    """A place for one worker."""

    worker_id: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    pause: float = 0.0
    resumes_at: float = 0.0


class Supervisor:
    """Keeps workers going while the service lives; a thread of the API's process.

    Args:
        core: The service's.
    """

    def __init__(self, core: Core) -> None:
        self._core, self._settings = core, core.settings
        self._reaper, self._cleaner = Reaper(core), Cleaner(core)
        self._slots = [_Slot() for _ in range(core.settings.workers)]
        self._spare: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)

    def start(self) -> None:
        """Starts the workers, and goes on watching them."""
        self._thread.start()
        self._maintenance.start()

    def stop(self) -> None:
        """Asks the workers to end, waits until they have, and kills those that do not."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._spare is not None:
            self._spare.kill()
            _reap(self._spare)
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self._settings.drain_seconds
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
            process.kill()  # nothing to one that has ended
            _reap(process)
        for slot in self._slots:
            if slot.worker_id:
                self._reaper.bury(slot.worker_id, "the service ended")

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.poll() is None]

    def _run(self) -> None:
        while not self._ending.wait(WATCH_SECONDS):
            for slot in self._slots:
                try:
                    self._tend(slot)
                except Exception as error:  # the next round tries again
                    logger.error("a worker cannot be tended", extra={"error": type(error).__name__})
            self._keep_spare()

    def _keep_spare(self) -> None:
        """Has a process at hand that has loaded all it needs, so that a lost worker is replaced at once."""
        if not self._settings.spare_worker or (self._spare is not None and self._spare.poll() is None):
            return
        if self._spare is not None:
            _reap(self._spare)
            self._spare = None
        newest = max((slot.started for slot in self._slots), default=None)
        if newest is not None and time.monotonic() - newest > SPARE_AFTER_SECONDS:  # the workers load first
            self._spare = self._launch()

    def _tend(self, slot: _Slot) -> None:
        code = slot.process.poll() if slot.process is not None else None
        if slot.process is not None and code is None:
            return
        if slot.process is not None:
            how = _how(code or 0)
            _reap(slot.process)
            logger.warning("worker ended by itself", extra={"worker": slot.worker_id, "reason": how})
            is_short = time.monotonic() - slot.started < SHORT_LIFE_SECONDS
            slot.pause = min(MAX_PAUSE_SECONDS, max(0.5, 2 * slot.pause)) if is_short else 0.0
            slot.resumes_at = time.monotonic() + slot.pause
            slot.process = None
            lost, slot.worker_id = slot.worker_id, ""
            self._reaper.bury(lost, how)
        if time.monotonic() >= slot.resumes_at:
            self._start(slot)

    def _start(self, slot: _Slot) -> None:
        process, self._spare = self._spare, None
        if process is None or process.poll() is not None:
            if process is not None:
                _reap(process)
            process = self._launch()
        slot.worker_id = f"{socket.gethostname()[:100]}-{secrets.token_hex(6)}"
        slot.started, slot.process = time.monotonic(), process
        if process.stdin is not None:
            process.stdin.write(f"{slot.worker_id}\n".encode())
            process.stdin.flush()  # and stays open: its end tells the worker that the service is gone

    def _launch(self) -> "subprocess.Popen[bytes]":
        """A process that loads everything, and then waits to be told its id."""
        command = [sys.executable, "-m", "impasto.service.worker.process", "--waits"]
        return subprocess.Popen(  # noqa: S603 (nothing in it comes from a caller)
            command, env=environment(self._settings), stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is for the service, which then ends its workers in order
        )  # fmt: skip

    def _maintain(self) -> None:
        """Looks for lost workers, here and on other machines, and cleans up."""
        next_clean = time.monotonic() + LOOK_SECONDS
        while True:
            try:
                self._reaper.look()
                if time.monotonic() >= next_clean:
                    next_clean = time.monotonic() + CLEAN_SECONDS
                    self._cleaner.clean()
            except Exception as error:  # the database may be busy or away for a while
                logger.error("maintenance failed", extra={"error": type(error).__name__})
            if self._ending.wait(LOOK_SECONDS):
                return


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a worker: this process's, with the settings as they are here."""
    own = {
        f"{PREFIX}{name.upper()}": _as_text(value)
        for name, value in settings.model_dump(mode="python").items()
        if name in settings.model_fields_set and value is not None
    }
    if settings.memory_a_worker is not None:  # as the API has said it to callers
        own[f"{PREFIX}MAX_MEMORY"] = str(settings.memory_a_worker)
    return {**os.environ, **own, f"{PREFIX}THREADS": str(settings.threads_a_worker),
            "OMP_NUM_THREADS": str(settings.threads_a_worker)}  # fmt: skip


def _as_text(value: object) -> str:
    if hasattr(value, "get_secret_value"):
        return str(value.get_secret_value())
    return json.dumps(value) if isinstance(value, list) else str(value)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """Waits for a process's end, and closes our end of its stdin."""
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):  # its reader has gone
            process.stdin.close()


def _how(code: int) -> str:
    if code >= 0:
        return f"its worker's process ended with code {code}"
    name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
    hint = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"its worker's process was killed by {name}{hint}"
