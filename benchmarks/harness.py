"""Side-by-side timing: this package against the plain method, each in a process of its own, in turn.

The plain method (`impasto.bench.plain`) is what the scripts of the field do, here on our objective, so that the two do
the same work an iteration.
"""

import itertools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

METHODS = ("baseline", "impasto")
"""The plain method, and this package."""


@dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
        method: One of `METHODS`.
        size: Height and width in pixels.
        iterations: Evaluations of the objective; the first is not counted, it warms up.
        content: Path of the content image.
        style: Path of the style image.
        values: Values of the recipe by name.
    """

    method: str
    size: tuple[int, int]
    iterations: int
    content: str
    style: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Measurement:
    """What was measured.

    Attributes:
        seconds: Time of each counted iteration.
        peak_bytes: The process's largest resident memory.
        loaded_bytes: Its resident memory with torch, encoder and pictures loaded, before the first iteration.
        objective: The lowest objective that was reached.
    """

    seconds: Sequence[float]
    peak_bytes: int
    loaded_bytes: int
    objective: float


def measure(case: Case) -> Measurement:
    """Runs a case in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure_here, (case,))


def _measure_here(case: Case) -> Measurement:
    from impasto.encoders import build_encoder
    from impasto.images import load_picture, resize
    from impasto.objective.objective import Objective
    from impasto.pipeline.level_images import style_size
    from impasto.recipe import Recipe

    recipe = Recipe(look="classic", **case.values)
    encoder = build_encoder(recipe.model, precision=recipe.precision)
    content = resize(load_picture(case.content).pixels, case.size)
    style = load_picture(case.style).pixels
    style = resize(style, style_size((style.shape[-2], style.shape[-1]), case.size))
    loaded = _resident_bytes()
    method = {"baseline": _run_baseline, "impasto": _run_impasto}[case.method]
    stamps, objective = method(lambda: Objective(encoder, content, [style], recipe), content, case.iterations, recipe)
    return Measurement(
        seconds=[after - before for before, after in itertools.pairwise(stamps)],
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        loaded_bytes=loaded,
        objective=objective,
    )


def _resident_bytes() -> int:
    """Resident memory now; where the system does not tell, the peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _run_impasto(build: Callable[[], Any], content: Any, iterations: int, recipe: Any) -> tuple[list[float], float]:
    from impasto.engine import Engine, PlainProblem
    from impasto.engine.pyramid import Level

    level = Level((content.shape[-2], content.shape[-1]), iterations)
    engine = Engine([level], PlainProblem(content, lambda *_: build()), recipe)
    stamps = [time.perf_counter() for progress in engine.run() if progress.iteration]
    return stamps, engine.losses["total"]


def _run_baseline(build: Callable[[], Any], content: Any, iterations: int, recipe: Any) -> tuple[list[float], float]:
    from impasto.bench.plain import run_plain

    outcome = run_plain(build(), content, iterations)
    return outcome.stamps, min(outcome.losses)


def summarize(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Median and interquartile range of an iteration's seconds, and the median memory, over repeated measurements."""
    seconds = [second for measurement in measurements for second in measurement.seconds]
    low, median, high = statistics.quantiles(seconds, n=4)
    return {
        "seconds_median": median,
        "seconds_iqr": high - low,
        "iterations": len(seconds),
        "peak_bytes": statistics.median(measurement.peak_bytes for measurement in measurements),
        "above_loaded_bytes": statistics.median(m.peak_bytes - m.loaded_bytes for m in measurements),
        "objective": statistics.median(measurement.objective for measurement in measurements),
    }


def compare(cases: Mapping[str, Case], repeats: int) -> dict[str, dict[str, float]]:
    """Measures cases in turn, A B A B …, so that a drift of the machine's speed meets all of them."""
    measurements: dict[str, list[Measurement]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            measurements[name].append(measure(case))
    return {name: summarize(rows) for name, rows in measurements.items()}


def environment() -> dict[str, Any]:
    """What a figure has to be read with: time, commit, versions, machine."""
    import torch

    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit or None,
        "impasto": version("impasto"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor()


def _base_names(case: Case) -> dict[str, str]:
    """A case's pictures without their folders, which are nobody else's."""
    return {"content": Path(case.content).name, "style": Path(case.style).name}


def write_report(path: Path, command: str, cases: Mapping[str, Case], results: Mapping[str, Any]) -> None:
    """Keeps results with the command, the environment and the exact cases, as JSON."""
    report = {
        "command": command,
        "environment": environment(),
        "cases": {name: asdict(case) | _base_names(case) for name, case in cases.items()},
        "results": results,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
