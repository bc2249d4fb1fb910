"""A service that really runs, in a process of its own, as `impasto serve` starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

START_SECONDS = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A service with a data folder, which can be killed and started again at the same address."""

    def __init__(self, data: Path, *, workers: int = 1) -> None:
        self.data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workers = workers
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        settings = {"DATA": self.data, "PORT": self.port, "WORKERS": self.workers, "PREVIEW_SECONDS": 0.2,
                    "CHECKPOINT_SECONDS": 1, "LEASE_SECONDS": 10, "THREADS": 1}  # fmt: skip
        return os.environ | {f"IMPASTO_SERVICE_{name}": str(value) for name, value in settings.items()}

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "impasto", "serve"],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if self.get("/health")["status"] == "ok":
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"The service did not start:\n{(self.data / 'serve.log').read_text()[-4000:]}")

    def kill(self) -> None:
        """As a power cut: the service and its workers at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def command(self, *arguments: str) -> str:
        """What a command of Impasto prints, with the service's settings."""
        command = [sys.executable, "-m", "impasto", *arguments]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout
