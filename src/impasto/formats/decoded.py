"""What a decoder gives, and what all decoders share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ImageError
from impasto.formats import exif
from impasto.formats.file_bytes import FileBytes
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


_EMPTY_WORDS = re.compile(r"load error|unable to call|BytesIO|^\([\d.]+\)$")
"""Lines of the decoders' messages that tell a reader nothing."""


def check_size(width: int, height: int, path: str | Path, max_pixels: int) -> None:
    """Raises `ImageError` for more pixels than are allowed."""
    if width * height > max_pixels:
        raise ImageError(
            f"'{path}' has {width}×{height} pixels; at most {max_pixels} are allowed. Shrink it, or raise max_pixels."
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


def stretched(array: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """Samples of 10 or 12 bit, which decoders leave in the upper bits, brought to the full range of 16."""
    if not 8 < bits < 16:
        return array
    full: NDArray[np.float64] = (array >> (16 - bits)) * (65535 / (2**bits - 1))
    return full.round().astype("uint16")


def read_exif(data: bytes | FileBytes | None) -> tuple[bytes | None, int, tuple[str, ...]]:
    """What `exif.clean` finds, or a note that it is damaged."""
    if not data:
        return None, 1, ()
    try:
        return *exif.clean(data), ()
    except exif.ExifError as error:
        return None, 1, (f"EXIF: ignored, it is damaged ({error})",)


def damaged(path: str | Path, kind: Format, error: Exception) -> ImageError:
    """The sentence for a file whose decoder gives up."""
    lines = (line.strip(" .") for line in str(getattr(error, "detail", "") or error).splitlines())
    telling = [line for line in lines if line and not _EMPTY_WORDS.search(line)]
    why = f" ({telling[0][:120]})" if telling else ""
    return ImageError(
        f"'{path}' is a {kind.value} file that is damaged, truncated or of an unknown kind{why}. Use an intact copy."
    )
