"""Computes a compact VGG19 in closed form: ``python -m training.closed_form --out work/closed_form.safetensors``.

Layer by layer, by ridge least squares from the network's *own* inputs to VGG19's pre-activations, so that later layers
mend what earlier ones lack. A narrow layer keeps the channels from which VGG19's others are best recovered, and a
projection, by least squares, leads back to all of them; a low-rank layer has all channels and weights of low rank. No
gradient, minutes on two cores.

``--given`` takes the narrow layers from a trained file, and ``--visited`` solves the factored ones on the pictures that
the optimizer visited as well: what distillation does step by step, for the layers that it does worse.
"""

import argparse
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import EllipsisType

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file
from torch import Tensor
from training import visits
from training.estimates import add_estimates
from training.networks import LAYERS, augment, load_teacher, patches, ridge, save_compact, select_channels
from training.pictures import Crops

from impasto.encoders.vgg import VGG

logger = logging.getLogger(__name__)

Shape = int | tuple[int, int]
"""A layer's channels; or, of a `LowRankConv` with all of VGG19's, how many it squeezes its input to, and its rank."""

DEFAULT_SHAPES: tuple[Shape, ...] = (
    *(16, 16, 48, 48, 80, 80, 64, 80, 192),
    *((0, 128), (160, 128), (208, 160), (320, 256)),
)
CROP_SIZE = 192
BATCH = 4
WINDOW = 32
"""Edge of the square of positions that a crop gives to the equations of one layer: early layers have too many."""

ROUNDS, OVERSHOOT = 3, 1.7
"""Of the iteration toward one-sided least squares; below 2 it converges, and more rounds gain nothing."""

SHARES = (0.4, 0.4, 0.4, 1.0, 1.0)
"""Of the crops that each block is solved on: early blocks have positions in plenty, late ones many more unknowns."""

Kernel = Callable[[Tensor], Tensor]
"""A convolution, padded with zeros, before its ReLU."""


@torch.inference_mode()
def solve(
    teacher: VGG,
    crops: Sequence[Tensor],
    shapes: Sequence[Shape],
    *,
    given: Mapping[str, Tensor] | None = None,
    ridge_strength: float = 1e-3,
) -> dict[str, Tensor]:
    """The compact network's weights by layer under the file's names, as float16 would round them.

    Args:
        teacher: VGG19.
        crops: Batches of pictures of shape (B, 3, H, W) in [0, 1].
        shapes: Of each of `LAYERS`.
        given: Narrow layers that are solved already.
        ridge_strength: See `training.networks.ridge`.
    """
    state: dict[str, Tensor] = {}
    solved: dict[str, Kernel] = {}
    given = given or {}
    teaching: dict[str, Kernel] = {layer: teacher.convs[layer] for layer in LAYERS}
    inputs = [(batch - teacher.mean) / teacher.std for batch in crops]
    wide: list[Tensor] = []
    narrow: list[Tensor] = []
    for layer, previous, shape in zip(LAYERS, ("", *LAYERS[:-1]), shapes, strict=True):
        start, block = time.monotonic(), int(layer[4]) - 1
        new = inputs[len(wide) : round(SHARES[block] * len(inputs))]
        wide = [*wide, *(_run(teaching, x, previous) for x in new)]
        narrow = [*narrow, *(_run(solved, x, previous) for x in new)]
        if previous and previous[4] != layer[4]:
            wide, narrow = ([F.max_pool2d(x.float(), 2).half() for x in side] for side in (wide, narrow))
        if f"{layer}.head" in given:
            state |= {
                name: given[name].float() for kind in ("weight", "bias", "projection") for name in [f"{layer}.{kind}"]
            }
            solved[layer] = _kernel(state, layer)
            wide, narrow = (
                [kernel(x.float()).relu_().half() for x in side]
                for side, kernel in ((wide, teaching[layer]), (narrow, solved[layer]))
            )
            continue
        if isinstance(shape, int):
            wide, weight, bias = _solve_convolution(teacher, layer, wide, narrow, shape, ridge_strength)
            narrow = [F.conv2d(x.float(), weight, bias, padding=1).relu_() for x in narrow]
            # Channels of unit root mean square: a positive factor passes ReLU and pooling, and suits float16.
            scale = torch.stack([x.square().mean((0, 2, 3)) for x in narrow]).mean(0).clamp_min(1e-6).rsqrt()
            weight, bias = (weight * scale[:, None, None, None]).half().float(), (bias * scale).half().float()
            narrow = [x.mul_(scale[:, None, None]).half() for x in narrow]
            projection, error = _solve_head(wide, narrow, ridge_strength)
            state |= {f"{layer}.weight": weight, f"{layer}.bias": bias, f"{layer}.head": projection.half().float()}
            solved[layer] = _kernel(state, layer)
        else:
            wide, factors = _solve_factors(teacher, layer, wide, narrow, shape, ridge_strength)
            state |= {f"{layer}.{name}": tensor.half().float() for name, tensor in factors.items()}
            solved[layer] = _kernel(state, layer)
            narrow = [solved[layer](x.float()).relu_().half() for x in narrow]
            error = float(
                sum((a.float() - b.float()).square().sum() for a, b in zip(narrow, wide, strict=True))
                / sum(x.float().square().sum() for x in wide)
            )
        logger.info("%s: error %.3f on the crops it learnt from, %.1f s", layer, error, time.monotonic() - start)
    return state


def _kernel(state: Mapping[str, Tensor], layer: str) -> Kernel:
    """A layer's convolution, of either form."""
    weight, bias = state[f"{layer}.weight"], state[f"{layer}.bias"]
    if (expand := state.get(f"{layer}.expand")) is None:
        return lambda x: F.conv2d(x, weight, bias, padding=1)
    squeeze = state.get(f"{layer}.squeeze")
    return lambda x: F.conv2d(
        F.conv2d(x if squeeze is None else F.conv2d(x, squeeze[:, :, None, None]), weight, padding=1),
        expand[:, :, None, None],
        bias,
    )


def _run(kernels: Mapping[str, Kernel], x: Tensor, last: str) -> Tensor:
    """The activations of a network at a layer; the input itself if it is ``""``."""
    if not last:
        return x
    for layer, kernel in kernels.items():
        if layer.endswith("_1") and layer != LAYERS[0]:
            x = F.max_pool2d(x, 2)
        x = kernel(x).relu_()
        if layer == last:
            break
    return x.half()


def _equations(
    convolution: Kernel, wide: Sequence[Tensor], narrow: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """VGG19's activations; its pre-activations where `sampled_rows` looks; and the moments of the own inputs."""
    outputs, targets = [], []
    moments = torch.zeros((), dtype=torch.float64)
    for index, (x, own) in enumerate(zip(wide, narrow, strict=True)):
        target = convolution(x.float())
        rows = sampled_rows(index, own)
        moments = moments + (rows.T @ rows).double()
        targets.append(target[_window(index, target)].permute(0, 2, 3, 1).flatten(0, 2).half())
        outputs.append(target.relu_().half())
    return outputs, targets, moments


def _solve_convolution(
    teacher: VGG, layer: str, wide: list[Tensor], narrow: list[Tensor], width: int, ridge_strength: float
) -> tuple[list[Tensor], Tensor, Tensor]:
    """VGG19's activations at this layer, and the narrow network's weight and bias for it."""
    outputs, targets, moments = _equations(teacher.convs[layer], wide, narrow)
    active = (target.float().clamp_min(0) for target in targets)
    channel_moments = torch.stack([(rows.T @ rows).double() for rows in active]).sum(0)
    picked = select_channels(channel_moments, width)
    targets = [target[:, picked] for target in targets]
    solution, _ = solve_one_sided(narrow, targets, moments, ridge_strength, rank=width)
    return outputs, solution[:, :-1].unflatten(1, (-1, 3, 3)), solution[:, -1]


def solve_one_sided(
    narrow: Sequence[Tensor], targets: Sequence[Tensor], moments: Tensor, ridge_strength: float, rank: int
) -> tuple[Tensor, Tensor]:
    """Ridge least squares to pre-activations, of which only the positive part counts.

    Where the target is negative, ReLU makes any negative answer a perfect one. That error is convex; each round
    solves the least squares that touches it from above, with the same normal matrix, and goes a bit further.

    Args:
        narrow: The network's own inputs.
        targets: Of the positions that `sampled_rows` takes of each, shape (N, K).
        moments: Of these inputs.
        ridge_strength: See `training.networks.ridge`.
        rank: Of the weights without the biases: reduced-rank regression (Izenman 1975, J. Multivariate Anal. 5).

    Returns:
        Weights and bias, shape (K, 9 C + 1), float32; and an orthonormal basis of their answers, shape (K, rank).
    """
    solution = torch.zeros(targets[0].shape[1], len(moments))
    spread = moments - torch.outer(moments[-1], moments[-1]) / moments[-1, -1]
    for round_index in range(ROUNDS):
        cross = torch.zeros((), dtype=torch.float64)
        for index, (own, half) in enumerate(zip(narrow, targets, strict=True)):
            rows, target = sampled_rows(index, own), half.float()
            if round_index:
                answer = rows @ solution.T
                target = answer + OVERSHOOT * (torch.where(target > 0, target, answer.clamp_max(0)) - answer)
            cross = cross + (rows.T @ target).double()
        full = ridge(moments, cross, ridge_strength)
        basis = torch.linalg.eigh(full @ spread @ full.T).eigenvectors[:, -rank:]
        reduced = basis @ (basis.T @ full)
        reduced[:, -1] = (full - reduced)[:, :-1] @ moments[-1, :-1] / moments[-1, -1] + full[:, -1]  # the mean answer
        solution = reduced.float()
    return solution, basis.float()


def _solve_factors(
    teacher: VGG, layer: str, wide: list[Tensor], narrow: list[Tensor], shape: tuple[int, int], ridge_strength: float
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """VGG19's activations at this layer, and the factors that come closest to them, by name.

    One-sided least squares as in `solve_one_sided`, of the rank that is asked for; then the input is squeezed to the
    directions from which the answers are best recovered.
    """
    squeezed, rank = shape
    outputs, targets, moments = _equations(teacher.convs[layer], wide, narrow)
    solution, basis = solve_one_sided(narrow, targets, moments, ridge_strength, rank)
    weight = (basis.T @ solution[:, :-1]).unflatten(1, (-1, 3, 3))
    factors = {"expand": basis, "bias": solution[:, -1]}
    if squeezed:
        rows = (x.float().permute(0, 2, 3, 1).flatten(0, 2) for x in narrow)
        channels = torch.stack([positions.T @ positions for positions in rows]).sum(0)
        factors["squeeze"], weight = squeezed_kernel(weight, channels, squeezed)
    return outputs, factors | {"weight": weight}


def squeezed_kernel(weight: Tensor, moments: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """A kernel (K, C, 3, 3) in two: few combinations of its input's channels, and the kernel on them.

    Each combination is as large as what the kernel makes of it, so that a change of one counts as much as of another.

    Args:
        weight: The kernel.
        moments: Second moments of the input's channels, up to a factor, shape (C, C).
        count: Of the combinations.
    """
    values, vectors = torch.linalg.eigh(moments.double() / moments.diagonal().mean())
    root = vectors * values.clamp_min(1e-5).sqrt() @ vectors.T
    weighted = torch.einsum("kcij,cd->kdij", weight.double(), root)
    values, vectors = torch.linalg.eigh(torch.einsum("kcij,kdij->cd", weighted, weighted))
    sizes, leading = values[-count:].clamp_min(1e-9 * values[-1]).sqrt(), vectors[:, -count:]
    squeeze = torch.linalg.solve(root, leading * sizes).T
    return squeeze.float(), torch.einsum("kdij,da->kaij", weighted, leading / sizes).float()


def sampled_rows(index: int, features: Tensor) -> Tensor:
    """The patches of a batch that the equations look at, a row for each; the batch's index decides where they lie."""
    return patches(features.float(), *_window(index, features)[1:])


def _window(index: int, features: Tensor) -> tuple[EllipsisType, slice, slice]:
    """The positions that the batch of this index gives: a square in a corner or in the center, in turn."""
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
    projection = ridge(moments, cross, ridge_strength)
    error = energy - 2 * float((projection.T * cross).sum()) + float(((projection @ moments) * projection).sum())
    return projection.float(), error / energy


def main() -> None:
    """Reads the command line, solves and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--shapes",
        default=written(DEFAULT_SHAPES),
        help="channels of each layer; of a factored one, those that it squeezes its input to (0: not) and its rank",
    )
    parser.add_argument("--given", type=Path, help="a file of which the narrow layers are taken as they are")
    parser.add_argument("--visited", type=Path, nargs="+", default=[], help="visits to solve on too (training.visits)")
    parser.add_argument("--num-crops", type=int, default=360)
    parser.add_argument("--estimate-crops", type=int, default=0, help="to fit estimates of style layers; 0: none")
    parser.add_argument("--ridge", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    shapes = [_shape(shape) for shape in arguments.shapes.split(",")]
    stream = Crops(CROP_SIZE, arguments.seed)
    crops = [torch.stack([stream.draw() for _ in range(BATCH)]) for _ in range(arguments.num_crops // BATCH)]
    pictures = [visit.picture.float() for path in arguments.visited for visit in visits.load(path)]
    crops += [torch.stack(pictures[start : start + BATCH]) for start in range(0, len(pictures) - BATCH + 1, BATCH)]
    given = None
    if arguments.given:
        factored = {layer for layer, shape in zip(LAYERS, shapes, strict=True) if not isinstance(shape, int)}
        given = {
            name: tensor for name, tensor in load_file(arguments.given).items() if name.split(".")[0] not in factored
        }
    state = solve(load_teacher(), crops, shapes, given=given, ridge_strength=arguments.ridge)
    if arguments.estimate_crops:
        state = add_estimates(state, arguments.estimate_crops)
    command = "python -m training.closed_form " + " ".join(
        f"--{name} {' '.join(path.name for path in value) if isinstance(value, list) else value}"
        for name, value in {
            "shapes": arguments.shapes,
            "num-crops": arguments.num_crops,
            "ridge": arguments.ridge,
            "seed": arguments.seed,
            "estimate-crops": arguments.estimate_crops,
            "given": arguments.given and arguments.given.name,
            "visited": arguments.visited,
        }.items()
        if value
    )
    digest = save_compact(state, arguments.out, command)
    logger.info("%s: %.2f MB, SHA-256 %s", arguments.out, arguments.out.stat().st_size / 1e6, digest)


def written(shapes: Sequence[Shape]) -> str:
    """Shapes as the command line takes them, ``16,0:112,160:128``."""
    return ",".join(str(shape) if isinstance(shape, int) else "{}:{}".format(*shape) for shape in shapes)


def _shape(text: str) -> Shape:
    squeezed, colon, rank = text.partition(":")
    return (int(squeezed), int(rank)) if colon else int(text)


if __name__ == "__main__":
    main()
