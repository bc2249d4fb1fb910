"""Jobs by the page: filtered, searched, the newest first; a page costs the same among ten and 100,000 of them."""

from typing import Any

import sqlalchemy as sa

from impasto.errors import UserError, did_you_mean
from impasto.service.jobs.cursors import decode_cursor, encode_cursor
from impasto.service.jobs.records import JobRecord, Page
from impasto.service.jobs.searching import is_indexed, with_words, with_words_by_index, words_of
from impasto.service.jobs.states import State
from impasto.service.store.database import Database
from impasto.service.store.tables import Job

__all__ = ["KINDS", "MAX_LIMIT", "list_jobs"]

MAX_LIMIT = 200
KINDS = ("picture", "sweep", "batch")


def list_jobs(
    database: Database,
    owner: str | None,
    *,
    state: str | None = None,
    kind: str | None = None,
    search: str | None = None,
    parent_id: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[JobRecord]:
    """One page of jobs.

    Args:
        database: With the tables.
        owner: Whose; None for everybody's.
        state: Only those in a state.
        kind: ``picture``, ``sweep`` or ``batch``.
        search: Words that all occur in the name, the pictures' names, the model or the look; in any case.
        parent_id: The cells of a sweep or batch, in their order; without it, jobs that are no cells, newest first.
        limit: Jobs on a page, at most 200.
        cursor: From the page before.

    Raises:
        UserError: If state, kind or cursor are not understood.
    """
    _check("state", state, list(State))
    _check("kind", kind, KINDS)
    limit = max(1, min(limit, MAX_LIMIT))
    query = sa.select(Job).where(Job.deleted_at.is_(None))
    query = query.where(Job.parent_id.is_(None) if parent_id is None else Job.parent_id == parent_id)
    filters: dict[Any, Any] = {Job.owner: owner, Job.state: state, Job.kind: kind}
    for column, value in filters.items():
        if value is not None:
            query = query.where(column == value)
    number: sa.ColumnElement[int] = Job.__table__.c.number
    words = words_of(search)
    if database.is_sqlite and parent_id is None and any(map(is_indexed, words)):
        query, number = with_words_by_index(query, words, owner=owner, state=state, kind=kind)
    else:
        query = with_words(query, words)
    if cursor is not None:
        place = decode_cursor(cursor)
        if not place.isdecimal() or len(place) > 18:
            raise UserError("The cursor is none that this service gave; begin again without one.")
        query = query.where(number < int(place) if parent_id is None else number > int(place))
    query = query.order_by(number.desc() if parent_id is None else number).limit(limit + 1)
    with database.reading() as session:
        rows = session.scalars(query).all()
    page = rows[:limit]
    return Page(
        items=[JobRecord.of(row) for row in page],
        next_cursor=encode_cursor(str(page[-1].number)) if len(rows) > limit else None,
    )


def _check(name: str, value: str | None, known: Any) -> None:
    if value is not None and value not in known:
        raise UserError(f"Unknown {name} {value!r}. {did_you_mean(value, known)}")
