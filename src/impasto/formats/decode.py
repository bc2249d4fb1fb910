"""Files to numbers: libvips, and Pillow for what its wheel does not read, behind one type."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import BmpImagePlugin, Image, Jpeg2KImagePlugin, PpmImagePlugin

from impasto.errors import ImageError
from impasto.formats import jp2
from impasto.formats.decoded import Decoded, check_size, damaged, read_exif, stretched, to_known_range
from impasto.formats.file_bytes import FileBytes
from impasto.formats.files import Format
from impasto.formats.vips_decode import VipsFile, field_of, page_notes, strips_of

_PILLOW_READERS: dict[Format, Any] = {
    Format.JP2: Jpeg2KImagePlugin.Jpeg2KImageFile,
    Format.BMP: BmpImagePlugin.BmpImageFile,
    Format.PNM: PpmImagePlugin.PpmImageFile,
}
"""Called by themselves: `Image.open` refuses sizes that `max_pixels` may allow."""

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by EXIF orientation."""

_PILLOW_MODES = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
"""Modes that another one holds without loss; those not named here, nor read as they are, become RGB."""


@dataclass(frozen=True)
class Opened:
    """A picture whose size is known, to be decoded once: as a whole, or in strips.

    Attributes:
        size: Height and width in pixels, as stored.
        orientation: EXIF's, from 1 to 8: how strips, put together, are to be turned.
        whole: Decodes it, upright. Raises `ImageError` if it is damaged or truncated.
        strips: Decodes it from top to bottom, as stored, in strips that have all that belongs to the picture besides
            samples and alpha. Raises `ImageError` likewise; also for a JPEG that lacks nothing but its end marker.
    """

    size: tuple[int, int]
    orientation: int
    whole: Callable[[], Decoded]
    strips: Callable[[], Iterator[Decoded]]

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width in pixels once it is turned."""
        return self.size if self.orientation < 5 else self.size[::-1]


def decode(data: bytes | FileBytes, kind: Format, path: str | Path, max_pixels: int) -> Decoded:
    """Decodes the first picture of a file.

    Args:
        data: The file's bytes.
        kind: As `sniff` found.
        path: For messages.
        max_pixels: Pictures of more pixels are refused before they are decoded.

    Raises:
        ImageError: If it is too large, damaged or truncated.
    """
    return open_picture(data, kind, path, max_pixels).whole()


def open_picture(data: bytes | FileBytes, kind: Format, path: str | Path, max_pixels: int) -> Opened:
    """Reads as much of a file's first picture as tells its size; all of it where the decoder knows no strips.

    Args:
        data: The file's bytes.
        kind: As `sniff` found.
        path: For messages.
        max_pixels: Pictures of more pixels are refused before they are decoded.

    Raises:
        ImageError: If it is too large or damaged.
    """
    if not kind.by_vips:
        return in_memory(_decode_pillow(data[:], kind, path, max_pixels))
    file = VipsFile.open(data, kind, path, max_pixels)
    if kind is Format.HEIF and field_of(file.image, "heif-compression") == "hevc":
        return in_memory(_decode_heic(data[:], file))
    if not file.can_be_cut:
        return in_memory(file.decode())
    whole = partial(_decode_jpeg, file, data, max_pixels) if kind is Format.JPEG else file.decode
    return Opened(file.size, file.orientation, whole, file.strips)


def in_memory(decoded: Decoded) -> Opened:
    """A picture that is decoded already."""
    height, width = decoded.samples.shape[:2]

    def strips() -> Iterator[Decoded]:
        for top, bottom in strips_of(height, width):
            alpha = None if decoded.alpha is None else decoded.alpha[top:bottom]
            yield replace(decoded, samples=decoded.samples[top:bottom], alpha=alpha)

    return Opened((height, width), 1, lambda: decoded, strips)


def _decode_jpeg(file: VipsFile, data: bytes | FileBytes, max_pixels: int) -> Decoded:
    """Takes a JPEG that lacks its end marker and nothing else, as some cameras and downloads leave it.

    Raises:
        ImageError: If more is missing or damaged.
    """
    try:
        return file.decode()
    except ImageError:
        ended = VipsFile.open(data[:] + b"\xff\xd9", file.kind, file.path, max_pixels, fail_on="warning").decode()
        return replace(ended, notes=("its end marker is missing, the picture is whole", *ended.notes))


def _decode_heic(data: bytes, file: VipsFile) -> Decoded:
    """HEVC is patented and in few builds of libvips; pillow-heif brings it."""
    path = file.path
    try:
        pillow_heif: Any = importlib.import_module("pillow_heif")
    except ImportError:
        raise ImageError(
            f"'{path}' is HEIC, which needs the package pillow-heif: pip install 'impasto[heic]', or convert it."
        ) from None
    import numpy as np

    try:
        opened = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        array = np.asarray(opened)
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        raise damaged(path, Format.HEIF, error) from None
    if array.dtype == np.uint16:
        array = stretched(array, opened.info.get("bit_depth", 10))
    array = array.reshape(*array.shape[:2], -1)
    num_colors = 1 if array.shape[2] < 3 else 3
    block, _, exif_notes = read_exif(opened.info.get("exif"))
    notes = page_notes(file.image, Format.HEIF) + exif_notes
    alpha = array[..., num_colors:] if array.shape[2] > num_colors else None
    return Decoded(array[..., :num_colors], alpha, opened.info.get("icc_profile"), block, notes)


def _decode_pillow(data: bytes, kind: Format, path: str | Path, max_pixels: int) -> Decoded:
    try:
        image = _PILLOW_READERS[kind](io.BytesIO(data))
        check_size(image.width, image.height, path, max_pixels)
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise damaged(path, kind, error) from None
    if kind is Format.JP2:
        image.info["icc_profile"] = jp2.profile(data)
        image.info["exif"] = jp2.uuid_box(data, jp2.EXIF)
    return from_pillow(image)


def from_pillow(image: Image.Image) -> Decoded:
    """Takes the samples of a Pillow image, turned upright by the EXIF in its ``info``.

    Args:
        image: Of any mode; I is read as 16 bit, F as 0 to 1.
    """
    import numpy as np

    block, orientation, notes = read_exif(image.info.get("exif"))
    if image.mode == "P" or "transparency" in image.info:
        has_alpha = "transparency" in image.info
        image = image.convert(("LA" if image.mode in ("1", "L") else "RGBA") if has_alpha else "RGB")
    if orientation in _TRANSPOSE:
        image = image.transpose(_TRANSPOSE[orientation])
    mode = _PILLOW_MODES.get(image.mode, image.mode)
    if mode.startswith("I"):
        array = np.asarray(image).astype(np.int64).clip(0, 65535).astype(np.uint16)
    else:
        known = mode in ("L", "LA", "RGB", "RGBA", "CMYK", "F")
        mode = mode if known else "RGB"
        array = np.asarray(image if image.mode == mode else image.convert(mode))
    array, range_notes = to_known_range(array.reshape(image.height, image.width, -1))
    num_colors = {"L": 1, "LA": 1, "CMYK": 4, "F": 1}.get(mode, 1 if mode.startswith("I") else 3)
    return Decoded(
        array[..., :num_colors],
        array[..., num_colors:] if array.shape[2] > num_colors else None,
        image.info.get("icc_profile"),
        block,
        notes + range_notes,
    )
