"""libvips's part of decoding: a file as a whole, or in strips from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyvips

from impasto.errors import ImageError
from impasto.formats import tiff
from impasto.formats.decoded import Decoded, check_size, damaged, read_exif, stretched, to_known_range
from impasto.formats.file_bytes import FileBytes
from impasto.formats.files import Format

if TYPE_CHECKING:
    from numpy.typing import NDArray

pyvips.cache_set_max(0)  # libvips keeps up to 100 MB of pictures for operations done twice; here none is

_LOADERS = {
    Format.JPEG: "jpegload",
    Format.PNG: "pngload",
    Format.WEBP: "webpload",
    Format.GIF: "gifload",
    Format.TIFF: "tiffload",
    Format.HEIF: "heifload",
}

_SRGB_GAMMA = (45455).to_bytes(4, "big")
"""1/2.2 in a gAMA chunk, as nearly every writer of sRGB has it."""

_PNG_HEAD_BYTES = 2**24
"""Of a PNG, looked through for what stands before its picture data."""

STRIP_PIXELS = 2**20
"""Of one strip, about."""


def vips_header(data: bytes | FileBytes, kind: Format, path: str | Path, **options: Any) -> pyvips.Image:
    """Opens a file with the one libvips loader of its format; pixels are decoded when they are asked for.

    Raises:
        ImageError: If its header is damaged.
    """
    options = {"access": "sequential", "fail_on": "error"} | options
    try:
        header = _load(data, kind, **options)
        primary = field_of(header, "heif-primary")  # a HEIF file names the one of its pictures that it is about
        return _load(data, kind, **options, page=primary) if primary else header
    except pyvips.Error as error:
        raise damaged(path, kind, error) from None


def _load(data: bytes | FileBytes, kind: Format, **options: Any) -> pyvips.Image:
    if isinstance(data, bytes):
        return getattr(pyvips.Image, f"{_LOADERS[kind]}_buffer")(data, **options)
    with data.reopened() as descriptor:  # of which libvips keeps a copy
        source = pyvips.Source.new_from_descriptor(descriptor)
    return getattr(pyvips.Image, f"{_LOADERS[kind]}_source")(source, **options)


def field_of(header: pyvips.Image, name: str) -> Any:
    """A field of libvips's metadata, None without it."""
    return header.get(name) if header.get_typeof(name) else None


@dataclass(frozen=True)
class VipsFile:
    """A file whose header is read, its pixels not yet.

    Attributes:
        kind: As `sniff` found.
        path: For messages.
        image: As stored, in gray, RGB or CMYK, whose rows can be had once, from top to bottom.
        facts: What belongs to the picture besides its samples, which are empty here.
    """

    kind: Format
    path: str | Path
    image: pyvips.Image
    facts: Decoded

    @classmethod
    def open(cls, data: bytes | FileBytes, kind: Format, path: str | Path, max_pixels: int, **options: Any) -> VipsFile:
        """Reads the header.

        Args:
            data: The file's bytes.
            kind: As `sniff` found.
            path: For messages.
            max_pixels: Pictures of more pixels are refused.
            options: Of libvips's loader.

        Raises:
            ImageError: If the header is damaged, or tells of more pixels.
        """
        import numpy as np

        choice = tiff.choose(data, path) if kind is Format.TIFF else tiff.Choice(notes=_png_notes(data, kind))
        header = vips_header(data, kind, path, **choice.options, **options)
        check_size(header.width, header.height, path, max_pixels)
        if kind is Format.TIFF:  # a strip may hold the whole picture, which is more than libtiff takes without a word
            header = vips_header(data, kind, path, **choice.options, **options, unlimited=True)
        block, _, exif_notes = read_exif(data if kind is Format.TIFF else field_of(header, "exif-data"))
        notes = choice.notes + (() if kind is Format.TIFF else page_notes(header, kind))
        profile = field_of(header, "icc-profile-data")
        facts = Decoded(np.empty((0, 0, 3), np.uint8), None, profile, block, notes + exif_notes)
        image = header
        if choice.orientation:
            image = image.copy()
            image.set_type(pyvips.GValue.gint_type, "orientation", choice.orientation)
        if image.interpretation in ("lab", "labs", "labq", "xyz"):
            image = image.colourspace("rgb16")
        return cls(kind, path, image, facts)

    @property
    def orientation(self) -> int:
        """EXIF's, from 1 (upright) to 8."""
        known = int(field_of(self.image, "orientation") or 1)
        return known if 1 <= known <= 8 else 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, as stored."""
        return self.image.height, self.image.width

    @property
    def can_be_cut(self) -> bool:
        """Whether a strip means the same without the others; floating point and animations are judged as a whole."""
        return self.image.format in ("uchar", "ushort") and self.kind is not Format.GIF

    def decode(self) -> Decoded:
        """All of it, upright.

        Raises:
            ImageError: If it is damaged or truncated.
        """
        try:
            image = self.image if self.orientation == 1 else self.image.copy_memory().autorot()
            return self._interpreted(image.numpy().reshape(image.height, image.width, image.bands))
        except pyvips.Error as error:
            raise damaged(self.path, self.kind, error) from None

    def strips(self) -> Iterator[Decoded]:
        """Its rows, some at a time, as they are stored.

        Raises:
            ImageError: If it is damaged or truncated.
        """
        import numpy as np

        height, width = self.size
        dtype = {"uchar": np.uint8, "ushort": np.uint16}[self.image.format]
        try:
            region = pyvips.Region.new(self.image)
            for top, bottom in strips_of(height, width):
                rows = region.fetch(0, top, width, bottom - top)
                yield self._interpreted(np.frombuffer(rows, dtype).reshape(bottom - top, width, self.image.bands))
        except pyvips.Error as error:
            raise damaged(self.path, self.kind, error) from None

    def _interpreted(self, array: NDArray[Any]) -> Decoded:
        if array.dtype.kind == "c":
            raise ImageError(f"'{self.path}' holds complex numbers, a picture is needed.")
        if self.kind is Format.HEIF and array.dtype == "uint16":
            array = stretched(array, field_of(self.image, "bits-per-sample") or 16)
        samples, notes = to_known_range(array)
        num_colors = 4 if self.image.interpretation == "cmyk" else 3 if self.image.bands >= 3 else 1
        alpha = samples[..., num_colors : num_colors + 1] if self.image.hasalpha() else None
        if self.kind is Format.GIF and alpha is not None and alpha.min() == 255:
            alpha = None  # animations are decoded with one, needed or not
        return replace(
            self.facts, samples=samples[..., :num_colors], alpha=alpha, notes=self.facts.notes + notes
        )  # fmt: skip


def strips_of(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row, and the row after the last, of strips of about a megapixel."""
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def page_notes(header: pyvips.Image, kind: Format) -> tuple[str, ...]:
    """Says which picture is used, where a file holds several."""
    pages = field_of(header, "n-pages") or 1
    if pages == 1:
        return ()
    if kind in (Format.GIF, Format.WEBP):
        return (f"animated: the first of {pages} frames is used",)
    return (f"several pictures: {'the main one' if kind is Format.HEIF else 'the first'} of {pages} is used",)


def _png_notes(data: bytes | FileBytes, kind: Format) -> tuple[str, ...]:
    """Says that a PNG's gamma and primaries are not looked at, where they are all that tells its colors."""
    if kind is not Format.PNG:
        return ()
    head = data[:_PNG_HEAD_BYTES]
    head = head[: max(head.find(b"IDAT"), 0)]
    has_profile = any(name in head for name in (b"iCCP", b"sRGB", b"cICP"))
    gamma = head.find(b"gAMA")
    is_srgb = gamma < 0 or head[gamma + 4 : gamma + 8] == _SRGB_GAMMA
    if has_profile or (is_srgb and b"cHRM" not in head):
        return ()
    return ("gamma and primaries (gAMA, cHRM): ignored, taken as sRGB",)
