"""Masks on grids, shares of styles, and automatic regions."""

import pytest
import torch
from torch import Tensor

from impasto.errors import ImageError, UserError
from impasto.objective.masks import Style, check_mask, check_pairs, style_shares, to_grid
from impasto.pipeline.segmentation import SMALLEST_REGION, auto_regions
from tests.tiny import TinyEncoder

IMAGE = torch.zeros(1, 3, 8, 8)


def half(side: str, height: int = 8, width: int = 8) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    if side == "left":
        mask[..., : width // 2] = 1
    else:
        mask[..., width // 2 :] = 1
    return mask


def test_a_mask_keeps_its_area_on_every_grid() -> None:
    mask = torch.rand((1, 1, 32, 48), generator=torch.Generator().manual_seed(0))
    for size in ((16, 24), (8, 12), (4, 6), (2, 3)):
        torch.testing.assert_close(to_grid(mask, size).mean(), mask.mean())


def test_a_soft_edge_stays_between_inside_and_outside() -> None:
    grid = to_grid(half("left", 8, 12), (2, 4))
    assert grid[0, 0, 0].tolist() == [1, 1, 0, 0]
    assert to_grid(half("left", 8, 12), (2, 3))[0, 0, 0].tolist() == [1, 0.5, 0]


def test_without_masks_shares_are_those_of_the_weights() -> None:
    assert style_shares([Style(IMAGE, 3.0), Style(IMAGE, 1.0)]) == [0.75, 0.25]


def test_regions_that_part_the_picture_share_by_area() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :2] = 1
    shares = style_shares([Style(IMAGE, 1.0, mask), Style(IMAGE, 1.0, 1 - mask)])
    assert shares == pytest.approx([0.25, 0.75])


def test_a_single_region_counts_with_its_area() -> None:
    assert style_shares([Style(IMAGE, 1.0, half("left"))]) == pytest.approx([0.5])


def test_shares_are_the_same_for_any_factor_of_the_weights() -> None:
    plain, huge = ([Style(IMAGE, w * f) for w in (1.0, 2.0)] for f in (1.0, 1e300))
    assert style_shares(plain) == pytest.approx(style_shares(huge))


def test_weights_of_zero_are_no_style() -> None:
    assert style_shares([Style(IMAGE, 0.0), Style(IMAGE, 0.0)]) == [0, 0]


def test_a_black_mask_is_refused() -> None:
    with pytest.raises(ImageError, match=r"'sky\.png' is black"):
        check_mask(torch.zeros(1, 1, 4, 4), "sky.png")


def test_masks_have_to_pair_with_styles() -> None:
    with pytest.raises(UserError, match="content masks: 1, of style images: 2"):
        check_pairs(2, [half("left")], [])
    check_pairs(2, [], [half("left"), half("right")])


def two_halves(left: float, right: float, height: int, width: int) -> Tensor:
    image = torch.zeros(1, 3, height, width)
    image[..., : width // 2], image[..., width // 2 :] = left, right
    image[:, 0] *= 0.3
    return image


def test_automatic_regions_find_the_halves_of_a_picture(tiny_encoder: TinyEncoder) -> None:
    content, style = two_halves(0.1, 0.9, 32, 48), two_halves(0.9, 0.1, 24, 32)
    content[:, 2, :, 24:] = 0
    style[:, 2, :, :16] = 0
    pairs = auto_regions(tiny_encoder, content, style, 2)
    assert len(pairs) == 2
    for content_mask, style_mask in pairs:
        # what is dark on the left of the content is dark on the right of the style
        is_left = content_mask[..., : content_mask.shape[-1] // 2].mean() > 0.5
        in_style = style_mask[..., : style_mask.shape[-1] // 2].mean() > 0.5
        assert bool(is_left) != bool(in_style)


def test_automatic_regions_cover_the_content_once(tiny_encoder: TinyEncoder) -> None:
    content, style = (torch.rand((1, 3, 40, 56), generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    pairs = auto_regions(tiny_encoder, content, style, 4)
    torch.testing.assert_close(sum(mask for mask, _ in pairs), torch.ones_like(pairs[0][0]))
    for _, style_mask in pairs:
        assert style_mask.mean() >= SMALLEST_REGION


def test_automatic_regions_of_a_flat_picture_are_one() -> None:
    flat = torch.full((1, 3, 32, 32), 0.5)
    (pair,) = auto_regions(TinyEncoder(padding="circular"), flat, flat, 5)
    assert pair[0].min() == 1
