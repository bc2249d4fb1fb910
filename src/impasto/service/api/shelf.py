"""Pictures that callers may use: uploaded ones and the bundled ones, under one kind of id; and their thumbnails."""

import datetime
import tempfile
from pathlib import Path

from impasto.errors import ImageError
from impasto.service.api import example_pictures
from impasto.service.api.edge import Edge, call
from impasto.service.api.problems import ApiProblem
from impasto.service.api.uploads import Received
from impasto.service.decoding.pool import THUMBNAIL_EDGES
from impasto.service.jobs.images import add_image, get_image
from impasto.service.jobs.records import ImageRecord, thumbnails_of_image, thumbnails_of_job
from impasto.service.store.tables import now

SUPERSEDED_SECONDS = 60
"""After so long nobody reads the thumbnail of an older picture of a job any more."""


def thumbnail_key(folder: str, size: int) -> str:
    """Where a thumbnail is kept."""
    return f"{folder}/{size}.webp"


async def find(edge: Edge, owner: str, image_id: str) -> ImageRecord:
    """A picture that a caller may use.

    Raises:
        ApiProblem: 404 if no bundled picture has this name.
        UnknownImageError: If there is none, or it is somebody else's.
    """
    if not example_pictures.is_example(image_id):
        return await call(get_image, edge.database, owner, image_id)
    try:
        example_pictures.path_of(image_id)
    except ImageError as error:
        raise ApiProblem(404, str(error)) from None
    return example_pictures.all_by_id()[image_id]


async def add(edge: Edge, owner: str, received: Received) -> tuple[ImageRecord, bool]:
    """Keeps a picture that has arrived, once it was decoded.

    Returns:
        The picture, and whether it is new to this caller.

    Raises:
        ImageError: If it is no picture, or too large.
        QuotaError: If the caller keeps too much.
        ArtifactError: If the store is full.
    """
    thumbnails = {size: received.path.with_name(f"{received.path.name}-{size}.webp") for size in THUMBNAIL_EDGES}
    edge.metrics.uploads.inc(received.num_bytes)
    facts = await edge.decoding.inspect(received.path, received.name, thumbnails)
    record, is_new = await call(
        add_image, edge.database, edge.artifacts, owner, received.path,
        sha256=received.sha256, name=received.name, format_name=facts["format"], media_type=facts["media_type"],
        size=(facts["height"], facts["width"]), notes=facts["notes"],
        max_stored_bytes=edge.settings.max_stored_bytes,
    )  # fmt: skip
    if is_new:
        await call(_keep_thumbnails, edge, thumbnails_of_image(received.sha256), thumbnails)
    return record, is_new


async def image_thumbnail(edge: Edge, record: ImageRecord, size: int) -> str:
    """The key of a picture's thumbnail, which is made if it is not there yet.

    Args:
        edge: The rooms behind.
        record: The picture.
        size: Longest edge in pixels.
    """
    if example_pictures.is_example(record.id):
        return await _thumbnail(edge, f"thumbnails/examples/{record.sha256}", example_pictures.path_of(record.id), size)
    return await _thumbnail(edge, thumbnails_of_image(record.sha256), record.artifact, size)


async def job_thumbnail(edge: Edge, job_id: str, version: str, source: str, size: int) -> str:
    """The key of a thumbnail of what a job has painted; those of older versions go.

    Args:
        edge: The rooms behind.
        job_id: Of the job.
        version: Of its picture.
        source: Key of the picture.
        size: Longest edge in pixels.
    """
    folder = f"{thumbnails_of_job(job_id)}/{version}"
    if not await call(edge.artifacts.exists, thumbnail_key(folder, size)):
        await call(_drop_superseded, edge, thumbnails_of_job(job_id))
    return await _thumbnail(edge, folder, source, size)


async def _thumbnail(edge: Edge, folder: str, source: str | Path, size: int) -> str:
    key = thumbnail_key(folder, size)
    if not await call(edge.artifacts.exists, key):
        with tempfile.TemporaryDirectory(prefix="thumbnail-", dir=edge.settings.scratch) as place:
            file = source if isinstance(source, Path) else Path(place) / "source"
            if isinstance(source, str):
                await call(edge.artifacts.fetch, source, file)
            thumbnails = {edge_: Path(place) / f"{edge_}.webp" for edge_ in THUMBNAIL_EDGES}
            await edge.decoding.inspect(file, "the picture", thumbnails)
            await call(_keep_thumbnails, edge, folder, thumbnails)
    return key


def _keep_thumbnails(edge: Edge, folder: str, files: dict[int, Path]) -> None:
    for size, file in files.items():
        edge.artifacts.put(thumbnail_key(folder, size), file)


def _drop_superseded(edge: Edge, folder: str) -> None:
    oldest = now() - datetime.timedelta(seconds=SUPERSEDED_SECONDS)
    edge.artifacts.delete(*edge.artifacts.keys(folder, before=oldest))
