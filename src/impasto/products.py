"""Products of matrices with many rows, by the kernels of convolutions where these are at hand.

A product of matrices is a 1×1 convolution. On processors torch leaves float32 products to a BLAS and convolutions to
oneDNN; where that BLAS is MKL and the processor not Intel's, the one reaches half the speed of the other
(`python -m benchmarks.products`). The sums are the same, in another order.
"""

import platform
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight

_BATCHES = range(16, 65)
"""Parts into which the rows may be divided: with fewer, torch does not give a 1×1 convolution to oneDNN."""

_FEWEST_ROWS = 256
"""Where the detour begins to pay."""


def affine(rows: Tensor, matrix: Tensor, constant: Tensor | None = None) -> Tensor:
    """``rows @ matrix.T + constant``; differentiable with respect to all three.

    Args:
        rows: Shape (N, C).
        matrix: Shape (K, C).
        constant: Shape (K,); None for none.

    Returns:
        Shape (N, K).
    """
    if not _is_for_convolutions(rows):
        return F.linear(rows, matrix, constant)
    whole, rest = _divided(rows)
    result = F.conv2d(whole, matrix[:, :, None, None], constant).permute(0, 2, 3, 1).flatten(0, 2)
    return torch.cat([result, F.linear(rest, matrix, constant)]) if len(rest) else result


def affine_input(gradient: Tensor, matrix: Tensor) -> Tensor:
    """The gradient of `affine` with respect to its rows, to the last bit what autograd makes of it.

    Args:
        gradient: Of the result, shape (N, K).
        matrix: Shape (K, C).

    Returns:
        Shape (N, C).
    """
    if not _is_for_convolutions(gradient):
        return gradient @ matrix
    whole, rest = _divided(gradient)
    shape = (len(whole), matrix.shape[1], *whole.shape[2:])
    # The strides tell oneDNN that channels come last, as the input would, of which only the shape is known.
    kernel = matrix.contiguous().as_strided((*matrix.shape, 1, 1), (matrix.shape[1], 1, *[matrix.shape[1]] * 2))
    result = conv2d_input(shape, kernel, whole).permute(0, 2, 3, 1).flatten(0, 2)  # type: ignore[no-untyped-call]
    return torch.cat([result, rest @ matrix]) if len(rest) else result


def inner_products(a: Tensor, b: Tensor) -> Tensor:
    """``a.T @ b``, not differentiable.

    Args:
        a: Shape (N, C).
        b: Shape (N, K).

    Returns:
        Shape (C, K).
    """
    if not _is_for_convolutions(a):
        return a.mT @ b
    (whole_a, rest_a), (whole_b, rest_b) = _divided(a), _divided(b)
    result: Tensor = conv2d_weight(whole_b, (a.shape[1], b.shape[1], 1, 1), whole_a)[:, :, 0, 0]  # type: ignore[no-untyped-call]
    return result.addmm_(rest_a.mT, rest_b) if len(rest_a) else result


def _is_for_convolutions(rows: Tensor) -> bool:
    is_plain = rows.device.type == "cpu" and rows.dtype == torch.float32
    return is_plain and len(rows) >= _FEWEST_ROWS and _are_convolutions_faster()


@cache
def _are_convolutions_faster() -> bool:
    """Decided by make, not by timing: a run's last bits must not hang on how busy the machine was."""
    has_mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    is_blas_at_home = has_mkl and "GenuineIntel" in _processor()
    return torch.backends.mkldnn.is_available() and not is_blas_at_home  # type: ignore[no-untyped-call]


def _processor() -> str:
    """What the system says of its processors."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else platform.processor()


def _divided(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The rows as a batch of pictures of one line, shape (B, C, 1, N // B), and those left over, mostly none."""
    batch = next((batch for batch in _BATCHES if len(rows) % batch == 0), _BATCHES[0])
    count, channels = len(rows) // batch, rows.shape[1]
    whole = rows[: count * batch].reshape(batch, 1, count, channels).permute(0, 3, 1, 2)
    return whole, rows[count * batch :]
