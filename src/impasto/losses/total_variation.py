"""Total variation, which measures noise between neighboring pixels."""

from typing import Any

import torch
from torch import Tensor


class _TotalVariation(torch.autograd.Function):
    """Total variation with a backward pass in place; autograd's own allocates a whole picture for every slice."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, wrap: bool, extra: tuple[int, int], count: int) -> Tensor:
        ctx.wrap, ctx.extra, ctx.count = wrap, extra, count
        ctx.save_for_backward(image)
        sums = [_counted(_differences(image, axis, wrap), axis, extra).abs_().sum() for axis in (-1, -2)]
        return sum(sums, start=image.new_zeros(())) / count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,), (image,) = gradients, ctx.saved_tensors
        total = torch.zeros_like(image)
        for axis in (-1, -2):
            signs = _counted(_differences(image, axis, ctx.wrap), axis, ctx.extra).sign_()
            counted = _counted(total, axis, ctx.extra)
            count = signs.shape[axis]
            counted.narrow(axis, 0, count).sub_(signs)
            if ctx.wrap:
                counted.add_(signs.roll(1, axis))
            else:
                counted.narrow(axis, 1, count).add_(signs)
        return total.mul_(gradient / ctx.count), None, None, None


def _differences(image: Tensor, axis: int, wrap: bool) -> Tensor:
    """Each pixel's next neighbor along an axis, minus the pixel."""
    if wrap:
        return image.roll(-1, axis) - image
    count = image.shape[axis] - 1
    return image.narrow(axis, 1, count) - image.narrow(axis, 0, count)


def _counted(image: Tensor, axis: int, extra: tuple[int, int]) -> Tensor:
    """Without the rows or columns, across an axis, that are there as neighbors only."""
    other = -3 - axis
    return image.narrow(other, 0, image.shape[other] - extra[other])


def total_variation(
    image: Tensor, wrap: bool = False, *, extra: tuple[int, int] = (0, 0), count: int | None = None
) -> Tensor:
    """Anisotropic total variation: absolute differences to the right and lower neighbor, mean per pixel and channel.

    Args:
        image: Shape (B, C, H, W).
        wrap: Whether the first column follows the last, and the first row the last, as in a tileable picture.
        extra: Last rows and last columns that are only there as neighbors of those before.
        count: Values that the sum is divided by, where the picture is a part of a larger one; those of the picture if
            None.

    Returns:
        A scalar; 0 for a constant picture, at most 2 for one in [0, 1].

    Reference: Rudin, Osher & Fatemi (1992), Physica D 60, in its anisotropic form; for style transfer Johnson et al.
    (2016), arXiv:1603.08155.
    """
    variation: Tensor = _TotalVariation.apply(image, wrap, extra, image.numel() if count is None else count)  # type: ignore[no-untyped-call]
    return variation
