"""Masks, locks, tiles and replays on bundled pictures, as the command line writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import impasto
from impasto.cli import main
from impasto.encoders import build_encoder
from impasto.engine import Progress
from impasto.examples import example_path
from impasto.images import load_picture, resize
from tests.judge import style_distance

pytestmark = pytest.mark.slow

HEIGHT = 128
EDGE = 8
"""Pixels on each side of a border of regions that the judge does not look at."""


def paint(
    out: Path,
    content: str,
    styles: Sequence[str],
    *options: str | Path,
    model: str = "compact",
    height: int = HEIGHT,
    iterations: int = 60,
) -> Tensor:
    """The picture that ``impasto stylize`` writes, shape (1, 3, H, W)."""
    pictures = [str(example_path(name)) for name in (content, *styles)]
    fixed = [
        "--look",
        "classic",
        "--model",
        model,
        "--height",
        height,
        "--total-iterations",
        iterations,
        "--threads",
        "1",
    ]
    quiet = ["--saving-interval", "0", "--quiet", "-o", out]
    assert main(["stylize", *pictures, *map(str, [*fixed, *quiet, *options])]) == 0
    return load_picture(out).pixels


@pytest.fixture
def halves(tmp_path: Path) -> list[Path]:
    """Masks of the left and the right half."""
    paths = [tmp_path / "left.png", tmp_path / "right.png"]
    for path, start in zip(paths, (0, 60), strict=True):
        mask = Image.new("L", (120, 80))
        mask.paste(255, (start, 0, start + 60, 80))
        mask.save(path)
    return paths


def test_each_region_is_nearer_to_its_own_style(weights_dir: Path, tmp_path: Path, halves: list[Path]) -> None:
    styles = ("glass", "waves")
    masks = [part for half in halves for part in ("--content-mask", half)]
    picture = paint(tmp_path / "out.png", "chelsea", styles, *masks, model="vgg19", height=96)
    middle = picture.shape[-1] // 2
    judge = build_encoder("vgg19")
    paintings = [load_picture(example_path(name)).pixels for name in styles]
    for index, region in enumerate((picture[..., : middle - EDGE], picture[..., middle + EDGE :])):
        own, other = (style_distance(judge, region, paintings[i]) for i in (index, 1 - index))
        print(f"{styles[index]}: {own:.4f} from its own style, {other:.4f} from the other's ({other / own:.1f} x)")
        assert other >= 5 * own


def test_a_locked_region_is_written_as_the_resized_content(tmp_path: Path, halves: list[Path]) -> None:
    picture = paint(tmp_path / "out.png", "astronaut", ["oil"], "--lock-mask", halves[0], iterations=20)
    content = resize(load_picture(example_path("astronaut")).pixels, (HEIGHT, HEIGHT))
    written, expected = ((image * 255).round().to(torch.uint8) for image in (picture, content))
    assert written[..., : HEIGHT // 2 - 2].equal(expected[..., : HEIGHT // 2 - 2])
    assert (written != expected)[..., HEIGHT // 2 + 2 :].float().mean() > 0.9


def seam_and_inside(image: Tensor) -> list[tuple[float, Tensor]]:
    """For both axes the mean absolute step across the wrap, and those between all neighboring lines inside."""
    steps = [
        (image.roll(-1, axis) - image).abs().mean(dim=[other for other in (-4, -3, -2, -1) if other != axis])
        for axis in (-1, -2)
    ]
    return [(lines[-1].item(), lines[:-1]) for lines in steps]


def test_the_seam_of_a_tile_is_no_larger_than_what_is_inside(tmp_path: Path) -> None:
    picture = paint(tmp_path / "tile.png", "coffee", ["glass"], "--tileable")
    for axis, (seam, inside) in zip("xy", seam_and_inside(picture), strict=True):
        print(f"{axis}: seam {seam:.4f}, inside mean {inside.mean():.4f}, 95 % {inside.quantile(0.95):.4f}")
        assert seam <= inside.quantile(0.95)


def test_a_picture_with_masks_is_painted_again(tmp_path: Path, halves: list[Path]) -> None:
    masks = ["--content-mask", halves[0], "--content-mask", halves[1], "--lock-mask", halves[1]]
    first = paint(tmp_path / "first.png", "coffee", ["waves", "mosaic"], *masks, iterations=12)
    assert again(tmp_path / "first.png", "coffee", ["waves", "mosaic"]).equal(first)


def test_a_steered_run_is_painted_again(tmp_path: Path) -> None:
    control = impasto.Control()

    def steer(event: Progress) -> None:
        if event.iteration == 5:
            control.change(strength=80)
        if event.iteration == 9:
            control.change(tv_weight=0, total_iterations=16)

    def steered(path: Path, **reins: Any) -> Tensor:
        result = impasto.stylize(
            example_path("coffee"), example_path("glass"),
            look="classic", model="compact", height=HEIGHT, total_iterations=12,
            execution=impasto.Execution(threads=1), **reins,
        )  # fmt: skip
        impasto.save_picture(result.image, path, source=result.content, recipe_json=result.provenance())
        return load_picture(path).pixels

    first = steered(tmp_path / "first.png", control=control, on_progress=steer)
    assert again(tmp_path / "first.png", "coffee", ["glass"]).equal(first)
    assert not steered(tmp_path / "plain.png").equal(first)


def again(picture: Path, content: str, styles: Sequence[str]) -> Tensor:
    """What ``impasto rerun`` makes of a picture, whose masks lie beside it."""
    out = picture.with_name("again.png")
    named = [part for style in styles for part in ("--style-image-path", str(example_path(style)))]
    options = ["--content-image-path", str(example_path(content)), *named, "--threads", "1", "--quiet"]
    assert main(["rerun", str(picture), *options, "--saving-interval", "0", "-o", str(out)]) == 0
    return load_picture(out).pixels
