"""ICC profiles that are a curve a channel and a matrix, as those of cameras and screens: computed here.

Little CMS rounds them at 8 bit and puts a coarse table in their place at 16 bit: dark saturated colors then come out up
to 18 gray levels of 1/255 off. Here they are exact, and as fast.

Reference: ICC.1:2022, sections 8.3 (model), 10.6 and 10.18 (curves).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_XYZ_FROM_SRGB = (
    (0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733),
)  # fmt: skip
"""Linear sRGB to XYZ under D50, the white of all profiles (Bradford adaptation)."""

_MAX_TAGS = 200
_CHUNK_PIXELS = 2**20


@dataclass(frozen=True)
class Shaper:
    """A profile as arithmetic.

    Attributes:
        curves: Shape (C, 65536): linear light of each 16-bit code; C is 1 (gray) or 3.
        matrix: Shape (3, 3), linear light to linear sRGB; None in a gray profile.
    """

    curves: NDArray[np.float32]
    matrix: NDArray[np.float32] | None

    def to_srgb(self, samples: NDArray[Any]) -> NDArray[np.uint16]:
        """See `icc.to_srgb`."""
        import numpy as np

        srgb = np.empty((*samples.shape[:2], 3), np.uint16)
        for rows in _chunks(samples):
            codes = samples[rows].astype(np.uint16) * (257 if samples.dtype == np.uint8 else 1)
            light = np.stack([curve[codes[..., index]] for index, curve in enumerate(self.curves)], axis=-1)
            if self.matrix is not None:
                light = light @ self.matrix.T
            srgb[rows] = np.rint(_encode(light.clip(0, 1)) * np.float32(65535))
        return srgb

    def from_srgb(self, samples: NDArray[np.uint16], bit_depth: int) -> NDArray[Any]:
        """See `icc.from_srgb`."""
        import numpy as np

        dtype: type[np.uint8 | np.uint16] = np.uint8 if bit_depth == 8 else np.uint16
        result = np.empty((*samples.shape[:2], len(self.curves)), dtype)
        decoded = _decode(_codes()).astype(np.float32)
        for rows in _chunks(samples):
            light = decoded[samples[rows]]
            light = light[..., 1:2] if self.matrix is None else light @ np.linalg.inv(self.matrix).T
            for index, curve in enumerate(self.curves):
                codes = np.interp(light[..., index].clip(0, 1), curve, _codes())
                result[rows][..., index] = np.rint(codes * np.iinfo(dtype).max)
        return result


def parse(profile: bytes) -> Shaper | None:
    """The arithmetic of a profile, None if it is of another kind (with tables, or damaged)."""
    import numpy as np

    if profile[16:20] not in (b"GRAY", b"RGB ") or profile[20:24] != b"XYZ ":
        return None
    try:
        tags = _tags(profile)
        if any(name.startswith((b"A2B", b"D2B")) for name in tags):
            return None
        if profile[16:20] == b"GRAY":
            return Shaper(_curve(tags[b"kTRC"])[None], matrix=None)
        curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        matrix = np.linalg.inv(_XYZ_FROM_SRGB) @ (np.array(columns).T / 65536)
        if abs(np.linalg.det(matrix)) < 1e-6:
            return None
        return Shaper(curves, matrix.astype(np.float32))
    except (KeyError, struct.error, ValueError):
        return None


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(min(count, _MAX_TAGS))]
    return {name: profile[start : start + length] for name, start, length in entries}


@cache
def _codes() -> NDArray[np.float64]:
    """The codes of 16 bit, from 0 to 1."""
    import numpy as np

    return np.linspace(0, 1, 2**16)


def _curve(tag: bytes) -> NDArray[np.float32]:
    """Tabulates a curve; it must rise, or it could not be inverted.

    Raises:
        ValueError: If it does not, or is of an unknown type.
    """
    import numpy as np

    with np.errstate(all="ignore"):  # the result is looked at
        if tag[:4] == b"curv":
            curve = _tabulated(tag)
        elif tag[:4] == b"para":
            curve = _parametric(tag)
        else:
            raise ValueError("unknown type of curve")
        if not np.isfinite(curve).all() or (np.diff(curve) < 0).any() or curve[-1] <= curve[0]:
            raise ValueError("curve does not rise")
        return curve.clip(0, 1).astype(np.float32)


def _tabulated(tag: bytes) -> NDArray[np.float64]:
    import numpy as np

    (count,) = struct.unpack_from(">I", tag, 8)
    points = np.frombuffer(tag, ">u2", count, offset=12)
    if count > 1:
        return np.interp(_codes(), np.linspace(0, 1, count), points / 65535)
    power: NDArray[np.float64] = _codes() ** (points[0] / 256 if count else 1.0)
    return power


def _parametric(tag: bytes) -> NDArray[np.float64]:
    import numpy as np

    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ValueError("unknown type of curve")
    given: list[float] = [value / 65536 for value in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    g, a, b, c, d, e, f = given + [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(given) :]
    codes = _codes()
    power: NDArray[np.float64] = np.maximum(a * codes + b, 0) ** g
    if kind in (1, 2):  # Y = (aX + b)^g + c above -b/a, c below
        return power + np.float64(c)
    # kinds 0, 3 and 4: Y = (aX + b)^g + e from d on, cX + f below
    curve: NDArray[np.float64] = np.where(codes < d, c * codes + f, power + e)
    return curve


def _chunks(samples: NDArray[Any]) -> Iterator[slice]:
    """Rows that together have about a megapixel, so that intermediate floats stay small."""
    step = max(1, _CHUNK_PIXELS // max(1, samples.shape[1]))
    for start in range(0, samples.shape[0], step):
        yield slice(start, start + step)


def _encode(light: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _decode(values: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
