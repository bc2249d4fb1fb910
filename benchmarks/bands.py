"""What curvature told apart by color and frequency is worth to L-BFGS: ``python -m benchmarks.bands [--pairs 6]``.

The same objective from the same start, once with the inverse Hessian to start from that `impasto.optimizers.bands`
measures, once with the textbook's multiple of the identity, on the held-out pairs of `benchmarks.encoder`, one level.
"""

import argparse
import json
import statistics

import torch
from benchmarks.encoder import HEIGHT, PAIRS, RESULTS, paths_of
from torch import Tensor

from impasto import Recipe
from impasto.bench import environment
from impasto.encoders import build_encoder
from impasto.images import as_picture, resize
from impasto.objective import Objective
from impasto.optimizers import LBFGS
from impasto.scene import style_size, target_size

MODELS = ("vgg19", "compact")


class Textbook(LBFGS):
    """L-BFGS from a multiple of the identity."""

    def _first_estimate(self) -> Tensor:
        energies = self._change_energies[-1]
        return torch.ones_like(energies) * (self._last_curvature / energies.sum())


def way(kind: type[LBFGS], objective: Objective, start: Tensor, iterations: int) -> list[float]:
    """The lowest objective so far after each iteration."""
    optimizer = kind(start, Recipe().history_size)
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
    recipe, rows = Recipe(height=HEIGHT), []
    for model in MODELS:
        encoder = build_encoder(model)
        for pair in PAIRS[: arguments.pairs]:
            content, style = (as_picture(path).pixels for path in paths_of(pair))
            size = target_size((content.shape[-2], content.shape[-1]), recipe)
            content = resize(content, size)
            style = resize(style, style_size((style.shape[-2], style.shape[-1]), size))
            objective = Objective(encoder, content, [style], recipe)
            ways = {kind.__name__: way(kind, objective, content, arguments.iterations) for kind in (LBFGS, Textbook)}
            goal = ways["Textbook"][-1]
            row = {
                "model": model,
                "pair": list(pair),
                "objective_ratio": ways["LBFGS"][-1] / goal,
                "iterations_to_the_same": next(n for n, value in enumerate(ways["LBFGS"], 1) if value <= goal),
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
