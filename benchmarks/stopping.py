"""What is lost where a run ends on its plateau: ``python -m benchmarks.stopping FOLDER [--model vgg19] [--size 192]``.

Each pair of `benchmarks.preference` is painted as a user types it (`stopped`: the default plateau, acceleration and
precision) and with the whole budget, no help and in float32 (`full`), into ``FOLDER/PAIR/NAME.png``, for blind judges
by ``python -m benchmarks.preference sheets|table FOLDER``; and as a user types it, but in float32, to see what the
default precision changes. All are measured by VGG19's objective of the same recipe, in float32. Seconds are the
processor's, of all threads, over the number of threads: what an idle machine takes. Needs $IMPASTO_IMAGES_DIR and
$IMPASTO_WEIGHTS_DIR; pairs that are there are not painted again. The JSON is kept in
``benchmarks/results/stopping_<model>_<size>.json``.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.harness import environment
from benchmarks.preference import PAIRS

from impasto import Recipe, load_picture, save_picture, stylize
from impasto.encoders import Encoder, build_encoder
from impasto.images import resize
from impasto.objective.objective import Objective
from impasto.pipeline.level_images import style_size

IN_FLOAT32 = "stopped in float32"


def judged(judge: Encoder, picture: torch.Tensor, content: torch.Tensor, style: torch.Tensor) -> dict[str, float]:
    """VGG19's objective and distances of a picture, rounded to 8 bit as its file is."""
    size = (picture.shape[-2], picture.shape[-1])
    at_size = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
    objective = Objective(judge, resize(content, size), [at_size], Recipe())
    picture = (picture * 255).round() / 255
    return {"objective": objective.evaluate(picture).total.item(), **objective.distances(picture)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=("compact", "vgg19"), default="compact")
    parser.add_argument("--size", type=int, default=192, help="longest edge in pixels")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    arguments = parser.parse_args()
    images, judge = Path(os.environ["IMPASTO_IMAGES_DIR"]), build_encoder("vgg19", precision="float32")
    asked = Recipe(model=arguments.model, size=arguments.size)
    recipes = {
        "stopped": asked,
        "full": asked.replace(accelerate="off", plateau=0.0, precision="float32"),
        IN_FLOAT32: asked.replace(precision="float32"),
    }
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in recipes}
    for content_name, style_name in PAIRS[: arguments.pairs]:
        folder = arguments.folder / f"{content_name}-{style_name}"
        folder.mkdir(parents=True, exist_ok=True)
        paths = images / "content" / f"{content_name}.jpg", images / "style" / f"{style_name}.jpg"
        content, style = (load_picture(path).pixels for path in paths)
        for name, recipe in recipes.items():
            kept = folder / f"{name}.json"
            if not kept.exists():
                start = time.process_time()
                result = stylize(*paths, recipe)
                seconds = (time.process_time() - start) / torch.get_num_threads()
                if name != IN_FLOAT32:
                    save_picture(result.image, folder / f"{name}.png", recipe_json=result.provenance())
                row = {
                    "pair": folder.name, "name": name, "seconds": seconds, "iterations": result.iterations,
                    "stop_reason": result.stop_reason, "precision": result.recipe.precision,
                    **judged(judge, result.image, content, style),
                }  # fmt: skip
                kept.write_text(json.dumps(row), encoding="utf-8")
            rows[name].append(json.loads(kept.read_text(encoding="utf-8")))
            print(rows[name][-1], flush=True)
    ratios = {
        f"stopped over {other}": {
            figure: [one[figure] / two[figure] for one, two in zip(rows["stopped"], rows[other], strict=True)]
            for figure in ("seconds", "objective", "content", "style")
        }
        for other in ("full", IN_FLOAT32)
    }
    median = {
        pair: {figure: statistics.median(values) for figure, values in each.items()} for pair, each in ratios.items()
    }
    print("median:", median)
    out = Path(__file__).parent / "results" / f"stopping_{arguments.model}_{arguments.size}.json"
    command = " ".join(["python -m benchmarks.stopping", *sys.argv[1:]])
    report = {"command": command, "environment": environment(), "median": median, "ratios": ratios, "rows": rows}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
