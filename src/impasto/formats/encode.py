"""The formats that are written: what each can hold, and its encoder."""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyvips
from PIL import Image

from impasto.errors import OutputError
from impasto.formats import exif, jp2
from impasto.formats.embedded_recipe import PNG_KEYWORD, to_xmp

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """What goes into a file.

    Attributes:
        samples: Shape (H, W, C), uint8 or uint16; gray, gray and alpha, RGB, or RGB and alpha.
        profile: ICC profile to embed.
        exif: As `exif.for_output` returned it.
        recipe: JSON to embed.
    """

    samples: NDArray[Any]
    profile: bytes | None
    exif: bytes | None
    recipe: str | None


@dataclass(frozen=True)
class Codec:
    """A format: its name in messages, its encoder, and what it can hold.

    Attributes:
        name: In messages.
        encode: Turns a frame into a file's bytes; raises `OutputError` if that fails.
        max_edge: Pixels of the longest edge.
        package: A package that must be installed, if it is an optional one.
    """

    name: str
    encode: Callable[[Frame], bytes]
    has_alpha: bool = True
    has_gray: bool = False
    has_16_bit: bool = False
    max_edge: int = 10_000_000
    package: str = ""


_DOTS_PER_MM = 72 / 25.4
"""Without it libvips would write 25 dots per inch."""

_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_XMP, _MAX_EXIF = 65_533 - len(_XMP_SIGNATURE), 60_000
"""JPEG holds each in one segment of 64 kB."""


def _vips(frame: Frame, *, saver: str, **options: Any) -> bytes:
    import numpy as np

    samples = np.ascontiguousarray(frame.samples)
    colors = "grey16" if samples.dtype == np.uint16 else "b-w"
    if samples.shape[2] >= 3:
        colors = "rgb16" if samples.dtype == np.uint16 else "srgb"
    image = pyvips.Image.new_from_array(samples).copy(interpretation=colors, xres=_DOTS_PER_MM, yres=_DOTS_PER_MM)
    blobs = {
        "icc-profile-data": frame.profile,
        "exif-data": b"Exif\0\0" + frame.exif if frame.exif else None,
        "xmp-data": to_xmp(frame.recipe) if frame.recipe and saver != "pngsave_buffer" else None,
    }
    for field, content in blobs.items():
        if content:
            image.set_type(pyvips.GValue.blob_type, field, content)
    if frame.recipe and saver == "pngsave_buffer":
        image.set_type(pyvips.GValue.gstr_type, f"png-comment-0-{PNG_KEYWORD}", frame.recipe)
    try:
        return bytes(getattr(image, saver)(**options))
    except pyvips.Error as error:
        raise OutputError(f"The picture cannot be encoded: {' '.join(str(error).split())}.") from None


def _jpeg(frame: Frame) -> bytes:
    packet = to_xmp(frame.recipe) if frame.recipe else b""
    if len(packet) > _MAX_XMP:
        raise OutputError(f"The recipe takes {len(packet)} bytes, a JPEG holds {_MAX_XMP}. Write .png or .webp.")
    if frame.exif and len(frame.exif) > _MAX_EXIF:
        logger.warning("EXIF is not kept: it takes %d bytes, a JPEG holds %d.", len(frame.exif), _MAX_EXIF)
        frame = replace(frame, exif=None)
    # the recipe is put in here: libvips silently drops XMP above 60 kB
    bare = replace(frame, recipe=None)
    file = _vips(bare, saver="jpegsave_buffer", Q=95, subsample_mode="off", optimize_coding=True)
    if not packet:
        return file
    content = _XMP_SIGNATURE + packet
    start = 4 + int.from_bytes(file[4:6], "big") if file[2:4] == b"\xff\xe0" else 2  # JFIF's segment comes first
    return file[:start] + b"\xff\xe1" + (2 + len(content)).to_bytes(2, "big") + content + file[start:]


def _tiff(frame: Frame) -> bytes:
    file = _vips(frame, saver="tiffsave_buffer", compression="deflate", predictor="horizontal")
    return exif.into_tiff(file, frame.exif) if frame.exif else file


def _jpeg2000(frame: Frame) -> bytes:
    buffer = io.BytesIO()
    _to_pillow(frame).save(buffer, "JPEG2000")
    file = buffer.getvalue()
    if frame.profile:
        file = jp2.with_profile(file, frame.profile)
    if frame.exif:
        file = jp2.with_uuid_box(file, jp2.EXIF, frame.exif)
    return jp2.with_uuid_box(file, jp2.XMP, to_xmp(frame.recipe)) if frame.recipe else file


def _heic(frame: Frame) -> bytes:
    pillow_heif: Any = importlib.import_module("pillow_heif")

    buffer = io.BytesIO()
    metadata = {
        "icc_profile": frame.profile,
        "exif": b"Exif\0\0" + frame.exif if frame.exif else None,
        "xmp": to_xmp(frame.recipe) if frame.recipe else None,
    }
    present = {name: content for name, content in metadata.items() if content}
    pillow_heif.from_pillow(_to_pillow(frame)).save(buffer, quality=95, chroma=444, **present)
    return buffer.getvalue()


def _to_pillow(frame: Frame) -> Image.Image:
    samples = frame.samples
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


_JPEG = Codec("JPEG", _jpeg, has_alpha=False, has_gray=True, max_edge=65_500)
_TIFF = Codec("TIFF", _tiff, has_gray=True, has_16_bit=True)
_PNG = Codec("PNG", partial(_vips, saver="pngsave_buffer"), has_gray=True, has_16_bit=True)
_WEBP = Codec("WebP", partial(_vips, saver="webpsave_buffer", Q=95, smart_subsample=True, exact=True), max_edge=16_383)
_AVIF = Codec(
    "AVIF",
    partial(_vips, saver="heifsave_buffer", Q=90, compression="av1", subsample_mode="off", effort=3),
    max_edge=16_384,
)
_HEIC = Codec("HEIC", _heic, package="pillow_heif")

CODECS: Mapping[str, Codec] = {
    ".png": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": _WEBP,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".avif": _AVIF,
    ".heic": _HEIC,
    ".heif": _HEIC,
    ".jp2": Codec("JPEG 2000", _jpeg2000, has_gray=True),
}
"""By suffix."""
