"""Bodies with pictures: streamed to files, hashed on the way."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from impasto.recipe.messages import printable
from impasto.service.api.problems import ApiProblem

CHUNK_BYTES = 1 << 20
MAX_NAME = 200
MAX_FIELD_BYTES = 256 * 1024
MAX_FIELDS = 100


@dataclass(frozen=True)
class Received:
    """A file that has arrived.

    Attributes:
        path: Where it lies for now.
        name: As its owner calls it: a base name, printable.
        sha256: Of its bytes.
        num_bytes: How many they are.
    """

    path: Path
    name: str
    sha256: str
    num_bytes: int


def clean_name(name: str | None, default: str = "picture") -> str:
    """A name that a client gave, without folders and control characters; it is shown, and never opened."""
    base = PureWindowsPath((name or "").replace("\0", "")).name  # which knows both kinds of slashes
    shown = printable(base.encode("utf-8", "replace").decode()).strip()[:MAX_NAME]
    return default if shown in ("", ".", "..") else shown


@asynccontextmanager
async def folder_for_uploads(parent: Path) -> AsyncIterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="upload-", dir=parent) as folder:
        yield Path(folder)


async def receive_body(request: Request, folder: Path, name: str | None) -> Received:
    """Takes a whole body as one file."""
    path, digest, num_bytes = folder / "body", hashlib.sha256(), 0
    with path.open("wb") as file:
        async for chunk in request.stream():
            digest.update(chunk)
            num_bytes += len(chunk)
            file.write(chunk)
    return Received(path, clean_name(name), digest.hexdigest(), num_bytes)


@asynccontextmanager
async def read_form(request: Request, max_files: int) -> AsyncIterator[FormData]:
    """A multipart body; its files lie in temporary ones until the end.

    Raises:
        ApiProblem: 415 if it is of another type.
    """
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise ApiProblem(415, "The body must be multipart/form-data.")
    async with request.form(max_files=max_files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
        yield form


async def receive_file(upload: UploadFile, folder: Path) -> Received:
    """Takes one file of a form."""

    def copy() -> Received:
        handle, path = tempfile.mkstemp(dir=folder)
        digest, num_bytes = hashlib.sha256(), 0
        with open(handle, "wb") as file:  # noqa: PTH123 (an open descriptor)
            upload.file.seek(0)
            while chunk := upload.file.read(CHUNK_BYTES):
                digest.update(chunk)
                num_bytes += len(chunk)
                file.write(chunk)
        return Received(Path(path), clean_name(upload.filename), digest.hexdigest(), num_bytes)

    return await asyncio.to_thread(copy)


def files_named(form: FormData, name: str) -> list[UploadFile]:
    """The files of a form under one name."""
    return [value for value in form.getlist(name) if isinstance(value, UploadFile)]
