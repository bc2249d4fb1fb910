"""What two low-level tricks gain, each switched off in turn: ``python -m benchmarks.ablation``.

Own autograd functions for the squared norm and total variation, and the allocator's policy (`impasto.devices`). The
fastest of some evaluations of objective and gradient, medians of processes of their own, in turn; a gain above 1 is
what the trick makes faster.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

VARIANTS = ("all on", "own autograd off", "allocator off")
CASES = (("compact", 256, 384), ("compact", 400, 600), ("vgg19", 256, 384))


def measure(variant: str, model: str, height: int, width: int, count: int) -> dict[str, float]:
    """In this process: seconds of an evaluation (median), and the largest resident memory in MB."""
    import resource
    import time

    import torch

    from impasto import Recipe, build_encoder, devices
    from impasto.examples import example_path
    from impasto.images import load_picture, resize
    from impasto.losses import base, total_variation
    from impasto.objective import Objective
    from impasto.optimizers import LBFGS

    class PlainNorm:
        @staticmethod
        def apply(tensor: Any) -> Any:
            return tensor.square().sum()

    class PlainVariation:
        @staticmethod
        def apply(image: Any, wrap: bool) -> Any:
            rows, columns = image.diff(dim=-1).abs().sum(), image.diff(dim=-2).abs().sum()
            return (rows + columns) / image.numel()

    if variant == "own autograd off":
        base._SquaredNorm = PlainNorm
        sys.modules[total_variation.__module__]._TotalVariation = PlainVariation
    if variant != "allocator off":
        devices.release_freed_pages()
    encoder = build_encoder(model)
    content = resize(load_picture(example_path("coffee")).pixels, (height, width))
    style = resize(load_picture(example_path("oil")).pixels, (height, height))
    if variant != "allocator off":
        with devices.mmap_temporaries(devices.retain_freed_pages):
            objective = Objective(encoder, content, [style], Recipe(look="classic", model=model))
    else:
        objective = Objective(encoder, content, [style], Recipe(look="classic", model=model))
    optimizer, seconds = LBFGS(content, 5), []
    for _ in range(count):
        start = time.perf_counter()
        optimizer.update(objective.evaluate(optimizer.candidate))
        seconds.append(time.perf_counter() - start)
    torch.set_grad_enabled(True)
    return {
        "seconds": min(seconds[3:]),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--here", nargs=4)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ablation.json")
    arguments = parser.parse_args()
    if arguments.here:
        variant, model, height, width = arguments.here
        print(json.dumps(measure(variant, model, int(height), int(width), arguments.iterations)))
        return
    rows: dict[str, Any] = {}
    for model, height, width in CASES:
        found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for _ in range(arguments.repeats):
            for variant in VARIANTS:
                command = [sys.executable, "-m", "benchmarks.ablation", f"--iterations={arguments.iterations}"]
                command += ["--here", variant, model, str(height), str(width)]
                found[variant].append(json.loads(subprocess.check_output(command, text=True)))
        for variant, runs in found.items():
            ratios = [run["seconds"] / whole["seconds"] for run, whole in zip(runs, found["all on"], strict=True)]
            row = {
                "seconds": statistics.median(run["seconds"] for run in runs),
                "gain": statistics.median(ratios),
                "gains": ratios,
                "peak_mb": statistics.median(run["peak_mb"] for run in runs),
            }
            rows[f"{model}, {height}×{width}, {variant}"] = row
            print(
                f"{model:8}{height:4}×{width:<4}{variant:18}{row['seconds']:8.4f} s  gain {row['gain']:.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})  {row['peak_mb']:6.0f} MB",
                flush=True,
            )
    from benchmarks.harness import environment

    report = {"command": "python -m benchmarks.ablation", "environment": environment(), "rows": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
