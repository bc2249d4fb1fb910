"""Answers that are files: streamed, named, with what caches need."""

from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from impasto.service.api.edge import Edge, call
from impasto.service.api.problems import ApiProblem, answers
from impasto.service.artifacts import MissingArtifactError

IMMUTABLE = "private, max-age=31536000, immutable"
"""For what an address holds for ever."""

REVALIDATED = "private, no-cache"
"""For what is asked after each time, by its tag."""


def file_answers(*media_types: str, statuses: tuple[int, ...] = (404,)) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of an answer that is a file."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return answers(*statuses) | {200: {"description": "The file.", "content": dict.fromkeys(media_types, binary)}}


def disposition(name: str, kind: str = "inline") -> str:
    """A ``Content-Disposition`` for any name."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in " ._-") else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def artifact_answer(
    edge: Edge, request: Request, key: str, *, media_type: str, name: str, etag: str, cache: str = REVALIDATED
) -> Response:
    """An artifact; 304 if the client has it already.

    Raises:
        ApiProblem: 404 if it is gone.
    """
    headers = {"ETag": f'"{etag}"', "Cache-Control": cache, "Content-Disposition": disposition(name)}
    if f'"{etag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    try:
        headers["Content-Length"] = str(await call(edge.artifacts.size, key))
        parts = await call(edge.artifacts.stream, key)
    except MissingArtifactError:
        raise ApiProblem(404, "This file is there no longer.") from None
    return StreamingResponse(parts, headers=headers, media_type=media_type)
