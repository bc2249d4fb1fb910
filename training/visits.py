"""The pictures that the optimizer itself visits, on its way from a start to a painting, with the network as it is.

``python -m training.visits FILE --out work/visits.pt`` keeps those of a compact encoder's file.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from training.pictures import Crops

from impasto.encoders.base import Encoder
from impasto.encoders.compact import load_compact
from impasto.engine import Engine, PlainProblem
from impasto.engine.pyramid import build_pyramid
from impasto.images import resample
from impasto.objective.objective import Objective
from impasto.pipeline.level_images import noise
from impasto.recipe import Recipe

LEVELS = (1, 2)
"""Of a run, one or the other: the size alone, or half the size first."""

KEPT = 6
"""Pictures of the way that are kept, the last among them: there the network is wrong in the optimizer's favor."""


class Visit(NamedTuple):
    """A picture on the way, with the content and the style that it is made from; each of shape (3, size, size)."""

    picture: Tensor
    style: Tensor
    content: Tensor


def run(encoder: Encoder, crops: Crops, iterations: int, device: torch.device) -> list[Visit]:
    """Paints one crop in the manner of another and returns `KEPT` pictures of the way.

    Args:
        encoder: The network in training, frozen.
        crops: Draws pictures, sizes and weights.
        iterations: Of the run.
        device: Where to compute.
    """
    rng = crops.rng
    content, style = crops.photograph(), crops.painting() if rng.random() < 0.5 else crops.draw()
    recipe = Recipe(
        look="classic",
        content_weight=float(5 * rng.lognormal(0, 1.5)),
        tv_weight=float(rng.choice([0.0, 1.0, 5.0])),
        total_iterations=iterations,
        levels=int(rng.choice(LEVELS)),
    )
    size = (crops.size, crops.size)
    levels = build_pyramid(size, recipe)
    start = [content[None], style[None], noise(size, int(rng.integers(2**31)))][int(rng.choice(3, p=[0.6, 0.1, 0.3]))]

    def at(picture: Tensor, edge: tuple[int, int]) -> Tensor:
        return F.interpolate(picture, edge, mode="bilinear", antialias=True).clamp(0, 1).to(device)

    problem = PlainProblem(
        at(start, levels[0].size),
        lambda level, *_: Objective(encoder, at(content[None], level.size), [at(style[None], level.size)], recipe),
    )
    engine = Engine(levels, problem, recipe)
    wanted = {int(share * iterations) for share in rng.uniform(0.1, 1, KEPT - 1)} | {iterations}
    visits = []
    for progress in engine.run():
        if progress.iteration in wanted:
            picture = resample(progress.image().cpu(), size).clamp(0, 1)  # coarse ones as the fine level starts
            visits.append(Visit(picture[0].half(), style.half(), content.half()))
    return visits


def save(visits: Sequence[Visit], path: Path) -> None:
    """For `load`: bare pictures, since a class of the program that runs is found by no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"visited": [tuple(visit) for visit in visits]}, path)


def load(path: Path) -> list[Visit]:
    """What `save` has written."""
    return [Visit(*pictures) for pictures in torch.load(path, weights_only=True)["visited"]]


def main() -> None:
    """Reads the command line, paints and writes the visits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=70, help=f"of the optimizer; each gives {KEPT} pictures")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--crop-size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    encoder, crops = load_compact(path=arguments.file, sha256=None), Crops(arguments.crop_size, arguments.seed)
    visits = [
        visit for _ in range(arguments.runs) for visit in run(encoder, crops, arguments.iterations, torch.device("cpu"))
    ]
    save(visits, arguments.out)


if __name__ == "__main__":
    main()
