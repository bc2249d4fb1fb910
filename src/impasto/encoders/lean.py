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

_NOBODY = 4
"""Winner of a pooling window in which no activation is positive: no gradient passes."""

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Row and column within a pooling window, in the order in which the first of equal values wins."""


class LeanMaxPool(torch.autograd.Function):
    """`F.max_pool2d` with windows of 2×2, of activations that have passed a ReLU.

    The gradient stops at windows of zeros as it would in the ReLU before, which then need not keep anything.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        corners = _corners(x)
        best = corners[0]
        winner = torch.zeros_like(best, dtype=torch.uint8)
        for number, corner in enumerate(corners[1:], start=1):
            winner = torch.where(corner > best, _byte(number, winner), winner)
            best = torch.maximum(best, corner)
        ctx.shape = x.shape
        ctx.save_for_backward(torch.where(best > 0, winner, _byte(_NOBODY, winner)))
        return best

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,), (winner,) = gradients, ctx.saved_tensors
        whole = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last)
        height, width = ctx.shape[-2:]
        whole[..., height // 2 * 2 :, :] = 0  # an odd last row or column belongs to no window
        whole[..., width // 2 * 2 :] = 0
        nothing = gradient.new_zeros(())
        for number, corner in enumerate(_corners(whole)):
            corner.copy_(torch.where(winner == number, gradient, nothing))
        return whole


class LeanConv(torch.autograd.Function):
    """A frozen 3×3 convolution and its ReLU.

    Args:
        x: Shape (B, C, H, W).
        weight: Shape (K, C, 3, 3).
        bias: Shape (K,).
        padding: Zeros around the input, 0 or 1.
        keeps_zeros: Whether to remember where the output is zero; not needed if only `LeanMaxPool` looks at it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: int, keeps_zeros: bool) -> Tensor:
        output = F.conv2d(x, weight, bias, padding=padding).relu_()
        ctx.shape, ctx.padding = x.shape, padding
        ctx.save_for_backward(weight, output <= 0 if keeps_zeros else None)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (weight, zeros) = gradients, ctx.saved_tensors
        if zeros is not None:
            gradient = torch.where(zeros, gradient.new_zeros(()), gradient)
        whole: Tensor = conv2d_input(ctx.shape, weight, gradient, padding=ctx.padding)  # type: ignore[no-untyped-call]
        return whole, None, None, None, None


def _byte(number: int, like: Tensor) -> Tensor:
    return like.new_full((), number)


def _corners(x: Tensor) -> list[Tensor]:
    """Views of the four places of all 2×2 windows; an odd last row or column is left out, as pooling does."""
    height, width = (edge // 2 * 2 for edge in x.shape[-2:])
    return [x[..., row:height:2, column:width:2] for row, column in _CORNERS]
