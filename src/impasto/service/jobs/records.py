"""Jobs and pictures as they are handed out: plain values, as the tables have them."""

import datetime
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from impasto.recipe import Recipe, StopReason
from impasto.service.jobs.states import ENDED, State
from impasto.service.store.tables import Image, Job

__all__ = ["EventRecord", "ImageRecord", "JobInputs", "JobRecord", "NewJob", "Page"]

Item = TypeVar("Item")


class JobInputs(BaseModel):
    """Ids of the pictures of a job: of uploaded ones, or of bundled ones as ``example:coffee``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str
    styles: list[str]
    content_masks: list[str] = []
    style_masks: list[str] = []
    lock_mask: str | None = None

    @property
    def all(self) -> list[str]:
        """Every id, once."""
        masks = [*self.content_masks, *self.style_masks, *([self.lock_mask] if self.lock_mask else [])]
        return list(dict.fromkeys([self.content, *self.styles, *masks]))


class NewJob(BaseModel):
    """What a caller asks for."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    inputs: JobInputs
    recipe: Recipe
    name: str = ""
    priority: int = Field(5, ge=0, le=9)
    saving_interval: int = Field(100, ge=0)
    plan: dict[str, Any] = {}
    """What was estimated: ``peak_bytes``, ``seconds``, ``size``."""
    warnings: list[str] = []


class JobRecord(BaseModel):
    """A job; the fields that share a name with the API's `Job` mean the same."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    owner: str
    kind: str
    name: str
    state: State
    parent_id: str | None
    priority: int
    attempt: int
    worker: str | None
    wanted: str | None
    inputs: JobInputs
    recipe: dict[str, Any]
    resolved: dict[str, Any]
    changes: list[dict[str, Any]]
    pending_changes: list[dict[str, Any]]
    saving_interval: int
    vary: dict[str, Any] | None
    warnings: list[str]
    plan: dict[str, Any]
    iteration: int
    total_iterations: int | None
    level: int
    num_levels: int
    size: list[int] | None
    losses: dict[str, float | None]
    seconds: float
    eta_seconds: float | None
    stop_reason: str | None
    error: str | None
    pictures: list[int]
    preview_version: int
    revision: int
    artifacts: dict[str, str]
    num_cells: int
    num_done: int
    num_failed: int
    traceparent: str | None = None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    deleted_at: datetime.datetime | None

    @classmethod
    def of(cls, row: Job) -> Self:
        """From the table."""
        return cls.model_validate(row)

    @property
    def is_ended(self) -> bool:
        """Whether nothing happens any more by itself."""
        return self.state in ENDED

    @property
    def stop_sentence(self) -> str | None:
        """Why the run ended, in words."""
        reason = StopReason.read(self.stop_reason) if self.stop_reason else None
        return reason.sentence if reason else None


class ImageRecord(BaseModel):
    """An uploaded picture."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    owner: str
    sha256: str
    name: str
    format: str
    media_type: str
    width: int
    height: int
    bytes: int
    notes: list[str]
    created_at: datetime.datetime

    @classmethod
    def of(cls, row: Image) -> Self:
        """From the table."""
        return cls.model_validate(row)

    @property
    def artifact(self) -> str:
        """Key of its bytes."""
        return image_key(self.sha256)


class EventRecord(BaseModel):
    """A line of the events' log.

    Attributes:
        id: Increases from event to event.
        owner: Whose job it is.
        job_id: Of which job.
        name: ``job``, ``progress``, ``preview`` or ``deleted``.
        data: Of ``job`` a `JobRecord` as JSON has it; of ``progress`` the fields of the API's `Progress`; of
            ``preview`` ``job_id`` and ``preview_version``; of ``deleted`` ``job_id``.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: int
    owner: str
    job_id: str
    name: str
    data: dict[str, Any]


class Page(BaseModel, Generic[Item]):
    """Some of a list.

    Attributes:
        items: The newest first.
        next_cursor: Where the next page begins; None if this is the last.
    """

    items: Sequence[Item]
    next_cursor: str | None = None


def image_key(sha256: str) -> str:
    """Key of an uploaded picture's bytes."""
    return f"images/{sha256}"


def thumbnails_of_image(sha256: str) -> str:
    """Folder of an uploaded picture's thumbnails."""
    return f"thumbnails/images/{sha256}"


def thumbnails_of_job(job_id: str) -> str:
    """Folder of a job's thumbnails, one folder for each version of its picture."""
    return f"thumbnails/jobs/{job_id}"
