"""The pictures of a run at the size of a level."""

import pytest
import torch
from torch import Tensor

from impasto.errors import RecipeError, UserError
from impasto.images import Picture, resample
from impasto.pipeline.level_images import LevelImages, largest_sizes, periodic_component, style_sizes, target_size
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder

CPU = torch.device("cpu")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))


def scene(num_styles: int = 1, **values: object) -> LevelImages:
    styles = [picture(30, 20, 5 + k) for k in range(num_styles)]
    return LevelImages(picture(24, 36), styles, Recipe(look="classic", **values), TinyEncoder(), CPU)


def test_the_width_follows_the_contents_aspect_ratio() -> None:
    assert target_size((500, 1000), Recipe(look="classic", height=200)) == (200, 400)
    assert target_size((500, 1000), Recipe(look="classic", size=300)) == (150, 300)


def test_tiles_have_edges_of_whole_steps_of_the_encoder() -> None:
    assert target_size((500, 1000), Recipe(look="classic", height=200, tileable=True)) == (208, 400)
    assert target_size((3, 3), Recipe(look="classic", height=3, tileable=True)) == (16, 16)


def test_one_scale_serves_all_styles_and_several_serve_each() -> None:
    sizes = [(100, 100), (100, 200)]
    assert style_sizes(sizes, (50, 50), Recipe(look="classic", style_scale=2)) == [
        (100, 100),
        (71, 141),
    ]  # the second at its bound
    assert style_sizes(sizes, (50, 50), Recipe(look="classic", style_scale=[1, 0.5])) == [(50, 50), (25, 50)]


@pytest.mark.parametrize("values", [{"style_blend": [1, 2]}, {"style_scale": [1, 2]}])
def test_numbers_have_to_match_the_styles(values: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=r"has 2 numbers for 3 style images; give one for each, or one\.$"):
        scene(3, **values).pictures_at((24, 36))


def test_blend_is_the_styles_weight() -> None:
    styles = scene(2, style_blend=[0.7, 0.3]).pictures_at((24, 36))[1]
    assert [style.weight for style in styles] == [0.7, 0.3]


def test_masks_come_at_the_size_of_their_picture() -> None:
    both = {"content_masks": [torch.ones(1, 1, 5, 7)], "style_masks": [torch.ones(1, 1, 9, 3)]}
    (style,) = LevelImages(
        picture(24, 36), [picture(30, 20)], Recipe(look="classic"), TinyEncoder(), CPU, **both
    ).pictures_at((12, 18))[1]
    assert style.content_mask is not None
    assert style.style_mask is not None
    assert style.content_mask.shape[-2:] == (12, 18)
    assert style.style_mask.shape[-2:] == style.image.shape[-2:]


def test_masks_have_to_pair_with_styles() -> None:
    with pytest.raises(UserError, match="masks: 2, of style images: 1"):
        LevelImages(
            picture(9, 9),
            [picture(9, 9)],
            Recipe(look="classic"),
            TinyEncoder(),
            CPU,
            content_masks=[torch.ones(1, 1, 9, 9)] * 2,
        )


@pytest.mark.parametrize("kind", ["content_masks", "style_masks"])
def test_automatic_regions_and_masks_exclude_each_other(kind: str) -> None:
    masks = {kind: [torch.ones(1, 1, 9, 9)]}
    with pytest.raises(RecipeError, match=r"^auto_mask finds regions itself; use either auto_mask or masks"):
        LevelImages(picture(9, 9), [picture(9, 9)], Recipe(look="classic", auto_mask=2), TinyEncoder(), CPU, **masks)


def test_a_blend_of_nothing_is_refused() -> None:
    with pytest.raises(RecipeError, match="style_blend is 0 for every style"):
        LevelImages(picture(9, 9), [picture(9, 9)] * 2, Recipe(look="classic", style_blend=[0, 0]), TinyEncoder(), CPU)


def test_automatic_regions_become_styles_with_masks() -> None:
    styles = scene(auto_mask=3).pictures_at((24, 36))[1]
    assert 1 <= len(styles) <= 3
    total = sum(style.content_mask for style in styles if style.content_mask is not None)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)


def test_the_periodic_component_has_no_jump_at_its_edges() -> None:
    rows = torch.linspace(0.2, 0.8, 64)
    ramp = rows.view(1, 1, 64, 1).expand(1, 3, 64, 48).contiguous()
    before = (ramp[..., 0, :] - ramp[..., -1, :]).abs().mean()
    tile = periodic_component(ramp)
    after = (tile[..., 0, :] - tile[..., -1, :]).abs().mean()
    assert before > 0.5
    assert after < 0.05


def test_a_picture_that_is_periodic_already_stays_as_it_is() -> None:
    x = torch.arange(64) * (2 * torch.pi / 64)
    wave = (0.5 + 0.4 * torch.sin(3 * x)[:, None] * torch.cos(2 * x)[None, :]).expand(1, 3, 64, 64).contiguous()
    assert (periodic_component(wave) - wave).abs().max() < 0.06  # sampled waves step a little from edge to edge


def test_the_periodic_component_keeps_the_mean() -> None:
    image = picture(20, 30) * 0.5 + 0.25
    torch.testing.assert_close(periodic_component(image).mean((2, 3)), image.mean((2, 3)), atol=2e-3, rtol=0)


def test_no_picture_is_kept_larger_than_it_is_looked_at() -> None:
    content, styles = largest_sizes((3000, 4000), [(1000, 500), (20, 30)], (300, 400), Recipe(look="classic"))
    assert content == (300, 400)
    assert styles == [(300, 150), (300, 450)]


def test_a_style_that_the_run_starts_from_is_kept_large_enough_to_cover_the_picture() -> None:
    _, (first, second) = largest_sizes(
        (3000, 4000), [(1000, 500), (1000, 500)], (300, 400), Recipe(look="classic", init_method="style")
    )
    assert first == (800, 400)
    assert second == (300, 150)


def test_regions_are_looked_for_in_more_than_a_small_output() -> None:
    content, (style,) = largest_sizes((3000, 4000), [(1000, 500)], (60, 80), Recipe(look="classic", auto_mask=3))
    assert content == (240, 320)
    assert style == (320, 160)


@pytest.mark.parametrize("values", [{}, {"init_method": "style"}, {"tileable": True}])
def test_the_next_level_begins_with_its_own_start_and_the_change_so_far(values: dict[str, object]) -> None:
    pictures = scene(**values)
    fine, coarse = pictures.start((64, 96)), pictures.start((32, 48))
    assert pictures.enlarged(coarse, (64, 96)).equal(fine)
    change = 0.1 * picture(32, 48, 9)
    enlarged = pictures.enlarged(coarse + change, (64, 96))
    torch.testing.assert_close(enlarged - fine, pictures.resample(change, (64, 96)), atol=1e-6, rtol=0)
    assert pictures.start((64, 96)).equal(fine)  # neither has become a part of what the scene holds


def test_noise_is_enlarged_with_all_the_rest() -> None:
    pictures, painted = scene(init_method="random"), picture(32, 48, 9)
    assert pictures.enlarged(painted, (64, 96)).equal(resample(painted, (64, 96)))


def test_a_locked_region_is_put_back() -> None:
    lock = torch.zeros(1, 1, 24, 36)
    lock[..., :10, :] = 1
    content = picture(24, 36)
    locked = LevelImages(content, [picture(30, 20)], Recipe(look="classic"), TinyEncoder(), CPU, lock_mask=lock)
    kept = locked.keep_locked(torch.zeros(1, 3, 24, 36), Picture(content))
    assert kept[..., :10, :].equal(content[..., :10, :])
    assert kept[..., 10:, :].abs().max() == 0
