"""Sizes of the output, and resizing."""

import pytest
import torch

from impasto.images import fill, output_size, resize


@pytest.mark.parametrize(
    ("picture", "height", "longest_edge", "expected"),
    [
        ((512, 768), 400, None, (400, 600)),
        ((768, 512), 400, None, (400, 267)),
        ((512, 768), 400, 300, (200, 300)),
        ((768, 512), 400, 300, (300, 200)),
        ((1, 1), 400, None, (400, 400)),
        ((5000, 1), 400, None, (400, 1)),
        ((1, 5000), 400, 300, (1, 300)),
    ],
)
def test_output_keeps_the_aspect_ratio_and_a_pixel_at_least(
    picture: tuple[int, int], height: int, longest_edge: int | None, expected: tuple[int, int]
) -> None:
    assert output_size(picture, height=height, longest_edge=longest_edge) == expected


def test_resizing_to_the_same_size_returns_the_tensor_itself() -> None:
    image = torch.rand(1, 3, 5, 7)
    assert resize(image, (5, 7)) is image


def test_resizing_keeps_flat_pictures_flat_and_all_values_in_range() -> None:
    flat = torch.full((1, 3, 9, 13), 0.3)
    torch.testing.assert_close(resize(flat, (31, 4)), torch.full((1, 3, 31, 4), 0.3))
    edge = (torch.arange(32) >= 16).float().expand(1, 1, 32, 32)
    large = resize(edge, (100, 100))
    assert large.min() == 0
    assert large.max() == 1


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = (torch.arange(256) % 2).float().expand(1, 1, 256, 256)
    small = resize(stripes, (32, 32))[..., 4:-4]
    assert (small - 0.5).abs().max() < 0.02


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 1744), (1852, 1)), ((1744, 2), (1, 1852)), ((1, 5000), (30, 40)), ((5000, 1), (30, 40))]
)
def test_a_strip_fills_a_picture_with_its_middle(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Enlarged as a whole, the first would have three billion pixels."""
    image = torch.zeros(1, 3, *shape)
    image.narrow(2 + int(shape[1] > shape[0]), max(shape) // 2 - 5, 10).fill_(0.5)
    filled = fill(image, size)
    assert filled.shape == (1, 3, *size)
    torch.testing.assert_close(filled, torch.full_like(filled, 0.5))
