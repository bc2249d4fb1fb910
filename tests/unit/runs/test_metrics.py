"""Metrics on pictures whose answer is known."""

import pytest
import torch

import impasto.runs.metrics as metrics
from impasto.runs.metrics import Judge, color_distance, edges_in_common, measure, pick_judge, structural_similarity
from tests.tiny import TinyEncoder


def noise(seed: int, size: tuple[int, int] = (48, 64)) -> torch.Tensor:
    return torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def square(left: int) -> torch.Tensor:
    image = torch.zeros(1, 3, 48, 64)
    image[..., 12:36, left : left + 24] = 1
    return image


def test_a_picture_equals_itself() -> None:
    image = noise(0)
    facts = measure(image, image, [image], None)
    assert (facts["ssim"], facts["edge_agreement"]) == (pytest.approx(1), pytest.approx(1))
    assert (facts["color_to_content"], facts["color_to_style"]) == (pytest.approx(0), pytest.approx(0))
    assert facts["judge"] is None


def test_structural_similarity_falls_with_noise_and_not_with_color() -> None:
    image = square(10)
    assert structural_similarity(image, (image + 0.3 * noise(1)).clamp(0, 1)) < 0.9
    gray = torch.full((1, 3, 48, 64), 0.5)
    assert structural_similarity(gray, gray) == pytest.approx(1)


@pytest.mark.parametrize(("shift", "agrees"), [(0, True), (1, True), (8, False)])
def test_edges_agree_within_two_pixels(shift: int, agrees: bool) -> None:
    share = edges_in_common(square(10), square(10 + shift))
    assert (share > 0.95) is agrees


def test_pictures_without_edges_say_nothing_of_them() -> None:
    flat = torch.full((1, 3, 48, 64), 0.5)
    assert edges_in_common(flat, flat) is None
    assert edges_in_common(flat, square(10)) == 0


def test_color_distance_is_that_of_the_distributions_whatever_the_places() -> None:
    image = noise(0)
    assert color_distance(image, image.flip(-1)) == pytest.approx(0, abs=1e-6)
    black, white = torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 9, 9)
    assert color_distance(black, white) == pytest.approx(1 / 3, abs=0.01)  # a step of 1 in L, of three channels


def test_a_small_picture_has_no_structural_similarity() -> None:
    assert structural_similarity(noise(0, (10, 40)), noise(1, (10, 40))) is None


def test_without_the_packages_the_rest_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "is_available", lambda: False)
    facts = measure(noise(0), noise(1), [noise(2)], None)
    assert set(facts.values()) == {None}


def test_what_is_unknown_without_content_or_style_is_none() -> None:
    facts = measure(noise(0), None, [], None)
    assert set(facts.values()) == {None}


def test_the_judge_is_a_network_that_was_not_optimized() -> None:
    judge = pick_judge({"vgg19", "vgg16"})
    assert judge is not None
    assert judge.name.startswith("compact (content ")


def test_a_network_that_judges_itself_looks_at_other_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "JUDGES", ("compact",))
    judge = pick_judge({"compact"})
    assert judge is not None
    classical = {*judge.encoder.content_layers, *judge.encoder.style_layers}
    assert not classical & {*judge.recipe.content_layers, *judge.recipe.style_layers}


def test_a_judge_finds_equal_pictures_equal() -> None:
    from impasto.pipeline.build import complete
    from impasto.recipe import Recipe

    encoder = TinyEncoder()
    judge = Judge(encoder, complete(Recipe(look="classic"), encoder))
    image = noise(0)
    assert judge.distances(image, image, [image]) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))
    content, style = judge.distances(noise(1), image, [noise(2)])
    assert content > 0 and style > 0
