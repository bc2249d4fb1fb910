"""How far a compact encoder is from VGG19: ``python -m benchmarks.evaluate [FILE ...] [--judges]``.

Three figures a layer, on pictures that no training saw:

- features: ‖H f − F‖² / ‖F‖², summed over crops (the projection H included);
- gram: ‖H G Hᵀ − G_F‖² / ‖G_F‖², mean over crops;
- gradient: the cosine between the two networks' gradients, with respect to the pixels, of the distance to another
  picture (of Gram matrices; of features at relu4_2), median over half-way pictures (of every third crop).
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from training.agreement import gram
from training.networks import LAYERS, load_teacher
from training.pictures import judges, validation_pictures

from impasto.encoders import vgg
from impasto.encoders.base import Encoder
from impasto.encoders.compact import WEIGHTS, Compact, load_compact
from impasto.encoders.vgg import VGG

CROP_SIZE = 224
STYLE_LAYERS = tuple(vgg.STYLE_LAYERS["vgg19"])
(CONTENT_LAYER,) = vgg.CONTENT_LAYERS["vgg19"]


def held_out_crops(pictures: Sequence[Tensor], size: int = CROP_SIZE) -> Tensor:
    """Of each picture the center at half its resolution and two corners at full; shape (3 · N, 3, size, size)."""
    crops = []
    for picture in pictures:
        _, height, width = picture.shape
        small = F.interpolate(picture[None], scale_factor=size / min(height, width), mode="bilinear", antialias=True)[0]
        top, left = (small.shape[1] - size) // 2, (small.shape[2] - size) // 2
        crops.append(small[:, top : top + size, left : left + size])
        crops += [picture[:, :size, :size], picture[:, -size:, -size:]]
    return torch.stack(crops)


def full_features(encoder: Encoder, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Features in VGG19's channels, whichever encoder made them."""
    features = encoder(image, layers)
    if not isinstance(encoder, Compact):
        return features
    return {layer: apply_head(encoder.full_projection(layer), x) for layer, x in features.items()}


def apply_head(projection: Tensor, features: Tensor) -> Tensor:
    """The affine map of a projection on feature maps (B, C, H, W)."""
    return F.conv2d(features, projection[:, :-1, None, None], projection[:, -1])


@torch.no_grad()
def feature_errors(student: Encoder, teacher: VGG, crops: Tensor) -> dict[str, dict[str, float]]:
    """Relative squared errors of features and of Gram matrices by layer."""
    error = dict.fromkeys(LAYERS, 0.0)
    energy = dict.fromkeys(LAYERS, 0.0)
    gram_error = dict.fromkeys(LAYERS, 0.0)
    for crop in crops.split(1):
        wide, narrow = teacher(crop, LAYERS), full_features(student, crop, LAYERS)
        for layer in LAYERS:
            error[layer] += float((wide[layer] - narrow[layer]).square().sum())
            energy[layer] += float(wide[layer].square().sum())
            target = gram(wide[layer])
            gram_error[layer] += float((gram(narrow[layer]) - target).square().sum() / target.square().sum()) / len(
                crops
            )
    return {layer: {"features": error[layer] / energy[layer], "gram": gram_error[layer]} for layer in LAYERS}


def gradient_cosines(student: Encoder, teacher: VGG, crops: Tensor) -> dict[str, float]:
    """Cosines between both networks' pixel gradients, by layer, on pictures half-way to the next one."""
    generator = torch.Generator().manual_seed(0)
    cosines: dict[str, list[float]] = {layer: [] for layer in (*STYLE_LAYERS, CONTENT_LAYER)}
    for index, crop in enumerate(crops.split(1)):
        other = crops[[(index + 4) % len(crops)]]
        noise = 0.05 * torch.randn(crop.shape, generator=generator)
        image = (torch.lerp(crop, other, (index % 3) / 4) + noise).clamp(0, 1)
        sides = [_gradients(encoder, image, crop, other) for encoder in (student, teacher)]
        for layer in cosines:
            cosines[layer].append(float(F.cosine_similarity(*(side[layer].flatten() for side in sides), dim=0)))
    return {layer: float(torch.tensor(values).median()) for layer, values in cosines.items()}


def _gradients(encoder: Encoder, image: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
    image = image.clone().requires_grad_()
    features = full_features(encoder, image, (*STYLE_LAYERS, CONTENT_LAYER))
    with torch.no_grad():
        targets = full_features(encoder, style, STYLE_LAYERS)
        targets |= full_features(encoder, content, [CONTENT_LAYER])
    losses = {layer: (gram(features[layer]) - gram(targets[layer])).square().sum() for layer in STYLE_LAYERS}
    losses[CONTENT_LAYER] = (features[CONTENT_LAYER] - targets[CONTENT_LAYER]).square().sum()
    return {k: torch.autograd.grad(loss, image, retain_graph=True)[0] for k, loss in losses.items()}


def evaluate(student: Encoder, teacher: VGG, crops: Tensor) -> dict[str, dict[str, float]]:
    """All figures by layer."""
    figures = feature_errors(student, teacher, crops)
    for layer, cosine in gradient_cosines(student, teacher, crops[::3]).items():
        figures[layer]["gradient"] = cosine
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    """The figures as lines of text."""
    lines = ["layer    features    gram  gradient"]
    for layer, row in figures.items():
        cosine = f"{row['gradient']:9.3f}" if "gradient" in row else ""
        lines.append(f"{layer} {row['features']:9.3f} {row['gram']:7.4f} {cosine}")
    return "\n".join(lines)


def main() -> None:
    """Reads the command line and prints a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=[WEIGHTS])
    parser.add_argument("--judges", action="store_true", help="the judging pictures, not those that choose variants")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    crops = held_out_crops(list((judges() if arguments.judges else validation_pictures()).values()))
    teacher = load_teacher()
    results = {}
    for path in arguments.files:
        results[path.name] = evaluate(load_compact(path=path, sha256=None), teacher, crops)
        print(f"{path}\n{table(results[path.name])}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
