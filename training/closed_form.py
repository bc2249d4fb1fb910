"""Computes a narrow VGG19 in closed form: ``python -m training.closed_form --out work/closed_form.safetensors``.

Layer by layer: keep the channels from which VGG19's others are best recovered, and solve their weights by ridge least
squares from the narrow network's *own* inputs to VGG19's pre-activations, so that later layers mend what earlier ones
lack. A head for each layer, by least squares, leads back to VGG19's channels. No gradient, minutes on two cores.
"""

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import EllipsisType

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from training.networks import LAYERS, augment, load_teacher, patches, ridge, save_compact, select_channels
from training.pictures import Crops

from impasto.encoders.vgg import VGG

logger = logging.getLogger(__name__)

DEFAULT_WIDTHS = (16, 16, 48, 48, 80, 80, 80, 80, 192, 192, 208, 256, 384)
CROP_SIZE = 192
BATCH = 4
WINDOW = 32
"""Edge of the square of positions that a crop gives to the equations of one layer: early layers have too many."""

ROUNDS, OVERSHOOT = 3, 1.7
"""Of the iteration towards one-sided least squares; below 2 it converges, and more rounds gain nothing."""

SHARES = (0.4, 0.4, 0.4, 1.0, 1.0)
"""Of the crops that each block is solved on: early blocks have positions in plenty, late ones many more unknowns."""

Kernels = Mapping[str, tuple[Tensor, Tensor]]


@torch.inference_mode()
def solve(
    teacher: VGG, crops: Sequence[Tensor], widths: Sequence[int], *, ridge_strength: float = 1e-3
) -> dict[str, Tensor]:
    """The narrow network's weights, biases and heads by layer, as float16 would round them.

    Args:
        teacher: VGG19.
        crops: Batches of pictures of shape (B, 3, H, W) in [0, 1].
        widths: Channels of each of `LAYERS`.
        ridge_strength: See `training.networks.ridge`.
    """
    state: dict[str, Tensor] = {}
    solved: dict[str, tuple[Tensor, Tensor]] = {}
    teaching = {layer: (teacher.convs[layer].weight, teacher.convs[layer].bias) for layer in LAYERS}
    inputs = [(batch - teacher.mean) / teacher.std for batch in crops]
    wide: list[Tensor] = []
    narrow: list[Tensor] = []
    for layer, previous, width in zip(LAYERS, ("", *LAYERS[:-1]), widths, strict=True):
        start, block = time.monotonic(), int(layer[4]) - 1
        new = inputs[len(wide) : round(SHARES[block] * len(inputs))]
        wide = [*wide, *(_run(teaching, x, previous) for x in new)]
        narrow = [*narrow, *(_run(solved, x, previous) for x in new)]
        if previous and previous[4] != layer[4]:
            wide, narrow = ([F.max_pool2d(x.float(), 2).half() for x in side] for side in (wide, narrow))
        wide, weight, bias = _solve_convolution(teacher, layer, wide, narrow, width, ridge_strength)
        narrow = [F.conv2d(x.float(), weight, bias, padding=1).relu_() for x in narrow]
        # Channels of unit root mean square: a positive factor passes ReLU and pooling, and suits float16.
        scale = torch.stack([x.square().mean((0, 2, 3)) for x in narrow]).mean(0).clamp_min(1e-6).rsqrt()
        weight, bias = (weight * scale[:, None, None, None]).half().float(), (bias * scale).half().float()
        narrow = [x.mul_(scale[:, None, None]).half() for x in narrow]
        head, error = _solve_head(wide, narrow, ridge_strength)
        state |= {f"{layer}.weight": weight, f"{layer}.bias": bias, f"{layer}.head": head.half().float()}
        solved[layer] = weight, bias
        logger.info("%s: error %.3f on the crops it learnt from, %.1f s", layer, error, time.monotonic() - start)
    return state


def _run(kernels: Kernels, x: Tensor, last: str) -> Tensor:
    """The activations of a network at a layer; the input itself if it is ``""``."""
    if not last:
        return x
    for layer, (weight, bias) in kernels.items():
        if layer.endswith("_1") and layer != LAYERS[0]:
            x = F.max_pool2d(x, 2)
        x = F.conv2d(x, weight, bias, padding=1).relu_()
        if layer == last:
            break
    return x.half()


def _solve_convolution(
    teacher: VGG, layer: str, wide: list[Tensor], narrow: list[Tensor], width: int, ridge_strength: float
) -> tuple[list[Tensor], Tensor, Tensor]:
    """VGG19's activations at this layer, and the narrow network's weight and bias for it."""
    outputs, targets, channel_moments = [], [], torch.zeros(())
    moments = torch.zeros((), dtype=torch.float64)
    convolution = teacher.convs[layer]
    for index, (x, own) in enumerate(zip(wide, narrow, strict=True)):
        target = convolution(x.float())
        rows = _rows(index, own)
        moments = moments + (rows.T @ rows).double()
        seen = target[_window(index, target)].permute(0, 2, 3, 1).flatten(0, 2)
        targets.append(seen.half())
        seen = seen.clamp_min(0)
        channel_moments = channel_moments + (seen.T @ seen).double()
        outputs.append(target.relu_().half())
    picked = select_channels(channel_moments, width)
    targets = [target[:, picked] for target in targets]
    solution = _solve_one_sided(narrow, targets, moments, ridge_strength)
    return outputs, solution[:, :-1].unflatten(1, (-1, 3, 3)), solution[:, -1]


def _solve_one_sided(
    narrow: Sequence[Tensor], targets: Sequence[Tensor], moments: Tensor, ridge_strength: float
) -> Tensor:
    """Ridge least squares to pre-activations, of which only the positive part counts.

    Where the target is negative, ReLU makes any negative answer a perfect one. That error is convex; each round
    solves the least squares that touches it from above, with the same normal matrix, and goes a bit further.

    Returns:
        Weights and bias, shape (K, 9 C + 1), float32.
    """
    solution = torch.zeros(targets[0].shape[1], len(moments))
    for round_index in range(ROUNDS):
        cross = torch.zeros((), dtype=torch.float64)
        for index, (own, half) in enumerate(zip(narrow, targets, strict=True)):
            rows, target = _rows(index, own), half.float()
            if round_index:
                answer = rows @ solution.T
                target = answer + OVERSHOOT * (torch.where(target > 0, target, answer.clamp_max(0)) - answer)
            cross = cross + (rows.T @ target).double()
        solution = ridge(moments, cross, ridge_strength).float()
    return solution


def _rows(index: int, features: Tensor) -> Tensor:
    return patches(features.float(), *_window(index, features)[1:])


def _window(index: int, features: Tensor) -> tuple[EllipsisType, slice, slice]:
    """The positions that the batch of this index gives: a square in a corner or in the centre, in turn."""
    height, width = (max(0, edge - WINDOW) for edge in features.shape[2:])
    places = ((0, 0), (height, width), (height // 2, width // 2), (0, width), (height, 0))
    top, left = places[index % len(places)]
    return ..., slice(top, top + WINDOW), slice(left, left + WINDOW)


def _solve_head(wide: list[Tensor], narrow: list[Tensor], ridge_strength: float) -> tuple[Tensor, float]:
    """The affine map from the narrow features to the wide ones, and its relative squared error."""
    moments = cross = torch.zeros((), dtype=torch.float64)
    energy = 0.0
    for index, (x, own) in enumerate(zip(wide, narrow, strict=True)):
        window = _window(index, x)
        rows, target = augment(own[window].float()), x[window].float().permute(0, 2, 3, 1).flatten(0, 2)
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
    parser.add_argument("--widths", default=",".join(map(str, DEFAULT_WIDTHS)), help="channels of each layer")
    parser.add_argument("--num-crops", type=int, default=360)
    parser.add_argument("--ridge", type=float, default=1e-3)
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
