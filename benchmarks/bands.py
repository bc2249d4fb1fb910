"""What curvature told apart by color and frequency is worth to L-BFGS: ``python -m benchmarks.bands [--pairs 6]``.

The same objective from the same start, once with the inverse Hessian to start from that
`impasto.optimizers.band_preconditioner` measures, once with the textbook's multiple of the identity, on the held-out
pairs of `benchmarks.encoder`, one level.
"""

import argparse
import json
import statistics

import torch
from benchmarks.encoder import HEIGHT, PAIRS, RESULTS, paths_of
from benchmarks.finish import objective_of
from benchmarks.harness import environment
from torch import Tensor

from impasto import Recipe
from impasto.encoders import build_encoder
from impasto.images import as_picture
from impasto.objective.objective import Objective
from impasto.optimizers import LBFGS
from impasto.pipeline.level_images import target_size

MODELS = ("vgg19", "compact")


class Textbook(LBFGS):
    """L-BFGS from a multiple of the identity."""

    def _first_estimate(self) -> Tensor:
        squared_norms = self._change_norms[-1]
        return torch.ones_like(squared_norms) * (self._last_curvature / squared_norms.sum())


def way(kind: type[LBFGS], objective: Objective, iterations: int) -> list[float]:
    """The lowest objective so far after each iteration, from the content image."""
    optimizer = kind(objective.content_image, Recipe(look="classic").history_size)
    lowest = []
    for _ in range(iterations):
        optimizer.update(objective.evaluate(optimizer.candidate))
        lowest.append(optimizer.best_loss)
    return lowest


def main() -> None:
    """Reads the command line and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="only the first so many")
    parser.add_argument("--iterations", type=int, default=60)
    arguments = parser.parse_args()
    recipe, rows = Recipe(look="classic", height=HEIGHT), []
    for model in MODELS:
        encoder = build_encoder(model)
        for pair in PAIRS[: arguments.pairs]:
            size = target_size(as_picture(paths_of(pair)[0]).size, recipe)
            objective = objective_of(encoder, pair, recipe, size)
            ways = {kind.__name__: way(kind, objective, arguments.iterations) for kind in (LBFGS, Textbook)}
            goal = ways["Textbook"][-1]
            row = {
                "model": model,
                "pair": list(pair),
                "objective_ratio": ways["LBFGS"][-1] / goal,
                "iterations_to_the_same": 1 + sum(value > goal for value in ways["LBFGS"]),  # or more, if all are above
                "ways": ways,
            }
            rows.append(row)
            print({name: value for name, value in row.items() if name != "ways"}, flush=True)
    summary = {
        model: {
            figure: statistics.median(row[figure] for row in rows if row["model"] == model)
            for figure in ("objective_ratio", "iterations_to_the_same")
        }
        for model in MODELS
    }
    print(json.dumps(summary, indent=1))
    report = {"summary": summary, "arguments": vars(arguments), "environment": environment(), "rows": rows}
    (RESULTS / "bands.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
