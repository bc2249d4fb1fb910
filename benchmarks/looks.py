"""Figures of looks: phantoms, contours, style, colors. ``python -m benchmarks.looks FOLDER``.

Reads what ``python -m benchmarks.preference paint FOLDER`` painted (needs $IMPASTO_IMAGES_DIR, $IMPASTO_WEIGHTS_DIR):

- *phantoms*: what appears where the photograph is calm: energy of the luma between 4 and 16 pixels in the calmest 40 %
  of the photograph, beyond the photograph's own there, over that of the painting as a whole.
- *contours*: how well they are kept: the cosine of the gradients' directions, without sign, at the strongest tenth of
  the photograph's edges; 1 is kept, 0.64 is chance.
- *style*: mean relative squared distance of VGG19's Gram matrices at relu1_1, relu2_1, relu3_1.
- *contrast*, *saturation*: deviation of the luma, and mean chroma in Oklab, over the painting's.
"""

import argparse
import json
import math
import os
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from benchmarks.harness import environment
from torch import Tensor

from impasto import load_picture
from impasto.encoders import Encoder, build_encoder
from impasto.images import resize
from impasto.images.color_spaces import luma, srgb_to_oklab
from impasto.losses import gram_loss, gram_matrix
from impasto.pipeline.level_images import style_size

CALM, STRONG = 0.4, 0.1
FINEST, COARSEST = 4, 16
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1")


def phantoms(picture: Tensor, content: Tensor, style: Tensor) -> float:
    """New energy of middle frequencies where the content is calm, over the style's; pictures of shape (1, 3, H, W)."""
    activity = _blurred(_band(content).square() + _gradient(content).square().sum(1, keepdim=True), COARSEST)
    calm = activity <= activity.flatten().kthvalue(max(1, int(CALM * activity.numel()))).values
    new = _band(picture)[calm].square().mean() - _band(content)[calm].square().mean()
    return max(0.0, new.item()) / _band(style).square().mean().item()


def contours(picture: Tensor, content: Tensor) -> float:
    """Mean |cosine| of the gradients of both where the content's are strongest."""
    wanted, found = (_gradient(_blurred(image, 2)) for image in (content, picture))
    strength = wanted.norm(dim=1).flatten()
    strong = strength >= strength.kthvalue(max(1, int((1 - STRONG) * strength.numel()))).values
    cosines = F.cosine_similarity(wanted, found, dim=1).flatten().abs()
    return cosines[strong].mean().item()


def style_distance(judge: Encoder, picture: Tensor, style: Tensor) -> float:
    """Of the fine layers, by VGG19's Gram matrices."""
    size = style_size((style.shape[-2], style.shape[-1]), (picture.shape[-2], picture.shape[-1]))
    own, wanted = (judge(image, STYLE_LAYERS) for image in (picture, resize(style, size)))
    return statistics.mean(gram_loss(gram_matrix(own[k]), gram_matrix(wanted[k])).item() for k in STYLE_LAYERS)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(2 * sigma)
    places = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-places.square() / (2 * sigma**2)).to(image)
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1)
    padded = F.pad(image, (radius,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel[:, :, None, :], groups=image.shape[1])
    return F.conv2d(across, kernel[:, :, :, None], groups=image.shape[1])


def _band(image: Tensor) -> Tensor:
    brightness = luma(image)
    return _blurred(brightness, FINEST / 2) - _blurred(brightness, COARSEST / 2)


def _gradient(image: Tensor) -> Tensor:
    brightness = F.pad(luma(image), (1, 1, 1, 1), mode="replicate")
    across = brightness[..., 1:-1, 2:] - brightness[..., 1:-1, :-2]
    down = brightness[..., 2:, 1:-1] - brightness[..., :-2, 1:-1]
    return torch.cat([across, down], dim=1) / 2


def _chroma(image: Tensor) -> float:
    return srgb_to_oklab(image)[:, 1:].norm(dim=1).mean().item()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "looks.json")
    arguments = parser.parse_args()
    images, judge = Path(os.environ["IMPASTO_IMAGES_DIR"]), build_encoder("vgg19", precision="float32")
    rows = []
    for file in sorted(arguments.folder.glob("*-*/*.png")):
        if file.parent.name == "sheets":
            continue
        content_name, _, style_name = file.parent.name.partition("-")
        picture = load_picture(file).pixels
        size = (picture.shape[-2], picture.shape[-1])
        content = resize(load_picture(images / "content" / f"{content_name}.jpg").pixels, size)
        style = load_picture(images / "style" / f"{style_name}.jpg").pixels
        style = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
        row = {
            "pair": file.parent.name,
            "look": file.stem,
            "phantoms": phantoms(picture, content, style),
            "contours": contours(picture, content),
            "style": style_distance(judge, picture, style),
            "contrast": (luma(picture).std() / luma(style).std()).item(),
            "saturation": _chroma(picture) / _chroma(style),
        }
        rows.append(row)
    names = sorted({row["look"] for row in rows})
    figures = ("phantoms", "contours", "style", "contrast", "saturation")
    medians = {
        name: {k: round(statistics.median(row[k] for row in rows if row["look"] == name), 4) for k in figures}
        for name in names
    }
    for name in names:
        print(f"{name:12}", " ".join(f"{k} {value:.3f}" for k, value in medians[name].items()))
    report = {
        "command": f"python -m benchmarks.looks {arguments.folder}", "environment": environment(), "medians": medians,
        "rows": rows,
    }  # fmt: skip
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
