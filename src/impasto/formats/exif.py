"""EXIF: what of it is carried from the source to the output, and how TIFF files take it in.

EXIF is a TIFF structure: directories of entries ``(tag, type, count, value)``. Entries are copied as bytes, so that
nothing is reinterpreted on the way, and brought to little-endian order.
"""

import struct
from dataclasses import dataclass

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
          10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4)}  # fmt: skip
"""Bytes of one value and of its parts that byte order applies to, by TIFF type."""

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


class ExifError(ValueError):
    """EXIF that is damaged; the caller goes on without it."""


def clean(data: bytes) -> tuple[bytes | None, int]:
    """Takes from EXIF what may describe another picture than the one it was made for.

    Args:
        data: An EXIF block, with or without the prefix ``Exif``, or a whole TIFF file.

    Returns:
        EXIF without thumbnail, maker notes and orientation, None if nothing is left; and the orientation, 1 to 8.

    Raises:
        ExifError: If it is damaged.
    """
    data = data.removeprefix(b"Exif\0\0")
    order, first = _header(data)
    top = _read(data, first, order)
    orientation = top[ORIENTATION].as_int() if ORIENTATION in top else 1
    kept = {tag: entry for tag, entry in top.items() if tag in _DESCRIPTION}
    camera = _read(data, top[EXIF_POINTER].as_int(), order) if EXIF_POINTER in top else {}
    place = _read(data, top[GPS_POINTER].as_int(), order) if GPS_POINTER in top else {}
    camera = {tag: entry for tag, entry in camera.items() if tag not in _NOT_OURS}
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


def into_tiff(file: bytes, block: bytes) -> bytes:
    """Adds EXIF to a little-endian TIFF file: a new first directory at its end, the picture's data untouched.

    Args:
        file: The file, of one page.
        block: What `for_output` returned.
    """
    order, first = _header(file)
    entries = _read(file, first, order, max_bytes=len(file))
    top, camera, place = _unpack(block)
    file += b"\0" * (len(file) % 2)
    for pointer, directory in ((EXIF_POINTER, camera), (GPS_POINTER, place)):
        if directory:
            top[pointer] = Entry.number(len(file), long=True)
            file += _write(directory, len(file))
    start = len(file)
    return file[:4] + struct.pack("<I", start) + file[8:] + _write(top | entries, start)


def _unpack(block: bytes) -> tuple[Directory, Directory, Directory]:
    top = _read(block, 8, "<")
    camera = _read(block, top.pop(EXIF_POINTER).as_int(), "<") if EXIF_POINTER in top else {}
    place = _read(block, top.pop(GPS_POINTER).as_int(), "<") if GPS_POINTER in top else {}
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


def _header(data: bytes) -> tuple[str, int]:
    """Byte order (struct's sign) and offset of the first directory."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        raise ExifError("no TIFF header")
    return order, struct.unpack_from(order + "I", data, 4)[0]


def _read(data: bytes, offset: int, order: str, max_bytes: int = _MAX_BYTES) -> Directory:
    directory: Directory = {}
    try:
        (count,) = struct.unpack_from(order + "H", data, offset)
        if count > _MAX_ENTRIES:
            raise ExifError("a directory of implausible length")
        for at in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, at)
            if kind not in _UNITS:
                continue
            size, part = _UNITS[kind]
            length = number * size
            begin = at + 8 if length <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
            value = data[begin : begin + length]
            if len(value) < length or number == 0 or length > max_bytes:
                continue  # an entry that points past the end: the others may be sound
            directory[tag] = Entry(kind, number, value if order == "<" else _swapped(value, part))
    except struct.error:
        raise ExifError("a directory that ends early") from None
    return directory


def _swapped(value: bytes, part: int) -> bytes:
    return b"".join(value[at : at + part][::-1] for at in range(0, len(value), part))


def _write(directory: Directory, offset: int) -> bytes:
    """A directory as bytes, to be put at an offset: entries, no next directory, then the values above 4 bytes."""
    values = b""
    entries = struct.pack("<H", len(directory))
    behind = offset + 2 + 12 * len(directory) + 4
    for tag, entry in sorted(directory.items()):
        entries += struct.pack("<HHI", tag, entry.type, entry.count)
        if len(entry.value) <= 4:
            entries += entry.value.ljust(4, b"\0")
        else:
            entries += struct.pack("<I", behind + len(values))
            values += entry.value + b"\0" * (len(entry.value) % 2)
    return entries + b"\0\0\0\0" + values
