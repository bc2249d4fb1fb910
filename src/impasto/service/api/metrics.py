"""Numbers of the service, as Prometheus reads them: requests, streams, jobs by state."""

import time
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from impasto.service.jobs.listing import count_states

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
        self.jobs = Gauge("impasto_jobs", "Jobs by state.", ("state",), registry=self.registry)


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
    metrics.streams.set(edge.broker.num_streams)
    for state, count in count_states(edge.database).items():
        metrics.jobs.labels(state).set(count)
    return generate_latest(metrics.registry), CONTENT_TYPE_LATEST
