"""What the strength dial does: style and content distance at eleven positions. ``python benchmarks/strength.py``.

For `compact` eight pairs at two sizes, for `vgg19` four pairs at 160 px (needs $IMPASTO_WEIGHTS_DIR and
$IMPASTO_IMAGES_DIR). Distances are measured on the 8-bit picture by the encoder of the run, and by VGG19 as a judge:
style as the mean over the style layers of ‖G − G_s‖² / ‖G_s‖², content as ‖F − F_c‖² / ‖F_c‖², whatever the look
minimizes. The JSON is kept in ``benchmarks/results/strength_<model>.json``; for another look than `classic`,
``strength_<model>_<look>.json``.
"""

import argparse
import itertools
import json
import os
import sys
from pathlib import Path

import torch
from benchmarks.harness import environment
from torch import Tensor

from impasto import Recipe, load_picture, stylize
from impasto.encoders import Encoder, build_encoder
from impasto.images import resize
from impasto.objective.objective import Objective
from impasto.pipeline.level_images import style_size
from impasto.recipe import LOOKS

POSITIONS = tuple(range(0, 101, 10))
PAIRS = (
    ("kodim05", "the_scream"),
    ("kodim07", "wave"),
    ("kodim19", "shipwreck"),
    ("kodim23", "starry_night"),
    ("kodim15", "composition_vii"),
    ("kodim09", "delaunay_portrait_1906"),
    ("kodim02", "mosaic_ducks_massimo"),
    ("kodim12", "starry_night"),
)
PLANS = {"compact": (PAIRS, (128, 224)), "vgg19": (PAIRS[:4], (160,))}


def distances(encoder: Encoder, picture: Tensor, content: Tensor, style: Tensor) -> dict[str, float]:
    """Unweighted content and style distance of a picture, rounded to 8 bit as its file is."""
    size = (picture.shape[-2], picture.shape[-1])
    at_size = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
    objective = Objective(encoder, resize(content, size), [at_size], Recipe(look="classic"))
    return objective.distances((picture * 255).round() / 255)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=sorted(PLANS), default="compact")
    parser.add_argument("--look", choices=tuple(LOOKS), default="classic")
    parser.add_argument("--heights", type=int, nargs="+", default=None)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=None, help="only so many pairs")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    folder = Path(os.environ["IMPASTO_IMAGES_DIR"])
    encoder, judge = build_encoder(arguments.model), build_encoder("vgg19", precision="float32")
    pairs, heights = PLANS[arguments.model]
    heights = tuple(arguments.heights or heights)
    runs = []
    for content_name, style_name in pairs[: arguments.pairs]:
        content = load_picture(folder / "content" / f"{content_name}.jpg").pixels
        style = load_picture(folder / "style" / f"{style_name}.jpg").pixels
        for height in heights:
            row = []
            for strength in POSITIONS:
                with torch.enable_grad():
                    result = stylize(
                        content, style, look=arguments.look, encoder=encoder, height=height, strength=strength,
                        total_iterations=arguments.iterations, model=arguments.model,
                    )  # fmt: skip
                own, judged = (distances(e, result.image, content, style) for e in (encoder, judge))
                row.append({"strength": strength, "own": own, "judge": judged})
            monotone = {
                who: all(
                    after[who]["style"] < before[who]["style"] and after[who]["content"] > before[who]["content"]
                    for before, after in itertools.pairwise(row)
                )
                for who in ("own", "judge")
            }
            runs.append(
                {"content": content_name, "style": style_name, "height": height, "monotone": monotone, "row": row}
            )
            curve = " ".join(f"{cell['own']['style']:.4f}/{cell['own']['content']:.3f}" for cell in row)
            print(f"{content_name} {style_name} {height}: {monotone} {curve}", flush=True)
    middle = {
        who: [cell[who]["style"] for run in runs for cell in run["row"] if cell["strength"] == 50]
        for who in ("own", "judge")
    }
    spread = {who: max(values) / min(values) for who, values in middle.items()}
    print(f"at 50: {middle}, spread {spread}; monotone: {sum(run['monotone']['own'] for run in runs)} of {len(runs)}")
    name = arguments.model if arguments.look == "classic" else f"{arguments.model}_{arguments.look}"
    out = arguments.out or Path(__file__).parent / "results" / f"strength_{name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python benchmarks/strength.py", *sys.argv[1:]])
    report = {"command": command, "environment": environment(), "spread_at_50": spread, "runs": runs}
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
