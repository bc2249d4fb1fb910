"""Uploaded pictures: one row for each caller and file, one artifact for each file."""

from collections.abc import Sequence
from pathlib import Path

from impasto.errors import UserError
from impasto.service.artifacts import Artifacts
from impasto.service.jobs.records import ImageRecord, Page
from impasto.service.store.database import Database


class UnknownImageError(UserError):
    """There is no such picture, or it is somebody else's; HTTP says 404 (422 where a job names it)."""


def add_image(
    database: Database, artifacts: Artifacts, owner: str, path: Path, *, sha256: str, name: str, format_name: str,
    media_type: str, size: tuple[int, int], notes: Sequence[str] = (), max_stored_bytes: int | None = None,
) -> tuple[ImageRecord, bool]:
    """Keeps a picture that was checked.

    Args:
        database: With the tables.
        artifacts: Where its bytes go, unless they are there already.
        owner: The caller.
        path: The file as it was received.
        sha256: Of its bytes.
        name: Base name to show.
        format_name: As `impasto.formats.files.Format` has it.
        media_type: Of its bytes.
        size: Height and width, upright.
        notes: Sentences about reading it.
        max_stored_bytes: What the caller may keep; None for no limit.

    Returns:
        The picture, and whether it is new to this caller.

    Raises:
        QuotaError: If the caller keeps too much.
    """


def get_image(database: Database, owner: str | None, image_id: str) -> ImageRecord:
    """A picture; None as owner stands for everybody's. Raises `UnknownImageError`."""


def find_image(database: Database, owner: str, sha256: str) -> ImageRecord | None:
    """The caller's picture with these bytes."""


def get_images(database: Database, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
    """Pictures by id, whosever they are; unknown ones are left out. For showing the inputs of jobs."""


def list_images(database: Database, owner: str | None, *, limit: int = 50, cursor: str | None = None) -> Page[ImageRecord]:
    """One page of pictures."""


def delete_image(database: Database, artifacts: Artifacts, owner: str | None, image_id: str) -> None:
    """Forgets a picture; its bytes go with the last row that has them. Raises `ConflictError` if a job needs it."""
