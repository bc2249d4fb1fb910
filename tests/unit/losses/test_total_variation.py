"""Total variation against a naive reference and known answers."""

from functools import partial

import pytest
import torch

from impasto.losses import (
    total_variation,
)
from tests.unit.losses.features import random_features


def test_total_variation_has_a_known_answer() -> None:
    image = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]).expand(1, 3, 2, 2)
    # right: |1| in the upper row; down: |1| in the right column; over four pixels
    assert total_variation(image).item() == pytest.approx(0.5)


def test_total_variation_of_a_constant_picture_is_zero() -> None:
    assert total_variation(torch.full((1, 3, 9, 5), 0.7)).item() == 0


def test_total_variation_of_a_single_pixel_is_zero() -> None:
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0


def test_total_variation_agrees_with_a_naive_loop() -> None:
    image = random_features(1, 3, 5, 4, dtype=torch.float64)
    expected = 0.0
    for c in range(3):
        for i in range(5):
            for j in range(4):
                expected += abs(image[0, c, i, j + 1] - image[0, c, i, j]).item() if j < 3 else 0.0
                expected += abs(image[0, c, i + 1, j] - image[0, c, i, j]).item() if i < 4 else 0.0
    assert total_variation(image).item() == pytest.approx(expected / 60)


@pytest.mark.parametrize("wrap", [False, True])
def test_total_variation_passes_the_gradient_check(wrap: bool) -> None:
    image = random_features(1, 3, 5, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(partial(total_variation, wrap=wrap), image)


def test_total_variation_of_a_picture_of_one_pixel_has_a_gradient_of_zero() -> None:
    image = torch.rand(1, 3, 1, 1, requires_grad=True)
    total_variation(image).backward()
    assert image.grad is not None
    assert not image.grad.any()
