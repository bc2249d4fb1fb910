"""EXIF: what of it is carried from the source to the output, and how TIFF files take it in.

EXIF is a TIFF structure: directories of entries ``(tag, type, count, value)``. Entries are copied as bytes, so that
nothing is reinterpreted on the way, and brought to little-endian order. BigTIFF files have the same directories with
wider numbers.

Reference: TIFF 6.0 (1992); EXIF 2.32 (2019); the BigTIFF design (2007).
"""

import os
import struct
from dataclasses import dataclass
from typing import IO

from impasto.formats.file_bytes import FileBytes

ORIENTATION, EXIF_POINTER, GPS_POINTER, COLOR_SPACE = 0x0112, 0x8769, 0x8825, 0xA001
_DESCRIPTION = frozenset(
    # ImageDescription, Make, Model, Software, DateTime, Artist, HostComputer, Copyright, XPTitle …
    (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, *range(0x9C9B, 0x9CA0))
)
"""Entries of the first directory that are kept: what describes the picture, nothing that describes the file."""

_NOT_OURS = frozenset((0x927C, 0xA002, 0xA003, 0xA005))
"""Entries of the EXIF directory that are dropped: maker notes hold offsets into the source's file (and at times
places), the others its size and its color encoding."""

_UNITS = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1), 8: (2, 2), 9: (4, 4),
          10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4), 16: (8, 8), 17: (8, 8), 18: (8, 8)}  # fmt: skip
"""Bytes of one value and of its parts that byte order applies to, by TIFF type."""

_BIG_TYPES = (16, 17, 18)
"""Types that only BigTIFF knows, and EXIF in other files does not."""

_MAX_BYTES = 60_000
"""Of one entry: longer ones are no description."""

_MAX_ENTRIES = 1000
"""In a directory; cameras write some dozens."""


@dataclass(frozen=True)
class Entry:
    """One entry of a directory; `value` is little-endian."""

    type: int
    count: int
    value: bytes

    @classmethod
    def number(cls, value: int, *, long: bool = False) -> "Entry":
        """An unsigned integer of 16 bits, or 32."""
        return cls(4, 1, struct.pack("<I", value)) if long else cls(3, 1, struct.pack("<H", value))

    def as_int(self) -> int:
        """The first value of an integer entry."""
        return int.from_bytes(self.value[: _UNITS[self.type][0]], "little")


Directory = dict[int, Entry]


@dataclass(frozen=True)
class Layout:
    """How numbers and directories are laid out in a file.

    Attributes:
        order: Of bytes, as struct's sign.
        is_big: Whether it is BigTIFF's.
    """

    order: str = "<"
    is_big: bool = False

    @property
    def pointer(self) -> str:
        """Struct's format of an offset, and of an entry's count."""
        return self.order + ("Q" if self.is_big else "I")

    @property
    def number_of_entries(self) -> str:
        """Struct's format of what a directory begins with."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def inline(self) -> int:
        """Bytes of an offset; values that take no more stand in its place."""
        return 8 if self.is_big else 4

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return 4 + 2 * self.inline


_CLASSIC = Layout()


class ExifError(ValueError):
    """EXIF that is damaged; the caller goes on without it."""


def clean(data: bytes | FileBytes) -> tuple[bytes | None, int]:
    """Takes from EXIF what may describe another picture than the one it was made for.

    Args:
        data: An EXIF block, with or without the prefix ``Exif``, or a whole TIFF file.

    Returns:
        EXIF without thumbnail, maker notes and orientation, None if nothing is left; and the orientation, 1 to 8.

    Raises:
        ExifError: If it is damaged.
    """
    data = data[6:] if data[:6] == b"Exif\0\0" else data
    layout, first = _header(data)
    top = _read(data, first, layout)
    orientation = top[ORIENTATION].as_int() if ORIENTATION in top else 1
    kept = {tag: entry for tag, entry in top.items() if tag in _DESCRIPTION}
    camera = _read(data, top[EXIF_POINTER].as_int(), layout) if EXIF_POINTER in top else {}
    place = _read(data, top[GPS_POINTER].as_int(), layout) if GPS_POINTER in top else {}
    camera = {tag: entry for tag, entry in camera.items() if tag not in _NOT_OURS}
    kept, camera, place = (
        {tag: entry for tag, entry in directory.items() if entry.type not in _BIG_TYPES}
        for directory in (kept, camera, place)
    )
    block = _pack_exif(kept, camera, place) if kept or camera or place else None
    return block, orientation if 1 <= orientation <= 8 else 1


def for_output(block: bytes, *, keep_gps: bool, is_srgb: bool) -> bytes:
    """EXIF for one output: orientation 1, its color space, the place only if asked for.

    Args:
        block: What `clean` returned.
        keep_gps: Whether the place may stay.
        is_srgb: Whether the output is sRGB.
    """
    top, camera, place = _unpack(block)
    top[ORIENTATION] = Entry.number(1)
    camera[COLOR_SPACE] = Entry.number(1 if is_srgb else 0xFFFF)
    return _pack_exif(top, camera, place if keep_gps else {})


def into_tiff(file: IO[bytes], block: bytes) -> None:
    """Adds EXIF to a little-endian TIFF or BigTIFF file: a new first directory at its end, all else untouched.

    Args:
        file: The file, to be read and written. Later pages keep their place in the chain.
        block: What `for_output` returned.
    """
    data = FileBytes(file)
    layout, first = _header(data)
    entries = _read(data, first, layout, max_bytes=len(data))
    (count,) = _numbers(data, layout.number_of_entries, first)
    behind = first + struct.calcsize(layout.number_of_entries) + count * layout.entry
    (following,) = _numbers(data, layout.pointer, behind)
    top, camera, place = _unpack(block)
    end = file.seek(0, os.SEEK_END)
    tail = b"\0" * (-end % 16)
    for pointer, directory in ((EXIF_POINTER, camera), (GPS_POINTER, place)):
        if directory:
            top[pointer] = Entry(16 if layout.is_big else 4, 1, struct.pack(layout.pointer, end + len(tail)))
            tail += _write(directory, end + len(tail), layout)
    start = end + len(tail)
    file.write(tail + _write(top | entries, start, layout, following))
    file.seek(8 if layout.is_big else 4)
    file.write(struct.pack(layout.pointer, start))


def _unpack(block: bytes) -> tuple[Directory, Directory, Directory]:
    top = _read(block, 8, _CLASSIC)
    camera = _read(block, top.pop(EXIF_POINTER).as_int(), _CLASSIC) if EXIF_POINTER in top else {}
    place = _read(block, top.pop(GPS_POINTER).as_int(), _CLASSIC) if GPS_POINTER in top else {}
    return top, camera, place


def _pack_exif(top: Directory, camera: Directory, place: Directory) -> bytes:
    """Lays out the directories one behind the other, the first one at offset 8."""
    nested = [(tag, directory) for tag, directory in ((EXIF_POINTER, camera), (GPS_POINTER, place)) if directory]
    start = 8 + len(_write(top | {tag: Entry.number(0, long=True) for tag, _ in nested}, 8))
    pointers, tail = {}, b""
    for tag, directory in nested:
        pointers[tag] = Entry.number(start + len(tail), long=True)
        tail += _write(directory, start + len(tail))
    return b"II*\0\x08\0\0\0" + _write(top | pointers, 8) + tail


def _header(data: bytes | FileBytes) -> tuple[Layout, int]:
    """The layout, and the offset of the first directory."""
    layout = {
        b"II*\0": Layout("<"), b"MM\0*": Layout(">"), b"II+\0": Layout("<", True), b"MM\0+": Layout(">", True),
    }.get(data[:4])  # fmt: skip
    if layout is None or len(data) < 8:
        raise ExifError("no TIFF header")
    try:
        return layout, _numbers(data, layout.pointer, 8 if layout.is_big else 4)[0]
    except struct.error:
        raise ExifError("no TIFF header") from None


def _numbers(data: bytes | FileBytes, form: str, offset: int) -> tuple[int, ...]:
    """Numbers at an offset; raises `struct.error` where the data ends before."""
    return struct.unpack(form, data[offset : offset + struct.calcsize(form)])


def _read(data: bytes | FileBytes, offset: int, layout: Layout, max_bytes: int = _MAX_BYTES) -> Directory:
    directory: Directory = {}
    try:
        (count,) = _numbers(data, layout.number_of_entries, offset)
        if count > _MAX_ENTRIES:
            raise ExifError("a directory of implausible length")
        start = offset + struct.calcsize(layout.number_of_entries)
        for at in range(start, start + layout.entry * count, layout.entry):
            tag, kind = _numbers(data, layout.order + "HH", at)
            number, place = _numbers(data, layout.order + 2 * layout.pointer[-1], at + 4)
            if kind not in _UNITS:
                continue
            size, part = _UNITS[kind]
            length = number * size
            if not 0 < length <= max_bytes:
                continue
            begin = at + 4 + layout.inline if length <= layout.inline else place
            value = data[begin : begin + length]
            if len(value) < length:
                continue  # an entry that points past the end: the others may be sound
            directory[tag] = Entry(kind, number, value if layout.order == "<" else _swapped(value, part))
    except struct.error:
        raise ExifError("a directory that ends early") from None
    return directory


def _swapped(value: bytes, part: int) -> bytes:
    return b"".join(value[at : at + part][::-1] for at in range(0, len(value), part))


def _write(directory: Directory, offset: int, layout: Layout = _CLASSIC, following: int = 0) -> bytes:
    """A directory as bytes, to be put at an offset: entries, the next directory, then the values that take more."""
    values = b""
    entries = struct.pack(layout.number_of_entries, len(directory))
    behind = offset + len(entries) + layout.entry * len(directory) + layout.inline
    for tag, entry in sorted(directory.items()):
        entries += struct.pack(f"<HH{layout.pointer[-1]}", tag, entry.type, entry.count)
        if len(entry.value) <= layout.inline:
            entries += entry.value.ljust(layout.inline, b"\0")
        else:
            entries += struct.pack(layout.pointer, behind + len(values))
            values += entry.value + b"\0" * (len(entry.value) % 2)
    return entries + struct.pack(layout.pointer, following) + values
