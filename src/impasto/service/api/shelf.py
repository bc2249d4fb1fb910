"""Pictures that callers have: uploaded ones and the bundled ones, under one kind of id; and their thumbnails."""

import asyncio
import hashlib
import secrets
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image as PillowImage

from impasto.errors import ImageError, ImpastoError
from impasto.examples import content_names, example_path, style_names
from impasto.examples.credits import CREDITS
from impasto.service.api.edge import Edge, call
from impasto.service.api.ports import PictureRow
from impasto.service.api.problems import ApiProblem
from impasto.service.api.uploads import Received
from impasto.service.decoding.pool import THUMBNAIL_EDGES

EXAMPLE = "example:"
BASE = "/api/v1"


def picture_key(sha256: str) -> str:
    """Where a picture's bytes are kept."""
    return f"pictures/{sha256}"


def thumbnail_key(sha256: str, edge: int) -> str:
    """Where a thumbnail is kept."""
    return f"thumbnails/{sha256}/{edge}.webp"


def to_image(row: PictureRow) -> dict[str, Any]:
    """A picture as the API shows it."""
    return {
        "id": row.id,
        "sha256": row.sha256,
        "name": row.name,
        "format": row.format,
        "media_type": row.media_type,
        "width": row.width,
        "height": row.height,
        "bytes": row.num_bytes,
        "created_at": row.created_at.isoformat(),
        "notes": list(row.notes),
        "thumbnail_url": f"{BASE}/images/{row.id}/thumbnail",
        "file_url": f"{BASE}/images/{row.id}/file",
    }


def to_example(row: PictureRow) -> dict[str, Any]:
    """A bundled picture as the API shows it."""
    name = row.id.removeprefix(EXAMPLE)
    credit = CREDITS[name]
    return {
        "id": row.id,
        "name": name,
        "kind": "content" if name in content_names() else "style",
        "title": credit.title,
        "credit": credit.credit,
        "width": row.width,
        "height": row.height,
        "thumbnail_url": f"{BASE}/images/{row.id}/thumbnail",
        "file_url": f"{BASE}/images/{row.id}/file",
    }


@cache
def examples() -> dict[str, PictureRow]:
    """The bundled pictures by id."""
    return {f"{EXAMPLE}{name}": _example(name) for name in [*content_names(), *style_names()]}


def _example(name: str) -> PictureRow:
    path = example_path(name)
    data = path.read_bytes()
    with PillowImage.open(path) as image:  # its header; it is ours
        width, height = image.size
    return PictureRow(
        id=f"{EXAMPLE}{name}", owner="", sha256=hashlib.sha256(data).hexdigest(), name=path.name, format="JPEG",
        media_type="image/jpeg", width=width, height=height, num_bytes=len(data),
        created_at=datetime.fromtimestamp(0, UTC),
    )  # fmt: skip


async def find(edge: Edge, owner: str, picture_id: str) -> PictureRow:
    """A picture that a caller may use.

    Raises:
        ApiProblem: 404 if there is none.
    """
    if picture_id.startswith(EXAMPLE):
        try:
            example_path(picture_id.removeprefix(EXAMPLE))
        except ImageError as error:
            raise ApiProblem(404, str(error)) from None
        row = examples()[picture_id]
        await _keep_example(edge, row)
        return row
    return await call(edge.pictures.find, owner, picture_id)


async def _keep_example(edge: Edge, row: PictureRow) -> None:
    """Lets a bundled picture be read as an uploaded one is, wherever jobs are painted."""
    if not await call(edge.blobs.exists, picture_key(row.sha256)):
        await call(edge.blobs.put, picture_key(row.sha256), example_path(row.id.removeprefix(EXAMPLE)))


async def add(edge: Edge, owner: str, received: Received) -> tuple[PictureRow, bool, str | None]:
    """Keeps a picture that has arrived, once it was decoded.

    Returns:
        The picture, whether it is new, and the recipe that it carries.

    Raises:
        ImageError: If it is no picture, or too large.
        ApiProblem: 507 if it cannot be stored.
    """
    thumbnails = {edge_: received.path.with_name(f"{received.path.name}-{edge_}.webp") for edge_ in THUMBNAIL_EDGES}
    facts = await edge.decoding.inspect(received.path, received.name, thumbnails)
    known = await call(edge.pictures.find_by_sha256, owner, received.sha256)
    if known is not None:
        return known, False, facts["recipe"]
    row = PictureRow(
        id=secrets.token_urlsafe(12), owner=owner, sha256=received.sha256, name=received.name, format=facts["format"],
        media_type=facts["media_type"], width=facts["width"], height=facts["height"], num_bytes=received.num_bytes,
        created_at=datetime.now(UTC), notes=facts["notes"],
    )  # fmt: skip
    try:
        for size, file in thumbnails.items():
            await call(edge.blobs.put, thumbnail_key(row.sha256, size), file)
        await call(edge.blobs.put, picture_key(row.sha256), received.path)
    except (OSError, ImpastoError) as error:
        raise ApiProblem(507, f"The service cannot store the picture: {_reason(error)}.") from None
    added = await call(edge.pictures.add, row)
    return added, added.id == row.id, facts["recipe"]


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


async def thumbnail(edge: Edge, sha256: str, source_key: str, size: int) -> str:
    """The key of a thumbnail, which is made if it is not there yet.

    Args:
        edge: The rooms behind.
        sha256: What it is kept under.
        source_key: Where the picture is kept.
        size: Longest edge in pixels.
    """
    key = thumbnail_key(sha256, size)
    if await call(edge.blobs.exists, key):
        return key
    with_files = edge.scratch / f"thumbnail-{secrets.token_hex(8)}"
    files = {size_: with_files / f"{size_}.webp" for size_ in THUMBNAIL_EDGES}
    await asyncio.to_thread(with_files.mkdir)
    try:
        await asyncio.to_thread(copy_blob, edge, source_key, with_files / "source")
        await edge.decoding.inspect(with_files / "source", "the picture", files)
        for size_, file in files.items():
            await call(edge.blobs.put, thumbnail_key(sha256, size_), file)
    finally:
        await asyncio.to_thread(_remove, with_files)
    return key


def copy_blob(edge: Edge, key: str, target: Path) -> None:
    """Writes a kept file's bytes into another one; blocks."""
    with target.open("wb") as file:
        file.writelines(edge.blobs.stream(key))


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
