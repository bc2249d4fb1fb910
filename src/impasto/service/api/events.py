"""Event streams: all jobs of a caller, or one."""

import json
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from impasto.service.api.broker import MAX_STREAMS, EventStreamResponse
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.jobs import look_up
from impasto.service.api.parameters import JobId, LastEventId
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.api.security import Identity, Reader

router = APIRouter(tags=["events"])

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `job` (data: a whole Job), `progress`, `preview` and `deleted`; a comment every 15 s. "
        "One job's stream begins with the job as it is, unless it goes on after an event.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/events", response_class=Response, responses=answers(503) | STREAM)
async def stream_events(edge: EdgeOf, caller: Reader, last_event_id: LastEventId = None) -> Response:
    """Follow all jobs."""
    return _stream(edge, caller, None, last_event_id)


@router.get("/jobs/{job_id}/events", response_class=Response, responses=answers(404, 503) | STREAM)
async def stream_job_events(job_id: JobId, edge: EdgeOf, caller: Reader, last_event_id: LastEventId = None) -> Response:
    """Follow one job."""
    await call(edge.desk.get, caller.owner, job_id)
    return _stream(edge, caller, job_id, last_event_id)


def _stream(edge: Edge, caller: Identity, job_id: str | None, after: int | None) -> Response:
    if edge.broker.num_streams >= MAX_STREAMS:
        raise ApiProblem(503, "Too many event streams are open; try again later.", {"Retry-After": "10"})
    greet = partial(_greeting, edge, caller, job_id) if job_id is not None and after is None else None
    return EventStreamResponse(partial(edge.broker.stream, caller.owner, job_id, after, greet))


async def _greeting(edge: Edge, caller: Identity, job_id: str) -> bytes:
    """The job as it is: who comes after its last event would otherwise wait for ever."""
    job = await call(look_up, edge, caller.owner, job_id)
    return f"event: job\ndata: {json.dumps(job, separators=(',', ':'))}\n\n".encode()
