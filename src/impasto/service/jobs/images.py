"""Uploaded pictures: one row for each caller and file, one artifact for each file."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from impasto.errors import ImageError, UserError
from impasto.examples import example_path
from impasto.recipe import size_in_words
from impasto.service.artifacts import Artifacts
from impasto.service.jobs.cursors import decode_cursor, encode_cursor
from impasto.service.jobs.records import ImageRecord, Page, image_key, thumbnails_of_image
from impasto.service.jobs.states import ConflictError
from impasto.service.store.database import Database
from impasto.service.store.tables import Image, Job, JobImage, now

__all__ = [
    "EXAMPLE", "StorageQuotaError", "UnknownImageError", "add_image", "check_example", "delete_image", "find_image",
    "get_image", "get_images", "list_images",
]  # fmt: skip

EXAMPLE = "example:"
"""How the ids of bundled pictures begin."""


class UnknownImageError(UserError):
    """There is no such picture, or it is somebody else's; HTTP says 404."""


class StorageQuotaError(UserError):
    """A caller keeps too many bytes; HTTP says 429."""


def check_example(image_id: str) -> None:
    """Raises `UnknownImageError` if there is no bundled picture of this id."""
    try:
        example_path(image_id.removeprefix(EXAMPLE))
    except ImageError as error:
        raise UnknownImageError(str(error)) from None


def add_image(
    database: Database,
    artifacts: Artifacts,
    owner: str,
    path: Path,
    *,
    sha256: str,
    name: str,
    format_name: str,
    media_type: str,
    size: tuple[int, int],
    notes: Sequence[str] = (),
    max_stored_bytes: int | None = None,
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
        StorageQuotaError: If the caller keeps too much.
    """
    num_bytes = path.stat().st_size
    known = find_image(database, owner, sha256)
    if known is not None:
        if not artifacts.exists(known.artifact):  # lost with the machine that kept it
            artifacts.put(known.artifact, path)
        return known, False
    with database.reading() as session:
        _check_stored(session, owner, num_bytes, max_stored_bytes)
    # The bytes first: a row never points to nothing. Bytes without a row are found by the doctor.
    artifacts.put(image_key(sha256), path, is_new=True)
    row = Image(
        id=secrets.token_hex(8), owner=owner, sha256=sha256, name=name, format=format_name, media_type=media_type,
        width=size[1], height=size[0], bytes=num_bytes, notes=list(notes), created_at=now(),
    )  # fmt: skip
    try:
        with database.writing() as session:
            session.add(row)
    except IntegrityError:  # the same upload at the same time
        known = find_image(database, owner, sha256)
        if known is None:
            raise
        return known, False
    return ImageRecord.of(row), True


def get_image(database: Database, owner: str | None, image_id: str) -> ImageRecord:
    """A picture; None as owner stands for everybody's. Raises `UnknownImageError`."""
    with database.reading() as session:
        return ImageRecord.of(_find(session, owner, image_id))


def find_image(database: Database, owner: str, sha256: str) -> ImageRecord | None:
    """The caller's picture with these bytes."""
    with database.reading() as session:
        row = session.scalar(sa.select(Image).where(Image.owner == owner, Image.sha256 == sha256))
        return None if row is None else ImageRecord.of(row)


def get_images(database: Database, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
    """Pictures by id, whosever they are; unknown ones are left out. For showing the inputs of jobs."""
    with database.reading() as session:
        rows = session.scalars(sa.select(Image).where(Image.id.in_(image_ids)))
        return {row.id: ImageRecord.of(row) for row in rows}


def list_images(
    database: Database, owner: str | None, *, limit: int = 50, cursor: str | None = None
) -> Page[ImageRecord]:
    """One page of pictures, the newest first."""
    query = sa.select(Image).order_by(Image.created_at.desc(), Image.id.desc()).limit(limit + 1)
    if owner is not None:
        query = query.where(Image.owner == owner)
    if cursor is not None:
        with database.reading() as session:
            last = session.get(Image, decode_cursor(cursor))
        if last is not None:
            before = sa.or_(
                Image.created_at < last.created_at, sa.and_(Image.created_at == last.created_at, Image.id < last.id)
            )
            query = query.where(before)
    with database.reading() as session:
        rows = session.scalars(query).all()
    records = [ImageRecord.of(row) for row in rows[:limit]]
    return Page(items=records, next_cursor=encode_cursor(records[-1].id) if len(rows) > limit else None)


def delete_image(database: Database, artifacts: Artifacts, owner: str | None, image_id: str) -> None:
    """Forgets a picture; its bytes go with the last row that has them.

    Raises:
        UnknownImageError: If it is not there.
        ConflictError: If a job needs it.
    """
    with database.writing() as session:
        row = _find(session, owner, image_id)
        job = session.scalar(
            sa.select(Job.name).join(JobImage, JobImage.job_number == Job.number).where(JobImage.image_id == image_id)
        )
        if job is not None:
            raise ConflictError(f"The picture is needed by the job '{job}'; delete that first.")
        session.delete(row)
        session.flush()
        is_last = session.scalar(sa.select(sa.func.count()).where(Image.sha256 == row.sha256)) == 0
        if is_last:  # within the transaction, so that no upload of the same bytes slips in between
            artifacts.delete(image_key(row.sha256))
            artifacts.delete_folder(thumbnails_of_image(row.sha256))


def _find(session: Session, owner: str | None, image_id: str) -> Image:
    row = session.get(Image, image_id)
    if row is None or owner not in (None, row.owner):
        raise UnknownImageError(f"There is no picture {image_id!r}.")
    return row


def _check_stored(session: Session, owner: str, num_bytes: int, limit: int | None) -> None:
    if limit is None:
        return
    stored = session.scalar(sa.select(sa.func.sum(Image.bytes)).where(Image.owner == owner)) or 0
    if stored + num_bytes > limit:
        raise StorageQuotaError(
            f"Pictures of {size_in_words(stored)} are kept, and {size_in_words(limit)} are allowed; delete some."
        )
