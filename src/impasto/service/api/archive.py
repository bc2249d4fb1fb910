"""A ZIP that is made while it is sent: nothing of it is kept, on disk or in memory."""

import io
import time
import zipfile
from collections.abc import Iterable, Iterator


class _Outlet(io.RawIOBase):
    """What a `zipfile.ZipFile` writes to; it is taken out piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zip_stream(files: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """The bytes of a ZIP, uncompressed, since pictures are compressed already.

    Args:
        files: Names and contents; each content is asked for when its turn comes.
    """
    outlet = _Outlet()
    moment = time.localtime()[:6]
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, parts in files:
            info = zipfile.ZipInfo(name, moment)
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as entry:
                for part in parts:
                    entry.write(part)
                    yield outlet.take()
            yield outlet.take()
    yield outlet.take()
