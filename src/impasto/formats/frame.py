"""What goes into a file, and handing it to libvips's savers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyvips

from impasto.errors import OutputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DOTS_PER_MM = 72 / 25.4
"""Without it libvips would write 25 dots per inch."""

_SYSTEM_ERROR = re.compile(r"(?:unix|system) error: (.+)")
"""What libvips says where the system refuses to write."""


@dataclass(frozen=True)
class Frame:
    """What goes into a file.

    Attributes:
        samples: Shape (H, W, C), uint8 or uint16; gray, gray and alpha, RGB, or RGB and alpha.
        profile: ICC profile to embed.
        exif: As `exif.for_output` returned it.
        recipe: JSON to embed.
        is_pyramid: Whether smaller copies are to be beside the picture, in formats that can have them.
    """

    samples: NDArray[Any]
    profile: bytes | None
    exif: bytes | None
    recipe: str | None
    is_pyramid: bool = False


def to_vips(frame: Frame) -> pyvips.Image:
    """A frame with its profile and EXIF as an image of libvips, which does not copy the samples."""
    import numpy as np

    samples = np.ascontiguousarray(frame.samples)
    colors = "grey16" if samples.dtype == np.uint16 else "b-w"
    if samples.shape[2] >= 3:
        colors = "rgb16" if samples.dtype == np.uint16 else "srgb"
    image = pyvips.Image.new_from_array(samples).copy(interpretation=colors, xres=_DOTS_PER_MM, yres=_DOTS_PER_MM)
    blobs = {
        "icc-profile-data": frame.profile,
        "exif-data": b"Exif\0\0" + frame.exif if frame.exif else None,
    }
    for field, content in blobs.items():
        if content:
            image.set_type(pyvips.GValue.blob_type, field, content)
    return image


def call_saver(image: pyvips.Image, saver: str, *place: Any, **options: Any) -> Any:
    """Calls one of libvips's savers.

    Args:
        image: What to save.
        saver: Its name, as ``pngsave_target``.
        place: Where to, if it is not a buffer.
        options: Of the saver.

    Returns:
        The bytes, if it is a buffer.

    Raises:
        OutputError: If the picture cannot be encoded.
        OSError: If the system refuses to write.
    """
    try:
        return getattr(image, saver)(*place, **options)
    except pyvips.Error as error:
        refusal = _SYSTEM_ERROR.search(str(error))
        if refusal:
            raise OSError(refusal[1].strip()) from None
        raise OutputError(f"The picture cannot be encoded: {' '.join(str(error).split())}.") from None
