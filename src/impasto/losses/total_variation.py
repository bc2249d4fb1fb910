"""Total variation, which measures noise between neighboring pixels."""

from typing import Any

import torch
from torch import Tensor


class _TotalVariation(torch.autograd.Function):
    """Total variation with a backward pass in place; autograd's own allocates a whole picture for every slice."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, wrap: bool) -> Tensor:
        ctx.wrap = wrap
        ctx.save_for_backward(image)
        sums = [_differences(image, axis, wrap).abs_().sum() for axis in (-1, -2)]
        return sum(sums, start=image.new_zeros(())) / image.numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (image,) = gradients, ctx.saved_tensors
        total = torch.zeros_like(image)
        for axis in (-1, -2):
            signs = _differences(image, axis, ctx.wrap).sign_()
            count = signs.shape[axis]
            total.narrow(axis, 0, count).sub_(signs)
            if ctx.wrap:
                total.add_(signs.roll(1, axis))
            else:
                total.narrow(axis, 1, count).add_(signs)
        return total.mul_(gradient / image.numel()), None


def _differences(image: Tensor, axis: int, wrap: bool) -> Tensor:
    """Each pixel's next neighbor along an axis, minus the pixel."""
    if wrap:
        return image.roll(-1, axis) - image
    count = image.shape[axis] - 1
    return image.narrow(axis, 1, count) - image.narrow(axis, 0, count)


def total_variation(image: Tensor, wrap: bool = False) -> Tensor:
    """Anisotropic total variation: absolute differences to the right and lower neighbor, mean per pixel and channel.

    Args:
        image: Shape (B, C, H, W).
        wrap: Whether the first column follows the last, and the first row the last, as in a tileable picture.

    Returns:
        A scalar; 0 for a constant picture, at most 2 for one in [0, 1].

    Reference: Rudin, Osher & Fatemi (1992), Physica D 60, in its anisotropic form; for style transfer Johnson et al.
    (2016), arXiv:1603.08155.
    """
    variation: Tensor = _TotalVariation.apply(image, wrap)  # type: ignore[no-untyped-call]
    return variation
