"""Color spaces against known answers, colors matched beforehand, and colors put back afterwards."""

import pytest
import torch
from torch import Tensor

from impasto.images import Picture
from impasto.images.color_spaces import (
    join_luma,
    join_oklab,
    linear_to_srgb,
    luma,
    oklab_to_srgb,
    srgb_to_linear,
    srgb_to_oklab,
)
from impasto.pipeline.color_preservation import finisher, match_histogram, match_linear, match_luma, prepare, stays_gray
from impasto.recipe import Recipe

YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
MODES = ["luminance", "histogram", "linear", "oklab"]


def colors(*pixels: tuple[float, float, float]) -> Tensor:
    """Pixels in a row as a picture of shape (1, 3, 1, W)."""
    return torch.tensor(pixels).T[None, :, None, :]


def cloud(seed: int, height: int = 60, width: int = 80) -> Tensor:
    """A picture of correlated colors, well inside the gamut."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn((3, 3), generator=generator) * 0.06
    pixels = torch.einsum("ij,bjhw->bihw", mixing, torch.randn((1, 3, height, width), generator=generator))
    return (0.4 + 0.2 * torch.rand((3, 1, 1), generator=generator) + pixels).clamp(0, 1)


def noise(seed: int, size: tuple[int, int] = (40, 50)) -> Tensor:
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def beside_nothing(image: Tensor) -> Picture:
    """An image with as large a part beside it that is white and transparent."""
    alpha = torch.cat([torch.ones_like(image[:, :1]), torch.zeros_like(image[:, :1])], dim=-1)
    return Picture(torch.cat([image, torch.ones_like(image)], dim=-1), alpha=alpha)


def covariance(image: Tensor) -> Tensor:
    return torch.cov(image[0].flatten(1).double(), correction=0)


class TestSpaces:
    @pytest.mark.parametrize(
        ("pixel", "lab"),
        [
            ((1, 1, 1), (1.0, 0.0, 0.0)),
            ((0, 0, 0), (0.0, 0.0, 0.0)),
            ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
            ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
            ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ],
    )
    def test_oklab_has_the_published_values(self, pixel, lab):
        pixel = tuple(map(float, pixel))
        torch.testing.assert_close(srgb_to_oklab(colors(pixel)).flatten(), torch.tensor(lab), atol=2e-5, rtol=0)

    def test_gray_has_no_chroma_in_oklab(self):
        gray = torch.linspace(0, 1, 256).expand(1, 3, 1, 256)
        assert srgb_to_oklab(gray)[:, 1:].abs().max() < 1e-6

    def test_oklab_and_back_is_the_same_picture_within_a_step_of_16_bit(self):
        image = noise(0)
        assert (oklab_to_srgb(srgb_to_oklab(image)) - image).abs().max() < 1 / 65535

    def test_mid_gray_is_a_fifth_of_the_light(self):
        assert srgb_to_linear(torch.tensor(0.5)).item() == pytest.approx(0.21404, abs=1e-5)

    def test_every_8_bit_value_survives_linear_light(self):
        values = torch.arange(256) / 255
        torch.testing.assert_close(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6, rtol=0)

    def test_luma_is_the_y_of_yiq(self):
        image = noise(1)
        torch.testing.assert_close(luma(image)[:, 0], torch.einsum("j,bjhw->bhw", YIQ[0], image))

    def test_luma_and_the_rest_make_the_picture_again(self):
        image = noise(2)
        torch.testing.assert_close(join_luma(luma(image), image - luma(image)), image)


class TestMatching:
    def test_luma_gets_the_contents_mean_and_deviation(self):
        style, content = luma(cloud(0)), luma(cloud(1))
        matched = match_luma(style, content)
        torch.testing.assert_close(matched.mean(), content.mean())
        torch.testing.assert_close(matched.std(correction=0), content.std(correction=0))

    def test_flat_luma_stays_flat_at_the_contents_mean(self):
        content = luma(cloud(1))
        matched = match_luma(torch.full((1, 1, 5, 5), 0.3), content)
        torch.testing.assert_close(matched, content.mean().expand(1, 1, 5, 5))

    def test_the_linear_map_matches_mean_and_covariance_exactly(self):
        style, content = cloud(0, 50, 70).double(), cloud(1).double()
        matched = match_linear(style, content)
        torch.testing.assert_close(matched.mean((2, 3)), content.mean((2, 3)), atol=1e-12, rtol=0)
        torch.testing.assert_close(covariance(matched), covariance(content), atol=1e-12, rtol=1e-9)

    def test_the_linear_map_of_uncorrelated_channels_scales_each(self):
        style = noise(0, (200, 200)).double()
        axes = torch.linalg.eigh(covariance(style)).eigenvectors
        style = torch.einsum("ji,bjhw->bihw", axes, style)  # exactly uncorrelated
        scale = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64).view(3, 1, 1)
        torch.testing.assert_close(match_linear(style, style * scale), style * scale)

    @pytest.mark.parametrize("match", [match_linear, match_histogram])
    def test_colors_that_match_already_stay(self, match):
        image = cloud(3)
        assert (match(image, image.flip(-1)) - image).abs().mean() < 1e-3

    def test_a_gray_style_keeps_its_one_direction(self):
        matched = match_linear(luma(cloud(0)).expand(1, 3, -1, -1), cloud(1))
        values = torch.linalg.eigvalsh(covariance(matched))
        assert matched.isfinite().all()
        assert values[:2].abs().max() < 1e-6 * values[2]

    @pytest.mark.parametrize("match", [match_linear, match_histogram])
    @pytest.mark.parametrize("flat", ["style", "content", "both"])
    def test_flat_pictures_give_finite_ones(self, match, flat):
        one_color = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 6, 8)
        style = cloud(0) if flat == "content" else one_color
        content = cloud(1) if flat == "style" else one_color
        matched = match(style, content)
        assert matched.isfinite().all()
        if flat == "content":
            torch.testing.assert_close(matched, one_color[..., :1, :1].expand_as(matched), atol=1e-4, rtol=0)

    def test_histograms_match_along_any_direction_and_not_only_by_channel(self):
        style, content = noise(4, (80, 90)), cloud(5)
        content = torch.where(
            torch.rand((60, 80), generator=torch.Generator().manual_seed(0)) < 0.5, content, 1 - content
        )
        matched = match_histogram(style, content)
        directions = torch.nn.functional.normalize(
            torch.randn((30, 3), generator=torch.Generator().manual_seed(9)), dim=1
        )
        shares = torch.linspace(0, 1, 101)
        own, wanted, before = (
            torch.quantile(directions @ image[0].flatten(1), shares, dim=1) for image in (matched, content, style)
        )
        assert (own - wanted).abs().mean() < 0.1 * (before - wanted).abs().mean()

    def test_histogram_matching_stays_in_the_contents_range_of_each_channel(self):
        content = cloud(6)
        matched = match_histogram(noise(7), content)
        for channel in range(3):
            assert matched[:, channel].min() >= content[:, channel].min() - 1e-6
            assert matched[:, channel].max() <= content[:, channel].max() + 1e-6

    def test_histogram_matching_is_the_same_each_time(self):
        assert match_histogram(noise(0), cloud(0)).equal(match_histogram(noise(0), cloud(0)))


class TestJoining:
    def test_i_and_q_are_those_of_the_chroma_given(self):
        image, content = noise(0), noise(1)
        joined = join_luma(luma(image), content - luma(content))
        own, wanted = (torch.einsum("ij,bjhw->bihw", YIQ, picture)[:, 1:] for picture in (joined, content))
        torch.testing.assert_close(own, wanted, atol=1e-5, rtol=0)
        assert 0 <= joined.min() <= joined.max() <= 1

    def test_luma_is_the_one_given_wherever_the_gamut_has_it(self):
        image, content = noise(0), noise(1)
        chroma = content - luma(content)
        wished = luma(image) + chroma
        fits = ((wished >= 0) & (wished <= 1)).all(1, keepdim=True)
        assert 0.1 < fits.float().mean() < 0.9
        assert (luma(join_luma(luma(image), chroma)) - luma(image))[fits].abs().max() < 1e-5

    def test_oklab_keeps_a_and_b_exactly_even_at_the_edge_of_the_gamut(self):
        image, content = noise(0), noise(1).round()
        joined = srgb_to_oklab(join_oklab(image, content))
        difference = (joined - srgb_to_oklab(content))[:, 1:].abs()
        assert difference.mean() < 1e-4
        assert difference.max() < 5e-3

    def test_oklab_lightness_is_the_one_given_wherever_the_gamut_has_it(self):
        image = noise(0)
        content = 0.5 + 0.02 * (noise(1) - 0.5)  # nearly gray: nearly every lightness will do
        image = 0.2 + 0.6 * image
        difference = (srgb_to_oklab(join_oklab(image, content)) - srgb_to_oklab(image))[:, :1]
        assert difference.abs().max() < 1e-4

    def test_oklab_lightness_gives_way_only_as_far_as_it_must(self):
        white, red = colors((1.0, 1.0, 1.0)), colors((1.0, 0.0, 0.0))
        pale_red = join_oklab(white, 0.5 * red + 0.25)
        lightness = srgb_to_oklab(pale_red)[0, 0].item()
        assert srgb_to_oklab(0.5 * red + 0.25)[0, 0].item() < lightness < 1
        assert pale_red.max() > 0.999  # at the edge of the gamut, and not short of it

    def test_a_picture_joined_with_itself_is_itself(self):
        image = noise(5)
        torch.testing.assert_close(join_oklab(image, image), image, atol=1e-4, rtol=0)


class TestPreparing:
    content, style = Picture(cloud(0)), Picture(cloud(1, 30, 40))

    def prepared(self, **values: object) -> tuple[Tensor, Tensor]:
        content, (style,) = prepare(self.content, [self.style], Recipe(**values), (60, 80), [(30, 40)])
        return content.pixels, style.pixels

    @pytest.mark.parametrize("mode", ["none", "oklab"])
    def test_modes_that_work_afterwards_leave_the_pictures_alone(self, mode):
        content, style = self.prepared(preserve_color=mode)
        torch.testing.assert_close(content, self.content.pixels, rtol=0, atol=0)
        torch.testing.assert_close(style, self.style.pixels, rtol=0, atol=0)

    @pytest.mark.parametrize("mode", MODES)
    def test_at_strength_0_nothing_is_done(self, mode):
        content, style = self.prepared(preserve_color=mode, color_strength=0)
        torch.testing.assert_close(content, self.content.pixels, rtol=0, atol=0)
        torch.testing.assert_close(style, self.style.pixels, rtol=0, atol=0)

    def test_luminance_runs_on_three_equal_channels(self):
        for pixels in self.prepared(preserve_color="luminance"):
            torch.testing.assert_close(pixels, luma(pixels).expand_as(pixels))

    @pytest.mark.parametrize("mode", ["histogram", "linear"])
    def test_only_the_style_is_recolored(self, mode):
        content, style = self.prepared(preserve_color=mode)
        torch.testing.assert_close(content, self.content.pixels, rtol=0, atol=0)
        torch.testing.assert_close(style.mean((2, 3)), content.mean((2, 3)), atol=5e-3, rtol=0)

    @pytest.mark.parametrize("mode", ["histogram", "linear"])
    def test_strength_goes_evenly_from_the_style_to_the_recolored_one(self, mode):
        (_, full), (_, half) = self.prepared(preserve_color=mode), self.prepared(preserve_color=mode, color_strength=50)
        torch.testing.assert_close(half, (self.style.pixels + full) / 2)

    def test_pictures_larger_than_they_are_looked_at_are_shrunk_first(self):
        content, (style,) = prepare(self.content, [self.style], Recipe(preserve_color="linear"), (30, 40), [(15, 20)])
        assert (content.size, style.size) == ((30, 40), (15, 20))

    @pytest.mark.parametrize("mode", ["luminance", "histogram", "linear"])
    def test_transparent_parts_count_as_nothing(self, mode):
        recipe, size = Recipe(preserve_color=mode), (60, 80)
        content, style = (beside_nothing(cloud(seed)) for seed in (1, 2))
        _, (whole,) = prepare(content, [style], recipe, content.size, [style.size])
        _, (visible,) = prepare(Picture(cloud(1)), [Picture(cloud(2))], recipe, size, [size])
        torch.testing.assert_close(whole.pixels[..., :80], visible.pixels)
        assert whole.pixels[..., 80:].max() <= visible.pixels.max(), "what cannot be seen takes on what can"

    def test_each_style_is_matched_on_its_own(self):
        styles = [Picture(cloud(seed)) for seed in (1, 2)]
        _, matched = prepare(self.content, styles, Recipe(preserve_color="linear"), (60, 80), [(60, 80)] * 2)
        for style in matched:
            torch.testing.assert_close(covariance(style.pixels), covariance(self.content.pixels), atol=1e-3, rtol=0)


class TestFinishing:
    content = Picture(noise(0))

    @pytest.mark.parametrize("values", [{}, *({"preserve_color": mode, "color_strength": 0} for mode in MODES)])
    def test_without_preservation_the_picture_is_returned_as_it_is(self, values):
        image = noise(1)
        assert finisher(self.content, Recipe(**values))(image) is image

    @pytest.mark.parametrize("mode", ["luminance", "oklab"])
    def test_the_content_finishes_as_itself(self, mode):
        image = self.content.pixels
        finished = finisher(self.content, Recipe(preserve_color=mode))(image)
        torch.testing.assert_close(finished, image, atol=1e-4, rtol=0)

    def test_luminance_leaves_nothing_of_the_chroma_that_a_run_adds(self):
        finish = finisher(self.content, Recipe(preserve_color="luminance"))
        image = cloud(1, 40, 50)
        torch.testing.assert_close(finish(image), finish(luma(image).expand_as(image)))

    @pytest.mark.parametrize("mode", ["luminance", "oklab"])
    def test_more_strength_is_nearer_to_the_contents_colors(self, mode):
        image = cloud(1, 40, 50)
        errors = [
            (srgb_to_oklab(finisher(self.content, Recipe(preserve_color=mode, color_strength=s))(image))
             - srgb_to_oklab(self.content.pixels))[:, 1:].abs().mean().item()
            for s in (0, 25, 50, 75, 100)
        ]  # fmt: skip
        assert errors == sorted(errors, reverse=True)
        assert len(set(errors)) == len(errors)

    def test_luminance_at_half_strength_shows_half_of_each_chroma(self):
        """A run on pictures faded as `prepare` fades them adds up, with the content's share, to full saturation."""
        style, content = Picture(0.4 + 0.2 * noise(1)), Picture(0.4 + 0.2 * noise(2))
        recipe = Recipe(preserve_color="luminance", color_strength=50)
        _, (faded,) = prepare(content, [style], recipe, (40, 50), [(40, 50)])
        finished = finisher(content, recipe)(faded.pixels)
        chroma = [picture - luma(picture) for picture in (finished, style.pixels, content.pixels)]
        torch.testing.assert_close(chroma[0], (chroma[1] + chroma[2]) / 2, atol=1e-5, rtol=0)

    def test_the_colors_come_at_the_size_of_the_picture(self):
        finished = finisher(self.content, Recipe(preserve_color="oklab"))(noise(1, (20, 25)))
        assert finished.shape == (1, 3, 20, 25)

    @pytest.mark.parametrize("mode", MODES)
    def test_gray_content_gives_three_equal_channels(self, mode):
        content = Picture(luma(noise(0)).expand(1, 3, -1, -1), is_gray=True)
        finished = finisher(content, Recipe(preserve_color=mode))(noise(1))
        assert (finished.amax(1) - finished.amin(1)).max() < 1e-4


@pytest.mark.parametrize(
    ("is_gray", "values", "stays"),
    [
        (True, {"preserve_color": "luminance"}, True),
        (True, {"preserve_color": "linear"}, True),
        (True, {"preserve_color": "oklab", "color_strength": 50}, False),
        (True, {}, False),
        (False, {"preserve_color": "luminance"}, False),
    ],
)
def test_only_gray_content_with_its_colors_kept_in_full_stays_gray(is_gray, values, stays):
    assert stays_gray(Picture(noise(0), is_gray=is_gray), Recipe(**values)) is stays
