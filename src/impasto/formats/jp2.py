"""The boxes of JPEG 2000 files, for the metadata that Pillow neither reads nor writes there."""

import struct
from collections.abc import Iterator

XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
EXIF = b"JpgTiffExif->JP2"
"""Identifiers of the ``uuid`` boxes that hold XMP and EXIF."""


def uuid_box(data: bytes, identifier: bytes) -> bytes | None:
    """The content of the first ``uuid`` box of a kind, None if there is none."""
    for kind, content in _boxes(data):
        if kind == b"uuid" and content.startswith(identifier):
            return content[16:]
    return None


def with_uuid_box(data: bytes, identifier: bytes, content: bytes) -> bytes:
    """The file with one more ``uuid`` box at its end."""
    return data + _box(b"uuid", identifier + content)


def profile(data: bytes) -> bytes | None:
    """The ICC profile in the header, None if there is none."""
    for kind, content in _boxes(_header(data)):
        if kind == b"colr" and content[:1] in (b"\2", b"\3"):
            return content[3:]
    return None


def with_profile(data: bytes, icc: bytes) -> bytes:
    """The file with an ICC profile in the place of the named color space."""
    header = b"".join(
        _box(kind, b"\2\0\0" + icc if kind == b"colr" else content) for kind, content in _boxes(_header(data))
    )
    return b"".join(_box(kind, header if kind == b"jp2h" else content) for kind, content in _boxes(data))


def _header(data: bytes) -> bytes:
    return next((content for kind, content in _boxes(data) if kind == b"jp2h"), b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box; stops at the first that is no box, as a raw codestream has none."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = len(data) if length == 0 else at + length
        if end < at + head or end > len(data):
            return
        yield kind, data[at + head : end]
        at = end


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content
