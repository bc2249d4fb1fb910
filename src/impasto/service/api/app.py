"""The application: routes, what they have at hand, and what every request passes before them."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute

from impasto.service.advisor.client import Advisor
from impasto.service.advisor.without_torch import AdvisorWithoutTorch, has_torch
from impasto.service.api import (
    events,
    health,
    images,
    jobs,
    models,
    problems,
    recipes,
    results,
    sessions,
    studio,
)
from impasto.service.api.broker import Broker
from impasto.service.api.edge import Edge
from impasto.service.api.event_log import RenderedLog
from impasto.service.api.guard import LOOPBACK_NAMES, Guard, GuardRules
from impasto.service.api.limits import RateLimit
from impasto.service.api.metrics import CountRequests
from impasto.service.api.openapi import describe
from impasto.service.api.security import Gate
from impasto.service.api.views import BASE
from impasto.service.artifacts import Artifacts
from impasto.service.decoding.pool import DecodingLimits, DecodingPool
from impasto.service.jobs.desk import Desk
from impasto.service.jobs.events import EventLog
from impasto.service.keys import KeyRing
from impasto.service.settings import Settings
from impasto.service.store.database import Database

BURST_SECONDS = 10
"""Requests of so many seconds may come at once."""

FORM_BYTES = 1 << 20
"""Of a form besides its pictures."""


def create_app(
    settings: Settings, database: Database, artifacts: Artifacts, desk: Desk, *, studio_folder: Path | None = None
) -> FastAPI:
    """Builds the application; the schema of the database is up to date already.

    Args:
        settings: What the operator decides.
        database: With the tables.
        artifacts: Files by key.
        desk: Takes orders.
        studio_folder: The built studio; by default the package's.
    """
    app = bare_app(studio_folder)
    app.router.lifespan_context = _lifespan
    limits = DecodingLimits(max_pixels=settings.max_pixels)
    edge = Edge(
        settings, database, artifacts, desk, DecodingPool(limits), Advisor() if has_torch() else AdvisorWithoutTorch(),
        Broker(RenderedLog(EventLog(database), database)),
    )  # fmt: skip
    app.state.edge = edge
    a_second = settings.requests_a_minute / 60
    rate = RateLimit(a_second, max(1, int(a_second * BURST_SECONDS)))
    secret = session_secret(settings)
    app.state.gate = Gate(KeyRing(database), secret, is_loopback=settings.is_loopback, rate=rate)
    app.add_middleware(CountRequests, metrics=edge.metrics)
    app.add_middleware(Guard, rules=guard_rules(settings))
    return app


def bare_app(studio_folder: Path | None = None) -> FastAPI:
    """The routes alone, with nothing behind them: enough for the OpenAPI document."""
    app = FastAPI(
        title="Impasto",
        version=version("impasto"),
        openapi_url=f"{BASE}/openapi.json",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_name,
    )
    problems.install(app)
    for module in (images, jobs, results, events, recipes, models, sessions, health):
        app.include_router(module.router, prefix=BASE)
    app.include_router(health.root)
    app.include_router(studio.router(studio_folder))
    describe(app)
    return app


def guard_rules(settings: Settings) -> GuardRules:
    """What the settings say of hosts and bodies."""
    own = set() if settings.is_loopback else {settings.host.lower()}
    return GuardRules(
        hosts=LOOPBACK_NAMES | {name.lower() for name in settings.allowed_hosts} | own,
        allows_addresses=not settings.is_loopback,
        max_body_bytes=settings.max_upload_bytes + FORM_BYTES,
        max_json_bytes=settings.max_body_bytes,
    )


def session_secret(settings: Settings) -> bytes:
    """What sessions are signed with: given, or kept in the data folder, so that they outlive a restart."""
    if settings.session_secret is not None:
        return settings.session_secret.get_secret_value().encode()
    file = settings.data / "session-secret"
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as new:
            new.write(secrets.token_bytes(32))
    return file.read_bytes()


def _operation_name(route: APIRoute) -> str:
    """In the OpenAPI document: ``create_job``."""
    return route.name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    edge: Edge = app.state.edge
    yield
    edge.broker.close()
    for task in list(edge.tasks):
        task.cancel()
    await edge.decoding.close()
    await edge.advisor.close()
