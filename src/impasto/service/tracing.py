"""Traces of OpenTelemetry: from the request that orders a job over the queue to each step of its painting.

They go where the usual variable says, ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``), and need the extra
``otel``; without the variable nothing of OpenTelemetry is loaded. A job's row carries the context of its request.
"""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from impasto.errors import UserError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

    from impasto.service.jobs.attempts import Assignment

__all__ = ["Tracing", "current_traceparent"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

UNTRACED = "api/v1/health,api/v1/ready,api/v1/version,metrics,events"
"""Paths without a span: asked every few seconds, or open for hours."""


class Tracing:
    """The traces of one process.

    Args:
        provider: Of spans; None makes none.
    """

    def __init__(self, provider: "TracerProvider | None") -> None:
        self._provider = provider
        self._tracer = None if provider is None else provider.get_tracer("impasto.service")

    @classmethod
    def of_environment(cls, role: str) -> "Tracing":
        """As the environment asks.

        Args:
            role: ``api`` or ``worker``; traces are of ``impasto-ROLE``, unless ``OTEL_SERVICE_NAME`` says otherwise.

        Raises:
            UserError: If traces are asked for, and the extra is not installed.
        """
        if not any(os.environ.get(name) for name in ENDPOINTS):
            return cls(None)
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise UserError(
                f"{ENDPOINTS[1]} asks for traces, and the package {error.name} is missing; pip install "
                "'impasto[otel]', or unset the variable."
            ) from None
        name = os.environ.get("OTEL_SERVICE_NAME", f"impasto-{role}")
        provider = TracerProvider(resource=Resource.create({"service.name": name}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def follow_app(self, app: "FastAPI", engine: sa.Engine) -> None:
        """Makes spans of an application's requests, and of what they ask the database."""
        if self._provider is None:
            return
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(
            app, tracer_provider=self._provider, excluded_urls=UNTRACED, exclude_spans=["receive", "send"]
        )
        self.follow_database(engine)

    def follow_database(self, engine: sa.Engine) -> None:
        """Makes spans of queries; those of heartbeats and looks, which nobody asked for, are traces of their own."""
        if self._provider is None:
            return
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        # Its list of versions ends before ours, in which the events that it listens to are the same; a test looks.
        SQLAlchemyInstrumentor().instrument(engine=engine, tracer_provider=self._provider, skip_dep_check=True)

    def begin(self, assignment: "Assignment") -> None:
        """Makes the span of a job's wait in the queue: from its order to the worker's begin, for the first attempt."""
        if self._tracer is None or assignment.attempt != 1:
            return
        start, job = assignment.job.created_at, assignment.job
        span = self._tracer.start_span(
            "wait in queue", context=_context_of(job.traceparent), start_time=_nanoseconds(start),
            attributes={"impasto.job.id": job.id, "impasto.job.priority": job.priority},
        )  # fmt: skip
        span.end(_nanoseconds(datetime.datetime.now(datetime.UTC)))

    @contextmanager
    def step(self, assignment: "Assignment") -> Iterator[None]:
        """The span of one step of an attempt: what is painted until the next checkpoint is safe."""
        if self._tracer is None:
            yield
            return
        attributes: dict[str, str | int] = {"impasto.job.id": assignment.job.id, "impasto.attempt": assignment.attempt,
                      "impasto.worker": assignment.worker}  # fmt: skip
        context = _context_of(assignment.job.traceparent)
        with self._tracer.start_as_current_span("paint to checkpoint", context=context, attributes=attributes):
            yield

    def close(self) -> None:
        """Sends what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def current_traceparent() -> str | None:
    """The context of the request at hand, as W3C's Trace Context has it; None without tracing."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = dict[str, str]()
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def _context_of(traceparent: str | None) -> "Context":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent} if traceparent else {})


def _nanoseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1e9)
