"""The output's size, and resizing of pictures."""

import math

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

WRAP_MARGIN = 8
"""Pixels of the neighboring tiles that are added around a tile before it is resampled."""


def output_size(picture_size: tuple[int, int], *, height: int, longest_edge: int | None) -> tuple[int, int]:
    """The output's height and width in pixels, in the picture's aspect ratio, each at least 1.

    Args:
        picture_size: Height and width of the content image.
        height: Height of the output.
        longest_edge: Length of its longest edge; takes precedence over `height` unless None.
    """
    own_height, own_width = picture_size
    target, edge = (height, own_height) if longest_edge is None else (longest_edge, max(picture_size))
    # in integers: floating point would round halves differently from size to size
    return (
        max(1, (2 * own_height * target + edge) // (2 * edge)),
        max(1, (2 * own_width * target + edge) // (2 * edge)),
    )


def resample(tensor: Tensor, size: tuple[int, int], wrap: bool = False) -> Tensor:
    """Resizes planes of any range: bicubic, antialiased when shrinking; overshoot is kept.

    Args:
        tensor: Shape (B, C, H, W), float.
        size: Height and width in pixels.
        wrap: Whether the planes are tiles, whose opposite edges are neighbors.

    Returns:
        Shape (B, C, *size); the tensor itself if it has that size already.
    """
    own = tensor.shape[-2:]
    if tuple(own) == tuple(size):
        return tensor
    if not wrap:
        return F.interpolate(tensor, size=size, mode="bicubic", align_corners=False, antialias=True)
    # Add as many neighbors on each side as the filter reaches, and cut them off after scaling.
    margins = [min(edge, WRAP_MARGIN) for edge in own]
    wide = F.pad(tensor, (margins[1], margins[1], margins[0], margins[0]), mode="circular")
    cuts = [round(margin * edge / before) for margin, edge, before in zip(margins, size, own, strict=True)]
    enlarged = resample(wide, (size[0] + 2 * cuts[0], size[1] + 2 * cuts[1]))
    return enlarged[..., cuts[0] : cuts[0] + size[0], cuts[1] : cuts[1] + size[1]]


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes pictures as `resample` does, and clamps them to [0, 1].

    Args:
        image: Shape (B, C, H, W), float, in [0, 1].
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size), in [0, 1]. The tensor itself if it has that size already.
    """
    resampled = resample(image, size)
    return image if resampled is image else resampled.clamp(0, 1)


def fill(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes pictures without distortion: scaled to cover the size, then cropped evenly.

    Args:
        image: Shape (B, C, H, W), float, in [0, 1].
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size), in [0, 1].
    """
    scale = max(size[0] / image.shape[-2], size[1] / image.shape[-1])
    for axis, edge in zip(
        (-2, -1), size, strict=True
    ):  # crop first: a strip enlarged as a whole could take any amount of memory
        own = image.shape[axis]
        needed = min(own, math.ceil(edge / scale))
        image = image.narrow(axis, (own - needed) // 2, needed)
    height, width = (max(edge, round(own * scale)) for edge, own in zip(size, image.shape[-2:], strict=True))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return resize(image, (height, width))[..., top : top + size[0], left : left + size[1]]
