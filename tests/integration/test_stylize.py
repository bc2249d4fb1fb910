"""`impasto.pipeline.api`, whole, on a tiny encoder; and the claims about weights and sizes."""

import json
import logging
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import impasto
from impasto import Control, Progress, Recipe, Result, stylize
from impasto.encoders import build_encoder
from impasto.encoders.vgg import build_vgg
from impasto.engine.checkpoint import Checkpoints
from impasto.pipeline import Execution
from impasto.pipeline.level_images import WIDEST_STYLE, style_size
from tests.tiny import TinyEncoder


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """A smooth random picture: noise at an eighth of the size, enlarged."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand((1, 3, max(2, height // 8), max(2, width // 8)), generator=generator)
    return torch.nn.functional.interpolate(small, (height, width), mode="bilinear")


CONTENT, STYLE = picture(48, 64, 0), picture(60, 40, 1)


def paint(encoder: TinyEncoder, **values: object) -> impasto.Result:
    return stylize(
        CONTENT, STYLE, Recipe(look="classic", **{"height": 48, "total_iterations": 10} | values), encoder=encoder
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("init_method", ["random", "content", "style"])
def test_every_start_and_optimizer_lowers_the_objective(
    tiny_encoder: TinyEncoder, optimizer: str, init_method: str
) -> None:
    totals = []
    result = stylize(
        CONTENT, STYLE, Recipe(
            look="classic", height=48, total_iterations=40, levels=1, optimizer=optimizer, init_method=init_method
        ),
        encoder=tiny_encoder,
        on_progress=lambda event: totals.append(event.losses["total"]) if event.losses else None,
    )  # fmt: skip
    assert result.losses["total"] == min(totals) < 0.9 * totals[0]
    assert result.image.shape == (1, 3, 48, 64)
    assert 0 <= result.image.min() <= result.image.max() <= 1


def test_pictures_come_from_files_pillow_arrays_and_tensors(tiny_encoder: TinyEncoder, tmp_path: Path) -> None:
    array = (CONTENT[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    path = tmp_path / "content.png"
    Image.fromarray(array).save(path)
    recipe = Recipe(look="classic", height=24, total_iterations=4)
    tensor = torch.from_numpy(array / np.float32(255)).permute(2, 0, 1)[None]
    images = [
        stylize(content, STYLE, recipe, encoder=tiny_encoder).image
        for content in (path, str(path), Image.fromarray(array), array, tensor)
    ]  # fmt: skip
    for image in images[1:]:
        torch.testing.assert_close(image, images[0], atol=1e-4, rtol=0)


def test_the_same_recipe_gives_the_same_bits(tiny_encoder: TinyEncoder) -> None:
    one, other = (paint(tiny_encoder, init_method="random", seed=5) for _ in range(2))
    assert one.image.equal(other.image)
    assert not one.image.equal(paint(tiny_encoder, init_method="random", seed=6).image)


@pytest.mark.parametrize("exponent", [-60, 60])
def test_weights_times_a_power_of_two_give_the_same_picture_bit_for_bit(
    tiny_encoder: TinyEncoder, exponent: int
) -> None:
    plain = paint(tiny_encoder)
    defaults = Recipe(look="classic")
    scaled = {name: getattr(defaults, name) * 2.0**exponent for name in ("content_weight", "style_weight", "tv_weight")}
    assert paint(tiny_encoder, **scaled).image.equal(plain.image)


@pytest.mark.parametrize("factor", [1e-18, 1e18])
def test_weights_times_any_factor_give_the_same_picture(tiny_encoder: TinyEncoder, factor: float) -> None:
    plain, defaults = paint(tiny_encoder), Recipe(look="classic")
    scaled = {name: getattr(defaults, name) * factor for name in ("content_weight", "style_weight", "tv_weight")}
    error = (paint(tiny_encoder, **scaled).image - plain.image).square().mean().item()
    assert error == 0 or -10 * math.log10(error) >= 60


@pytest.mark.parametrize(("height", "width"), [(200, 300), (800, 1200), (1600, 2400)])
def test_thirty_iterations_halve_the_objective_at_every_size(height: int, width: int) -> None:
    totals = []
    stylize(
        picture(height, width), picture(height, width, 1) ** 2,
        Recipe(look="classic", height=height, total_iterations=30, levels=1),
        encoder=TinyEncoder(widths=(2, 4, 8)),
        on_progress=lambda event: totals.append(event.losses["total"]) if event.losses else None,
    )  # fmt: skip
    assert min(totals) <= 0.5 * totals[0]


def test_torchs_lbfgs_stalls_where_ours_does_not() -> None:
    """The reason for an optimizer of our own: strong Wolfe and default tolerances under the classical conditions.

    Pixels in 0–255 and a loss near 3e12 at 800×1200: the first step is 1/‖g‖₁, float32 sees a flat line, and the run
    ends after a handful of evaluations without having moved.
    """
    encoder, size = TinyEncoder(), (800, 1200)
    layers = list(encoder.style_layers)
    content, style = (torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    style = style.square()

    def gram(features: Tensor) -> Tensor:  # as the scripts of the field have it
        rows = features[0].flatten(1)
        return rows @ rows.T / rows.shape[1]

    with torch.no_grad():
        targets = {k: gram(f) for k, f in encoder(style, layers).items()}
        scale = 3e12 / sum((gram(f) - targets[k]).square().sum() for k, f in encoder(content, layers).items())
    start = content * 255
    pixels = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([pixels], max_iter=30, line_search_fn="strong_wolfe")
    evaluations = []

    def closure() -> Tensor:
        optimizer.zero_grad()
        features = encoder(pixels / 255, layers)
        loss = scale * sum((gram(f) - targets[k]).square().sum() for k, f in features.items())
        loss.backward()
        evaluations.append(loss.item())
        return loss

    optimizer.step(closure)
    assert len(evaluations) <= 5
    assert (pixels - start).abs().max().item() <= 1e-5


def test_the_recipe_of_the_result_is_complete(tiny_encoder: TinyEncoder) -> None:
    result = paint(tiny_encoder, total_iterations=None, levels=1, height=2, optimizer="lbfgs", plateau=0.5)
    assert result.recipe.content_layers == dict(tiny_encoder.content_layers)
    assert result.recipe.style_layers == dict(tiny_encoder.style_layers)
    assert result.recipe.total_iterations == Recipe(look="classic").num_iterations


def test_provenance_names_inputs_by_hash_and_holds_no_path(tiny_encoder: TinyEncoder, tmp_path: Path) -> None:
    path = tmp_path / "Zażółć.png"
    Image.new("RGB", (20, 10), "teal").save(path)
    result = stylize(path, STYLE, Recipe(look="classic", height=10, total_iterations=1), encoder=tiny_encoder)
    text = result.provenance()
    assert text.isascii()
    assert str(tmp_path) not in text
    provenance = json.loads(text)
    assert provenance["content"]["name"] == path.name
    assert len(provenance["content"]["sha256"]) == 64
    assert Recipe(**provenance["recipe"]) == result.recipe


def test_recipe_values_can_be_given_by_name(tiny_encoder: TinyEncoder) -> None:
    assert stylize(CONTENT, STYLE, encoder=tiny_encoder, height=24, total_iterations=1).image.shape[-2] == 24


def test_an_option_without_effect_warns(tiny_encoder: TinyEncoder, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        paint(tiny_encoder, learning_rate=2.0)
    assert "learning_rate has no effect" in caplog.text


def test_a_cancelled_run_says_so(tiny_encoder: TinyEncoder) -> None:
    control = Control()
    control.cancel()
    result = stylize(CONTENT, STYLE, Recipe(look="classic", height=24), encoder=tiny_encoder, control=control)
    assert result.is_cancelled
    assert result.stop_reason == "cancelled"


def test_several_styles_are_mixed(tiny_encoder: TinyEncoder) -> None:
    recipe = Recipe(look="classic", height=48, total_iterations=10)
    styles = [STYLE, picture(40, 40, 7)]
    mixed = stylize(CONTENT, styles, recipe, encoder=tiny_encoder).image
    for style in styles:
        assert not mixed.equal(stylize(CONTENT, style, recipe, encoder=tiny_encoder).image)


def test_no_style_at_all_is_refused(tiny_encoder: TinyEncoder) -> None:
    with pytest.raises(impasto.UserError, match=r"^No style image was given; at least one is needed\.$"):
        stylize(CONTENT, [], encoder=tiny_encoder)


def test_a_device_that_is_not_there_is_refused(tiny_encoder: TinyEncoder) -> None:
    with pytest.raises(impasto.RecipeError, match="use --device auto or cpu"):
        stylize(CONTENT, STYLE, encoder=tiny_encoder, execution=Execution(device="cuda:99"))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (5, 3)])
def test_pictures_below_the_encoders_reach_are_painted_too(tiny_encoder: TinyEncoder, size: tuple[int, int]) -> None:
    result = stylize(
        torch.rand(1, 3, *size), STYLE, Recipe(look="classic", height=size[0], total_iterations=5), encoder=tiny_encoder
    )
    assert result.image.shape == (1, 3, *size)
    assert result.image.isfinite().all()


def test_bfloat16_paints_about_the_same_picture(tiny_encoder: TinyEncoder) -> None:
    plain = paint(tiny_encoder, total_iterations=30, levels=1)
    for parameter in tiny_encoder.parameters():
        parameter.data = parameter.data.bfloat16()
    half = paint(tiny_encoder, total_iterations=30, levels=1)
    assert half.image.dtype == torch.float32
    assert half.losses["total"] < 1.3 * plain.losses["total"]


def test_a_style_is_looked_at_in_the_outputs_height() -> None:
    assert style_size((1000, 500), (400, 600)) == (400, 200)


def test_a_panorama_as_style_takes_a_bounded_share() -> None:
    height, width = style_size((10, 10_000), (400, 600))
    assert height * width <= 1.01 * WIDEST_STYLE * 400 * 600
    assert width / height == pytest.approx(1000, rel=0.1)


def test_the_finish_takes_the_last_iterations_with_its_own_encoder(tiny_encoder: TinyEncoder) -> None:
    events = []
    recipe = Recipe(look="classic", height=32, total_iterations=12, levels=2, finish="compact:4")
    result = stylize(CONTENT, STYLE, recipe, encoder=tiny_encoder, on_progress=events.append)
    assert [event.level for event in events[1:]] == [1] * 4 + [2] * 4 + [3] * 4
    assert events[9].size == events[5].size == (32, 43)
    # the other encoder's objective starts on another value, and falls
    finishing = [event.losses["total"] for event in events[9:]]
    assert finishing[0] != pytest.approx(events[8].losses["total"], rel=1e-3)
    assert min(finishing) < finishing[0]
    assert result.losses["total"] == min(finishing)
    assert len(json.loads(result.provenance())["finish_weights_sha256"]) == 64


def finished_by_vgg19(folder: Path, *, stop_at: int = 0, resume: bool = False) -> tuple[list[Progress], Result]:
    """With an untrained VGG19, which is quick to have."""
    control, events = Control(), []

    def on_progress(progress: Progress) -> None:
        events.append(progress)
        if stop_at and progress.iteration == stop_at:
            control.stop()

    recipe = Recipe(look="classic", height=32, total_iterations=15, levels=1, model="compact", finish="vgg19:3")
    checkpoints = Checkpoints(folder / "checkpoint", every_seconds=1000, resume=resume)
    result = stylize(
        CONTENT,
        STYLE,
        recipe,
        execution=Execution(threads=1, checkpoints=checkpoints),
        on_progress=on_progress,
        control=control,
    )
    return events, result


def test_before_the_finish_its_encoder_corrects_the_one_that_imitates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoders = {"compact": build_encoder("compact"), "vgg19": build_vgg("vgg19")}
    monkeypatch.setattr(
        sys.modules["impasto.pipeline.api"], "encoder_of", lambda recipe, *_, **__: encoders[recipe.model]
    )
    asked = []
    iter_features = encoders["vgg19"].iter_features
    monkeypatch.setattr(
        encoders["vgg19"],
        "iter_features",
        lambda image, layers: asked.append(image.shape) or iter_features(image, layers),
    )
    events, whole = finished_by_vgg19(tmp_path)
    assert len(asked) == 3 + 3 + 1  # content, style and the picture to correct at; the iterations; the gradient_share
    assert [event.level for event in events[1:]] == [1] * 8 + [2] * 4 + [3] * 3
    totals = [event.losses["total"] for event in events[1:]]
    assert totals[8] != pytest.approx(totals[7], rel=0.01)  # the correction makes it another objective
    finished_by_vgg19(tmp_path, stop_at=10)  # in the middle of the corrected level
    _, resumed = finished_by_vgg19(tmp_path, resume=True)
    assert resumed.image.equal(whole.image)


def test_a_finish_with_the_runs_own_encoder_warns() -> None:
    assert (
        "finish has no effect: it is the run's own encoder."
        in Recipe(look="classic", model="compact", finish="compact").warnings()
    )


@pytest.mark.parametrize("finish", ["vgg20", "vgg19:0", "vgg19:x", "vgg19:-3"])
def test_a_finish_that_is_none_is_refused(finish: str) -> None:
    with pytest.raises(impasto.RecipeError, match=r"finish is .*; it must be an encoder that comes with Impasto"):
        Recipe(look="classic", finish=finish)
