"""Traces from the request over the queue to the steps."""

from pathlib import Path
from typing import Any

import pytest

from impasto.errors import UserError
from impasto.service.jobs.attempts import Assignment
from impasto.service.tracing import ENDPOINTS, Tracing, current_traceparent
from tests.service import API, ORDER, api


def provider_in_memory() -> tuple[Any, Any]:
    trace = pytest.importorskip("opentelemetry.sdk.trace", reason="the extra otel is not installed")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, exporter = trace.TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_request_wait_and_steps_are_one_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, exporter = provider_in_memory()
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9/v1/traces")  # which says that traces are wanted
    tracing = Tracing(provider)
    with api(tmp_path, follow=tracing) as (client, service):
        job_id = client.post(f"{API}/jobs", json=ORDER).raise_for_status().json()["id"]
        client.get(f"{API}/health")
        assignment = service.attempts.begin(job_id, 1, "worker")
        assert isinstance(assignment, Assignment)
        tracing.begin(assignment)
        with tracing.step(assignment):
            pass
    spans = {span.name: span for span in exporter.get_finished_spans() if not span.name.startswith(("connect", "S"))}
    request = spans[f"POST {API}/jobs"]
    for name in ("wait in queue", "paint to checkpoint"):
        assert spans[name].context.trace_id == request.context.trace_id
        assert spans[name].attributes["impasto.job.id"] == job_id
    assert spans["wait in queue"].end_time > spans["wait in queue"].start_time
    assert any(span.name.startswith("INSERT") and span.context.trace_id == request.context.trace_id
               for span in exporter.get_finished_spans())  # fmt: skip
    assert not any("health" in name for name in spans)


def test_without_the_variable_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert current_traceparent() is None
    tracing = Tracing.of_environment("api")
    tracing.close()


def test_traces_without_the_extra_are_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv(ENDPOINTS[1], "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(UserError, match=r"impasto\[otel\]"):
        Tracing.of_environment("api")
