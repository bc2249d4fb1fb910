"""The objective: its terms, their scales, and what weights mean."""

import statistics

import pytest
import torch
from torch import Tensor

from impasto.encoders.compact import load_compact
from impasto.errors import EncoderError, LayerError
from impasto.losses import content_loss, gram_loss, gram_matrix, total_variation
from impasto.objective.objective import Objective
from impasto.objective.terms import StyleTerm
from impasto.objective.weighting import (
    BALANCED_RATIO,
    BLENDED_SLOPE,
    FARTHEST,
    OBJECTIVE_SCALE,
    STYLE_KNEE,
    TERMS,
    soft_thresholded,
    style_knee,
    term_factors,
)
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder


def picture(seed: int, height: int = 24, width: int = 32) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))


def build(encoder: TinyEncoder, num_styles: int = 1, **values: object) -> Objective:
    return Objective(
        encoder, picture(0), [picture(10 + k, 20, 40) for k in range(num_styles)], Recipe(look="classic", **values)
    )


def test_terms_agree_with_the_losses_they_are_made_of(tiny_encoder: TinyEncoder) -> None:
    image, style = picture(5), picture(10, 20, 40)
    content_weight, style_weight, tv_weight = 2.0, 8.0, 4.0
    objective = build(tiny_encoder, content_weight=content_weight, style_weight=style_weight, tv_weight=tv_weight)
    layers = [*tiny_encoder.content_layers, *tiny_encoder.style_layers]
    of_image, of_content, of_style = (tiny_encoder(p, layers) for p in (image, picture(0), style))
    (content_layer,) = tiny_encoder.content_layers
    by_layer = [gram_loss(gram_matrix(of_image[k]), gram_matrix(of_style[k])) for k in tiny_encoder.style_layers]
    expected = {
        "content": content_weight / 8 * content_loss(of_image[content_layer], of_content[content_layer]),
        "style": style_weight
        / 8
        * soft_thresholded(torch.stack(by_layer).mean(), STYLE_KNEE * content_weight / style_weight / BALANCED_RATIO),
        "tv": tv_weight / 8 * total_variation(image),
    }
    actual = dict(zip(TERMS, objective.parts(image), strict=True))
    for term in TERMS:
        torch.testing.assert_close(actual[term], OBJECTIVE_SCALE[term] * expected[term])
    distances = objective.distances(image)
    assert distances["style"] == pytest.approx(torch.stack(by_layer).mean().item())
    assert distances["content"] == pytest.approx(expected["content"].item() * 8 / content_weight)
    assert distances["tv"] == pytest.approx(total_variation(image).item())


@pytest.mark.parametrize(
    ("values", "share"),
    [
        ({}, 1),
        ({"strength": 20}, 1),
        ({"strength": 75}, 0.5),
        ({"strength": 100}, 0),
        ({"content_weight": 50}, 10),
        ({"style_weight": 10}, 0.1),
        ({"content_weight": 0}, 0),
        ({"style_weight": 0}, 0),
        ({"content_weight": 1e300, "style_weight": 1e-300}, FARTHEST / BALANCED_RATIO),
    ],
)
def test_the_distance_at_which_the_style_lets_go_follows_dial_and_weights(
    values: dict[str, float], share: float
) -> None:
    assert style_knee(Recipe(look="classic", **values)) == pytest.approx(STYLE_KNEE * share)


@pytest.mark.parametrize(("strength", "share"), [(0, 1 / 3), (50, 1 / 3), (75, 0.5 / 2), (100, 0)])
def test_with_an_optimistic_encoder_the_style_lets_go_nearer(strength: int, share: float) -> None:
    recipe, encoder = Recipe(look="classic", strength=strength), TinyEncoder()
    assert style_knee(recipe, 3.0) == pytest.approx(STYLE_KNEE * share)
    encoder.style_underestimate = 3.0
    objective = Objective(encoder, torch.rand(1, 3, 16, 16), [torch.rand(1, 3, 16, 16)], recipe)
    for term in objective.terms:
        if isinstance(term, StyleTerm):
            assert term.knee == pytest.approx(STYLE_KNEE * share)


def test_a_style_lets_go_as_it_comes_near() -> None:
    """Known values: half of the distance at `STYLE_KNEE`, all of it far away, its cube near by; and it rises."""
    near = torch.tensor(STYLE_KNEE, dtype=torch.float64)
    assert soft_thresholded(near).item() == pytest.approx(STYLE_KNEE / 2)
    assert soft_thresholded(1000 * near).item() == pytest.approx(1000 * STYLE_KNEE, rel=1e-5)
    assert soft_thresholded(near / 1000).item() == pytest.approx(STYLE_KNEE * 1e-9, rel=1e-5)
    assert soft_thresholded(torch.tensor(3e30)).item() == pytest.approx(3e30)
    assert soft_thresholded(near, 0).item() == pytest.approx(STYLE_KNEE)
    assert soft_thresholded(torch.zeros(()), 0).item() == 0
    grid = torch.logspace(-6, 3, 200, dtype=torch.float64).requires_grad_()
    (slope,) = torch.autograd.grad(torch.stack([soft_thresholded(distance) for distance in grid]).sum(), grid)
    assert (slope > 0).all()
    assert slope.max() < 1.13


def test_the_gradient_is_that_of_the_sum_of_the_parts(tiny_encoder: TinyEncoder) -> None:
    objective, image = build(tiny_encoder), picture(5).requires_grad_()
    (expected,) = torch.autograd.grad(objective.parts(image).sum(), image)
    evaluation = objective.evaluate(image)
    torch.testing.assert_close(evaluation.gradient, expected)
    torch.testing.assert_close(evaluation.total, evaluation.parts.sum())


def test_the_gradient_agrees_with_finite_differences() -> None:
    encoder = TinyEncoder().double()
    objective = Objective(encoder, picture(0).double(), [picture(1).double()], Recipe(look="classic"))
    image, direction = picture(5).double(), torch.randn((1, 3, 24, 32), dtype=torch.float64)
    step = 1e-7
    difference = (objective.parts(image + step * direction) - objective.parts(image - step * direction)).sum()
    slope = (objective.evaluate(image).gradient * direction).sum()
    torch.testing.assert_close(slope, difference / (2 * step), rtol=1e-4, atol=0)


@pytest.mark.parametrize("exponent", [-60, 60])
def test_weights_times_a_power_of_two_give_the_same_bits(tiny_encoder: TinyEncoder, exponent: int) -> None:
    weights = {"content_weight": 5.0, "style_weight": 1.0, "tv_weight": 0.3}
    scaled = {name: weight * 2.0**exponent for name, weight in weights.items()}
    one, other = (build(tiny_encoder, **values).evaluate(picture(5)) for values in (weights, scaled))
    assert one.parts.equal(other.parts)
    assert one.gradient.equal(other.gradient)


def test_factors_are_finite_up_to_the_largest_float() -> None:
    factors = term_factors(Recipe(look="classic", content_weight=1.7e308, style_weight=1.7e308, tv_weight=5e-324))
    assert factors["content"] == OBJECTIVE_SCALE["content"]
    assert factors["tv"] == 0


@pytest.mark.parametrize("term", TERMS)
def test_a_weight_of_zero_switches_its_term_off(tiny_encoder: TinyEncoder, term: str) -> None:
    parts = dict(zip(TERMS, build(tiny_encoder, **{f"{term}_weight": 0}).parts(picture(5)), strict=True))
    assert parts.pop(term).item() == 0
    assert all(part.item() > 0 for part in parts.values())


def test_all_weights_zero_is_a_flat_objective(tiny_encoder: TinyEncoder) -> None:
    evaluation = build(tiny_encoder, content_weight=0, style_weight=0, tv_weight=0).evaluate(picture(5))
    assert evaluation.total.item() == 0
    assert evaluation.gradient.abs().max().item() == 0


def test_several_styles_count_the_same(tiny_encoder: TinyEncoder) -> None:
    values = {"content_weight": 0, "tv_weight": 0}
    both = build(tiny_encoder, num_styles=2, **values)
    single = [
        Objective(tiny_encoder, picture(0), [picture(10 + k, 20, 40)], Recipe(look="classic", **values)).distances(
            picture(5)
        )["style"]
        for k in range(2)
    ]
    mean = statistics.mean(single)
    assert both.distances(picture(5))["style"] == pytest.approx(mean)
    assert both.parts(picture(5)).sum().item() == pytest.approx(OBJECTIVE_SCALE["style"] * BLENDED_SLOPE * mean)


def test_layer_weights_are_ratios(tiny_encoder: TinyEncoder) -> None:
    one, other = (
        build(tiny_encoder, style_layers=layers).parts(picture(5))
        for layers in ("relu1_1:1,relu2_1:3", "relu1_1:10,relu2_1:30")
    )
    torch.testing.assert_close(one, other)


def test_a_layer_weight_of_zero_is_no_layer(tiny_encoder: TinyEncoder) -> None:
    one, other = (
        build(tiny_encoder, style_layers=layers).parts(picture(5)) for layers in ("relu1_1", "relu1_1:1,relu3_1:0")
    )
    assert one.equal(other)


def test_the_content_image_has_no_content_loss_and_the_style_image_no_style_loss(tiny_encoder: TinyEncoder) -> None:
    objective = Objective(tiny_encoder, picture(0), [picture(0)], Recipe(look="classic"))
    content, style, _ = objective.parts(picture(0)).tolist()
    assert content == 0
    assert style < 1e-10


def test_the_objective_says_the_same_at_every_size(tiny_encoder: TinyEncoder) -> None:
    """A texture twice as large has about the same normalized terms: weights need no retuning."""

    def tiled(image: Tensor, count: int) -> Tensor:
        return image.repeat(1, 1, count, count)

    small, large = (
        Objective(tiny_encoder, tiled(picture(0), n), [tiled(picture(1), n)], Recipe(look="classic")).distances(
            tiled(picture(5), n)
        )
        for n in (4, 8)
    )
    assert small == pytest.approx(large, rel=0.1)


def test_an_unknown_layer_is_named_with_a_suggestion(tiny_encoder: TinyEncoder) -> None:
    with pytest.raises(LayerError, match=r"^Unknown layer 'relu2_9' of tiny\. Did you mean 'relu2_[12]'\?$"):
        build(tiny_encoder, style_layers="relu2_9")


def test_a_target_that_is_not_finite_is_refused(tiny_encoder: TinyEncoder) -> None:
    next(iter(tiny_encoder.parameters())).data.fill_(torch.nan)
    with pytest.raises(EncoderError, match=r"^Encoder tiny returns NaN or infinity at layer 'relu"):
        build(tiny_encoder)


def test_a_single_pixel_has_an_objective(tiny_encoder: TinyEncoder) -> None:
    objective = Objective(tiny_encoder, picture(0, 1, 1), [picture(1, 1, 1)], Recipe(look="classic"))
    evaluation = objective.evaluate(picture(5, 1, 1))
    assert evaluation.total.isfinite()
    assert evaluation.gradient.isfinite().all()


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3), (5, 2), (7, 12)])
def test_content_is_not_far_from_itself_however_small(size: tuple[int, int], padding: str) -> None:
    content = picture(3, *size)
    objective = Objective(TinyEncoder(padding=padding), content, [picture(4, *size)], Recipe(look="classic"))
    assert objective.parts(content)[TERMS.index("content")].item() == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 12)])
def test_a_term_alone_is_what_it_is_among_the_others_however_small_the_picture(size: tuple[int, int]) -> None:
    image = picture(5, *size)
    objective = Objective(
        load_compact(), picture(3, *size), [picture(4, *size)], Recipe(look="classic")
    )  # content is not deepest
    together = objective.parts(image)
    for index, term in enumerate(TERMS):
        alone = torch.zeros(len(TERMS))
        alone[index] = together[index]
        torch.testing.assert_close(objective.parts(image, [term]), alone)


def test_a_term_alone_costs_no_layer_past_its_own(tiny_encoder: TinyEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    objective, seen = build(tiny_encoder), []
    iter_features = tiny_encoder.iter_features
    monkeypatch.setattr(
        tiny_encoder,
        "iter_features",
        lambda *asked: ((seen.append(layer), (layer, maps))[1] for layer, maps in iter_features(*asked)),
    )
    objective.parts(picture(5), ["content"])
    assert seen == ["relu1_1", "relu2_1", "relu2_2"]
    seen.clear()
    objective.parts(picture(5), ["tv"])
    assert seen == []


def test_influence_is_the_same_however_lean_the_encoder_is(tiny_encoder: TinyEncoder) -> None:
    image = picture(5)
    objective = build(tiny_encoder)
    gradient = objective.evaluate(image).gradient
    plain = objective.gradient_share(image, gradient)
    tiny_encoder.is_low_memory = True
    assert build(tiny_encoder).gradient_share(image, gradient) == pytest.approx(plain, rel=1e-5)
    norms = {}
    for index, term in enumerate(TERMS):
        pixels = image.clone().requires_grad_()
        norms[term] = torch.autograd.grad(objective.parts(pixels)[index], pixels)[0].norm().item()
    assert plain == pytest.approx({term: norm / sum(norms.values()) for term, norm in norms.items()}, rel=1e-4)
