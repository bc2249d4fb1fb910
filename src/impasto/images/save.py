"""Pictures to files: atomically, with alpha, depth, EXIF, profile and recipe put back."""

import importlib.util
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from impasto.errors import OutputError, did_you_mean
from impasto.formats import exif, icc
from impasto.formats.deep_zoom import check_tiles
from impasto.formats.embedded_recipe import check_recipe
from impasto.formats.encode import CODECS, Codec
from impasto.formats.files import reason
from impasto.formats.frame import Frame
from impasto.formats.vips_decode import strips_of
from impasto.images.picture import Picture, quantize, to_samples
from impasto.images.resizing import resize

logger = logging.getLogger(__name__)

BitDepth = Literal["auto", "8", "16"]

WRITABLE_SUFFIXES: frozenset[str] = frozenset(CODECS)
"""Suffixes of formats that can be written, in lower case."""


def save_picture(
    pixels: Tensor,
    path: str | Path,
    *,
    source: Picture | None = None,
    recipe_json: str | None = None,
    bit_depth: BitDepth = "auto",
    keep_profile: bool = False,
    keep_gps: bool = False,
    is_gray: bool = False,
    is_pyramid: bool = False,
) -> None:
    """Writes a picture; the format follows from the suffix. The file is replaced as a whole or not at all.

    JPEG is written at quality 95 without chroma subsampling, WebP and HEIC at 95, AVIF at 90, the tiles of Deep Zoom at
    90 (those with transparency as PNG); PNG, TIFF and JPEG 2000 are lossless. A TIFF that 4 GB could not hold becomes a
    BigTIFF.

    Args:
        pixels: Shape (1, 3, H, W), sRGB in [0, 1]; values outside are clamped. 8 bit is ``round(255 x)``.
        path: With one of `WRITABLE_SUFFIXES`. Missing folders are created.
        source: Provides alpha (resized to the output) and EXIF, and depth and profile if they are asked for.
        recipe_json: ASCII JSON to embed.
        bit_depth: ``"auto"`` is the source's depth where the format can hold it, else 8.
        keep_profile: Write in the source's profile instead of sRGB.
        keep_gps: Keep the location in the source's EXIF.
        is_gray: Write one channel (the mean of the three), in formats that have gray pictures.
        is_pyramid: Write a TIFF in tiles, with copies of half the size, a quarter, and so on. Deep Zoom always is.

    Raises:
        OutputError: If the format is unknown or cannot hold what is asked for, if the file cannot be written, or if
            the picture holds NaN. An earlier file then stays as it was.
    """
    path = Path(path)
    codec = _codec(path)
    if recipe_json is not None:
        check_recipe(recipe_json)
    if pixels.ndim != 4 or pixels.shape[:2] != (1, 3):
        raise OutputError(f"'{path}' is not written: the pixels have shape {tuple(pixels.shape)}, not (1, 3, H, W).")
    size = pixels.shape[-2], pixels.shape[-1]
    _check_holds(path, codec, size, is_pyramid=is_pyramid)
    depth = _depth(path, codec, bit_depth, source)
    alpha = None if source is None or source.alpha is None else resize(source.alpha, size).to(pixels)
    if alpha is not None and not codec.has_alpha and alpha.min() < 1:
        logger.warning("'%s': %s has no transparency, the picture is put on white.", path, codec.name)
    is_gray = is_gray and codec.has_gray
    profile = _kept_profile(source, depth, is_gray) if source is not None and keep_profile else None
    samples = _samples(path, pixels, alpha, _Encoding(depth, profile, is_gray, codec.has_alpha))
    if profile is None and not is_gray:
        profile = icc.srgb_profile()
    block = source.exif if source is not None else None
    if block is not None:
        block = exif.for_output(block, keep_gps=keep_gps, is_srgb=profile in (None, icc.srgb_profile()))
    codec.save(Frame(samples, profile, block, recipe_json, is_pyramid), path)


def check_writable(
    path: str | Path,
    *,
    size: tuple[int, int] | None = None,
    bit_depth: BitDepth = "auto",
    is_pyramid: bool = False,
) -> None:
    """Checks before a run whether its picture can be written at the end; leaves no file behind.

    Args:
        path: The picture's file, in a folder that may not exist yet.
        size: Height and width in pixels, if already known.
        bit_depth: As for `save_picture`.
        is_pyramid: As for `save_picture`.

    Raises:
        OutputError: If the format is unknown, not installed, or cannot hold such a picture; or if the file or its
            folder cannot be written.
    """
    path = Path(path)
    codec = _codec(path)
    _depth(path, codec, bit_depth, None)
    _check_holds(path, codec, size or (1, 1), is_pyramid=is_pyramid)
    try:
        if path.is_dir():
            raise OutputError(f"'{path}' is a folder; a file is needed. Choose another name.")
        folder = path.resolve().parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise OutputError(f"Cannot write '{path}': '{folder}' is not a folder. Choose another place.")
        try:
            with tempfile.TemporaryFile(dir=folder):  # the only reliable check; looking at permissions is not
                pass
        except OSError as error:
            raise OutputError(f"Cannot write '{path}': {reason(error)} in '{folder}'. Choose another place.") from None
    except (OSError, ValueError) as error:  # a name too long, a loop of links, a zero byte
        raise OutputError(f"Cannot write '{path}': {reason(error)}. Choose another name.") from None
    if codec.write is None:
        check_tiles(path)


def _codec(path: Path) -> Codec:
    suffix = path.suffix.lower()
    codec = CODECS.get(suffix)
    if codec is None:
        got = f"the suffix '{path.suffix}'" if path.suffix else "no suffix"
        raise OutputError(
            f"'{path}' has {got}, which names no format that can be written. {did_you_mean(suffix, sorted(CODECS))}"
        )
    if codec.package and importlib.util.find_spec(codec.package) is None:
        raise OutputError(
            f"'{path}': writing {codec.name} needs the package {codec.package}. Install it, or write .avif or .png."
        )
    return codec


def _check_holds(path: Path, codec: Codec, size: tuple[int, int], *, is_pyramid: bool) -> None:
    """Raises `OutputError` for a size, or smaller copies, that a format cannot hold."""
    if max(size) > codec.max_edge:
        raise OutputError(
            f"'{path}': {codec.name} holds at most {codec.max_edge} pixels an edge, the output has {max(size)}. "
            "Write .png, .tif or .dzi."
        )
    if is_pyramid and not codec.has_pyramid:
        raise OutputError(f"'{path}': {codec.name} holds no smaller copies beside the picture. Write .tif or .dzi.")


def _depth(path: Path, codec: Codec, wanted: BitDepth, source: Picture | None) -> int:
    if wanted == "16" and not codec.has_16_bit:
        able = sorted(suffix for suffix, other in CODECS.items() if other.has_16_bit)
        raise OutputError(f"'{path}': {codec.name} holds 8 bits per channel, not 16. Write {' or '.join(able)}.")
    if wanted == "auto":
        return source.bit_depth if source is not None and codec.has_16_bit else 8
    return int(wanted)


def _kept_profile(source: Picture, depth: int, is_gray: bool) -> bytes | None:
    """The source's profile, if it fits the output's channels and colors can be written in it."""
    profile = source.profile
    if profile is None or icc.channels_of(profile) != (1 if is_gray else 3):
        return None
    try:
        icc.from_srgb(np.zeros((1, 1, 3), np.uint16), profile, depth)
    except icc.ProfileError as error:
        logger.warning("The source's color profile is not kept: %s. The picture is written in sRGB.", error)
        return None
    return profile


@dataclass(frozen=True)
class _Encoding:
    """What the numbers of a file mean: bits per channel, profile (None is sRGB), and channels."""

    depth: int
    profile: bytes | None
    is_gray: bool
    has_alpha: bool

    def colors(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """Numbers of shape (h, w, 1 or 3) for colors of shape (h, w, 3)."""
        if self.is_gray:
            pixels = pixels.mean(axis=2, keepdims=True)
        if self.profile is None:
            return quantize(pixels, self.depth)
        wide = quantize(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), 16)
        return icc.from_srgb(wide, self.profile, self.depth)


def _samples(path: Path, pixels: Tensor, alpha: Tensor | None, encoding: _Encoding) -> NDArray[Any]:
    """A picture's numbers, shape (H, W, C), found strip by strip, as a second one in floating point has no room."""
    height, width = pixels.shape[-2:]
    num_colors = 1 if encoding.is_gray else 3
    channels = num_colors + (alpha is not None and encoding.has_alpha)
    samples = np.empty((height, width, channels), np.uint8 if encoding.depth == 8 else np.uint16)
    for top, bottom in strips_of(height, width):
        strip, rows = pixels[..., top:bottom, :], samples[top:bottom]
        if not bool(strip.isfinite().all()):
            raise OutputError(
                f"'{path}' is not written: the picture holds NaN or infinity. Start from another picture."
            )
        opacity = None if alpha is None else alpha[..., top:bottom, :]
        if opacity is not None and not encoding.has_alpha:
            strip = strip * opacity + (1 - opacity)
        rows[..., :num_colors] = encoding.colors(to_samples(strip))
        if channels > num_colors and opacity is not None:
            rows[..., num_colors:] = quantize(to_samples(opacity), encoding.depth)
    return samples
