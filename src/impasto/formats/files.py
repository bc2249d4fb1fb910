"""Bytes of picture files: reading them, telling their format, and replacing a file all at once or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import IO

from impasto.errors import ImageError, OutputError
from impasto.formats.file_bytes import FileBytes
from impasto.recipe import RunOptions

DEFAULT_MAX_PIXELS: int = RunOptions.model_fields["max_pixels"].default

TEMPORARY = ".impasto-*.tmp"
"""Names of files that are being written, as a pattern."""

HEAD_BYTES = 64
"""Of a file: enough to tell every format."""

_MAX_BYTES_PER_PIXEL = 32
"""No format needs more: four channels of 64 bits."""

LARGE_FILE = 2**26
"""Bytes from which on a file is read piece by piece, where its decoder can do that."""


class Format(Enum):
    """The formats that are read, by the name that messages use."""

    JPEG = "JPEG"
    PNG = "PNG"
    WEBP = "WebP"
    GIF = "GIF"
    TIFF = "TIFF"
    HEIF = "AVIF or HEIC"
    JP2 = "JPEG 2000"
    BMP = "BMP"
    PNM = "PNM"

    @property
    def by_pieces(self) -> bool:
        """Whether its decoder reads a file in pieces; the others need all of it at once."""
        return self in (Format.JPEG, Format.PNG, Format.TIFF)

    @property
    def by_vips(self) -> bool:
        """Whether libvips reads it (in the wheel's build); Pillow reads the others."""
        return self not in (Format.JP2, Format.BMP, Format.PNM)


_SIGNATURES = {
    b"\xff\xd8\xff": Format.JPEG,
    b"\x89PNG\r\n\x1a\n": Format.PNG,
    b"GIF87a": Format.GIF,
    b"GIF89a": Format.GIF,
    b"II*\0": Format.TIFF,
    b"MM\0*": Format.TIFF,
    b"II+\0": Format.TIFF,
    b"MM\0+": Format.TIFF,
    b"\0\0\0\x0cjP  \r\n\x87\n": Format.JP2,
    b"\xff\x4f\xff\x51": Format.JP2,
    b"BM": Format.BMP,
    **{b"P%d" % kind + space: Format.PNM for kind in range(1, 7) for space in (b"\n", b" ", b"\r", b"\t")},
}
"""What files begin with. Other formats are not tried: the fewer parsers see a stranger's bytes, the better."""

_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".avif", ".avifs", ".heic", ".heif",
    ".hif", ".jp2", ".j2k", ".jpx", ".bmp", ".dib", ".pnm", ".pbm", ".pgm", ".ppm",
)  # fmt: skip
"""Suffixes, in lower case, by which files are taken for pictures; what they really are, `sniff` tells."""


def names_a_picture(path: Path) -> bool:
    """Whether a name has the suffix of a picture; hidden files never do, as the ``._photo.jpg`` of some shares."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def is_folder(path: Path) -> bool:
    """Whether a folder is there that can be looked at; where pathlib raises, as for too long a name, there is none."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """The same of a regular file."""
    return os.path.isfile(path)  # noqa: PTH113


@contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """The path of a file or a folder; where its bytes are not UTF-8, which some libraries refuse, another one to it."""
    if not any(0xDC80 <= ord(character) <= 0xDCFF for character in str(path)):
        yield path
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield Path(f"/dev/fd/{descriptor}")
    finally:
        os.close(descriptor)


def read_file(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """The bytes of a regular file.

    Raises:
        ImageError: If it is missing, not a regular file, unreadable, empty, of no readable format, or larger than any
            such picture.
    """
    with _opened(path, max_pixels) as file:
        return file.read()


@contextmanager
def open_file(path: Path, max_pixels: int = DEFAULT_MAX_PIXELS) -> Iterator[bytes | FileBytes]:
    """The bytes of a regular file as `read_file` gives them; those of a large one are read where they are asked for.

    Raises:
        ImageError: As `read_file`; also if the file changes while it is read.
    """
    with _opened(path, max_pixels) as file:
        before = os.fstat(file.fileno())
        head = file.read(HEAD_BYTES)
        file.seek(0)
        if before.st_size < LARGE_FILE or not sniff(head, path).by_pieces:
            yield file.read()
            return
        yield FileBytes(file, path)
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ImageError(f"'{path}' changed while it was read. Try again once it is written.")


@contextmanager
def _opened(path: Path, max_pixels: int) -> Iterator[IO[bytes]]:
    """A picture's file, at its begin, without a buffer, which would be joined with the rest into a second copy."""
    try:
        status = _checked(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"'{path}' is a folder, a picture file is needed.")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"'{path}' is no regular file, a picture file is needed.")
        if status.st_size > max_pixels * _MAX_BYTES_PER_PIXEL + 2**24:
            raise ImageError(
                f"'{path}' has {status.st_size} bytes, more than a picture of {max_pixels} pixels can need. "
                "Raise max_pixels if it really is a picture."
            )
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD_BYTES)
            if not head:
                raise ImageError(f"'{path}' is empty (0 bytes), a picture file is needed.")
            sniff(head, path)  # before gigabytes of something else are read
            file.seek(0)
            yield file
    except FileNotFoundError:
        raise ImageError(f"There is no picture '{path}'. Check the path.") from None
    except OSError as error:
        raise ImageError(f"Cannot read the picture '{path}': {reason(error)}.") from None


def sniff(data: bytes, path: str | Path) -> Format:
    """The format that the content says it is, whatever the file is called.

    Raises:
        ImageError: If it is none of those that are read.
    """
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return Format.HEIF
    raise ImageError(f"'{path}' is not a readable image. Readable formats: {', '.join(kind.value for kind in Format)}.")


def replace_file(path: Path, data: bytes | Iterable[bytes | memoryview]) -> None:
    """Writes a file as `replacing` does.

    Args:
        path: Where.
        data: What is to be in it, at once or in parts.

    Raises:
        OutputError: If the folder or the file cannot be written; an earlier file is then untouched.
    """
    with replacing(path) as file:
        file.writelines([data] if isinstance(data, bytes) else data)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file, to be written and read, that takes its place at the block's end: until then the old one is there.

    Args:
        path: Where; missing folders are made.

    Raises:
        OutputError: If the folder or the file cannot be written, also where the block raises `OSError`; an earlier file
            is then untouched.
    """
    try:
        target = _checked(path).resolve()  # through a link, so that the link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(target)
        try:
            with temporary.open("x+b") as file:
                yield file
                file.flush()
                _flush(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write '{path}': {reason(error)}. What was there before is untouched.") from None


def temporary_beside(path: Path) -> Path:
    """A new name in the same folder, for something that is being written."""
    return path.with_name(TEMPORARY.replace("*", secrets.token_hex(8)))


def _checked(path: Path) -> Path:
    """The path; raises `OSError` for a zero byte in it, where the system's calls raise `ValueError`."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "embedded null byte")
    return path


def flush_to_disk(path: Path) -> None:
    """Waits until a file is on the disk, where the place can do that.

    Raises:
        OSError: If the disk fails.
    """
    with path.open("r+b") as file:
        _flush(file.fileno())


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # some network shares cannot
            raise


def reason(error: Exception) -> str:
    """The system's own words for an error, without number and path."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
