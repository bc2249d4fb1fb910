"""What the weights do, at a glance: ``python benchmarks/weights.py``. Minutes on two cores.

Three pairs of photographs and paintings (in ``$IMPASTO_IMAGES_DIR``), the content weight from a tenth to ten times its
default, then total variation, then the size of the picture at the default weights. For each picture: how much of the
style distance is left, how far the content has moved, and how rough the picture is. JSON and a contact sheet go to
``benchmarks/results/``.
"""

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from torch import Tensor

from impasto import Recipe, build_encoder, load_picture, stylize
from impasto.encoders import Encoder
from impasto.images import output_size, resize
from impasto.losses import total_variation
from impasto.objective.objective import Objective
from impasto.objective.weighting import OBJECTIVE_SCALE

RESULTS = Path(__file__).with_name("results")
PAIRS = (("kodim15", "composition_vii"), ("kodim05", "the_scream"), ("kodim07", "wave"))
SWEEPS: Mapping[str, Sequence[float]] = {
    "content_weight": (0.5, 1.6, 5.0, 16.0, 50.0, 500.0),
    "tv_weight": (0.0, 0.3, 1.0, 3.0, 10.0),
    "height": (96, 128, 192),
}
"""Values of each knob; the other two stay at their defaults, the height at the one that is asked for."""


def distances(encoder: Encoder, content: Tensor, style: Tensor, image: Tensor) -> dict[str, float]:
    """The three terms at a picture, each normalized and without its constant and weight."""
    return Objective(encoder, content, [style], Recipe(look="classic")).distances(image)


def measure(encoder: Encoder, pair: tuple[str, str], recipe: Recipe) -> tuple[dict[str, float], Tensor]:
    """Paints a pair and measures the picture as a file of 8 bits would hold it; returns both."""
    folder = Path(os.environ["IMPASTO_IMAGES_DIR"])
    content, style = load_picture(folder / f"content/{pair[0]}.jpg"), load_picture(folder / f"style/{pair[1]}.jpg")
    image = (stylize(content, style, recipe, encoder=encoder).image * 255).round() / 255
    own, other = (
        resize(picture.pixels, output_size(picture.size, height=recipe.height, longest_edge=None))
        for picture in (content, style)
    )
    before, after = distances(encoder, own, other, own), distances(encoder, own, other, image)
    measures = {
        "style_left": after["style"] / before["style"],
        "content_moved": after["content"],
        "roughness": after["tv"] / total_variation(other).item(),
    }
    return measures, image


def contact_sheet(lines: Sequence[tuple[str, Sequence[float], Sequence[Tensor]]], path: Path) -> None:
    """A line of pictures for each pair and knob, with the knob's value above each."""
    header, gap = 16, 4
    height, width = (max(picture.shape[axis] for *_, line in lines for picture in line) for axis in (2, 3))
    columns = max(len(line) for *_, line in lines)
    sheet = Image.new("RGB", (columns * (width + gap), len(lines) * (height + header)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (knob, values, line) in enumerate(lines):
        for column, (value, picture) in enumerate(zip(values, line, strict=True)):
            x, y = column * (width + gap), row * (height + header)
            draw.text((x + 2, y + 2), f"{knob} {value:g}", fill="black")
            sheet.paste(Image.fromarray((picture[0].permute(1, 2, 0) * 255).round().byte().numpy()), (x, y + header))
    sheet.save(path, quality=88)


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the pairs, a row for each knob and value."""
    keys = dict.fromkeys((row["knob"], row["value"]) for row in rows)
    return [
        {"knob": knob, "value": value}
        | {
            name: statistics.median(row[name] for row in rows if (row["knob"], row["value"]) == (knob, value))
            for name in ("style_left", "content_moved", "roughness")
        }
        for knob, value in keys
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="compact")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="only the first so many")
    arguments = parser.parse_args()
    encoder = build_encoder(arguments.model)
    rows, lines = [], []
    for pair in PAIRS[: arguments.pairs]:
        for knob, values in SWEEPS.items():
            pictures = []
            for value in values:
                recipe = Recipe(
                    look="classic",
                    **{"height": arguments.height, "total_iterations": arguments.iterations} | {knob: value},
                )
                measures, picture = measure(encoder, pair, recipe)
                rows.append({"pair": list(pair), "knob": knob, "value": value, **measures})
                pictures.append(picture)
                print(json.dumps(rows[-1]), flush=True)
            lines.append((knob, values, pictures))
    RESULTS.mkdir(exist_ok=True)
    contact_sheet([line for line in lines if line[0] != "height"], RESULTS / f"weights_{arguments.model}.jpg")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    report = {
        "command": shlex.join(["python", "benchmarks/weights.py", *sys.argv[1:]]),
        "summary": summary(rows),
        "rows": rows,
        "iterations": arguments.iterations,
        "objective_scale": dict(OBJECTIVE_SCALE),
        "weights_sha256": encoder.weights_sha256,
        "versions": {"python": platform.python_version(), "torch": version("torch"), "commit": commit},
    }
    path = RESULTS / f"weights_{arguments.model}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    for row in report["summary"]:
        print(row)
    print(f"kept in {path}")


if __name__ == "__main__":
    main()
