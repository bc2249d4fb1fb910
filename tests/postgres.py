"""A PostgreSQL server of the tests' own, where its programs are installed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = Path("/usr/lib/postgresql")
"""Where Debian keeps them, by version."""


def programs() -> Path | None:
    """The folder of the newest server's programs; None where none is installed."""
    folders = [folder for folder in PROGRAMS.glob("*/bin") if (folder / "initdb").is_file()]
    if folders:
        return max(folders, key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class PostgresServer:
    """A server that can be stopped and started again.

    Args:
        folder: Of its data; made by `postgres_server`.
        port: To listen at, on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        found = programs()
        assert found is not None
        self.programs, self.folder, self.port = found, folder, port
        self.url = f"postgresql://impasto@127.0.0.1:{port}/postgres"

    def create(self) -> None:
        """Makes its data folder; whoever comes over loopback is trusted."""
        self.run("initdb", "--auth=trust", "--username=impasto", "--encoding=UTF8", "--no-sync", "-D",
                  str(self.folder / "data"))  # fmt: skip

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"),
                  "-o", options)  # fmt: skip

    def stop(self) -> None:
        """Stops it at once, as a machine that is switched off."""
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.folder / "data"))

    def run(self, program: str, *arguments: str) -> None:
        user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        subprocess.run([self.programs / program, *arguments], check=True, user=user, cwd=self.folder,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server that runs; skips the test where none is installed."""
    if programs() is None:
        pytest.skip("no PostgreSQL server is installed (Debian's package postgresql)")
    with tempfile.TemporaryDirectory(prefix="impasto-postgresql-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = PostgresServer(folder, free_port())
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
