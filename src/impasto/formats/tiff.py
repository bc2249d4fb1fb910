"""TIFF files of several pictures: which of them is the picture, and which ones are thumbnails of it.

Cameras and scanners put reduced copies beside, and often before, the picture: as further pages, or as *SubIFDs* below
a page. A camera's raw file is such a TIFF too, whose full picture is the sensor's mosaic, which only a raw developer
turns into colors.

Reference: TIFF 6.0 (1992); TIFF Technical Note 1 (SubIFDs); DNG 1.7 (2023), chapter 2; the BigTIFF design (2007).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from impasto.errors import ImageError
from impasto.formats.file_bytes import FileBytes

_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _OLD_SUBFILE_TYPE, _ORIENTATION, _SUB_IFDS = (
    0x00FE, 0x0100, 0x0101, 0x0106, 0x00FF, 0x0112, 0x014A,
)  # fmt: skip
_NEEDED = frozenset((_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _OLD_SUBFILE_TYPE, _ORIENTATION, _SUB_IFDS))

_REDUCED, _MASK = 1, 4
"""Bits of ``NewSubfileType``; in the older ``SubfileType`` 2 means a reduced copy."""

_SENSOR_DATA = (32803, 34892)
"""Photometric interpretations of raw files: a mosaic of color filters, and linear values of the camera's own colors."""

_CANON_RAW = b"CR"
"""What Canon's CR2 files have at byte 8; the directory of their raw picture states no size."""

_UNITS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Struct's codes of the unsigned types of integers."""

_MAX_DIRECTORIES = 10_000
_MAX_SUB_IFDS = 100


@dataclass(frozen=True)
class Directory:
    """One picture of a file.

    Attributes:
        page: Its place in the chain of pages, from 0.
        sub_ifd: Its place below that page, from 0; None if it is the page itself.
        tags: Values of the tags that matter here; integers.
    """

    page: int
    sub_ifd: int | None
    tags: dict[int, tuple[int, ...]]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, 0 where the file does not say."""
        return self.number(_WIDTH), self.number(_HEIGHT)

    @property
    def num_pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]

    @property
    def is_reduced(self) -> bool:
        """Whether it says of itself that it is a smaller copy, or the mask of another picture."""
        return bool(self.number(_NEW_SUBFILE_TYPE) & (_REDUCED | _MASK)) or self.number(_OLD_SUBFILE_TYPE) == 2

    @property
    def is_sensor_data(self) -> bool:
        """Whether it holds what a sensor measured and no colors."""
        return self.number(_PHOTOMETRIC) in _SENSOR_DATA

    def number(self, tag: int) -> int:
        """The first value of a tag, 0 without one."""
        return self.tags.get(tag, (0,))[0]


@dataclass(frozen=True)
class Choice:
    """The picture that is meant, as libvips finds it, and what is to be said of the choice.

    Attributes:
        page: As `Directory.page`.
        sub_ifd: As `Directory.sub_ifd`.
        orientation: EXIF's, where a picture below a page takes it from that page; else None.
        notes: As `Picture.notes`.
    """

    page: int = 0
    sub_ifd: int | None = None
    orientation: int | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def options(self) -> dict[str, int]:
        """Of libvips's loader."""
        return ({"page": self.page} if self.page else {}) | ({} if self.sub_ifd is None else {"subifd": self.sub_ifd})


def choose(data: bytes | FileBytes, path: str | Path) -> Choice:
    """Finds the largest picture of a file that is no reduced copy.

    Args:
        data: The file's bytes.
        path: For messages.

    Returns:
        The first page, without a note, also where the file is too damaged to tell: its decoder will say so.

    Raises:
        ImageError: If it is a camera's raw file, of which only previews can be read.
    """
    directories = list(_directories(data))
    if data[8:10] == _CANON_RAW or any(directory.is_sensor_data for directory in directories):
        raise _is_raw(path)
    if len(directories) < 2:
        marked = bool(directories) and directories[0].number(_NEW_SUBFILE_TYPE) & _REDUCED
        return Choice(notes=("marked as a reduced copy of another picture, which the file does not hold",) * marked)
    full = [directory for directory in directories if not directory.is_reduced] or directories
    chosen = max(full, key=lambda directory: directory.num_pixels)  # the first of equals
    page = next(directory for directory in directories if directory.page == chosen.page and directory.sub_ifd is None)
    takes_over = chosen.sub_ifd is not None and _ORIENTATION not in chosen.tags
    return Choice(
        chosen.page,
        chosen.sub_ifd,
        page.number(_ORIENTATION) if takes_over else None,
        (_note(directories, full, chosen),),
    )


def _note(directories: list[Directory], full: list[Directory], chosen: Directory) -> str:
    if len(full) > 1 and all(directory.size == chosen.size for directory in full):
        return f"several pictures: the first of {len(full)} is used"
    width, height = chosen.size
    what = "resolutions" if len(full) == 1 else "pictures"
    return f"several {what}: the largest of {len(directories)}, {width}×{height} pixels, is used"


def _is_raw(path: str | Path) -> ImageError:
    return ImageError(
        f"'{path}' is a camera's raw file, of which only a small preview could be read. Develop it to TIFF or JPEG "
        "first."
    )


def _directories(data: bytes | FileBytes) -> Iterator[Directory]:
    """Each page, and behind it what is below it; ends quietly where the file is damaged."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    seen: set[int] = set()
    try:
        (offset,) = _unpack(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
        page = 0
        while offset and offset not in seen and len(seen) < _MAX_DIRECTORIES:
            seen.add(offset)
            tags, following = _read(data, offset, order, is_big)
            yield Directory(page, None, tags)
            for index, below in enumerate(tags.get(_SUB_IFDS, ())[:_MAX_SUB_IFDS]):
                if below not in seen and len(seen) < _MAX_DIRECTORIES:
                    seen.add(below)
                    yield Directory(page, index, _read(data, below, order, is_big)[0])
            offset, page = following, page + 1
    except struct.error:
        return


def _read(data: bytes | FileBytes, offset: int, order: str, is_big: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """The tags of a directory that matter here, and the offset of the next one.

    Raises:
        struct.error: If it ends early.
    """
    (count,) = _unpack(order + ("Q" if is_big else "H"), data, offset)
    start, length, pointer = (offset + 8, 20, "Q") if is_big else (offset + 2, 12, "I")
    (following,) = _unpack(order + pointer, data, start + length * count)  # first: it bounds the count
    tags = {}
    for at in range(start, start + length * count, length):
        tag, kind, number = _unpack(f"{order}HH{pointer}", data, at)
        if tag in _NEEDED and kind in _UNITS and 0 < number <= _MAX_SUB_IFDS:
            inline = struct.calcsize(order + pointer)
            place = at + 4 + inline
            if number * struct.calcsize(order + _UNITS[kind]) > inline:
                (place,) = _unpack(order + pointer, data, place)
            tags[tag] = _unpack(f"{order}{number}{_UNITS[kind]}", data, place)
    return tags, following


def _unpack(form: str, data: bytes | FileBytes, offset: int) -> tuple[int, ...]:
    """Numbers at an offset; raises `struct.error` where the data ends before."""
    return struct.unpack(form, data[offset : offset + struct.calcsize(form)])
