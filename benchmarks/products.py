"""Products of matrices by the BLAS and by the kernels of convolutions: ``python -m benchmarks.products``.

Those that a run with VGG19 at 224×336 takes for its Gram matrices, on one thread: the Gram matrix on the way there, the
features times a matrix on the way back. Both ways in turn, medians. ``benchmarks/results/products.json``.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from benchmarks.encoder import RESULTS
from benchmarks.harness import environment

from impasto.products import affine, inner_products

SIZES = {"relu1_1": (75264, 64), "relu2_1": (18816, 128), "relu3_1": (4704, 256), "relu4_1": (1176, 512),
         "relu5_1": (294, 512)}  # fmt: skip
"""Positions and channels."""

ROUNDS = 40


def milliseconds(functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median time of each, taken in turn."""
    laps: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            laps[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(values) for name, values in laps.items()}


def main() -> None:
    """Measures and writes."""
    torch.set_num_threads(1)
    rows = []
    for layer, (positions, channels) in SIZES.items():
        x, matrix = torch.randn(positions, channels), torch.randn(channels, channels)
        times = milliseconds(
            {
                "gram_blas": lambda x=x: x.T @ x,
                "gram_ours": lambda x=x: inner_products(x, x),
                "back_blas": lambda x=x, matrix=matrix: F.linear(x, matrix),
                "back_ours": lambda x=x, matrix=matrix: affine(x, matrix),
            }
        )
        rows.append({"layer": layer, "positions": positions, "channels": channels, "milliseconds": times})
        print(f"{layer}  " + "  ".join(f"{name} {value:6.2f} ms" for name, value in times.items()), flush=True)
    totals = {name: sum(row["milliseconds"][name] for row in rows) for name in rows[0]["milliseconds"]}
    ratio = (totals["gram_blas"] + totals["back_blas"]) / (totals["gram_ours"] + totals["back_ours"])
    print(f"all: {ratio:.2f} times as fast as the BLAS")
    report = {"rows": rows, "times_as_fast": ratio, "environment": environment(), "load_average": os.getloadavg()}
    (RESULTS / "products.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
