"""Products by convolutions against plain ones."""

import pytest
import torch

import impasto.products
from impasto.products import affine, affine_input, inner_products

SIZES = [(7, 3, 5), (256, 16, 16), (294, 20, 31), (1009, 12, 8), (4704, 80, 80)]
"""Rows and columns: few, a power of two, with a divisor that fits, a prime number, many."""


@pytest.fixture(params=[True, False], ids=["convolutions", "blas"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both, whatever the processor."""
    monkeypatch.setattr(impasto.products, "_are_convolutions_faster", lambda: request.param)


def matrices(rows: int, left: int, right: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    shapes = ((rows, left), (rows, right), (right, left), (right,))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_affine_and_its_gradients_are_those_of_plain_products(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, _, matrix, constant = (tensor.requires_grad_() for tensor in matrices(*size, dtype))
    result, expected = affine(rows, matrix, constant), rows.double() @ matrix.double().T + constant.double()
    torch.testing.assert_close(result.double(), expected, rtol=1e-4, atol=1e-4)
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((x * weights).sum(), (rows, matrix, constant)) for x in (result, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-3)
    torch.testing.assert_close(affine(rows, matrix) + constant, result, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_inner_products_are_those_of_plain_products(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    a, b, _, _ = matrices(*size, dtype)
    torch.testing.assert_close(inner_products(a, b).double(), a.double().T @ b.double(), rtol=1e-4, atol=2e-3)


@pytest.mark.usefixtures("way")
def test_rows_that_are_no_neighbors_in_memory_are_taken_too() -> None:
    a, b, matrix, _ = matrices(294, 20, 31, torch.float32)
    torch.testing.assert_close(inner_products(a.T.contiguous().T, b), a.T @ b, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(affine(a.T.contiguous().T, matrix), a @ matrix.T, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
def test_the_gradient_of_the_rows_is_autograd_s_to_the_last_bit(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    rows, _, matrix, _ = matrices(*size, dtype)
    rows.requires_grad_()
    result = affine(rows, matrix)
    gradient = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    (expected,) = torch.autograd.grad(result, rows, gradient)
    assert affine_input(gradient, matrix).equal(expected)


@pytest.mark.parametrize(
    ("processor", "has_mkl", "expected"),
    [
        ("vendor_id : GenuineIntel", True, False),
        ("vendor_id : GenuineIntel", False, True),
        ("vendor_id : AuthenticAMD", True, True),
        ("", True, True),
    ],
)
def test_only_mkl_on_an_intel_processor_is_left_its_products(
    processor: str, has_mkl: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impasto.products, "_processor", lambda: processor)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: has_mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    decide = impasto.products._are_convolutions_faster.__wrapped__
    assert decide() is expected
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert decide() is False
