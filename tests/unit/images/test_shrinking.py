"""A picture that is shrunk in strips is the picture that is shrunk as a whole."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from impasto.images.shrinking import shrink_strips, upright
from tests.pictures import card, turned


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("rows", [1, 7, 64, 200])
@pytest.mark.parametrize("size", [(20, 31), (1, 1), (113, 40), (99, 149)])
def test_strips_give_what_the_whole_picture_gives(mode: str, rows: int, size: tuple[int, int]) -> None:
    picture = torch.rand(1, 3, 113, 150, generator=torch.Generator().manual_seed(1))
    whole = F.interpolate(picture, size=size, mode=mode, align_corners=False, antialias=True)
    shrunk = shrink_strips(picture.split(rows, dim=-2), 113, size, mode=mode)
    assert shrunk.shape == whole.shape
    assert (shrunk - whole).abs().max() < 2e-6


def test_a_flat_picture_stays_flat() -> None:
    strips = torch.full((1, 1, 1000, 30), 0.25).split(37, dim=-2)
    assert shrink_strips(strips, 1000, (7, 5)) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation_is_turned_upright(orientation: int) -> None:
    wanted = torch.from_numpy(card(channels=3)).permute(2, 0, 1)[None]
    stored = torch.from_numpy(turned(card(channels=3), orientation)).permute(2, 0, 1)[None]
    assert torch.equal(upright(stored, orientation), wanted)
