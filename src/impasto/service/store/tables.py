"""The tables: what people see of images and jobs, and what workers agree on."""

import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

__all__ = ["Attempt", "Base", "Event", "Image", "Job", "JobImage", "Key", "Worker", "now"]

BigId = BigInteger().with_variant(Integer, "sqlite")
"""An integer that SQLite counts up by itself."""


def now() -> datetime.datetime:
    """The present time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class Utc(TypeDecorator[datetime.datetime]):
    """A time in UTC; SQLite keeps no time zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: Any) -> datetime.datetime | None:
        """To the database."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime.datetime | None, dialect: Any) -> datetime.datetime | None:
        """From the database."""
        return value.replace(tzinfo=datetime.UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    """Of all tables; constraints have names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[Any]: JSON,
        datetime.datetime: Utc,
        str: String(200),
    }


class Image(Base):
    """A picture that a caller has uploaded; its bytes are the artifact ``images/SHA256``, shared between callers."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("owner", "sha256"), Index("ix_images_owner_created_at", "owner", "created_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    name: Mapped[str]
    format: Mapped[str]
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    notes: Mapped[list[Any]]
    created_at: Mapped[datetime.datetime]


class Job(Base):
    """One picture to be painted, or the parent of a sweep or a batch."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency_key"),
        Index("ix_jobs_owner_number", "owner", "number"),
        Index("ix_jobs_owner_parent_id_number", "owner", "parent_id", "number"),
        Index("ix_jobs_owner_parent_id_state_number", "owner", "parent_id", "state", "number"),
        Index("ix_jobs_owner_parent_id_kind_number", "owner", "parent_id", "kind", "number"),
        Index("ix_jobs_state_worker", "state", "worker"),
        # Few rows at any time, found without a walk over all that are finished.
        Index(
            "ix_jobs_unfinished", "owner", "state",
            sqlite_where=text("finished_at IS NULL"), postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_jobs_waiting", "state", "priority", "turn",
            sqlite_where=text("finished_at IS NULL"), postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_jobs_turns", "owner", "priority", "turn",
            sqlite_where=text("finished_at IS NULL"), postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_jobs_deleted_at", "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"), postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )  # fmt: skip

    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    """Counts up; lists are ordered by it."""
    id: Mapped[str] = mapped_column(unique=True)
    owner: Mapped[str]
    idempotency_key: Mapped[str | None]
    request_sha256: Mapped[str | None] = mapped_column(String(64))
    """Of the request that the idempotency key stands for."""
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str]
    search: Mapped[str] = mapped_column(Text)
    """What searching looks at: lower-case name, names of the pictures, model and look."""
    state: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[str | None]
    priority: Mapped[int]
    turn: Mapped[int] = mapped_column(BigInteger)
    """Place in the fair order between callers; see `impasto.service.jobs.turns`."""
    queue: Mapped[str] = mapped_column(server_default="impasto-jobs")
    """In which it waits or has waited; see `impasto.service.jobs.routing`."""
    run: Mapped[int]
    """How often the job was handed to the queue; part of its workflow's id."""
    attempt: Mapped[int]
    """How often a worker has begun it; fences off workers that are late."""
    failed_attempts: Mapped[int]
    """Attempts in a row that ended with their worker, without a new checkpoint."""
    worker: Mapped[str | None]
    wanted: Mapped[str | None] = mapped_column(String(20))
    """What the running attempt is asked to do: pause, stop or cancel."""
    pending_changes: Mapped[list[Any]]
    """Live changes that no checkpoint holds yet, each {"id", "values"}."""

    inputs: Mapped[dict[str, Any]]
    """Ids of the pictures: content, styles, content_masks, style_masks, lock_mask."""
    recipe: Mapped[dict[str, Any]]
    """As asked, without the defaults: what was set."""
    resolved: Mapped[dict[str, Any]]
    """As resolved, every value included."""
    changes: Mapped[list[Any]]
    saving_interval: Mapped[int]
    vary: Mapped[dict[str, Any] | None]
    """Of a sweep: values by parameter. Of a cell: its value by parameter."""
    warnings: Mapped[list[Any]]
    plan: Mapped[dict[str, Any]]

    iteration: Mapped[int]
    total_iterations: Mapped[int | None]
    level: Mapped[int]
    num_levels: Mapped[int]
    size: Mapped[list[Any] | None]
    losses: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    eta_seconds: Mapped[float | None] = mapped_column(Float)
    stop_reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(Text)
    cause: Mapped[str | None] = mapped_column(String(20))
    """Of a failure, in a word that failures are counted by; see `impasto.service.jobs.causes`."""
    pictures: Mapped[list[Any]]
    """Iterations whose pictures are kept."""
    preview_version: Mapped[int]
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    """Counts the events that say how the job is, so that readers know the newer of two."""
    artifacts: Mapped[dict[str, Any]]
    """Keys of the artifacts by role: checkpoint, losses, preview, result, sheet, report."""

    num_cells: Mapped[int]
    num_done: Mapped[int]
    num_failed: Mapped[int]

    traceparent: Mapped[str | None]
    """Of the request that ordered it, as W3C's Trace Context has it; None without tracing."""

    created_at: Mapped[datetime.datetime]
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None] = mapped_column(index=True)
    deleted_at: Mapped[datetime.datetime | None]


class JobImage(Base):
    """Which jobs need which uploaded picture."""

    __tablename__ = "job_images"

    job_number: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"), primary_key=True, index=True)


class Attempt(Base):
    """One worker's try at a job, for people who ask what happened."""

    __tablename__ = "attempts"

    job_number: Mapped[int] = mapped_column(ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str]
    started_at: Mapped[datetime.datetime]
    iteration: Mapped[int]
    """At which it began."""
    ended_at: Mapped[datetime.datetime | None]
    """When it ended; of a lost worker the last heartbeat."""
    outcome: Mapped[str | None] = mapped_column(Text)
    """How it ended: a state, "handed back", or "lost"."""


class Event(Base):
    """A line of the log that event streams read; ids increase in the order in which they become visible."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_job_id_id", "job_id", "id"),
        Index("ix_events_owner_id", "owner", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    owner: Mapped[str]
    job_id: Mapped[str]
    name: Mapped[str] = mapped_column(String(20))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime.datetime] = mapped_column(index=True)


class Worker(Base):
    """A worker process and its heartbeat."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime.datetime]
    heartbeat_at: Mapped[datetime.datetime]
    is_draining: Mapped[bool] = mapped_column(Boolean)
    queue: Mapped[str] = mapped_column(server_default="impasto-jobs")
    """That it takes jobs from."""
    device: Mapped[str] = mapped_column(server_default="")
    """Where it computes, as torch names it."""
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """That a job may take; None for no limit."""
    models: Mapped[list[Any]] = mapped_column(server_default="[]")
    """Custom models that it has, by the names that callers use."""
    taken_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """That it takes now: of its device where that has memory of its own, else of the machine."""


class Key(Base):
    """An API key; only its hash is kept."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    """The caller: owner of what is made with the key."""
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the key, which is random and long."""
    scopes: Mapped[list[Any]]
    max_queued: Mapped[int | None]
    """Jobs that may wait or run at once; the service's setting if it is None."""
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime.datetime]
    expires_at: Mapped[datetime.datetime | None]
    revoked_at: Mapped[datetime.datetime | None]
    last_used_at: Mapped[datetime.datetime | None]
