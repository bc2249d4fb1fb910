"""Kept colors, measured: ``python -m benchmarks.color --contents DIR --styles DIR [--pairs kodim01:wave,…]``.

Each pair is painted in every mode and judged on the written 8-bit file, by the run's own encoder and by VGG19: how far
its colors are from the content's, and how near its brightness comes to the style's. JSON goes to
``benchmarks/results/color_ENCODER.json``.
"""

import argparse
import json
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import torch
from torch import Tensor

from impasto import Recipe, build_encoder, load_picture, stylize
from impasto.encoders import Encoder
from impasto.images import resize, save_picture
from impasto.images.color_spaces import luma, srgb_to_oklab
from impasto.losses import gram_loss, gram_matrix
from impasto.pipeline.color_preservation import match_luma
from impasto.pipeline.level_images import style_size

MODES = get_args(Recipe.model_fields["preserve_color"].annotation)


def chroma_error(image: Tensor, content: Tensor) -> float:
    """Mean of |Δa| and |Δb| in OKLab over all pixels, of two pictures of shape (1, 3, H, W)."""
    difference = srgb_to_oklab(image) - srgb_to_oklab(content)
    return difference[:, 1:].abs().mean().item()


def gray_distance(encoder: Encoder, brightness: Tensor, target: Tensor) -> float:
    """Mean over the style layers of ‖G − T‖² / ‖T‖², the Gram matrices of two lumas of shape (1, 1, H, W)."""
    layers = list(encoder.style_layers)
    with torch.no_grad():
        own, wanted = (encoder(gray.expand(1, 3, *gray.shape[-2:]), layers) for gray in (brightness, target))
        return fmean(gram_loss(gram_matrix(own[k]), gram_matrix(wanted[k])).item() for k in layers)


def measure(painted: Tensor, content: Tensor, style: Tensor, judges: Mapping[str, Encoder]) -> dict[str, float]:
    """Judges a painted picture.

    Args:
        painted: Shape (1, 3, H, W), as read from its file.
        content: Shape (1, 3, ?, ?).
        style: Shape (1, 3, ?, ?).
        judges: Encoders by name.

    Returns:
        ``chroma_error``; for each judge the distance of the picture's luma from the style's as a share of the
        content's own: ``JUDGE`` from the style's luma as it is, ``JUDGE_matched`` from it at the content's mean and
        deviation, which is what the luminance mode aims at.
    """
    before = resize(content, (painted.shape[-2], painted.shape[-1]))
    target = luma(resize(style, style_size((style.shape[-2], style.shape[-1]), (painted.shape[-2], painted.shape[-1]))))
    targets = {"": target, "_matched": match_luma(target, luma(before)).clamp(0, 1)}
    shares = {
        judge + suffix: gray_distance(encoder, luma(painted), goal) / gray_distance(encoder, luma(before), goal)
        for judge, encoder in judges.items()
        for suffix, goal in targets.items()
    }
    return {"chroma_error": chroma_error(painted, before), **shares}


def survey(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Every pair in every mode."""
    encoder = build_encoder(arguments.model)
    judges = {arguments.model: encoder, "vgg19": build_encoder("vgg19", precision="float32")}
    pairs = [pair.split(":") for pair in arguments.pairs.split(",")]
    rows = []
    for (content, style), mode in ((pair, mode) for pair in pairs for mode in arguments.modes):
        recipe = Recipe(
            look="classic",
            model=arguments.model,
            preserve_color=mode,
            total_iterations=arguments.iterations,
            height=arguments.height,
        )
        paths = _picture(arguments.contents, content), _picture(arguments.styles, style)
        result = stylize(*paths, recipe, encoder=encoder)
        with tempfile.TemporaryDirectory() as folder:
            file = (arguments.keep or Path(folder)) / f"{content}-{style}-{mode}.png"
            save_picture(result.image, file)
            painted = load_picture(file).pixels
        figures = measure(painted, result.inputs.content.pixels, result.inputs.styles[0].pixels, judges)
        rows.append({"content": content, "style": style, "mode": mode, **figures})
        print(content, style, f"{mode:10}", *(f"{name} {value:.4f}" for name, value in figures.items()), flush=True)
    return rows


def _picture(folder: Path, stem: str) -> Path:
    return next(folder.glob(f"{stem}.*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contents", type=Path, required=True, help="folder of the content images")
    parser.add_argument("--styles", type=Path, required=True, help="folder of the style images")
    parser.add_argument(
        "--pairs", default="kodim20:starry_night,kodim23:starry_night,kodim19:shipwreck,kodim24:shipwreck"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--model", default="compact")
    parser.add_argument("--height", type=int, default=160)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--keep", type=Path, help="folder that keeps the pictures")
    arguments = parser.parse_args()
    rows = survey(arguments)
    figures = [name for name, value in rows[0].items() if isinstance(value, float)]
    worst = {
        mode: {name: max(row[name] for row in rows if row["mode"] == mode) for name in figures}
        for mode in arguments.modes
    }
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    document = {
        "model": arguments.model, "height": arguments.height,
        "iterations": arguments.iterations, "worst": worst, "rows": rows, "commit": commit,
        "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip
    out = Path(__file__).parent / "results" / f"color_{arguments.model}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"worst: {json.dumps(worst, indent=1)}\nkept in {out}")


if __name__ == "__main__":
    main()
