"""A step of a VGG that keeps next to nothing for its way back.

A frozen network passes gradients to its input alone, and for that its convolutions need their weights, its ReLUs one
bit and its poolings the winner's place. Autograd keeps a float for each output and eight bytes for each place instead.
What is kept here is one byte. The gradient is the same to the last bit, because the same kernels work on the same
numbers, and feature maps are freed as soon as the losses that look at them have had their turn.
"""

# ruff: noqa: D102 (forward and backward are torch's)

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.grad import conv2d_input

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column within a pooling window, in the order in which the first of equal values wins."""


class LowMemoryMaxPool(torch.autograd.Function):
    """`F.max_pool2d` with windows of 2×2, of activations that have passed a ReLU.

    What is kept is a byte a window: one bit for each corner, set for the winner's, the first of equals; none where all
    are zero. The gradient then stops as it would in the ReLU before, which need not keep anything.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        best, *others = _corners(x)
        best = best.contiguous(memory_format=torch.channels_last)
        winner = torch.ones_like(best, dtype=torch.uint8)
        for number, corner in enumerate(others, start=1):
            candidate = corner.contiguous(memory_format=torch.channels_last)  # a copy, but fast to work with
            is_larger = (candidate > best).view(torch.uint8)
            winner = (winner & (is_larger - 1)) | (is_larger << number)
            best = torch.maximum(best, candidate)
        ctx.shape = x.shape
        ctx.save_for_backward(winner * (best > 0).view(torch.uint8))
        return best

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,), (winner,) = gradients, ctx.saved_tensors
        whole = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
        height, width = ctx.shape[-2:]
        whole[..., height // 2 * 2 :, :] = 0  # an odd last row or column belongs to no window
        whole[..., width // 2 * 2 :] = 0
        for number, corner in enumerate(_corners(whole)):
            torch.mul(gradient, winner == 1 << number, out=corner)
        return whole


class LowMemoryConv(torch.autograd.Function):
    """A frozen 3×3 convolution and its ReLU.

    Args:
        x: Shape (B, C, H, W).
        weight: Shape (K, C, 3, 3).
        bias: Shape (K,).
        padding: Zeros around the input, 0 or 1.
        keeps_signs: Whether to remember where the output is positive; not needed before a `LowMemoryMaxPool`.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: int, keeps_signs: bool) -> Tensor:
        output = F.conv2d(x, weight, bias, padding=padding).relu_()
        ctx.shape, ctx.padding = x.shape, padding
        ctx.save_for_backward(weight, output > 0 if keeps_signs else None)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (weight, is_positive) = gradients, ctx.saved_tensors
        if is_positive is not None:
            gradient = gradient * is_positive
        whole: Tensor = conv2d_input(ctx.shape, weight, gradient, padding=ctx.padding)  # type: ignore[no-untyped-call]
        return whole, None, None, None, None


def _corners(x: Tensor) -> list[Tensor]:
    """Views of the four places of all 2×2 windows; an odd last row or column is left out, as pooling does."""
    height, width = (edge // 2 * 2 for edge in x.shape[-2:])
    return [x[..., row:height:2, column:width:2] for row, column in _CORNERS]
