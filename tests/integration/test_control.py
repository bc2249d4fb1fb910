"""The controls of a run, whole, on a tiny encoder: strength, masks, locks, tiles, losses."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from impasto import Recipe, stylize
from impasto.images import Picture, as_picture, resize
from impasto.losses import gram_loss, gram_matrix
from impasto.objective.objective import Objective
from impasto.objective.weighting import strength_factors
from impasto.pipeline import Masks
from impasto.recipe import choices
from tests.tiny import TinyEncoder


def texture(period: int, color: tuple[float, float, float], height: int = 48, width: int = 48) -> Tensor:
    """Stripes of a color with a little noise."""
    generator = torch.Generator().manual_seed(period)
    stripes = (torch.arange(width) // period % 2).float().view(1, 1, 1, width).expand(1, 1, height, width)
    noise = 0.1 * torch.rand((1, 3, height, width), generator=generator)
    return (0.15 + 0.7 * stripes * torch.tensor(color).view(1, 3, 1, 1) + noise).clamp(0, 1)


CONTENT = texture(12, (0.6, 0.6, 0.6), 48, 64)
RED, BLUE = texture(2, (1.0, 0.1, 0.1)), texture(5, (0.1, 0.1, 1.0))
LEFT = torch.zeros(1, 1, 48, 64)
LEFT[..., :32] = 1


def distances(encoder: TinyEncoder, image: Tensor, style: Tensor) -> tuple[float, float]:
    found = Objective(encoder, CONTENT, [style], Recipe(look="classic")).distances(image)
    return found["content"], found["style"]


def test_each_step_of_the_strength_brings_more_style_and_less_content(tiny_encoder: TinyEncoder) -> None:
    rows = [
        distances(
            tiny_encoder,
            stylize(
                CONTENT,
                RED,
                encoder=tiny_encoder,
                look="classic",
                height=48,
                total_iterations=60,
                levels=1,
                strength=strength,
            ).image,
            RED,
        )
        for strength in range(0, 101, 20)
    ]
    content, style = zip(*rows, strict=True)
    assert list(content) == sorted(content)
    assert list(style) == sorted(style, reverse=True)


def test_no_strength_gives_the_content_back(tiny_encoder: TinyEncoder) -> None:
    result = stylize(
        CONTENT, RED, encoder=tiny_encoder, look="classic", height=48, total_iterations=30, strength=0, levels=1
    )
    torch.testing.assert_close(result.image, CONTENT, atol=1e-6, rtol=0)


def test_the_middle_of_the_dial_changes_nothing() -> None:
    assert set(strength_factors(50).values()) == {1.0}


def test_the_ends_of_the_dial_switch_a_term_off() -> None:
    assert strength_factors(0) == {"content": 1.0, "style": 0.0, "tv": 0.0}
    assert strength_factors(100)["content"] == 0.0


def test_each_region_takes_its_own_style(tiny_encoder: TinyEncoder) -> None:
    result = stylize(
        CONTENT, [RED, BLUE], encoder=tiny_encoder, look="classic", height=48, total_iterations=120, levels=1,
        masks=Masks(content=[LEFT.expand(1, 3, -1, -1), 1 - LEFT.expand(1, 3, -1, -1)]), content_weight=0.5,
    )  # fmt: skip
    for region, own, other in ((result.image[..., :32], RED, BLUE), (result.image[..., 32:], BLUE, RED)):
        to_own, to_other = (
            sum(
                gram_loss(
                    gram_matrix(tiny_encoder(region, [layer])[layer]), gram_matrix(tiny_encoder(style, [layer])[layer])
                ).item()
                for layer in tiny_encoder.style_layers
            )
            for style in (own, other)
        )
        assert to_other >= 5 * to_own


def test_a_locked_region_is_the_resized_content_byte_for_byte(tiny_encoder: TinyEncoder) -> None:
    result = stylize(
        CONTENT,
        RED,
        encoder=tiny_encoder,
        look="classic",
        height=36,
        total_iterations=20,
        masks=Masks(lock=LEFT.expand(1, 3, -1, -1)),
    )
    resized = resize(CONTENT, (36, 48))
    written, expected = ((image * 255).round() for image in (result.image, resized))
    assert written[..., :23].equal(expected[..., :23])
    assert not written[..., 25:].equal(expected[..., 25:])


@pytest.mark.parametrize("style_loss", choices("style_loss"))
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_every_style_loss_brings_the_style_nearer(tiny_encoder: TinyEncoder, style_loss: str, optimizer: str) -> None:
    result = stylize(
        CONTENT, RED, encoder=tiny_encoder, look="classic", height=48, total_iterations=60,
        style_loss=style_loss, optimizer=optimizer,
        learning_rate=4.0,
    )  # fmt: skip
    assert distances(tiny_encoder, result.image, RED)[1] < 0.4 * distances(tiny_encoder, CONTENT, RED)[1]


def test_more_of_a_style_in_the_blend_brings_it_nearer(tiny_encoder: TinyEncoder) -> None:
    reds = [
        distances(
            tiny_encoder,
            stylize(
                CONTENT,
                [RED, BLUE],
                encoder=tiny_encoder,
                look="classic",
                height=48,
                total_iterations=40,
                style_blend=[share, 1 - share],
            ).image,
            RED,
        )[1]
        for share in (0.0, 0.3, 0.7, 1.0)
    ]
    assert reds == sorted(reds, reverse=True)


def test_a_larger_scale_brings_larger_strokes(tiny_encoder: TinyEncoder) -> None:
    def roughness(scale: float) -> float:
        image = stylize(
            torch.full((1, 3, 64, 64), 0.5), texture(3, (1.0, 1.0, 1.0), 64, 64), encoder=tiny_encoder, look="classic",
            height=64, total_iterations=60, init_method="random", levels=1,
            content_weight=0, style_scale=scale, tv_weight=0.3,
        ).image  # fmt: skip
        return ((image[..., 1:] - image[..., :-1]).abs().mean() / image.std()).item()

    assert roughness(3.0) < 0.8 * roughness(1.0)


def seam_and_inside(image: Tensor) -> list[tuple[float, float]]:
    """For both axes: the mean step across the wrap, and the largest mean step between neighboring lines inside."""
    pairs = []
    for axis in (-1, -2):
        steps = (image.roll(-1, axis) - image).abs().mean(dim=[d for d in range(4) if d != 4 + axis])
        pairs.append((steps[-1].item(), steps[:-1].max().item()))
    return pairs


def test_the_seam_of_a_tile_is_no_larger_than_what_is_inside(tiny_encoder: TinyEncoder) -> None:
    ramp = torch.linspace(0.1, 0.9, 96).view(1, 1, 1, 96).expand(1, 3, 64, 96).contiguous()
    encoder = TinyEncoder(padding="circular")
    recipe = Recipe(look="classic", height=64, total_iterations=60, tileable=True)
    image = stylize(ramp, RED, recipe, encoder=encoder).image
    for seam, inside in seam_and_inside(image):
        assert seam <= inside
    plain = stylize(ramp, RED, recipe.replace(tileable=False), encoder=tiny_encoder).image
    seam, inside = seam_and_inside(plain)[0]
    assert seam > inside, "the test is to see a seam where there is one"


def transparent_left(pixels: torch.Tensor, hidden: torch.Tensor) -> Picture:
    """A picture whose left half is transparent, with some other colors under it."""
    alpha = 1 - LEFT
    alpha = torch.nn.functional.interpolate(alpha, pixels.shape[-2:])
    return replace(as_picture(torch.where(alpha > 0, pixels, hidden)), alpha=alpha)


@pytest.mark.parametrize("style_loss", choices("style_loss"))
def test_what_is_under_a_transparent_style_has_no_effect(tiny_encoder: TinyEncoder, style_loss: str) -> None:
    recipe = Recipe(height=48, total_iterations=6, style_loss=style_loss)
    one, other = (
        stylize(CONTENT, transparent_left(RED, hidden), recipe, encoder=tiny_encoder).image
        for hidden in (BLUE, torch.zeros_like(RED))
    )
    assert one.equal(other)
    assert not one.equal(stylize(CONTENT, RED, recipe, encoder=tiny_encoder).image)


@pytest.mark.parametrize("preserve_color", choices("preserve_color"))
def test_what_is_under_a_transparent_content_has_no_effect(tiny_encoder: TinyEncoder, preserve_color: str) -> None:
    recipe = Recipe(height=48, total_iterations=6, preserve_color=preserve_color)
    one, other = (
        stylize(transparent_left(CONTENT, hidden), RED, recipe, encoder=tiny_encoder).image
        for hidden in (1 - CONTENT, torch.zeros_like(CONTENT))
    )
    assert one.equal(other)
