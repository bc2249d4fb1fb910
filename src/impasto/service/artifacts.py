"""Artifacts: files by key, in a local folder or in S3; written whole or not at all."""

import datetime
import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from impasto.errors import ImpastoError, UserError

__all__ = ["ArtifactError", "Artifacts", "MissingArtifactError", "StoredFile"]


RETRIES: Any = {
    "max_retries": 100, "retry_timeout": datetime.timedelta(seconds=60),
    "backoff": {"max_backoff": datetime.timedelta(seconds=2)},
}  # fmt: skip
"""A server that restarts, or a network that is away for a while, is waited out."""


class ArtifactError(ImpastoError):
    """The store is full or out of reach."""


class MissingArtifactError(ArtifactError):
    """There is nothing by that key."""


@dataclass(frozen=True)
class StoredFile:
    """What the store says of an artifact.

    Attributes:
        key: Of the artifact.
        num_bytes: How large it is.
        modified_at: When it was written.
    """

    key: str
    num_bytes: int
    modified_at: datetime.datetime


class Artifacts:
    """Files by key, as ``jobs/ID/pictures/00100.png``. Calls block; any thread may make them.

    Args:
        url: ``file:///folder``, ``s3://bucket/prefix`` or ``memory:///``. Access to S3 comes from the usual ``AWS_…``
            variables; key and secret may also stand in the URL, as in ``s3://KEY:SECRET@bucket``, %-encoded.

    Raises:
        UserError: If the URL is of no known kind, or its folder cannot be created.
    """

    def __init__(self, url: str) -> None:
        self._root: Path | None = None
        self._store: Any
        try:
            if url.startswith("file:"):
                self._root = Path(unquote(urlsplit(url).path))
                self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store = LocalStore(self._root)
            else:
                place, access = _without_key(url)
                is_remote = not place.startswith("memory:")
                self._store = from_url(place, **access, **({"retry_config": RETRIES} if is_remote else {}))
        except OSError as error:
            raise UserError(f"The folder of the artifacts cannot be used: {error.strerror or error}.") from None
        except (BaseError, ValueError):
            raise UserError("The artifacts' URL is none of file:///FOLDER and s3://BUCKET/PREFIX.") from None

    def put(self, key: str, data: bytes | Path, *, is_new: bool = False) -> bool:
        """Stores bytes or a file under a key.

        Args:
            key: Of the artifact.
            data: Bytes, or a file with them.
            is_new: What is there already stays.

        Returns:
            Whether it was written.

        Raises:
            ArtifactError: If the store is full or out of reach; what was there before stays whole.
        """
        with _as_artifact_error(key):
            try:
                obstore.put(self._store, key, data, mode="create" if is_new else "overwrite")
            except AlreadyExistsError:
                return False
        return True

    def size(self, key: str) -> int:
        """Bytes of an artifact; raises `MissingArtifactError`."""
        with _as_artifact_error(key):
            return int(obstore.head(self._store, key)["size"])

    def exists(self, key: str) -> bool:
        """Whether there is something by that key."""
        try:
            self.size(key)
        except MissingArtifactError:
            return False
        return True

    def read(self, key: str) -> bytes:
        """All of a small artifact; raises `MissingArtifactError`."""
        with _as_artifact_error(key):
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """An artifact, piece by piece; raises `MissingArtifactError` at the call and not later."""
        with _as_artifact_error(key):
            found = obstore.get(self._store, key)
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=chunk_bytes))

    def fetch(self, key: str, path: Path) -> None:
        """Copies an artifact into a file; raises `MissingArtifactError`."""
        with _as_artifact_error(key), path.open("wb") as file:
            for chunk in self.stream(key):
                file.write(chunk)

    def keys(self, prefix: str, before: datetime.datetime | None = None) -> Iterator[str]:
        """All keys under a folder; with a time, those that were written before it."""
        return (file.key for file in self.list(prefix) if before is None or file.modified_at < before)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """All artifacts under a folder."""
        with _as_artifact_error(prefix):
            for batch in obstore.list(self._store, prefix.rstrip("/")):
                for item in batch:
                    yield StoredFile(str(item["path"]), int(item["size"]), item["last_modified"])

    def delete(self, *keys: str) -> None:
        """Removes artifacts; missing ones are no error."""
        for key in keys:
            try:
                with _as_artifact_error(key):
                    obstore.delete(self._store, key)
            except MissingArtifactError:
                pass

    def delete_folder(self, prefix: str) -> None:
        """Removes all artifacts under a folder, and locally the folder itself."""
        self.delete(*self.keys(prefix))
        if self._root is not None:
            shutil.rmtree(self._root / prefix, ignore_errors=True)


def _without_key(url: str) -> tuple[str, dict[str, Any]]:
    """A URL without the key and secret that stand in it, and these as the store takes them."""
    scheme, separator, rest = url.partition("://")
    access, at, place = rest.rpartition("@")
    if scheme != "s3" or not at:
        return url, {}
    key, _, secret = access.partition(":")
    return scheme + separator + place, {"access_key_id": unquote(key), "secret_access_key": unquote(secret)}


@contextmanager
def _as_artifact_error(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:  # which obstore raises as well
        raise MissingArtifactError(f"There is no artifact '{key}'.") from None
    except (BaseError, OSError) as error:
        text = str(error)
        is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "os error 28" in text
        is_full = is_full or "No space left" in text
        reason = "the disk is full" if is_full else "the store is out of reach"
        raise ArtifactError(f"The artifact '{key}' cannot be kept or read: {reason}.") from error
