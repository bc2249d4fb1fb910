"""Cursors: where a page of a list ends, as text that a client hands back unread."""

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import Query

from impasto.service.api.problems import ApiProblem

Limit = Annotated[int, Query(ge=1, le=200, description="Entries of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=300, description="The `next_cursor` of the page before.", examples=[None])
]


def to_cursor(*position: Any) -> str:
    """A place in a list as a cursor."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def from_cursor(cursor: str | None, num_parts: int) -> list[Any] | None:
    """The place that a cursor names.

    Raises:
        ApiProblem: 422 if it is none of ours.
    """
    if cursor is None:
        return None
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        position = None
    if not isinstance(position, list) or len(position) != num_parts:
        raise ApiProblem(422, "The cursor is not one that this service gave out; take next_cursor as it is.")
    return position
