"""What the routes have at hand: the rooms behind the API, in one place."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Request

from impasto.recipe.model_names import public_name
from impasto.service.advisor.client import Advisor
from impasto.service.api.broker import Broker
from impasto.service.api.metrics import Metrics
from impasto.service.artifacts import Artifacts
from impasto.service.decoding.pool import DecodingPool
from impasto.service.jobs.desk import Desk
from impasto.service.settings import Settings
from impasto.service.store.database import Database

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Edge:
    """The rooms behind the API.

    Attributes:
        settings: What the operator decides.
        database: With the tables.
        artifacts: Files by key.
        desk: Takes orders.
        decoding: Decodes strangers' pictures.
        advisor: Knows what only torch can tell.
        broker: The event streams.
        metrics: Numbers for Prometheus.
        tasks: What goes on in the background.
    """

    settings: Settings
    database: Database
    artifacts: Artifacts
    desk: Desk
    decoding: DecodingPool
    advisor: Advisor
    broker: Broker
    metrics: Metrics = field(default_factory=Metrics)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @cached_property
    def models(self) -> Mapping[str, str]:
        """The operator's custom models, by the name that callers use."""
        return {public_name(model): model for model in self.settings.models}

    def in_background(self, task: "asyncio.Task[Any]") -> None:
        """Keeps a task until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def _edge(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


EdgeOf = Annotated[Edge, Depends(_edge)]


async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a room behind, which blocks, in a thread."""
    return await asyncio.to_thread(partial(function, *args, **kwargs))
