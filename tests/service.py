"""A service without workers, as tests of its edge need it."""

import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI

from impasto.recipe import Recipe
from impasto.service.advisor.client import Advisor
from impasto.service.api.app import create_app
from impasto.service.artifacts import Artifacts
from impasto.service.jobs.attempts import Attempts
from impasto.service.jobs.desk import Desk
from impasto.service.keys import KeyRing
from impasto.service.queue import Queue
from impasto.service.settings import Settings
from impasto.service.store.database import Database
from impasto.service.tracing import Tracing

API = "/api/v1"
SERVER = "IMPASTO_TEST_POSTGRESQL"
"""Variable with the URL of a PostgreSQL server, which every service of the tests then has a database of its own on."""

BUCKET = "IMPASTO_TEST_S3"
"""Variable with the URL of a bucket, in which every service of the tests then has a folder of its own."""

ORDER: Mapping[str, Any] = {
    "content": "example:coffee",
    "styles": ["example:oil"],
    "recipe": {"model": "compact", "height": 32, "total_iterations": 4},
}


class QuickAdvisor(Advisor):
    """Says of every job that it takes a second; starts no process, so that tests of other things are fast."""

    async def plan(
        self,
        recipe: Recipe,
        content_size: Sequence[int],
        style_sizes: Sequence[Sequence[int]],
        max_memory: int | None = None,
    ) -> dict[str, Any]:
        return {
            "recipe": recipe.model_dump(mode="json"), "peak_bytes": 10**8, "seconds": 1.0, "size": [32, 48],
            "lowered": [],
        }  # fmt: skip

    async def models(self) -> list[dict[str, Any]]:
        return [{"name": "compact", "description": "", "is_ready": True, "size_bytes": 1, "download": None}]


@dataclass
class Service:
    """A service's rooms."""

    app: FastAPI
    database: Database
    desk: Desk
    attempts: Attempts
    artifacts: Artifacts
    keys: KeyRing


def settings_for(data: Path, **given: Any) -> Settings:
    """Settings of a service in a folder, or on the servers that the environment names."""
    bucket = os.environ.get(BUCKET)
    artifacts = f"{bucket}/{secrets.token_hex(6)}" if bucket else None
    return Settings.load(**{"data": data, "database_url": _fresh_database(), "artifacts_url": artifacts} | given)


@contextmanager
def service(data: Path, *, is_quick: bool = True, follow: Tracing | None = None, **settings: Any) -> Iterator[Service]:
    """A service in a folder."""
    chosen = settings_for(data, **settings)
    chosen.prepare()
    database = Database(chosen.database)
    database.migrate()
    queue = Queue(database)
    queue.migrate()
    artifacts = Artifacts(chosen.artifacts)
    desk, attempts = Desk(database, queue, chosen), Attempts(database, queue, chosen)
    app = create_app(chosen, database, artifacts, desk)
    if follow is not None:
        follow.follow_app(app, database.engine)
    if is_quick:
        app.state.edge.advisor = QuickAdvisor()
    try:
        yield Service(app, database, desk, attempts, artifacts, KeyRing(database))
    finally:
        database.close()


def table_of_workflows(database: Database) -> str:
    """Name of DBOS's table, for queries of tests."""
    return "workflow_status" if database.is_sqlite else "dbos.workflow_status"


def _fresh_database() -> str | None:
    """URL of an empty database on the server that the environment names; None for a file in the data folder."""
    server = os.environ.get(SERVER)
    return _new_database(server, _template(server)) if server else None


@cache
def _template(server: str) -> str:
    """Name of a database with the schema, which others are copied from: faster than to migrate each."""
    url = _new_database(server, "template1")
    database = Database(Settings.load(database_url=url).database)
    database.migrate()
    Queue(database).migrate()
    database.close()
    return url.rpartition("/")[2]


def _new_database(server: str, template: str) -> str:
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def api(data: Path, **settings: Any) -> Iterator[tuple[httpx.Client, Service]]:
    """A client, and the service that it talks to, which listens at a port of its own."""
    with service(data, **settings) as made, served(made.app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client, made


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Lets an application listen, in a thread; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.state.edge.broker.close()
        server.should_exit = True
        thread.join()
