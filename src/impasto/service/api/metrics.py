"""Numbers of the service, as Prometheus reads them: of this process (requests, streams) and of the whole fleet.

What is said of the fleet comes from the database, so that every API process says the same: take the maximum of them,
never the sum.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.service.jobs.causes import CAUSES
from impasto.service.jobs.numbers import EndedJob, FleetNumbers, count_fleet
from impasto.service.jobs.states import ENDED

if TYPE_CHECKING:
    from impasto.service.api.edge import Edge

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (GCCollector, PlatformCollector, ProcessCollector):
            collector(registry=self.registry)
        labels = ("method", "route", "status")
        self.requests = Counter("impasto_requests", "Requests that were answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "impasto_request_seconds", "From request to answer's start.", ("method", "route"), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.streams = Gauge("impasto_event_streams", "Event streams that are open.", registry=self.registry)
        self.uploads = Counter(
            "impasto_upload_bytes",
            "Bytes of pictures that arrived, whole, before they were decoded.",
            registry=self.registry,
        )
        self.telling = threading.Lock()
        self._fleet = {
            name: Gauge(f"impasto_{name}", words, labels, registry=self.registry) for name, words, labels in _FLEET
        }

    def tell_fleet(self, numbers: FleetNumbers) -> None:
        """Sets what comes from the database; what is not there any more is told no more."""
        for name, _, labels in _FLEET:
            if labels:
                self._fleet[name].clear()
        for state, count in numbers.states.items():
            self._fleet["jobs"].labels(state).set(count)
        for priority, count in numbers.queued.items():
            self._fleet["queued_jobs"].labels(priority).set(count)
            self._fleet["oldest_queued_seconds"].labels(priority).set(numbers.oldest_seconds[priority])
        for doing, count in numbers.workers.items():
            self._fleet["workers"].labels(doing).set(count)
        for state in sorted(ENDED):
            self._fleet["jobs_ended_lately"].labels(state).set(numbers.ended_states.get(state, 0))
        self._fleet["attempts_lost_lately"].set(numbers.lost_attempts)
        for queue, count in numbers.queues.items():
            self._fleet["queue_jobs"].labels(queue).set(count)
        for cause in CAUSES:
            self._fleet["failures_lately"].labels(cause).set(numbers.failures.get(cause, 0))
        self._fleet["memory_bytes"].labels("planned").set(numbers.planned_bytes)
        self._fleet["memory_bytes"].labels("taken").set(numbers.taken_bytes)
        if numbers.recovery_seconds:
            for share in QUANTILES:
                value = _quantile(list(numbers.recovery_seconds), share)
                self._fleet["recovery_seconds"].labels(str(share)).set(value)
        self._tell_quantiles("wait_seconds", numbers.ended, lambda job: job.wait_seconds)
        self._tell_quantiles("run_seconds", numbers.ended, lambda job: job.run_seconds if job.iterations else None)
        self._tell_quantiles(
            "iterations_per_second", numbers.ended,
            lambda job: job.iterations / job.run_seconds if job.run_seconds > 0 else None,
        )  # fmt: skip

    def _tell_quantiles(self, name: str, jobs: Iterable[EndedJob], of: Callable[[EndedJob], float | None]) -> None:
        groups: dict[tuple[int, str], list[float]] = {}
        for job in jobs:
            if (value := of(job)) is not None:
                groups.setdefault((job.priority, job.size), []).append(value)
        for (priority, size), values in groups.items():
            for share in QUANTILES:
                self._fleet[name].labels(priority, size, str(share)).set(_quantile(values, share))


QUANTILES = (0.5, 0.95)

_FLEET: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("jobs", "Unfinished pictures by state.", ("state",)),
    ("queued_jobs", "Pictures that wait, by priority.", ("priority",)),
    ("oldest_queued_seconds", "Age of the oldest picture that waits, by priority.", ("priority",)),
    ("workers", "Workers that are heard of, by what they do.", ("doing",)),
    ("jobs_ended_lately", "Pictures that ended within the last five minutes, by state.", ("state",)),
    ("attempts_lost_lately", "Attempts that ended with their worker within the last five minutes.", ()),
    ("queue_jobs", "Pictures that wait, by queue; each size of worker has one.", ("queue",)),
    ("failures_lately", "Pictures that failed within the last five minutes, by cause.", ("cause",)),
    ("memory_bytes", "Of the jobs that are painted, as planned and as their workers take it now.", ("what",)),
    ("recovery_seconds", "From a lost worker's last heartbeat to its job's next attempt, of the last five minutes.",
     ("quantile",)),
    ("wait_seconds", "From order to start, of what ended lately.", ("priority", "size", "quantile")),
    ("run_seconds", "Of painting, of what ended lately.", ("priority", "size", "quantile")),
    ("iterations_per_second", "Of what ended lately.", ("priority", "size", "quantile")),
)  # fmt: skip
"""Gauges of the whole fleet: name, meaning, labels."""


def _quantile(values: list[float], share: float) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


class CountRequests:
    """ASGI middleware that counts requests by the route's template, never by the path itself.

    Args:
        app: What comes after.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unknown")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests.labels(method, route, str(message["status"])).inc()
                self._metrics.seconds.labels(method, route).observe(time.perf_counter() - start)
            await send(message)

        await self._app(scope, receive, counted)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def render(edge: "Edge") -> tuple[bytes, str]:
    """All numbers as text, and its media type; blocks."""
    metrics = edge.metrics
    numbers = count_fleet(edge.database, edge.settings.lease_seconds)
    with metrics.telling:
        metrics.streams.set(edge.broker.num_streams)
        metrics.tell_fleet(numbers)
        return generate_latest(metrics.registry), CONTENT_TYPE_LATEST
