"""What lies under transparent parts."""

from dataclasses import replace

import pytest
import torch

from impasto.errors import ImageError
from impasto.images import as_picture, fill_transparent


def test_an_opaque_picture_stays_the_very_same() -> None:
    picture = as_picture(torch.rand(1, 3, 8, 9))
    assert fill_transparent(picture) is picture
    opaque = replace(picture, alpha=torch.ones(1, 1, 8, 9))
    assert fill_transparent(opaque) is opaque


@pytest.mark.parametrize("size", [(16, 16), (17, 5), (1, 9)])
def test_visible_pixels_stay_and_hidden_ones_leave_no_trace(size: tuple[int, int]) -> None:
    alpha = torch.zeros(1, 1, *size)
    alpha[..., : size[1] // 2] = 1
    pixels = torch.rand(1, 3, *size)
    filled, others = (
        fill_transparent(replace(as_picture(samples), alpha=alpha)).pixels
        for samples in (pixels, torch.where(alpha > 0, pixels, 1 - pixels))
    )
    assert filled[..., : size[1] // 2].equal(pixels[..., : size[1] // 2])
    torch.testing.assert_close(filled, others)
    assert filled.min() >= 0
    assert filled.max() <= 1


def test_one_visible_color_fills_everything() -> None:
    alpha = torch.zeros(1, 1, 32, 48)
    alpha[..., 10:13, 20:22] = 1
    color = torch.tensor([0.9, 0.2, 0.4]).view(1, 3, 1, 1)
    pixels = torch.where(alpha > 0, color, torch.rand(1, 3, 32, 48))
    torch.testing.assert_close(
        fill_transparent(replace(as_picture(pixels), alpha=alpha)).pixels, color.expand(1, 3, 32, 48), atol=1e-4, rtol=0
    )


def test_a_picture_with_nothing_visible_is_refused() -> None:
    picture = replace(as_picture(torch.rand(1, 3, 4, 4)), alpha=torch.zeros(1, 1, 4, 4), name="ghost.png")
    with pytest.raises(ImageError, match=r"^'ghost\.png' is fully transparent\."):
        fill_transparent(picture)
