"""Weights, sizes and pictures at any extreme: ``python -m benchmarks.fuzz [--cases 2000] [--seed 0]``.

Each case is a run from file to file with a tiny encoder. It must end with a stated reason and a whole picture of the
right size on the disk, every value finite; anything else is a failure and is listed. JSON goes to
``benchmarks/results/fuzz.json``.
"""

import argparse
import json
import logging
import math
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.harness import environment
from PIL import Image
from tests.tiny import TinyEncoder

from impasto.encoders import Encoder
from impasto.errors import ImpastoError
from impasto.images import load_picture
from impasto.recipe import LOOKS, Recipe, RunOptions, choices
from impasto.runs.run import run

MAX_HEIGHT, MAX_WIDTH = 2000, 3000
MEGAPIXEL = 1_000_000
MAX_LARGE_SHARE = 0.01
"""Of the cases, that may have more than a megapixel."""

PIXEL_ITERATIONS = 100_000
"""Pixels times iterations of a case; large pictures get few iterations, though never fewer than two."""

KINDS = ("grey", "black", "constant", "transparent", "pixel", "noise")


@dataclass(frozen=True)
class Case:
    """One run: the recipe's values, and kind, height and width of content and style image."""

    number: int
    recipe: dict[str, Any]
    content: tuple[str, int, int]
    style: tuple[str, int, int]

    @property
    def num_pixels(self) -> int:
        """Of the output."""
        kind, height, width = self.content
        return self.recipe["height"] ** 2 if kind == "pixel" else height * width


def cases(count: int, seed: int, max_pixels: float = math.inf) -> Iterator[Case]:
    """So many cases, always the same for a seed.

    Args:
        count: How many.
        seed: Of all choices.
        max_pixels: Sizes above it are drawn again.
    """
    chance = random.Random(seed)
    large_left = int(count * MAX_LARGE_SHARE)
    for number in range(count):
        limit = max_pixels if large_left else min(max_pixels, MEGAPIXEL)
        height, width = _size(chance, limit)
        large_left -= height * width > MEGAPIXEL
        kind, style_kind = chance.choice(KINDS), chance.choice(KINDS)
        if kind == "pixel":  # which is painted as a square
            height = width = math.isqrt(height * width)
        recipe = {
            **{f"{term}_weight": _weight(chance) for term in ("content", "style", "tv")},
            "init_method": chance.choice(["random", "content", "style"]),
            "optimizer": chance.choice(["lbfgs", "adam"]),
            "precision": chance.choice(["float32", "bfloat16"]),
            "look": chance.choice(tuple(LOOKS)),
            "style_loss": chance.choice(["gram", "gram", *choices("style_loss")]),
            "pooling": chance.choice(["max", "average"]),
            "padding": chance.choice(["zero", "reflect", "replicate"]),
            "levels": chance.choice(["auto", 1, 2, 3]),
            "seed": chance.randrange(1000),
            "height": height,
            "total_iterations": max(2, min(chance.randint(1, 30), PIXEL_ITERATIONS // (height * width))),
        }
        content = (1, 1) if kind == "pixel" else (height, width)
        style = (1, 1) if style_kind == "pixel" else _size(chance, 100_000)
        yield Case(number, recipe, (kind, *content), (style_kind, *style))


def _size(chance: random.Random, max_pixels: float) -> tuple[int, int]:
    while True:
        height, width = (round(math.exp(chance.uniform(0, math.log(edge)))) for edge in (MAX_HEIGHT, MAX_WIDTH))
        if height * width <= max_pixels:
            return height, width


def _weight(chance: random.Random) -> float:
    return 0.0 if chance.random() < 0.2 else 10 ** chance.uniform(-30, 30)


def picture(kind: str, height: int, width: int, seed: int) -> Image.Image:
    """A picture of one of `KINDS`; a single pixel is of noise."""
    noise = np.random.default_rng(seed)
    values = noise.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if kind == "grey":
        return Image.fromarray(values[..., 0])
    if kind == "black":
        values[:] = 0
    if kind == "constant":
        values[:] = values[0, 0]
    if kind == "transparent":
        return Image.fromarray(values)
    return Image.fromarray(np.ascontiguousarray(values[..., :3]))


def encoder_for(case: Case) -> Encoder:
    """The tiny encoder in the case's precision."""
    encoder = TinyEncoder(pooling=case.recipe["pooling"], padding=case.recipe["padding"], widths=(4, 8, 8))
    for parameter in encoder.parameters():
        parameter.data = parameter.data.to(getattr(torch, case.recipe["precision"]))
    return encoder.freeze()


def failures(case: Case, folder: Path) -> list[str]:
    """Runs a case and says what is wrong with its end; nothing if all is well."""
    content, style, output = (folder / name for name in ("content.png", "style.png", "out.png"))
    output.unlink(missing_ok=True)
    picture(*case.content, seed=case.number).save(content)
    picture(*case.style, seed=case.number + 1).save(style)
    options = RunOptions(output_file=output, saving_interval=0, device="cpu", checkpoint_every=0)
    try:
        report = run(content, [style], Recipe(**case.recipe), options, encoder=encoder_for(case))
    except ImpastoError as error:
        return [f"no picture: {error}"]
    except Exception:
        return [traceback.format_exc()]
    result = report.result
    return [
        complaint
        for complaint, is_wrong in {
            "no reason is stated": not result.stop_reason,
            "the picture is not finite": not bool(result.image.isfinite().all()),
            "the picture leaves [0, 1]": not bool(((result.image >= 0) & (result.image <= 1)).all()),
            f"losses {dict(result.losses)}": not all(map(math.isfinite, result.losses.values())),
            f"no iteration: {result.stop_reason}": not result.iterations,
            "the file is missing, or of another size": load_picture(output).size != tuple(result.image.shape[-2:]),
        }.items()
        if is_wrong
    ]


def main() -> None:
    """Runs the cases and keeps what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/fuzz.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)  # options without effect are meant
    start, failed, num_large, count = time.perf_counter(), [], 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(arguments.cases, arguments.seed):
            wrong = failures(case, Path(folder))
            num_large += case.num_pixels > MEGAPIXEL
            count.update([f"content {case.content[0]}", case.recipe["optimizer"], case.recipe["precision"]])
            if wrong:
                failed.append(asdict(case) | {"failures": wrong})
                print(f"case {case.number}: {wrong[0].splitlines()[-1]}", flush=True)
            if case.number % 100 == 99:
                print(f"{case.number + 1} cases, {len(failed)} failures", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "environment": environment(),
        "cases": arguments.cases, "seed": arguments.seed, "above_a_megapixel": num_large, "failures": failed,
        "by_kind": dict(count), "seconds": round(time.perf_counter() - start),
    }  # fmt: skip
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
