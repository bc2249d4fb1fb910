"""What ``--finish`` is worth: ``python -m benchmarks.finish [--pairs 6] [--iterations 60] [--total 52] ...``.

VGG19 alone against the compact encoder finished by VGG19, on the held-out pairs of `benchmarks.encoder`: VGG19's
objective at the picture that each reaches, and the seconds from start to end, one after the other in one process.
VGG19 alone works on one level, as the literature does; what is finished on one level too, and with the pyramid. The
rows with bfloat16 are for processors that have it in hardware; VGG19 alone is there with it too, for a fair comparison.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any

import torch
from benchmarks.encoder import HEIGHT, PAIRS, RESULTS, paths_of
from benchmarks.harness import environment

from impasto import Recipe, stylize
from impasto.encoders import Encoder, build_encoder
from impasto.images import as_picture, resize
from impasto.objective.objective import Objective
from impasto.pipeline.level_images import style_size


def objective_of(encoder: Encoder, pair: tuple[str, str], recipe: Recipe, size: tuple[int, int]) -> Objective:
    """What the picture of a pair is asked for at a height and width."""
    content, style = (as_picture(path).pixels for path in paths_of(pair))
    small = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
    return Objective(encoder, resize(content, size), [small], recipe)


def judged(judge: Encoder, pair: tuple[str, str], recipe: Recipe, image: torch.Tensor) -> dict[str, float]:
    """VGG19's objective at a picture, by the weights of a recipe, and the distances in it."""
    objective = objective_of(judge, pair, recipe, (image.shape[-2], image.shape[-1]))
    with torch.no_grad():
        return {"objective": objective.parts(image).sum().item(), **objective.distances(image)}


def paint(judge: Encoder, pair: tuple[str, str], recipe: Recipe) -> dict[str, Any]:
    """Paints a pair, encoders built anew, and measures time and picture."""
    began = time.monotonic()
    result = stylize(*paths_of(pair), recipe)
    return {"seconds": time.monotonic() - began, **judged(judge, pair, recipe, result.image)}


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="only the first so many")
    parser.add_argument("--iterations", type=int, default=60, help="of VGG19 alone")
    parser.add_argument("--total", type=int, default=52, help="of the compact encoder and the finish together")
    parser.add_argument("--total-bfloat16", type=int, default=76, help="the same, where an iteration costs half")
    parser.add_argument("--finish", default="vgg19:8")
    parser.add_argument("--skip-bfloat16", action="store_true", help="where the processor has none, it takes hours")
    arguments = parser.parse_args()
    alone = Recipe(look="classic", height=HEIGHT, levels=1, model="vgg19", total_iterations=arguments.iterations)
    compact = alone.replace(model="compact", total_iterations=arguments.total)
    recipes = {
        "vgg19": alone,
        "compact": compact,
        "finish": compact.replace(finish=arguments.finish),
        "finish, pyramid": compact.replace(finish=arguments.finish, levels="auto"),
        "vgg19, bfloat16": alone.replace(precision="bfloat16"),
        "finish, bfloat16": compact.replace(
            finish=arguments.finish, precision="bfloat16", total_iterations=arguments.total_bfloat16
        ),
    }
    if arguments.skip_bfloat16:
        recipes = {name: recipe for name, recipe in recipes.items() if recipe.precision != "bfloat16"}
    judge = build_encoder("vgg19", precision="float32")
    rows = []
    for pair in PAIRS[: arguments.pairs]:
        row = {"pair": list(pair), **{name: paint(judge, pair, recipe) for name, recipe in recipes.items()}}
        for name in recipes:
            for figure in ("objective", "style", "seconds"):
                row[name][f"{figure}_ratio"] = row[name][figure] / row["vgg19"][figure]
        rows.append(row)
        print(json.dumps(row), flush=True)
    summary = {
        name: {
            figure: {"median": statistics.median(values), "worst": max(values)}
            for figure in ("objective_ratio", "style_ratio", "seconds_ratio")
            for values in [[row[name][figure] for row in rows]]
        }
        for name in recipes
    }
    print(json.dumps(summary, indent=1))
    report = {
        "summary": summary,
        "arguments": vars(arguments),
        "environment": environment(),
        "threads": torch.get_num_threads(),
        "load_average": os.getloadavg(),
        "rows": rows,
    }
    (RESULTS / "finish.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
