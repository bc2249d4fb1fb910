"""What every encoder shares."""

import pytest
import torch

from impasto.encoders.base import is_finite


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("place", [0, 7, 23])
def test_one_value_that_is_not_finite_is_found(dtype: torch.dtype, value: float, place: int) -> None:
    tensor = torch.linspace(-1, 1, 24, dtype=dtype).view(1, 2, 3, 4)
    assert is_finite(tensor)
    tensor.view(-1)[place] = value
    assert not is_finite(tensor)


def test_the_largest_numbers_are_finite() -> None:
    assert is_finite(torch.full((3, 5), torch.finfo(torch.float32).max))
