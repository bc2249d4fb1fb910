"""``impasto serve``: API, supervisor and maintenance in one process, its workers beside it."""

import fcntl
import logging
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from impasto.errors import UserError
from impasto.service.advisor.without_torch import has_torch
from impasto.service.api.app import create_app
from impasto.service.core import Core
from impasto.service.keys import KeyRing
from impasto.service.logs import configure_logs
from impasto.service.settings import Settings
from impasto.service.supervisor import Supervisor
from impasto.service.tracing import Tracing

__all__ = ["serve"]

logger = logging.getLogger(__name__)

STREAMS_SECONDS = 2
"""How long open connections have to end."""


def serve(settings: Settings, *, opens_browser: bool = False) -> int:
    """Serves until it is told to end.

    Args:
        settings: The operator's.
        opens_browser: Whether the studio is opened once the service answers.

    Returns:
        The exit code.

    Raises:
        UserError: If address, port or data folder cannot be used, or others than this machine could reach the service
            without a key.
    """
    configure_logs(settings.log_format)
    if settings.workers and not has_torch():
        raise UserError(
            "Workers need torch, which is not installed here; leave the work to others by --workers 0, or install it."
        )
    tracing = Tracing.of_environment("api")
    core = Core.open(settings)
    with _only_one(settings), _listening(settings) as listener:
        if not settings.is_loopback and not any(key.is_valid for key in KeyRing(core.database).all()):
            raise UserError(
                f"--host is {settings.host}, which others can reach, and there is no API key yet; make one by "
                "impasto keys create NAME, or leave --host out."
            )
        address = _address(settings, listener)
        supervisor = Supervisor(core)
        threading.Thread(target=core.queue.warm, name="warm", daemon=True).start()
        app = create_app(settings, core.database, core.artifacts, core.desk)
        tracing.follow_app(app, core.database.engine)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STREAMS_SECONDS,
            proxy_headers=False, h11_max_incomplete_event_size=64 * 1024,
        )  # fmt: skip
        server = _Server(config, address, supervisor, opens_browser=opens_browser)
        try:
            server.run(sockets=[listener])
        finally:
            supervisor.stop()
            core.close()
            tracing.close()
    return 0


class _Server(uvicorn.Server):
    """uvicorn, which says where it is, and starts the workers once it answers.

    Args:
        config: Of uvicorn.
        address: To print.
        supervisor: Of the workers.
        opens_browser: Whether the address is opened.
    """

    def __init__(self, config: uvicorn.Config, address: str, supervisor: Supervisor, *, opens_browser: bool) -> None:
        super().__init__(config)
        self._address, self._supervisor, self._opens_browser = address, supervisor, opens_browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn calls it."""
        await super().startup(sockets)
        if not self.should_exit:
            sys.stdout.write(f"Impasto serves at {self._address} (Ctrl-C ends it).\n")
            sys.stdout.flush()
            self._supervisor.start()
            if self._opens_browser:
                threading.Thread(target=webbrowser.open, args=(self._address,), daemon=True).start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends in order at the first signal; uvicorn would raise it once more afterwards."""
        before: dict[signal.Signals, Any] = {}

        def end(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, end)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """One service for a data folder: two would start each other's workers' jobs anew."""
    with (settings.data / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"Another service uses the data folder '{settings.data}'; end it, or choose another by --data."
            ) from None
        yield


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    try:
        family, kind, _, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.set_inheritable(False)
    except OSError as error:
        raise UserError(
            f"Cannot listen at {settings.host}, port {settings.port}: {error.strerror or error}; choose others by "
            "--host and --port."
        ) from None
    with listener:
        yield listener


def _address(settings: Settings, listener: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{listener.getsockname()[1]}"
