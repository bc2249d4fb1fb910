"""The log of events: append-only, with ids that increase in the order in which readers see them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.service.jobs.records import EventRecord, JobRecord
from impasto.service.store.database import EVENTS_LOCK, Database
from impasto.service.store.tables import Event, Job, now

__all__ = ["EventLog", "log_event", "log_job"]


class EventLog:
    """Reads the log, and waits for nobody.

    Args:
        database: With the tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_id(self) -> int:
        """Of the last event; 0 if there is none."""
        with self._database.reading() as session:
            return session.scalar(sa.select(sa.func.max(Event.id))) or 0

    def read(
        self, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> Sequence[EventRecord]:
        """The events that follow another one, in their order.

        Args:
            after: Id of the last one that is known.
            limit: How many at most.
            owner: Only this caller's.
            job_id: Only this job's.
        """
        query = sa.select(Event.id, Event.owner, Event.job_id, Event.name, Event.data).where(Event.id > after)
        if owner is not None:
            query = query.where(Event.owner == owner)
        if job_id is not None:
            query = query.where(Event.job_id == job_id)
        with self._database.reading() as session:
            rows = session.execute(query.order_by(Event.id).limit(limit)).all()
        return [EventRecord.model_validate(row) for row in rows]


def log_event(session: Session, job: Job, name: str, data: Mapping[str, Any]) -> None:
    """Adds an event about a job, as a part of the transaction that it tells of."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text(f"SELECT pg_advisory_xact_lock({EVENTS_LOCK})"))
    session.add(Event(owner=job.owner, job_id=job.id, name=name, data=dict(data), created_at=now()))
    session.flush()


def log_job(session: Session, job: Job) -> None:
    """Adds the event that says how a job is now."""
    job.revision = Job.revision + 1  # by the database: two transactions may be at it
    session.flush()
    log_event(session, job, "job", JobRecord.of(job).model_dump(mode="json"))
