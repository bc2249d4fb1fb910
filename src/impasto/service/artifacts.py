"""Artifacts: files by key, in a local folder or in S3; written whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

from impasto.errors import ImpastoError


class ArtifactError(ImpastoError):
    """The store is full or out of reach."""


class MissingArtifactError(ArtifactError):
    """There is nothing by that key."""


class Artifacts:
    """Files by key, as ``jobs/ID/pictures/00100.png``. Blocking; any thread may call.

    Args:
        url: ``file:///folder``, ``s3://bucket/prefix`` or ``memory:///``.
    """

    def __init__(self, url: str) -> None: ...

    def put(self, key: str, data: bytes | Path, *, is_new: bool = False) -> bool:
        """Stores bytes or a file; with `is_new` what is there already stays. Returns whether it was written."""

    def size(self, key: str) -> int:
        """Bytes of an artifact."""

    def read(self, key: str) -> bytes:
        """All of a small artifact."""

    def stream(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """An artifact, piece by piece; raises `MissingArtifactError` at the call, not later."""

    def fetch(self, key: str, path: Path) -> None:
        """Copies an artifact into a file."""

    def exists(self, key: str) -> bool:
        """Whether there is something by that key."""

    def keys(self, prefix: str) -> Iterator[str]:
        """All keys under a folder."""

    def delete(self, *keys: str) -> None:
        """Removes artifacts; missing ones are no error."""
