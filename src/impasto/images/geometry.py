"""Sizes: how large the output becomes, and bringing pictures to a size."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def output_size(picture_size: tuple[int, int], *, height: int, longest_edge: int | None) -> tuple[int, int]:
    """The output's height and width in pixels, in the picture's aspect ratio, each at least 1.

    Args:
        picture_size: Height and width of the content image.
        height: Height of the output.
        longest_edge: Length of its longest edge; takes precedence over `height` unless None.
    """
    own_height, own_width = picture_size
    target, edge = (height, own_height) if longest_edge is None else (longest_edge, max(picture_size))
    # integers throughout: floats round the same half differently from size to size
    return (
        max(1, (2 * own_height * target + edge) // (2 * edge)),
        max(1, (2 * own_width * target + edge) // (2 * edge)),
    )


def resample(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """Brings planes of any range to a size: bicubic, antialiased when shrinking, overshoot and all.

    Args:
        tensor: Shape (B, C, H, W), float.
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size); the tensor itself if it has that size already.
    """
    if tuple(tensor.shape[-2:]) == tuple(size):
        return tensor
    return F.interpolate(tensor, size=size, mode="bicubic", align_corners=False, antialias=True)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Brings pictures to a size, as `resample` does, their values kept in [0, 1].

    Args:
        image: Shape (B, C, H, W), float, in [0, 1].
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size), in [0, 1]. The tensor itself if it has that size already.
    """
    resampled = resample(image, size)
    return image if resampled is image else resampled.clamp(0, 1)


def fill(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Brings pictures to a size without distortion: scaled to cover it, the overhang cut off evenly.

    Args:
        image: Shape (B, C, H, W), float, in [0, 1].
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size), in [0, 1].
    """
    scale = max(size[0] / image.shape[-2], size[1] / image.shape[-1])
    height, width = (max(edge, round(own * scale)) for edge, own in zip(size, image.shape[-2:], strict=True))
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return resize(image, (height, width))[..., top : top + size[0], left : left + size[1]]
