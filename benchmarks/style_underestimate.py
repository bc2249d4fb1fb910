"""How far the compact encoder underestimates the style distance of its own pictures.

``python -m benchmarks.style_underestimate [FILE] [--try 1,2.4]``. An optimizer finds the pictures that a narrow network
misjudges. For each candidate value of `Encoder.style_underestimate`, development pairs are painted at height 224 in 60
iterations and measured by VGG19: its objective by the default recipe, which should be lowest, and its distances; last,
the ratio of VGG19's style distance to the network's own.
"""

import argparse
import statistics
from pathlib import Path

import torch
from benchmarks.encoder import HEIGHT, paths_of
from benchmarks.finish import judged
from training.networks import load_teacher

from impasto import Recipe, stylize
from impasto.encoders.compact import WEIGHTS, load_compact

PAIRS = (
    ("kodim17", "wave"),
    ("kodim18", "the_scream"),
    ("kodim17", "delaunay_portrait_1906"),
    ("kodim18", "composition_vii"),
)
"""Of the pictures that choose between variants, and paintings of the training."""


def main() -> None:
    """Reads the command line, paints and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=WEIGHTS)
    parser.add_argument("--try", dest="candidates", default="1,1.5,2.4,4", help="with commas between")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    judge = load_teacher()
    recipe = Recipe(look="classic", height=HEIGHT, levels=1, total_iterations=60)
    print("style_underestimate  objective  content   style  of its own")
    for style_underestimate in map(float, arguments.candidates.split(",")):
        encoder = load_compact(path=arguments.file, sha256=None)
        encoder.style_underestimate = style_underestimate
        rows = []
        for pair in PAIRS:
            image = stylize(*paths_of(pair), recipe, encoder=encoder).image
            row, own = judged(judge, pair, recipe, image), judged(encoder, pair, recipe, image)
            rows.append((row["objective"], row["content"], row["style"], row["style"] / own["style"]))
        objective, content, style, ratio = (statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"{style_underestimate:8.2f} {objective:10.4f} {content:8.3f} {style:7.4f} {ratio:11.2f}", flush=True)


if __name__ == "__main__":
    main()
