"""Files to numbers: libvips, and Pillow for what its wheel does not read, behind one type."""

from __future__ import annotations

import importlib
import io
import re
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyvips
from PIL import Image

from impasto.errors import ImageError
from impasto.formats import exif, jp2, tiff
from impasto.formats.files import Format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Decoded:
    """What a file holds, before its colors are brought to sRGB.

    Attributes:
        samples: Shape (H, W, C), upright; C is 1 (gray), 3 (RGB) or 4 (CMYK); uint8, uint16, or float32 where 0 to 1
            is meant.
        alpha: Shape (H, W, 1), of the same kind; None if there is none.
        profile: ICC profile as embedded, unchecked.
        exif: As `Picture.exif`.
        notes: As `Picture.notes`.
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None
    profile: bytes | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()


pyvips.cache_set_max(0)  # libvips keeps up to 100 MB of pictures for operations done twice; here none is

_LOADERS = {
    Format.JPEG: "jpegload_buffer",
    Format.PNG: "pngload_buffer",
    Format.WEBP: "webpload_buffer",
    Format.GIF: "gifload_buffer",
    Format.TIFF: "tiffload_buffer",
    Format.HEIF: "heifload_buffer",
}

_PILLOW_FORMATS = {Format.JP2: "JPEG2000", Format.BMP: "BMP", Format.PNM: "PPM"}

_SRGB_GAMMA = (45455).to_bytes(4, "big")
"""1/2.2 in a gAMA chunk, as nearly every writer of sRGB has it."""

_EMPTY_WORDS = re.compile(r"load error|unable to call|BytesIO|^\([\d.]+\)$")
"""Lines of the decoders' messages that tell a reader nothing."""

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


def decode(data: bytes, kind: Format, path: str | Path, max_pixels: int) -> Decoded:
    """Decodes the first picture of a file.

    Args:
        data: The file's bytes.
        kind: As `sniff` found.
        path: For messages.
        max_pixels: Pictures of more pixels are refused before they are decoded.

    Raises:
        ImageError: If it is too large, damaged or truncated.
    """
    if not kind.by_vips:
        return _decode_pillow(data, kind, path, max_pixels)
    choice = tiff.choose(data, path) if kind is Format.TIFF else tiff.Choice(notes=_png_notes(data, kind))
    header = vips_header(data, kind, path, **choice.options)
    check_size(header.width, header.height, path, max_pixels)
    if kind is Format.HEIF and _field(header, "heif-compression") == "hevc":
        return _decode_heic(data, header, path)
    try:
        return _decode_vips(data, header, kind, path, choice)
    except ImageError:
        if kind is not Format.JPEG:
            raise
        return _decode_unended_jpeg(data, path)


def _decode_unended_jpeg(data: bytes, path: str | Path) -> Decoded:
    """A JPEG that lacks its end marker and nothing else, as some cameras and downloads leave it.

    Raises:
        ImageError: If more is missing or damaged.
    """
    ended = data + b"\xff\xd9"
    header = vips_header(ended, Format.JPEG, path, fail_on="warning")
    notes = ("its end marker is missing, the picture is whole",)
    return _decode_vips(ended, header, Format.JPEG, path, tiff.Choice(notes=notes))


def _png_notes(data: bytes, kind: Format) -> tuple[str, ...]:
    """Says that a PNG's gamma and primaries are not looked at, where they are all that tells its colors."""
    if kind is not Format.PNG:
        return ()
    head = data[: max(data.find(b"IDAT"), 0)]
    has_profile = any(name in head for name in (b"iCCP", b"sRGB", b"cICP"))
    gamma = head.find(b"gAMA")
    is_srgb = gamma < 0 or head[gamma + 4 : gamma + 8] == _SRGB_GAMMA
    if has_profile or (is_srgb and b"cHRM" not in head):
        return ()
    return ("gamma and primaries (gAMA, cHRM): ignored, taken as sRGB",)


def vips_header(data: bytes, kind: Format, path: str | Path, **options: Any) -> pyvips.Image:
    """Opens a file with the one libvips loader of its format; pixels are decoded when they are asked for.

    Raises:
        ImageError: If its header is damaged.
    """
    load = getattr(pyvips.Image, _LOADERS[kind])
    try:
        header = load(data, access="sequential", **{"fail_on": "error"} | options)
        primary = _field(header, "heif-primary")  # a HEIF file names the one of its pictures that it is about
        return load(data, access="sequential", page=primary, fail_on="error") if primary else header
    except pyvips.Error as error:
        raise _damaged(path, kind, error) from None


def check_size(width: int, height: int, path: str | Path, max_pixels: int) -> None:
    """Raises `ImageError` for more pixels than are allowed."""
    if width * height > max_pixels:
        raise ImageError(
            f"'{path}' has {width}×{height} pixels; at most {max_pixels} are allowed. Shrink it, or raise max_pixels."
        )


def _decode_vips(data: bytes, header: pyvips.Image, kind: Format, path: str | Path, choice: tiff.Choice) -> Decoded:
    try:
        image = header.copy_memory()
        if choice.orientation:
            image.set_type(pyvips.GValue.gint_type, "orientation", choice.orientation)
        image = image.autorot()
        if image.interpretation in ("lab", "labs", "labq", "xyz"):
            image = image.colourspace("rgb16")
        array = image.numpy().reshape(image.height, image.width, image.bands)
    except pyvips.Error as error:
        raise _damaged(path, kind, error) from None
    if array.dtype.kind == "c":
        raise ImageError(f"'{path}' holds complex numbers, a picture is needed.")
    if kind is Format.HEIF and array.dtype == "uint16":
        array = _stretched(array, _field(header, "bits-per-sample") or 16)
    samples, notes = to_known_range(array)
    num_colors = 4 if image.interpretation == "cmyk" else 3 if image.bands >= 3 else 1
    alpha = samples[..., num_colors : num_colors + 1] if image.hasalpha() else None
    if kind is Format.GIF and alpha is not None and alpha.min() == 255:
        alpha = None  # animations are decoded with one, needed or not
    is_classic_tiff = data[:4] in (b"II*\0", b"MM\0*")  # whose first directory is EXIF's; BigTIFF's is not
    source = data if is_classic_tiff else _field(header, "exif-data")
    block, _, exif_notes = read_exif(source)
    return Decoded(
        samples[..., :num_colors],
        alpha,
        profile=_field(header, "icc-profile-data"),
        exif=block,
        notes=choice.notes + (() if kind is Format.TIFF else _page_notes(header, kind)) + notes + exif_notes,
    )


def _decode_heic(data: bytes, header: pyvips.Image, path: str | Path) -> Decoded:
    """HEVC is patented and in few builds of libvips; pillow-heif brings it."""
    try:
        pillow_heif: Any = importlib.import_module("pillow_heif")
    except ImportError:
        raise ImageError(
            f"'{path}' is HEIC, which needs the package pillow-heif: pip install 'impasto[heic]', or convert it."
        ) from None
    import numpy as np

    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        array = np.asarray(file)
    except (OSError, ValueError, RuntimeError, EOFError) as error:
        raise _damaged(path, Format.HEIF, error) from None
    if array.dtype == np.uint16:
        array = _stretched(array, file.info.get("bit_depth", 10))
    array = array.reshape(*array.shape[:2], -1)
    num_colors = 1 if array.shape[2] < 3 else 3
    block, _, exif_notes = read_exif(file.info.get("exif"))
    notes = _page_notes(header, Format.HEIF) + exif_notes
    alpha = array[..., num_colors:] if array.shape[2] > num_colors else None
    return Decoded(array[..., :num_colors], alpha, file.info.get("icc_profile"), block, notes)


def _decode_pillow(data: bytes, kind: Format, path: str | Path, max_pixels: int) -> Decoded:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of sizes that max_pixels allows
            image = Image.open(io.BytesIO(data), formats=[_PILLOW_FORMATS[kind]])
            check_size(image.width, image.height, path, max_pixels)
            image.load()
    except Image.DecompressionBombError:
        raise ImageError(f"'{path}' has far too many pixels; at most {max_pixels} are allowed. Shrink it.") from None
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise _damaged(path, kind, error) from None
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
        array = np.asarray(image.convert(mode if known else "RGB"))
    array, range_notes = to_known_range(array.reshape(image.height, image.width, -1))
    num_colors = {"L": 1, "LA": 1, "CMYK": 4, "F": 1}.get(mode, 1 if mode.startswith("I") else 3)
    return Decoded(
        array[..., :num_colors],
        array[..., num_colors:] if array.shape[2] > num_colors else None,
        image.info.get("icc_profile"),
        block,
        notes + range_notes,
    )


def to_known_range(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Brings samples of any real type to uint8, uint16, or float32 in [0, 1], with notes on what that took."""
    import numpy as np

    if array.dtype in (np.uint8, np.uint16):
        return array, ()
    if array.dtype.kind in "iu":
        return (array / np.iinfo(array.dtype).max).clip(0, 1).astype(np.float32), ()
    samples = np.nan_to_num(array, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    # the comparisons are also false for NaN
    in_range = bool(array.min() >= 0 and array.max() <= 1)
    note = "floating point: taken as sRGB" + ("" if in_range else ", values outside 0 to 1 are clamped")
    return samples.astype(np.float32), (note,)


def read_exif(data: bytes | None) -> tuple[bytes | None, int, tuple[str, ...]]:
    """What `exif.clean` finds, or a note that it is damaged."""
    if not data:
        return None, 1, ()
    try:
        return *exif.clean(data), ()
    except exif.ExifError as error:
        return None, 1, (f"EXIF: ignored, it is damaged ({error})",)


def _stretched(array: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples of 10 or 12 bit, which decoders leave in the upper bits, brought to the full range of 16."""
    if not 8 < bits < 16:
        return array
    full: NDArray[np.float64] = (array >> (16 - bits)) * (65535 / (2**bits - 1))
    return full.round().astype("uint16")


def _page_notes(header: pyvips.Image, kind: Format) -> tuple[str, ...]:
    pages = _field(header, "n-pages") or 1
    if pages == 1:
        return ()
    if kind in (Format.GIF, Format.WEBP):
        return (f"animated: the first of {pages} frames is used",)
    return (f"several pictures: {'the main one' if kind is Format.HEIF else 'the first'} of {pages} is used",)


def _field(header: pyvips.Image, name: str) -> Any:
    return header.get(name) if header.get_typeof(name) else None


def _damaged(path: str | Path, kind: Format, error: Exception) -> ImageError:
    lines = (line.strip(" .") for line in str(getattr(error, "detail", "") or error).splitlines())
    telling = [line for line in lines if line and not _EMPTY_WORDS.search(line)]
    why = f" ({telling[0][:120]})" if telling else ""
    return ImageError(
        f"'{path}' is a {kind.value} file that is damaged, truncated or of an unknown kind{why}. Use an intact copy."
    )
