"""The database's machine and the store are lost; both come back from a backup, and the doctor brings them together."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from impasto.service.artifacts import Artifacts
from impasto.service.core import Core
from impasto.service.jobs.states import State
from impasto.service.keys import KeyRing
from impasto.service.settings import Settings
from tests.deployment import DEPLOY
from tests.postgres import PostgresServer, postgres_server
from tests.s3 import s3_server
from tests.unit.service.conftest import new_job

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "bucket"])
def places(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """URLs of three stores: the one in use, its copy, and the one it is restored to."""
    if request.param == "folder":
        yield [(tmp_path / name).as_uri() for name in ("store", "copy", "restored")]
        return
    with s3_server(tmp_path / "s3") as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield [f"{Settings.load().artifacts}/{name}" for name in ("store", "copy", "restored")]


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def new_database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.url.rpartition('/')[0]}/{name}"


def environment(server: PostgresServer, name: str, folder: Path) -> Mapping[str, str]:
    """What PostgreSQL's programs, and the script of the backup, need to find a database."""
    return {
        "PATH": f"{server.programs}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(server.port),
        "PGUSER": "impasto", "PGDATABASE": name, "BACKUP_DIR": str(folder),
    }  # fmt: skip


def copy(source: str, target: str) -> None:
    """As `rclone copy` does: all that is there, and nothing is removed."""
    before, after = Artifacts(source), Artifacts(target)
    for key in before.keys(""):
        after.put(key, before.read(key))


def paint(core: Core) -> str:
    """A job that is done, as a worker leaves it."""
    job, _ = core.desk.create("ann", new_job())
    assignment = core.attempts.begin(job.id, 1, "worker")
    key = f"jobs/{job.id}/1/result.png"
    core.artifacts.put(key, job.id.encode())
    core.attempts.finish(assignment, State.DONE, {"result": key})
    return job.id


def doctor(settings: Mapping[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "impasto", "doctor", "--min-age-hours", "0", *options]
    return subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=120)


def test_what_is_lost_is_at_most_what_came_since_the_backup(
    database: PostgresServer, places: list[str], tmp_path: Path
) -> None:
    url = new_database(database, "impasto")
    core = Core.open(Settings.load(data=tmp_path / "data", database_url=url, artifacts_url=places[0]))
    KeyRing(core.database).create("ann")
    before, running = paint(core), core.desk.create("ann", new_job())[0].id
    assert core.attempts.begin(running, 1, "worker") is not None
    waiting = core.desk.create("ann", new_job())[0].id
    dumped = subprocess.run(
        ["sh", DEPLOY / "backup.sh"], env=environment(database, "impasto", tmp_path), check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    since = paint(core)  # between the two halves of the backup, and so in one of them only
    copy(places[0], places[1])
    core.close()

    # Another machine: an empty database, an empty store.
    url = new_database(database, "restored")
    program = database.programs / "pg_restore"
    options = ["--clean", "--if-exists", "--no-owner", "--exit-on-error", "--dbname", "restored"]
    subprocess.run(
        [program, *options, dumped.stdout.strip()], env=environment(database, "restored", tmp_path), check=True
    )
    copy(places[1], places[2])
    settings = {
        "IMPASTO_SERVICE_DATA": str(tmp_path / "new"), "IMPASTO_SERVICE_DATABASE_URL": url,
        "IMPASTO_SERVICE_ARTIFACTS_URL": places[2],
    }  # fmt: skip
    dry = doctor(settings)
    assert dry.returncode == 1 and f"jobs/{since}/1/result.png" in dry.stdout and running in dry.stdout, dry.stderr
    assert before not in dry.stdout and waiting not in dry.stdout
    assert doctor(settings).stdout == dry.stdout, "looking changes nothing"
    mended = doctor(settings, "--mend")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert doctor(settings).stdout == "All fits together.\n"

    core = Core.open(Settings.load(data=tmp_path / "new", database_url=url, artifacts_url=places[2]))
    assert core.artifacts.read(core.desk.get("ann", before).artifacts["result"]) == before.encode()
    assert [core.desk.get("ann", job).state for job in (running, waiting)] == [State.QUEUED] * 2
    assert not core.artifacts.exists(f"jobs/{since}/1/result.png")
    assert [key.name for key in KeyRing(core.database).all()] == ["ann"]
    core.close()
