"""Computes a narrow VGG19 in closed form: ``python -m training.closed_form --out work/closed_form.safetensors``.

Layer by layer: keep the channels from which VGG19's others are best recovered, and solve their weights by ridge least
squares from the narrow network's *own* inputs to VGG19's pre-activations, so that later layers mend what earlier ones
lack. A head for each layer, by least squares, leads back to VGG19's channels. No gradient, minutes on two cores.
"""

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from training.networks import LAYERS, augment, load_teacher, patches, ridge, save_compact, select_channels
from training.pictures import Crops

from impasto.encoders.vgg import VGG

logger = logging.getLogger(__name__)

DEFAULT_WIDTHS = (24, 48, 96, 192, 192)
CROP_SIZE = 224
BATCH = 4


@torch.inference_mode()
def solve(
    teacher: VGG, crops: Sequence[Tensor], widths: Sequence[int], *, ridge_strength: float = 1e-4
) -> dict[str, Tensor]:
    """The narrow network's weights, biases and heads by layer, as float16 would round them.

    Args:
        teacher: VGG19.
        crops: Batches of pictures of shape (B, 3, H, W) in [0, 1].
        widths: Channels of each block.
        ridge_strength: See `training.networks.ridge`.
    """
    state: dict[str, Tensor] = {}
    wide = [(batch - teacher.mean) / teacher.std for batch in crops]
    narrow = list(wide)
    stride = 1
    for layer in LAYERS:
        start = time.monotonic()
        if teacher.layers[layer].stride > stride:
            wide = [F.max_pool2d(x.float(), 2).half() for x in wide]
            narrow = [F.max_pool2d(x.float(), 2).half() for x in narrow]
            stride *= 2
        wide, weight, bias = _solve_convolution(teacher, layer, wide, narrow, widths[int(layer[4]) - 1], ridge_strength)
        narrow = [F.conv2d(x.float(), weight, bias, padding=1).relu_() for x in narrow]
        # Channels of unit root mean square: a positive factor passes ReLU and pooling, and suits float16.
        scale = torch.stack([x.square().mean((0, 2, 3)) for x in narrow]).mean(0).clamp_min(1e-6).rsqrt()
        weight, bias = (weight * scale[:, None, None, None]).half().float(), (bias * scale).half().float()
        narrow = [x.mul_(scale[:, None, None]).half() for x in narrow]
        head, error = _solve_head(wide, narrow, ridge_strength)
        state |= {f"{layer}.weight": weight, f"{layer}.bias": bias, f"{layer}.head": head.half().float()}
        logger.info(
            "%s: relative error %.3f on the crops it learnt from, %.1f s", layer, error, time.monotonic() - start
        )
    return state


def _solve_convolution(
    teacher: VGG, layer: str, wide: list[Tensor], narrow: list[Tensor], width: int, ridge_strength: float
) -> tuple[list[Tensor], Tensor, Tensor]:
    """VGG19's activations at this layer, and the narrow network's weight and bias for it."""
    outputs, channel_moments = [], torch.zeros(())
    moments = cross = torch.zeros((), dtype=torch.float64)
    for x, own in zip(wide, narrow, strict=True):
        target = teacher.convs[layer](x.float())
        rows = patches(own.float())
        moments = moments + (rows.T @ rows).double()
        cross = cross + (rows.T @ target.permute(0, 2, 3, 1).flatten(0, 2)).double()
        features = target.relu_().transpose(0, 1).flatten(1)
        channel_moments = channel_moments + (features @ features.T).double()
        outputs.append(target.half())
    picked = select_channels(channel_moments, width)
    solution = ridge(moments, cross[:, picked], ridge_strength).float()
    return outputs, solution[:, :-1].unflatten(1, (-1, 3, 3)), solution[:, -1]


def _solve_head(wide: list[Tensor], narrow: list[Tensor], ridge_strength: float) -> tuple[Tensor, float]:
    """The affine map from the narrow features to the wide ones, and its relative squared error."""
    moments = cross = torch.zeros((), dtype=torch.float64)
    energy = 0.0
    for x, own in zip(wide, narrow, strict=True):
        rows, target = augment(own.float()), x.float().permute(0, 2, 3, 1).flatten(0, 2)
        moments = moments + (rows.T @ rows).double()
        cross = cross + (rows.T @ target).double()
        energy += float(target.double().square().sum())
    head = ridge(moments, cross, ridge_strength)
    error = energy - 2 * float((head.T * cross).sum()) + float(((head @ moments) * head).sum())
    return head.float(), error / energy


def main() -> None:
    """Reads the command line, solves and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--widths", default=",".join(map(str, DEFAULT_WIDTHS)), help="channels of each block")
    parser.add_argument("--num-crops", type=int, default=320)
    parser.add_argument("--ridge", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    widths = [int(width) for width in arguments.widths.split(",")]
    stream = Crops(CROP_SIZE, arguments.seed)
    crops = [torch.stack([stream.draw() for _ in range(BATCH)]) for _ in range(arguments.num_crops // BATCH)]
    state = solve(load_teacher(), crops, widths, ridge_strength=arguments.ridge)
    command = (
        f"python -m training.closed_form --widths {arguments.widths} --num-crops {arguments.num_crops} "
        f"--ridge {arguments.ridge:g} --seed {arguments.seed}"
    )
    digest = save_compact(state, arguments.out, command)
    logger.info("%s: %.2f MB, SHA-256 %s", arguments.out, arguments.out.stat().st_size / 1e6, digest)


if __name__ == "__main__":
    main()
