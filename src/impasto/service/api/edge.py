"""What the routes have at hand: the rooms behind the API, in one place."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from fastapi import Depends, Request

from impasto.service.advisor.client import Advisor
from impasto.service.api.broker import Broker
from impasto.service.api.metrics import Metrics
from impasto.service.api.ports import Blobs, ConflictError, Jobs, NotThereError, Pictures, QuotaError
from impasto.service.api.problems import ApiProblem
from impasto.service.decoding.pool import DecodingPool

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Edge:
    """The rooms behind the API.

    Attributes:
        jobs: The jobs.
        pictures: The uploaded pictures.
        blobs: Their files.
        decoding: Decodes strangers' pictures.
        advisor: Knows what only torch can tell.
        broker: The event streams.
        scratch: A folder for files on their way.
        max_memory: Of one job, in bytes; None if nobody said.
        models: The operator's custom models, by the name that callers use.
        checks: What readiness depends on: each says what is wrong, or nothing.
        metrics: Numbers for Prometheus.
        tasks: What goes on in the background.
    """

    jobs: Jobs
    pictures: Pictures
    blobs: Blobs
    decoding: DecodingPool
    advisor: Advisor
    broker: Broker
    scratch: Path
    max_memory: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    checks: dict[str, Callable[[], str]] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def in_background(self, task: "asyncio.Task[Any]") -> None:
        """Keeps a task until it is done."""
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def _edge(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


EdgeOf = Annotated[Edge, Depends(_edge)]


async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a room behind, in a thread; what it refuses becomes a problem.

    Raises:
        ApiProblem: 404, 409 or 429.
    """
    try:
        return await asyncio.to_thread(partial(function, *args, **kwargs))
    except NotThereError as error:
        raise ApiProblem(404, str(error) or "There is no such thing here; check the id.") from None
    except ConflictError as error:
        raise ApiProblem(409, str(error)) from None
    except QuotaError as error:
        raise ApiProblem(429, str(error), {"Retry-After": "60"}) from None
