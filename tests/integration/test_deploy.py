"""The services of the compose file that are ours, by their own command lines and variables, against real servers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from tests.deployment import DEPLOY, Deployment
from tests.postgres import PostgresServer, free_port, postgres_server, programs
from tests.service import API, ORDER

pytestmark = pytest.mark.slow

PATIENCE = 120.0


@dataclass
class Fleet:
    """The compose file's services as processes of this machine.

    Attributes:
        folder: For secrets and data.
        database: The server; the place of ``postgres``.
        port: Of the API.
    """

    folder: Path
    database: PostgresServer
    port: int

    def __post_init__(self) -> None:
        self.deployment = Deployment.read()
        self.stack = ExitStack()
        self.secrets = self.folder / "secrets"
        subprocess.run([sys.executable, DEPLOY / "prepare.py", self.secrets], check=True)
        self.rewrite("impasto_service_database_url", self.database_url("impasto"))
        self.rewrite("impasto_service_artifacts_url", (self.folder / "pictures").as_uri())
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE impasto")

    def database_url(self, name: str) -> str:
        return f"{self.database.url.rpartition('/')[0]}/{name}"

    def rewrite(self, secret: str, value: str) -> None:
        """Puts the place of this machine's server into a secret."""
        file = self.secrets / "impasto" / secret
        file.chmod(0o600)
        file.write_text(value)

    def command(self, name: str) -> list[str]:
        places = {"/run/keys/": f"{self.secrets}/keys/", "8000": str(self.port)}
        words = []
        for word in self.deployment.command(name):
            for place, here in places.items():
                word = word.replace(place, here)
            words.append(word)
        assert words[0] == "impasto"
        return [sys.executable, "-m", *words]

    def environment(self, name: str, data: str) -> Mapping[str, str]:
        folder = self.folder / data
        folder.mkdir(exist_ok=True)
        own = self.deployment.environment(name) | {
            "IMPASTO_SERVICE_SECRETS_DIR": str(self.secrets / "impasto"),
            "IMPASTO_SERVICE_DATA": str(folder),  # from here on what the image sets
            "IMPASTO_CACHE_DIR": str(self.folder / "weights"),
        }
        kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR")
        return {name: os.environ[name] for name in kept if name in os.environ} | own

    def once(self, name: str) -> None:
        """Runs a service that ends."""
        subprocess.run(self.command(name), env=self.environment(name, name), check=True, timeout=PATIENCE)

    def start(self, name: str, number: int = 1) -> "subprocess.Popen[bytes]":
        """Starts a service that stays."""
        process = subprocess.Popen(
            self.command(name), env=self.environment(name, f"{name}-{number}"), stdout=subprocess.DEVNULL
        )
        self.stack.callback(_end, process)
        return process

    def close(self) -> None:
        self.stack.close()

    def key(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {(self.secrets / 'keys' / name).read_text()}"}

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        url = f"http://127.0.0.1:{self.port}"
        with httpx.Client(base_url=url, headers=self.key("first"), timeout=60) as client:
            yield client


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(found: Any, what: str) -> Any:
    """What a function says once it is neither None nor False."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if answer := found():
                return answer
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"waited in vain for {what}")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with postgres_server() as server:
        fleet = Fleet(tmp_path, server, free_port())
        try:
            yield fleet
        finally:
            fleet.close()


def test_the_compose_files_services_paint_a_picture(fleet: Fleet) -> None:
    fleet.once("first-key")
    fleet.once("metrics-key")
    fleet.once("first-key")  # as at every start
    api, first = fleet.start("api"), fleet.start("worker", 1)
    second = fleet.start("worker", 2)  # both begin at once on an empty queue
    with fleet.client() as client:
        wait_for(lambda: client.get(f"{API}/ready").status_code == 200, "the API")
        assert client.get(f"{API}/jobs", headers={"Authorization": ""}).status_code == 401
        assert client.get("/", headers={"Host": "elsewhere.example.org"}).status_code == 421

        job = client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()
        done = wait_for(lambda: ended(client, job["id"]), "the picture")
        assert done["state"] == "done", done["error"]
        assert client.get(f"{API}/jobs/{job['id']}/result").content[:8] == b"\x89PNG\r\n\x1a\n"

        worker_is_well = [sys.executable, "-m", "impasto.service.worker.health"]
        well = subprocess.run(worker_is_well, env=fleet.environment("worker", "worker-1"), timeout=PATIENCE)
        assert well.returncode == 0

        numbers = client.get("/metrics", headers=fleet.key("metrics")).raise_for_status().text
        assert 'impasto_workers{doing="idle"} 2.0' in numbers
        assert 'impasto_jobs_ended_lately{state="done"} 1.0' in numbers

        # A worker that never returns: its job goes on elsewhere.
        order = {**ORDER, "recipe": {**ORDER["recipe"], "height": 64, "total_iterations": 3000}}
        long = client.post(f"{API}/jobs", json=order).raise_for_status().json()
        running = wait_for(lambda: state_is(client, long["id"], "running"), "the job to run")
        killed = worker_of(fleet, running["id"], {first.pid: first, second.pid: second})
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        wait_for(lambda: client.get(f"{API}/jobs/{long['id']}").json()["attempt"] == 2, "another worker")
        client.post(f"{API}/jobs/{long['id']}/stop").raise_for_status()
        stopped = wait_for(lambda: ended(client, long["id"]), "its end")
        assert stopped["state"] in ("stopped", "done")

        restored(fleet)
    assert api.poll() is None


def ended(client: httpx.Client, job_id: str) -> dict[str, Any] | None:
    job = client.get(f"{API}/jobs/{job_id}").raise_for_status().json()
    return job if job["state"] in ("done", "stopped", "failed", "cancelled") else None


def state_is(client: httpx.Client, job_id: str, state: str) -> dict[str, Any] | None:
    job = client.get(f"{API}/jobs/{job_id}").raise_for_status().json()
    return job if job["state"] == state else None


def worker_of(
    fleet: Fleet, job_id: str, processes: "Mapping[int, subprocess.Popen[bytes]]"
) -> "subprocess.Popen[bytes]":
    """The process that paints a job."""
    query = "SELECT workers.pid FROM jobs JOIN workers ON workers.id = jobs.worker WHERE jobs.id = %s"
    with psycopg.connect(fleet.database_url("impasto")) as connection:
        row = connection.execute(query, [job_id]).fetchone()
    assert row is not None
    return processes[row[0]]


def restored(fleet: Fleet) -> None:
    """A dump by the backup's own script, put into an empty database, says the same."""
    folder = programs()
    assert folder is not None
    place = httpx.URL(fleet.database_url("impasto"))
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(place.port),
        "PGUSER": "impasto", "PGDATABASE": "impasto", "BACKUP_DIR": str(fleet.folder),
    }  # fmt: skip
    made = subprocess.run(["sh", DEPLOY / "backup.sh"], env=environment, check=True, capture_output=True, text=True)
    with psycopg.connect(fleet.database.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    restore = [folder / "pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", "--dbname", "restored"]
    subprocess.run([*restore, made.stdout.strip()], env=environment, check=True)
    query = "SELECT id, state, artifacts::text FROM jobs ORDER BY number"
    rows = []
    for name in ("impasto", "restored"):
        with psycopg.connect(fleet.database_url(name)) as connection:
            rows.append((connection.execute(query).fetchall(), connection.execute("SELECT hash FROM keys").fetchall()))
    assert rows[0] == rows[1] and rows[0][0]


def test_prometheus_reads_the_api_by_the_configuration_of_the_compose_file(fleet: Fleet) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not installed (Debian's package prometheus)")
    fleet.once("first-key")
    fleet.once("metrics-key")
    fleet.start("api")
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    scrape = config["scrape_configs"][0]
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{fleet.port}"]}]
    del scrape["dns_sd_configs"]
    scrape["authorization"]["credentials_file"] = str(fleet.secrets / "prometheus" / "key")
    config["global"]["scrape_interval"] = "1s"
    config["rule_files"] = [str(DEPLOY / "prometheus" / "alerts.yml")]
    file = fleet.folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    port = free_port()
    process = subprocess.Popen(
        [prometheus, f"--config.file={file}", f"--storage.tsdb.path={fleet.folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/api/v1"

        def answer(query: str) -> list[Any]:
            said = httpx.get(f"{url}/query", params={"query": query})
            return said.json()["data"]["result"] if said.is_success else []  # it is not ready at once

        wait_for(lambda: answer('up{job="impasto"} == 1'), "Prometheus to read the API")
        assert answer("impasto_jobs")
        groups = httpx.get(f"{url}/rules").json()["data"]["groups"]
        assert all(rule["health"] in ("ok", "unknown") for group in groups for rule in group["rules"])
    finally:
        _end(process)


def test_processes_that_start_at_once_bring_one_schema_up_to_date(fleet: Fleet) -> None:
    program = "from impasto.service.core import Core; from impasto.service.settings import Settings; "
    program += "Core.open(Settings.load()).close()"
    processes = [
        subprocess.Popen([sys.executable, "-c", program], env=fleet.environment("api", f"data-{number}"))
        for number in range(4)
    ]
    assert [process.wait(PATIENCE) for process in processes] == [0] * 4
