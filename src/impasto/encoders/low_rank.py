"""A 3×3 convolution to many channels that works on few: 1×1 to few channels, 3×3 among them, 1×1 to many.

A ReLU on all channels of a wide network is cheap; what costs time are the products of channels with those before, and
these are nearly of low rank. A factored layer keeps the channels and their ReLU, and saves on the rank; a narrow one
saves on the channels, and no map of its few ReLUs is zero where the wide network is.

Reference: Kim et al. (2016), arXiv:1511.06530, for the three factors; Zhang et al. (2016), arXiv:1505.06798, for
low rank with the ReLU that follows in mind.
"""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.grad import conv2d_input


class LowRankConv(nn.Module):
    """A frozen 3×3 convolution in factors; its weights are unset until they are loaded.

    Args:
        channels: Of the input.
        squeezed: Channels that the input is squeezed to; 0 leaves it as it is.
        rank: Channels that the 3×3 convolution leads to.
        width: Channels of the output.
        padding: Zeros around the input.
    """

    def __init__(self, channels: int, squeezed: int, rank: int, width: int, *, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.inner = squeezed + rank
        self.squeeze = nn.Parameter(torch.empty(squeezed, channels)) if squeezed else None
        self.weight = nn.Parameter(torch.empty(rank, squeezed or channels, 3, 3))
        self.expand = nn.Parameter(torch.empty(width, rank))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, channels, H, W) to (B, width, H', W'), before any ReLU."""
        return _by_position(self.inside(x)[1], self.expand, self.bias)

    def inside(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The input squeezed, and convolved."""
        squeezed = x if self.squeeze is None else _by_position(x, self.squeeze)
        return squeezed, F.conv2d(squeezed, self.weight, padding=self.padding)

    def low_memory_forward(self, x: Tensor, keeps_signs: bool) -> Tensor:
        """The output and its ReLU, keeping what `impasto.encoders.memory_saving.LowMemoryConv` keeps."""
        lean: Tensor = _LowMemoryLowRankConv.apply(x, self, keeps_signs)  # type: ignore[no-untyped-call]
        return lean


class _LowMemoryLowRankConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, conv: LowRankConv, keeps_signs: bool) -> Tensor:
        output: Tensor = conv(x).relu_()
        ctx.conv, ctx.size = conv, x.shape[-2:]
        ctx.save_for_backward(output > 0 if keeps_signs else None)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (is_positive,), conv = gradients, ctx.saved_tensors, ctx.conv
        if is_positive is not None:
            gradient = gradient * is_positive
        gradient = _back_by_position(gradient, conv.expand)
        shape = (len(gradient), conv.weight.shape[1], *ctx.size)
        gradient = conv2d_input(shape, conv.weight, gradient, padding=conv.padding)  # type: ignore[no-untyped-call]
        return (gradient if conv.squeeze is None else _back_by_position(gradient, conv.squeeze)), None, None


def _by_position(x: Tensor, matrix: Tensor, constant: Tensor | None = None) -> Tensor:
    """A 1×1 convolution: (B, C, H, W) to (B, K, H, W)."""
    return _in_grid(F.linear(_rows(x), matrix, constant), x)


def _back_by_position(gradient: Tensor, matrix: Tensor) -> Tensor:
    """The gradient of what a 1×1 convolution took in."""
    return _in_grid(_rows(gradient) @ matrix, gradient)


def _rows(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _in_grid(rows: Tensor, like: Tensor) -> Tensor:
    batch, _, height, width = like.shape
    return rows.view(batch, height, width, -1).permute(0, 3, 1, 2)
