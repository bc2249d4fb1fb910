"""Files, arrays, tensors and Pillow images to pictures."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from impasto.errors import ImageError
from impasto.formats import icc
from impasto.formats.decode import Opened, decode, from_pillow, in_memory, open_picture
from impasto.formats.decoded import Decoded, check_size
from impasto.formats.file_bytes import FileBytes
from impasto.formats.files import DEFAULT_MAX_PIXELS, HEAD_BYTES, Format, open_file, sniff
from impasto.images.picture import Picture
from impasto.images.shrinking import shrink_strips, upright

_ALWAYS_RGB = (Format.WEBP, Format.HEIF, Format.GIF)
"""Formats in which a gray picture has three equal channels."""

LARGE_PIXELS = 2**25
"""A picture of more pixels is shrunk as it is read, where a smaller one is all that is needed."""

_ROUNDING = 1e-5
"""Of an opacity that was resized."""

_TOLERANCE = 1e-3
"""How far float samples may leave [0, 1] and still count as rounded: a quarter of a gray level."""


def load_picture(
    path: str | Path,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    shrink_to: Callable[[tuple[int, int]], tuple[int, int]] | None = None,
    is_mask: bool = False,
) -> Picture:
    """Reads a picture file: upright, in sRGB, with alpha and depth as they are.

    Args:
        path: JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC (with pillow-heif), JPEG 2000, BMP or PNM, whatever its suffix.
            Of an animation or of several pages, the first is read.
        max_pixels: Larger pictures are refused before they are decoded.
        shrink_to: From height and width to those that are needed. A picture of more than `LARGE_PIXELS` that has more
            pixels than needed is shrunk to them as it is read, by the filter of `resize`, and never held as a whole.
        is_mask: Whether it is shrunk by the filter of masks instead, which is bilinear.

    Raises:
        ImageError: If it is missing, unreadable, not an image, damaged, truncated or too large.
    """
    path = Path(path)
    with open_file(path, max_pixels) as data:
        kind = sniff(data[:HEAD_BYTES], path)
        opened = open_picture(data, kind, path, max_pixels)
        size = opened.upright_size if shrink_to is None else shrink_to(opened.upright_size)
        if math.prod(opened.size) > max(LARGE_PIXELS, math.prod(size)):
            picture = _shrunk(opened, kind, size, lambda: decode(data, kind, path, max_pixels), is_mask=is_mask)
        else:
            decoded = opened.whole()
            picture = _develop(decoded, gray=kind in _ALWAYS_RGB and _channels_equal(decoded.samples))
        sha256 = data.sha256() if isinstance(data, FileBytes) else hashlib.sha256(data).hexdigest()
    return replace(picture, name=path.name, sha256=sha256)


def _shrunk(
    opened: Opened, kind: Format, size: tuple[int, int], again: Callable[[], Decoded], *, is_mask: bool
) -> Picture:
    """The picture at a smaller size; colors count by their opacity."""
    pieces: list[Picture] = []

    def planes() -> Iterator[Tensor]:
        for strip in opened.strips():
            piece = _develop(strip, gray=kind in _ALWAYS_RGB and _channels_equal(strip.samples))
            colors = piece.pixels[:, : piece.samples.shape[1]]
            yield colors if piece.alpha is None else torch.cat([colors * piece.alpha, piece.alpha], 1)
            pieces.append(replace(piece, samples=torch.empty(0), alpha=None))

    stored = size if opened.orientation < 5 else size[::-1]
    try:
        shrunk = shrink_strips(planes(), opened.size[0], stored, mode="bilinear" if is_mask else "bicubic")
    except ImageError:
        if kind is not Format.JPEG:
            raise
        return _shrunk(in_memory(again()), kind, size, again, is_mask=is_mask)  # it may only lack its end marker
    picture = replace(pieces[-1], is_gray=all(piece.is_gray for piece in pieces))
    shrunk = upright(shrunk, opened.orientation)
    num_colors = 1 if shrunk.shape[1] <= 2 else 3
    colors, alpha = shrunk[:, :num_colors], shrunk[:, num_colors:]
    if not alpha.shape[1]:
        return replace(picture, samples=colors.clamp(0, 1).contiguous())
    colors = torch.where(alpha > _ROUNDING, colors / alpha.clamp(min=_ROUNDING), 0.0)
    alpha = torch.where(alpha > 1 - _ROUNDING, 1.0, alpha.clamp(min=0))
    return replace(picture, samples=colors.clamp(0, 1), alpha=alpha)


def as_picture(
    source: str | Path | Image.Image | NDArray[Any] | Tensor | Picture, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Picture:
    """Converts any of the usual forms of a picture in Python to a `Picture`.

    Args:
        source: A path (`load_picture`); a `Picture` (returned as it is); a Pillow image (turned upright by its EXIF,
            converted from its ICC profile); a NumPy array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); or a
            tensor of shape (C, H, W) or (1, C, H, W) with C of 1, 3 or 4. One channel is gray, a fourth one alpha.
            Samples are sRGB: uint8 (0 to 255), uint16 (0 to 65535), bool, or floating point in [0, 1].
        max_pixels: Larger pictures are refused.

    Raises:
        ImageError: If the type, the shape or the range is none of these.
    """
    match source:
        case Picture():
            return source
        case str() | Path():
            return load_picture(source, max_pixels=max_pixels)
        case Image.Image():
            return _from_pillow(source, max_pixels)
        case np.ndarray():
            array = source[..., None] if source.ndim == 2 else source
        case Tensor():
            array = _channels_last(source)
        case _:
            raise ImageError(
                f"A picture must be a path, Pillow image, NumPy array, tensor or Picture, got {type(source).__name__}."
            )
    return _from_array(array, max_pixels)


def _from_pillow(image: Image.Image, max_pixels: int) -> Picture:
    check_size(image.width, image.height, "image", max_pixels)
    try:
        raw = image.tobytes()
    except (OSError, ValueError, SyntaxError) as error:  # a file that Pillow opened, and decodes only now
        raise ImageError(f"The Pillow image cannot be decoded: {error}. Use an intact copy.") from None
    return _develop(from_pillow(image), sha256=hashlib.sha256(raw).hexdigest())


def _channels_last(tensor: Tensor) -> NDArray[Any]:
    shape = tuple(tensor.shape)
    if tensor.ndim == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3, 4):
        raise ImageError(
            f"The tensor has shape {shape}; it must be (C, H, W) or (1, C, H, W) with C of 1, 3 or 4. "
            "If channels come last, permute it."
        )
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    return tensor.permute(1, 2, 0).numpy()


def _from_array(array: NDArray[Any], max_pixels: int) -> Picture:
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ImageError(
            f"The array has shape {array.shape}; it must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not empty. "
            "If channels come first, transpose it."
        )
    check_size(array.shape[1], array.shape[0], "array", max_pixels)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        # the comparison is also false for NaN
        if not (array.min() >= -_TOLERANCE and array.max() <= 1 + _TOLERANCE):
            raise ImageError(
                f"The array's values go from {array.min():g} to {array.max():g}; floating point must lie in [0, 1]. "
                "Divide by 255, or convert to uint8."
            )
        samples = array.astype(np.float32).clip(0, 1)
    elif array.dtype in (np.uint8, np.uint16):
        samples = array
    else:
        raise ImageError(
            f"The array's type is {array.dtype}; it must be uint8, uint16, bool or float in [0, 1]. Convert it."
        )
    sha256 = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    num_colors = 1 if samples.shape[2] == 1 else 3
    alpha = samples[..., 3:] if samples.shape[2] == 4 else None
    return _develop(Decoded(samples[..., :num_colors], alpha), sha256=sha256)


def _develop(decoded: Decoded, *, sha256: str = "", name: str = "", gray: bool = False) -> Picture:
    """Brings decoded samples to sRGB and to tensors."""
    samples, profile, notes = _to_srgb(decoded)
    return Picture(
        samples=torch.from_numpy(np.require(samples, requirements=["C", "W"])).permute(2, 0, 1)[None],
        alpha=None if decoded.alpha is None else _to_tensor(decoded.alpha),
        is_gray=gray or samples.shape[2] == 1,
        bit_depth=8 if decoded.samples.dtype == np.uint8 else 16,
        profile=profile,
        exif=decoded.exif,
        name=name,
        sha256=sha256,
        notes=decoded.notes + notes,
    )


def _to_srgb(decoded: Decoded) -> tuple[NDArray[Any], bytes | None, tuple[str, ...]]:
    """Samples in sRGB, the profile that they were in if it may be written back, and notes."""
    samples, profile = decoded.samples, decoded.profile
    if samples.shape[2] == 4:
        return _from_cmyk(samples, profile)
    if not profile:
        return samples, None, ()
    try:
        if icc.channels_of(profile) == samples.shape[2] and icc.is_srgb(profile):
            return samples, None, ()
        converted = icc.to_srgb(_to_integers(samples), profile)
    except icc.ProfileError as error:
        return samples, None, (f"color profile: ignored, {error}",)
    # a gray profile gives three channels that differ by rounding at most
    return (converted[..., 1:2] if samples.shape[2] == 1 else converted), profile, ()


def _from_cmyk(samples: NDArray[Any], profile: bytes | None) -> tuple[NDArray[Any], None, tuple[str, ...]]:
    integers = _to_integers(samples)
    note = "CMYK: converted to sRGB"
    try:
        return icc.to_srgb(integers, profile or None), None, (note,)
    except icc.ProfileError as error:
        return icc.to_srgb(integers, None), None, (note, f"color profile: ignored, {error}")


def _to_integers(samples: NDArray[Any]) -> NDArray[Any]:
    return samples if samples.dtype.kind == "u" else np.rint(samples * 65535).astype(np.uint16)


def _to_tensor(samples: NDArray[Any]) -> Tensor:
    """Shape (H, W, C) of uint8, uint16, or float32 in [0, 1] to shape (1, C, H, W), float32 in [0, 1]."""
    scale = np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1
    return torch.from_numpy(samples.astype(np.float32) / np.float32(scale)).permute(2, 0, 1)[None].contiguous()


def _channels_equal(samples: NDArray[Any]) -> bool:
    """Up to the one gray level that WebP makes of its integer arithmetic."""
    spread = samples.max(axis=2) - samples.min(axis=2)
    return bool(spread.max() <= np.iinfo(samples.dtype).max // 255)
