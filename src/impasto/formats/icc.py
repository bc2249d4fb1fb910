"""ICC profiles: what a file's numbers mean in sRGB, and the way back.

Profiles of curves and a matrix go by `icc_matrix`; the others, of printers and scanners, by Little CMS through libvips:
relative colorimetric with black point compensation.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import pyvips
from PIL import ImageCms

from impasto.formats import icc_matrix

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
"""Color spaces of profiles that pictures can be in."""

_INTENT: dict[str, Any] = {"intent": "relative", "black_point_compensation": True}

_SAME_LEVELS = 1.0
"""A profile that moves no color by more gray levels of 1/255 than this is sRGB by another name."""


class ProfileError(Exception):
    """A profile that is damaged or made for other channels; the caller goes on without it."""


@cache
def srgb_profile() -> bytes:
    """What is embedded where the output is sRGB; 480 bytes."""
    return bytes(pyvips.Image.profile_load("srgb"))


def to_srgb(samples: NDArray[Any], profile: bytes | None) -> NDArray[np.uint16]:
    """Converts a picture to sRGB.

    Args:
        samples: Shape (H, W, C), uint8 or uint16; C is 1 (gray), 3 (RGB) or 4 (CMYK).
        profile: ICC profile of these numbers. None, allowed for CMYK only, is a generic printing press.

    Returns:
        Shape (H, W, 3), uint16. Colors outside sRGB are clipped to its border.

    Raises:
        ProfileError: If the profile is damaged or belongs to another number of channels.
    """
    channels = samples.shape[2]
    if profile is not None and channels_of(profile) != channels:
        raise ProfileError(f"it is made for {channels_of(profile)} channels, the picture has {channels}")
    known = icc_matrix.parse(profile) if profile is not None else None
    if known is not None:
        return known.to_srgb(samples)
    image = _image(samples)
    if profile is not None:
        _check(profile, channels)
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    fallback = {"input_profile": "cmyk"} if profile is None else {}
    try:
        converted = image.icc_transform("srgb", embedded=True, depth=16, **fallback, **_INTENT)
        return converted.numpy().reshape(*samples.shape[:2], 3)  # type: ignore[no-any-return]
    except pyvips.Error as error:
        raise ProfileError(str(error.detail).strip().splitlines()[-1] if error.detail else str(error)) from None


def from_srgb(samples: NDArray[np.uint16], profile: bytes, bit_depth: int) -> NDArray[Any]:
    """Converts an sRGB picture to a profile's numbers.

    Args:
        samples: Shape (H, W, 3), uint16.
        profile: A gray or RGB profile that `to_srgb` has accepted.
        bit_depth: 8 or 16, of the result.

    Returns:
        Shape (H, W, C), uint8 or uint16; C is the profile's number of channels.

    Raises:
        ProfileError: If the profile has no way back from colors to numbers.
    """
    known = icc_matrix.parse(profile)
    if known is not None:
        return known.from_srgb(samples, bit_depth)
    try:
        pcs = _image(samples).icc_import(input_profile="srgb", **_INTENT).copy()
        pcs.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        converted = pcs.icc_export(depth=bit_depth, **_INTENT)
        return converted.numpy().reshape(*samples.shape[:2], -1)  # type: ignore[no-any-return]
    except pyvips.Error:
        raise ProfileError("it cannot be written in") from None


def is_srgb(profile: bytes) -> bool:
    """Whether a gray or RGB profile says what sRGB says; judged by what it does to colors, not by its name.

    Raises:
        ProfileError: If the profile is damaged.
    """
    import numpy as np

    channels = channels_of(profile)
    ramp = np.arange(0, 256, 1 if channels == 1 else 17, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*[ramp] * channels, indexing="ij"), axis=-1).reshape(1, -1, channels)
    moved = np.abs(to_srgb(grid, profile).astype(np.float32) / 257 - grid)
    return bool(moved.max() <= _SAME_LEVELS)


def channels_of(profile: bytes) -> int:
    """Channels of the pictures that a profile is made for; 0 if it is none of gray, RGB and CMYK.

    Raises:
        ProfileError: If it is no ICC profile.
    """
    if len(profile) < 128 or profile[36:40] != b"acsp" or int.from_bytes(profile[:4], "big") > len(profile):
        raise ProfileError("it is no intact ICC profile")
    return CHANNELS.get(profile[16:20], 0)


def _check(profile: bytes, channels: int) -> None:
    """Raises `ProfileError` for a profile in whose place libvips would silently take sRGB."""
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        raise ProfileError("it is no intact ICC profile") from None


def _image(samples: NDArray[Any]) -> Any:
    import numpy as np

    wide = samples.dtype == np.uint16
    interpretation = {1: "grey16" if wide else "b-w", 3: "rgb16" if wide else "srgb", 4: "cmyk"}[samples.shape[2]]
    image = pyvips.Image.new_from_array(np.ascontiguousarray(samples))
    return image.copy(interpretation=interpretation)
