"""The bytes of a large file, which are read where they are asked for and never held all at once."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

_PIECE = 2**20


class FileBytes:
    """Bytes of an open file; slices and a length, as `bytes` have them.

    Args:
        file: Its position is moved.
        path: Where it is; needed by `reopened` alone.
    """

    def __init__(self, file: IO[bytes], path: Path | None = None) -> None:
        self._file, self._path = file, path
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return self._file.seek(0, os.SEEK_END)

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(len(self))
        parts = []
        with self._lock:
            self._file.seek(start)
            while start < stop and (piece := self._file.read(stop - start)):  # a read may give less than is there
                parts.append(piece)
                start += len(piece)
        return b"".join(parts)

    def sha256(self) -> str:
        """In hexadecimal."""
        digest = hashlib.sha256()
        for start in range(0, len(self), _PIECE):
            digest.update(self[start : start + _PIECE])
        return digest.hexdigest()

    @contextmanager
    def reopened(self) -> Iterator[int]:
        """A descriptor of the same file, with a position of its own.

        Raises:
            OSError: If another file has taken its place.
        """
        descriptor = os.open(self._path or "", os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            if not os.path.samestat(os.fstat(descriptor), os.fstat(self._file.fileno())):
                raise OSError(errno.ESTALE, "another file has taken its place")
            yield descriptor
        finally:
            os.close(descriptor)
