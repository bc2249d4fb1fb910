"""Fidelity against cost of compact networks in closed form: ``python -m benchmarks.widths``.

Each choice of shapes is solved on the same crops and measured on the pictures that choose between variants (relative
squared errors of features and Gram matrices), with the size of its file and the time of an evaluation of objective and
gradient at 224×336, against VGG19's in the same process on one thread. ``benchmarks/results/widths.json``.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.evaluate import feature_errors, held_out_crops
from benchmarks.harness import environment
from training.closed_form import BATCH, CROP_SIZE, DEFAULT_SHAPES, Shape, solve, written
from training.networks import LAYERS, load_teacher
from training.pictures import Crops, validation_pictures

from impasto.encoders import Encoder
from impasto.encoders.compact import NUM_CONVS, Compact
from impasto.objective.objective import Objective
from impasto.recipe import Recipe

RESULTS = Path("benchmarks/results/widths.json")

BLOCKS = {
    "1/4": (16, 32, 64, 128, 128),
    "3/8": (24, 48, 96, 192, 192),
    "1/2": (32, 64, 128, 256, 256),
    "uneven, late": (16, 32, 96, 192, 384),
    "uneven, middle": (16, 48, 96, 192, 256),
}
"""Channels of each block."""

NARROW = {
    "growing in block 4": (16, 16, 48, 48, 80, 80, 80, 80, 192, 192, 208, 256, 384),
    "and narrowed": (16, 16, 48, 48, 80, 80, 64, 80, 192, 192, 176, 240, 384),
}
"""Channels of each layer."""

FACTORED = {
    "factored, less": (*DEFAULT_SHAPES[:9], (0, 96), (128, 96), (160, 128), (256, 192)),
    "factored": DEFAULT_SHAPES,
}
"""Narrow down to relu4_1, then of low rank."""

SIZE, ROUNDS = (224, 336), 7


def choices() -> dict[str, Sequence[Shape]]:
    """Shapes of each layer, by a name."""
    even = {
        name: [width for width, count in zip(widths, NUM_CONVS, strict=True) for _ in range(count)]
        for name, widths in BLOCKS.items()
    }
    return even | NARROW | FACTORED


def seconds(encoder: Encoder) -> float:
    """Processor time of an evaluation, the least of `ROUNDS`."""
    generator = torch.Generator().manual_seed(0)
    content, style, image = (torch.rand((1, 3, *SIZE), generator=generator) for _ in range(3))
    objective = Objective(encoder, content, [style], Recipe(look="classic"))
    laps = []
    for _ in range(ROUNDS):
        began = time.process_time()
        objective.evaluate(image)
        laps.append(time.process_time() - began)
    return min(laps)


def main() -> None:
    """Reads the command line, solves and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-crops", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    teacher = load_teacher()
    held_out = held_out_crops(list(validation_pictures().values()))
    rows: list[dict[str, Any]] = []
    for name, shapes in choices().items():
        stream = Crops(CROP_SIZE, arguments.seed)
        crops = [torch.stack([stream.draw() for _ in range(BATCH)]) for _ in range(arguments.num_crops // BATCH)]
        state = solve(teacher, crops, shapes)
        encoder = Compact(state)
        row = {
            "name": name,
            "shapes": written(shapes),
            "megabytes": sum(tensor.numel() for tensor in state.values()) * 2 / 1e6,
            "time": seconds(encoder) / seconds(teacher),
            "errors": feature_errors(encoder, teacher, held_out),
        }
        rows.append(row)
        errors = "  ".join(f"{layer} {row['errors'][layer]['features']:.3f}" for layer in LAYERS)
        print(f"{name}: {row['megabytes']:.1f} MB, 1/{1 / row['time']:.1f} of the time  {errors}", flush=True)
    report = {"arguments": vars(arguments), "environment": environment(), "rows": rows}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
