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


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Brings pictures to a size: bicubic, antialiased when shrinking.

    Args:
        image: Shape (B, C, H, W), float, in [0, 1].
        size: Height and width in pixels.

    Returns:
        Shape (B, C, *size), in [0, 1]: bicubic overshoot is clamped. The tensor itself if it has that size already.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
