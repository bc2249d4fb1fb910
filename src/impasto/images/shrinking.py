"""Shrinking a picture while it is read, strip by strip: the same filter as `resizing`, in memory of the small one."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def shrink_strips(
    strips: Iterable[Tensor], height: int, size: tuple[int, int], *, mode: str = "bicubic"
) -> Tensor:  # fmt: skip
    """Resizes a picture that comes in strips, from top to bottom.

    Each strip is resized in width; what its rows add to the rows of the result is then a matrix, and the result the
    sum over strips.

    Args:
        strips: Shapes (1, C, n, W), float32, whose n add up to `height`.
        height: Of the whole picture, in pixels.
        size: Height and width of the result.
        mode: ``bicubic`` or ``bilinear``, antialiased.

    Returns:
        Shape (1, C, *size), float32: to rounding what `torch.nn.functional.interpolate` makes of the whole picture;
        bicubic overshoot is kept.
    """
    shrunk, top = torch.empty(0), 0
    for strip in strips:
        rows = strip.shape[-2]
        narrow = _resized(strip, (rows, size[1]), mode)
        if not top:
            shrunk = narrow.new_zeros((*narrow.shape[:2], *size))
        shares = _shares(top, rows, height, size[0], mode)
        touched = shares.any(1).nonzero()
        if len(touched):
            first, last = int(touched[0]), int(touched[-1]) + 1
            shrunk[..., first:last, :] += shares[first:last] @ narrow
        top += rows
    return shrunk


def _shares(top: int, rows: int, height: int, new_height: int, mode: str) -> Tensor:
    """What each row of a strip adds to each row of the result, shape (new_height, rows).

    Found by resizing pictures that are 1 in one row and 0 elsewhere.
    """
    columns = rows + 1  # of a single column torch.nn.functional.interpolate repeats the first row (torch 2.13)
    units = torch.zeros(1, 1, height, columns)
    units[0, 0, top : top + rows] = torch.eye(rows, columns)
    return _resized(units, (new_height, columns), mode)[0, 0, :, :rows]


def _resized(planes: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    return F.interpolate(planes, size=size, mode=mode, align_corners=False, antialias=True)


def upright(planes: Tensor, orientation: int) -> Tensor:
    """Turns planes of shape (B, C, H, W) as EXIF's orientation, from 1 to 8, asks for."""
    turned = planes.transpose(-2, -1) if orientation >= 5 else planes
    flipped = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}.get(orientation, ())
    return turned.flip(flipped) if flipped else turned
