"""S3 servers of the tests' own, as processes on loopback.

No server that people run in earnest (SeaweedFS, Garage, Ceph) comes as a Python package, and these two do: `MOTO`, the
model of Amazon's S3 that is checked most widely, which knows conditional writes and keeps all in memory; and `NANIO`,
which keeps objects in a folder, so that it can be killed and started again, and ignores conditions.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.postgres import free_port

__all__ = ["BUCKET", "MOTO", "NANIO", "S3Server", "s3_server"]

BUCKET = "impasto"
KEY, SECRET = "impasto-tests", "secret-of-the-tests"

MOTO, NANIO = "moto", "nanio"


class S3Server:
    """A server that can be killed and started again.

    Args:
        folder: Of its data and log.
        program: `MOTO` or `NANIO`.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self.folder, self.program, self.port = folder, program, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, endpoint: str | None = None) -> Mapping[str, str]:
        """Variables that clients of it need, and the service's artifacts in its bucket."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
            "IMPASTO_SERVICE_ARTIFACTS_URL": f"s3://{KEY}:{SECRET}@{BUCKET}",
        }  # fmt: skip

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        place = ["--host", "127.0.0.1", "--port", str(self.port)]
        commands = {
            MOTO: ["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(self.port)],
            NANIO: ["-m", "nanio", "serve", "--data-dir", str(self.folder / "data"), "--no-access-log", *place],
        }
        (self.folder / "data" / BUCKET).mkdir(parents=True, exist_ok=True)  # which is how nanio has a bucket
        keys = {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *commands[self.program]], env=os.environ | keys, stdout=log, stderr=log
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                httpx.get(self.endpoint)
                break
            time.sleep(0.05)
        if self.program == MOTO:
            httpx.put(f"{self.endpoint}/{BUCKET}").raise_for_status()

    def kill(self) -> None:
        """Ends it at once, as a machine that is switched off."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def s3_server(folder: Path, program: str = MOTO) -> Iterator[S3Server]:
    """A server that runs; skips the test where it is not installed."""
    if importlib.util.find_spec(program) is None:
        pytest.skip(f"no S3 server is installed (the package {program}, which the extra dev has)")
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(folder, program)
    server.start()
    try:
        yield server
    finally:
        server.kill()
