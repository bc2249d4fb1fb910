"""A fleet on one machine: real servers, APIs and workers under names of machines of their own, a network to cut.

What `benchmarks.fleet` and `benchmarks.rolling` stand on.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from tests.postgres import free_port, postgres_server
from tests.s3 import NANIO, s3_server

from impasto.service.core import Core
from impasto.service.settings import Settings

LEASE_SECONDS = 6
RESTART_SECONDS = 1.0
"""After which a process that ended by itself is started again, as a container engine does."""

PATIENCE_SECONDS = 300.0

AS_MACHINE = "import socket, sys; socket.gethostname = lambda: sys.argv[1]; from impasto.cli import main; "
AS_MACHINE += "sys.exit(main(sys.argv[2:]))"
"""Runs the command line under another machine's name, so that nobody can see whether the process lives."""


class Proxy:
    """Hands on connections to a server, until they are cut.

    Args:
        port: Of the server, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._whole = threading.Event()
        self._whole.set()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Lets nothing through: what is sent hangs, as behind a switch that lost its power."""
        self._whole.clear()

    def mend(self) -> None:
        """Lets new connections through; those that there were have broken."""
        for end in list(self._sockets):
            _close(end)
        self._whole.set()

    def close(self) -> None:
        """Ends it."""
        _close(self._listener)
        self.mend()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        self._whole.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            _close(client)
            return
        self._sockets |= {client, server}
        for source, target in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # the other direction, or mend(), may have closed them before this one began
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(1 << 16):
                self._whole.wait()
                target.sendall(data)
        for end in (source, target):
            _close(end)
            self._sockets.discard(end)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


class Machine:
    """A process of the service, under the name of a machine of its own.

    Args:
        name: Of the machine.
        command: The command line, after ``impasto``.
        environment: Variables.
        log: File for what it says.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self._command, self._environment, self._log = name, command, dict(environment), log
        self.process: subprocess.Popen[bytes] | None = None
        self.returns_at = 0.0

    def start(self) -> None:
        """Starts it."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", AS_MACHINE, self.name, *self._command], env=self._environment, stdout=log,
                stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self, returns_after: float) -> None:
        """Switches it off; another one takes its place after so many seconds."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # an API's helpers with it
        self.process.wait()
        self.returns_at = time.monotonic() + returns_after

    def tell_to_end(self) -> None:
        """Tells it to end in order, if it runs."""
        if self.process is not None and self.is_alive:
            self.process.send_signal(signal.SIGTERM)

    def end(self) -> None:
        """Tells it to end in order, and waits."""
        if self.process is not None and self.is_alive:
            self.tell_to_end()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def tend(self) -> None:
        """Starts it again where it has ended and its time has come."""
        if self.is_alive:
            return
        if self.process is not None and not self.returns_at:  # it ended by itself
            self.returns_at = time.monotonic() + RESTART_SECONDS
        if time.monotonic() >= self.returns_at:
            self.returns_at = 0.0
            self.start()


class Fleet:
    """APIs and workers on PostgreSQL and S3, whose connections can be cut.

    Args:
        folder: For everything.
        workers: How many.
        apis: How many.
        settings: Variables of the service.
    """

    def __init__(self, folder: Path, workers: int, apis: int, settings: Mapping[str, str]) -> None:
        self._stack = ExitStack()
        self.database = self._stack.enter_context(postgres_server())
        self.store = self._stack.enter_context(s3_server(folder / "s3", NANIO))
        self.proxies = [Proxy(self.database.port), Proxy(self.store.port)]
        for proxy in self.proxies:
            self._stack.callback(proxy.close)
        to_database, to_store = self.proxies
        self._folder = folder
        url = "IMPASTO_SERVICE_DATABASE_URL"
        direct = {**self.store.environment(), url: self.database.url}
        self._environment = {
            **os.environ, **direct, **self.store.environment(f"http://127.0.0.1:{to_store.port}"),
            url: self.database.url.replace(f":{self.database.port}/", f":{to_database.port}/"),
            "IMPASTO_SERVICE_LEASE_SECONDS": str(LEASE_SECONDS), "IMPASTO_SERVICE_THREADS": "1",
            "IMPASTO_SERVICE_SESSION_SECRET": "0123456789" * 4, "IMPASTO_SERVICE_REQUESTS_A_MINUTE": "60000",
            "OMP_NUM_THREADS": "1", **settings,
        }  # fmt: skip
        with variables(direct):
            self.core = Core.open(Settings.load(data=folder / "looking"))
        self._stack.callback(self.core.close)
        self.core.queue.warm()
        self.ports = [free_port() for _ in range(apis)]
        self.apis = [
            self._machine(f"api-{number}", "serve", "--workers", "0", "--port", str(port))
            for number, port in enumerate(self.ports)
        ]
        self.workers = [self.new_worker(number) for number in range(workers)]

    def new_worker(self, number: int) -> Machine:
        """A machine that has not been there before."""
        return self._machine(f"worker-{number}", "worker", "--device", "cpu")

    def _machine(self, name: str, *command: str) -> Machine:
        data = self._folder / name
        return Machine(name, [*command, "--data", str(data)], self._environment, self._folder / f"{name}.log")

    def start(self) -> None:
        """Starts all, and waits until the APIs answer."""
        for machine in [*self.apis, *self.workers]:
            machine.start()
        for number in range(len(self.apis)):
            self.wait_for_api(number)

    def wait_for_api(self, number: int) -> None:
        """Until it is ready."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{self.ports[number]}/api/v1/ready", timeout=30).is_success:
                    return
            time.sleep(0.1)
        raise TimeoutError(f"API {number} is not ready")

    def tend(self) -> None:
        """Starts again what has ended."""
        for machine in [*self.apis, *self.workers]:
            machine.tend()

    def ask(self, method: str, path: str, *, retries: "Retries | None" = None, **options: Any) -> httpx.Response:
        """A request that is repeated, at one API after the other, until one answers it."""
        until, turn, said = time.monotonic() + PATIENCE_SECONDS, 0, ""
        while True:
            url = f"http://127.0.0.1:{self.ports[turn % len(self.ports)]}/api/v1{path}"
            with suppress(httpx.TransportError):
                answer = httpx.request(method, url, timeout=90, **options)
                if answer.status_code < 500:
                    return answer
                said = answer.text
            if retries is not None:
                retries.count += 1
            if time.monotonic() > until:
                raise TimeoutError(f"nobody answers {method} {path}: {said}")
            turn += 1
            self.tend()
            time.sleep(0.2)

    def close(self) -> None:
        """Ends all."""
        for machine in [*self.workers, *self.apis]:
            machine.tell_to_end()
        for machine in [*self.workers, *self.apis]:
            machine.end()
        self._stack.close()

    def logs(self) -> str:
        """The last words of each process."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in sorted(self._folder.glob("*.log")))


class Retries:
    """Counts requests that had to be repeated."""

    count = 0


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables, for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def to_json(order: Any) -> dict[str, Any]:
    """A `NewJob` as the API takes it."""
    recipe = json.loads(order.recipe.model_dump_json(include=set(order.recipe.model_fields_set)))
    return {"content": order.inputs.content, "styles": order.inputs.styles, "recipe": recipe, "saving_interval": 0}
