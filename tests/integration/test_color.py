"""Colors kept through whole runs, judged on the written 8-bit files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto import Recipe, RunOptions, build_encoder, load_picture, stylize
from impasto.encoders import Encoder
from impasto.examples import example_path
from impasto.images import resize
from impasto.images.color_spaces import luma, srgb_to_oklab
from impasto.pipeline.color_preservation import match_luma
from impasto.runs.run import RunReport, run
from tests.judge import style_distance
from tests.tiny import TinyEncoder

MODES = ["luminance", "histogram", "linear", "oklab"]
RECIPE = Recipe(height=48, total_iterations=12, levels=1)


def smooth(height: int, width: int, seed: int) -> Tensor:
    small = torch.rand((1, 3, height // 8, width // 8), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (height, width), mode="bilinear")


CONTENT, STYLE = smooth(48, 64, 0), smooth(56, 40, 1) ** 2


def chroma_error(image: Tensor, content: Tensor) -> float:
    """Mean of |Δa| and |Δb| in OKLab over all pixels."""
    content = resize(content, (image.shape[-2], image.shape[-1]))
    return (srgb_to_oklab(image) - srgb_to_oklab(content))[:, 1:].abs().mean().item()


def file_of(pixels: Tensor, path: Path, mode: str = "RGB") -> Path:
    array = (pixels[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    Image.fromarray(array).convert(mode).save(path)
    return path


@pytest.fixture
def paint(tmp_path: Path, tiny_encoder: TinyEncoder):
    def paint(output: str, *, content_mode: str = "RGB", **values: object) -> RunReport:
        content = file_of(CONTENT, tmp_path / "content.png", content_mode)
        style = file_of(STYLE, tmp_path / "style.png")
        options = RunOptions(output_file=tmp_path / output, saving_interval=6)
        return run(content, [style], RECIPE.replace(**values), options, encoder=tiny_encoder)

    return paint


@pytest.mark.parametrize("mode", MODES)
def test_strength_0_is_the_plain_picture_bit_for_bit(tiny_encoder: TinyEncoder, mode: str) -> None:
    plain = stylize(CONTENT, STYLE, RECIPE, encoder=tiny_encoder).image
    none = stylize(CONTENT, STYLE, RECIPE, encoder=tiny_encoder, preserve_color=mode, color_strength=0).image
    assert none.equal(plain)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_nearer_to_the_contents_colors_than_none_and_half_strength_between(
    tiny_encoder: TinyEncoder, mode: str
) -> None:
    colors = CONTENT.mean((2, 3)) if mode in ("histogram", "linear") else CONTENT
    distances = []
    for strength in (0, 50, 100):
        recipe = RECIPE.replace(preserve_color=mode, color_strength=strength, content_weight=0.1, total_iterations=30)
        image = stylize(CONTENT, STYLE, recipe, encoder=tiny_encoder).image
        own = image.mean((2, 3)) if mode in ("histogram", "linear") else image
        distances.append((srgb_to_oklab(_picture(own)) - srgb_to_oklab(_picture(colors)))[:, 1:].abs().mean().item())
    assert distances == sorted(distances, reverse=True)
    assert distances[2] < 0.9 * distances[0]


def _picture(colors: Tensor) -> Tensor:
    """A mean color of shape (1, 3) as a picture of one pixel; a picture as it is."""
    return colors[..., None, None] if colors.ndim == 2 else colors


@pytest.mark.parametrize("mode", ["luminance", "oklab"])
@pytest.mark.parametrize("init_method", ["content", "random", "style"])
def test_the_written_file_has_the_contents_chroma(paint, mode: str, init_method: str) -> None:
    report = paint("out.png", preserve_color=mode, init_method=init_method)
    assert chroma_error(load_picture(report.final).pixels, CONTENT) <= 0.02


@pytest.mark.parametrize("mode", ["luminance", "oklab"])
def test_pictures_in_between_have_the_colors_of_the_final_one(paint, tmp_path: Path, mode: str) -> None:
    paint("out", preserve_color=mode, init_method="random", levels=2)
    for name in ("00000.png", "00006.png", "00012.png"):
        assert chroma_error(load_picture(tmp_path / "out" / name).pixels, CONTENT) <= 0.02, name


def test_the_last_event_shows_the_result(tiny_encoder: TinyEncoder) -> None:
    events = []
    result = stylize(
        CONTENT, STYLE, RECIPE, encoder=tiny_encoder, preserve_color="oklab", color_strength=70,
        on_progress=events.append,
    )  # fmt: skip
    assert events[-1].image().equal(result.image)


@pytest.mark.parametrize("mode", MODES)
def test_gray_pictures_stay_gray(paint, tmp_path: Path, mode: str) -> None:
    report = paint("out", content_mode="L", preserve_color=mode)
    assert report.final is not None
    pictures = [report.final, *(tmp_path / "out").glob("000*.png")]
    assert len(pictures) == 4
    for path in pictures:
        with Image.open(path) as image:
            assert image.mode == "L"


def test_gray_content_may_be_painted_in_color(paint) -> None:
    with Image.open(paint("out.png", content_mode="L").final) as image:
        assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"color_strength": 50}, "color_strength"),
        ({"preserve_color": "oklab", "color_strength": 0}, "preserve_color"),
        ({"preserve_color": "oklab", "color_strength": 50}, None),
        ({"preserve_color": "none"}, None),
    ],
)
def test_a_color_option_without_effect_warns(values: dict[str, object], warned: str | None) -> None:
    names = [warning.split()[0] for warning in Recipe(**values).warnings()]
    assert names == ([warned] if warned else [])


def judged(encoder: Encoder, mode: str, height: int, tmp_path: Path) -> tuple[float, float]:
    """Chroma error, and the luma's style distance as a share of the content's own, of a hundred iterations' file."""
    content, style = example_path("coffee"), example_path("oil")
    recipe = Recipe(look="classic", height=height, total_iterations=100, preserve_color=mode)
    report = run(content, [style], recipe, RunOptions(output_file=tmp_path / "out.png"), encoder=encoder)
    painted = load_picture(report.final).pixels
    before = resize(load_picture(content).pixels, (painted.shape[-2], painted.shape[-1]))
    target, gray = luma(load_picture(style).pixels), luma(before)
    if mode == "luminance":
        target = match_luma(target, gray).clamp(0, 1)
    distances = [
        style_distance(encoder, plane.expand(-1, 3, -1, -1), target.expand(-1, 3, -1, -1))
        for plane in (luma(painted), gray)
    ]
    return chroma_error(painted, before), distances[0] / distances[1]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["luminance", "oklab"])
def test_compact_keeps_the_colors_and_takes_the_style_on(tmp_path: Path, mode: str) -> None:
    error, left = judged(build_encoder("compact"), mode, 160, tmp_path)
    assert error <= 0.02
    assert left <= 0.15


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["luminance", "oklab"])
def test_vgg19_keeps_the_colors_and_takes_the_style_on(weights_dir: Path, tmp_path: Path, mode: str) -> None:
    error, left = judged(build_encoder("vgg19"), mode, 128, tmp_path)
    assert error <= 0.02
    assert left <= 0.15
