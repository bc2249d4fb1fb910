"""The type `Picture`: upright sRGB pixels, and the rest of a file that is to be kept when it is written."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        samples: Shape (1, 3, H, W), or (1, 1, H, W) if it is gray; sRGB, upright: uint8, uint16, or float32 in [0, 1].
            Under transparent parts: as in the file.
        alpha: Shape (1, 1, H, W), float32, 0 transparent to 1 opaque; None if the source has none.
        is_gray: Whether the source had one color channel, or three equal ones in a format that always has three.
        bit_depth: Bits per channel of the source: 8, or 16 for everything finer.
        profile: The source's ICC profile, if it is not sRGB and can be written back.
        exif: EXIF as a TIFF structure, orientation 1, without thumbnail and maker notes, with GPS still in it
            (`save_picture` drops GPS by default).
        name: Base name of the file, empty if the picture came from memory.
        sha256: Of the file's bytes; of the array's bytes if the picture came from memory.
        notes: Sentences on what was left out or repaired, as ``"animated: the first of 12 frames is used"``.
    """

    samples: Tensor
    alpha: Tensor | None = None
    is_gray: bool = False
    bit_depth: int = 8
    profile: bytes | None = None
    exif: bytes | None = None
    name: str = ""
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pixels(self) -> Tensor:
        """Shape (1, 3, H, W), float32, sRGB in [0, 1]; computed at each access, since `samples` take less memory."""
        samples = self.samples
        if not samples.is_floating_point():
            samples = samples.float().div_(torch.iinfo(samples.dtype).max)
        return samples.float().expand(-1, 3, -1, -1).contiguous()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.samples.shape[-2], self.samples.shape[-1]

    def to_numpy(self) -> NDArray[np.float32]:
        """The picture as an array of shape (H, W, 3), or (H, W, 4) with alpha, float32 in [0, 1]."""
        planes = [self.pixels] if self.alpha is None else [self.pixels, self.alpha]
        return np.concatenate([to_samples(plane) for plane in planes], axis=2)

    def to_pil(self) -> Image.Image:
        """The picture as a Pillow image of mode RGB, or RGBA with alpha, 8 bits per channel."""
        return Image.fromarray(quantize(self.to_numpy(), 8))


def to_samples(tensor: Tensor) -> NDArray[np.float32]:
    """Turns a picture of shape (1, C, H, W) into an array of shape (H, W, C), both float32 in [0, 1]."""
    return np.ascontiguousarray(tensor.detach()[0].permute(1, 2, 0).cpu().numpy(), dtype=np.float32)


def quantize(samples: NDArray[np.float32], bit_depth: int) -> NDArray[Any]:
    """Rounds values in [0, 1] (clamped to it) to 8 or 16 bit; what was read from 8 or 16 bit comes back exactly."""
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    return np.rint(samples.clip(0, 1) * np.float32(np.iinfo(dtype).max)).astype(dtype)
