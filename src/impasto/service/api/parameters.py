"""Parameters that several routes have."""

from typing import Annotated, Literal

from fastapi import Header, Path, Query
from pydantic import BeforeValidator

PictureIdInPath = Annotated[
    str,
    Path(
        pattern=r"^(example:[a-z0-9_-]{1,64}|[A-Za-z0-9_-]{1,64})$",
        description="Of an uploaded picture, or of a bundled one.",
        examples=["example:coffee"],
    ),
]
JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Of a job.")]
Size = Annotated[
    Literal[128, 256, 512, 1024], BeforeValidator(int), Query(description="Longest edge in pixels; never enlarged.")
]
LastEventId = Annotated[
    int | None,
    Header(alias="Last-Event-ID", ge=0, lt=2**63, description="The last event that is known; go on after it."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key gives the same job, however often it is sent.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries of a page.")]
Cursor = Annotated[str | None, Query(max_length=300, description="The `next_cursor` of the page before.")]
