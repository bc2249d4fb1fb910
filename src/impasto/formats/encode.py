"""The formats that are written: what each can hold, and its encoder."""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyvips
from PIL import Image

from impasto.errors import OutputError
from impasto.formats import deep_zoom, exif, jp2
from impasto.formats.embedded_recipe import DEEP_ZOOM, PNG_KEYWORD, to_xmp
from impasto.formats.files import replacing
from impasto.formats.frame import Frame, call_saver, to_vips

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Codec:
    """A format: its name in messages, its encoder, and what it can hold.

    Attributes:
        name: In messages.
        write: Writes a frame into a new file; raises `OutputError` if it cannot be encoded, `OSError` if the file
            cannot be written. None for Deep Zoom, which is no single file.
        has_pyramid: Whether smaller copies can be beside the picture.
        max_edge: Pixels of the longest edge.
        package: A package that must be installed, if it is an optional one.
    """

    name: str
    write: Callable[[Frame, IO[bytes]], None] | None
    has_alpha: bool = True
    has_gray: bool = False
    has_16_bit: bool = False
    has_pyramid: bool = False
    max_edge: int = 10_000_000
    package: str = ""

    def save(self, frame: Frame, path: Path) -> None:
        """Writes a frame; what is at the path is replaced as a whole or not at all.

        Raises:
            OutputError: If it cannot be encoded, or not be written.
        """
        if self.write is None:
            deep_zoom.save(frame, path)
            return
        with replacing(path) as file:
            self.write(frame, file)


_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_XMP, _MAX_EXIF = 65_533 - len(_XMP_SIGNATURE), 60_000
"""JPEG holds each in one segment of 64 kB."""

_TILE = 512
"""Edge of a TIFF's tiles in pixels."""

TIFF_BYTES = 2**32 - 2**24
"""Bytes that a TIFF file holds, less what metadata may take; BigTIFF holds more."""


def _vips(frame: Frame, file: IO[bytes], *, saver: str, **options: Any) -> None:
    image = to_vips(frame)
    if frame.recipe and saver == "pngsave":
        image.set_type(pyvips.GValue.gstr_type, f"png-comment-0-{PNG_KEYWORD}", frame.recipe)
    elif frame.recipe:
        image.set_type(pyvips.GValue.blob_type, "xmp-data", to_xmp(frame.recipe))
    call_saver(image, f"{saver}_target", pyvips.Target.new_to_descriptor(file.fileno()), **options)


def _jpeg(frame: Frame, file: IO[bytes]) -> None:
    packet = to_xmp(frame.recipe) if frame.recipe else b""
    if len(packet) > _MAX_XMP:
        raise OutputError(f"The recipe takes {len(packet)} bytes, a JPEG holds {_MAX_XMP}. Write .png or .webp.")
    if frame.exif and len(frame.exif) > _MAX_EXIF:
        logger.warning("EXIF is not kept: it takes %d bytes, a JPEG holds %d.", len(frame.exif), _MAX_EXIF)
        frame = replace(frame, exif=None)
    data = call_saver(to_vips(frame), "jpegsave_buffer", Q=95, subsample_mode="off", optimize_coding=True)
    start = 2
    if packet:  # put in here: libvips silently drops XMP above 60 kB
        content = _XMP_SIGNATURE + packet
        start = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2  # JFIF's segment comes first
        packet = b"\xff\xe1" + (2 + len(content)).to_bytes(2, "big") + content
    file.writelines([data[:start], packet, memoryview(data)[start:]])


def _tiff(frame: Frame, file: IO[bytes]) -> None:
    num_bytes = frame.samples.nbytes * (4 / 3 if frame.is_pyramid else 1)
    options = {"compression": "deflate", "predictor": "horizontal", "bigtiff": num_bytes > TIFF_BYTES}
    if frame.is_pyramid:  # below the picture's page, so that programs which know no pyramids see one page
        options |= {"tile": True, "tile_width": _TILE, "tile_height": _TILE, "pyramid": True, "subifd": True}
    _vips(frame, file, saver="tiffsave", **options)
    if frame.exif:
        exif.into_tiff(file, frame.exif)


def _jpeg2000(frame: Frame, file: IO[bytes]) -> None:
    buffer = io.BytesIO()
    _to_pillow(frame).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    if frame.profile:
        data = jp2.with_profile(data, frame.profile)
    if frame.exif:
        data = jp2.with_uuid_box(data, jp2.EXIF, frame.exif)
    file.write(jp2.with_uuid_box(data, jp2.XMP, to_xmp(frame.recipe)) if frame.recipe else data)


def _heic(frame: Frame, file: IO[bytes]) -> None:
    pillow_heif: Any = importlib.import_module("pillow_heif")

    buffer = io.BytesIO()
    metadata = {
        "icc_profile": frame.profile,
        "exif": b"Exif\0\0" + frame.exif if frame.exif else None,
        "xmp": to_xmp(frame.recipe) if frame.recipe else None,
    }
    present = {name: content for name, content in metadata.items() if content}
    pillow_heif.from_pillow(_to_pillow(frame)).save(buffer, quality=95, chroma=444, **present)
    file.write(buffer.getvalue())


def _to_pillow(frame: Frame) -> Image.Image:
    samples = frame.samples
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


_JPEG = Codec("JPEG", _jpeg, has_alpha=False, has_gray=True, max_edge=65_500)
_TIFF = Codec("TIFF", _tiff, has_gray=True, has_16_bit=True, has_pyramid=True)
_PNG = Codec("PNG", partial(_vips, saver="pngsave"), has_gray=True, has_16_bit=True)
_WEBP = Codec("WebP", partial(_vips, saver="webpsave", Q=95, smart_subsample=True, exact=True), max_edge=16_383)
_AVIF = Codec(
    "AVIF",
    partial(_vips, saver="heifsave", Q=90, compression="av1", subsample_mode="off", effort=3),
    max_edge=16_384,
)
_HEIC = Codec("HEIC", _heic, package="pillow_heif")
_DEEP_ZOOM = Codec("Deep Zoom", None, has_gray=True, has_pyramid=True)

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
    DEEP_ZOOM: _DEEP_ZOOM,
}
"""By suffix."""
