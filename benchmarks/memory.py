"""Peak memory as expected and as it was: five sizes with two optimizers, other settings, and runs with --max-memory.

Each run is the command line in a process of its own; the expectation is the one that it prints before its first
iteration, the peak is what the system counted. Some are repeated with half of what they took above the bare process (a
run of 16 pixels), and the two pictures compared: their signal-to-noise ratio in decibels.
``python benchmarks/memory.py``; the JSON is kept in ``benchmarks/results/memory_cpu.json``. VGG19 is taken where its
weights are on this machine.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from impasto.examples import example_path

HEIGHTS = (182, 365, 577, 816, 1153)
"""Of a 3:2 picture: 0.05, 0.2, 0.5, 1 and 2 megapixels."""

CONTENT_SIZE, STYLE_SIZE = (1500, 1000), (600, 600)


@dataclass(frozen=True)
class Case:
    """One run: its options, the width and height of its pictures; and whether to repeat it with half its memory."""

    name: str
    options: tuple[str, ...]
    content: tuple[int, int] = CONTENT_SIZE
    style: tuple[int, int] = STYLE_SIZE
    is_halved: bool = False


def options(height: int, model: str, optimizer: str, iterations: int, *more: str) -> tuple[str, ...]:
    return (
        f"--height={height}", f"--model={model}", f"--optimizer={optimizer}", f"--total-iterations={iterations}", *more,
    )  # fmt: skip


def cases(*, has_vgg19: bool, is_short: bool) -> list[Case]:
    """The table. L-BFGS fills its history on coarse levels, so that few iterations are needed on the fine one."""
    heights = HEIGHTS[:3] if is_short else HEIGHTS
    rows = []
    for height in heights:
        lbfgs = options(height, "compact", "lbfgs", 16, "--levels=4")
        rows.append(Case(f"compact, lbfgs, {height} px", lbfgs, is_halved=True))
        adam = options(height, "compact", "adam", 3, "--levels=1")
        rows.append(Case(f"compact, adam, {height} px", adam))
    adam = options(365, "compact", "adam", 3, "--levels=1")
    rows += [
        Case("compact, bfloat16", (*adam, "--precision=bfloat16")),
        Case("compact, wide style", adam, style=(1800, 600)),
        Case("compact, narrow style", adam, style=(300, 900)),
        Case("compact, content of 15 megapixels", adam, content=(4800, 3200)),
        Case("compact, reflect padding", (*adam, "--padding=reflect")),
        Case("compact, histogram", (*adam, "--style-loss=histogram")),
        Case("compact, sliced", (*adam, "--style-loss=sliced")),
    ]
    if has_vgg19:
        for height in (182, 365) if is_short else (182, 365, 577):
            vgg19 = options(height, "vgg19", "adam", 2, "--levels=1")
            rows.append(Case(f"vgg19, adam, {height} px", vgg19, is_halved=height > 500))
        half_precision = options(365, "vgg19", "adam", 2, "--levels=1", "--precision=bfloat16")
        rows.append(Case("vgg19, adam, bfloat16, 365 px", half_precision))
    return sorted(rows, key=lambda case: f"{HEIGHTS[-1]} px" in case.name)  # the longest last


def run(case: Case, folder: Path, *more: str) -> tuple[dict[str, Any], Image.Image | None]:
    """Runs a case in a fresh process; gives what it printed and took, and its picture."""
    content = picture("coffee", case.content, folder)
    style = picture("oil", case.style, folder)
    command = [
        sys.executable, "-m", "impasto", "stylize", content, style, "--look", "classic",
        "-o", str(folder / "out.png"), "--overwrite",
        "--saving-interval=0", "--threads=1", "--json", *case.options, *more,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    events = [json.loads(line) for line in output.splitlines()]
    measured = {
        "options": case.options,
        "content": case.content,
        "style": case.style,
        "expected_bytes": next((event["peak_bytes"] for event in events if event["event"] == "start"), None),
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "exit_code": os.waitstatus_to_exitcode(status),
        "warnings": [event["message"] for event in events if event["event"] == "warning"],
        "error": errors.strip(),
    }
    return measured, None if measured["exit_code"] else Image.open(folder / "out.png").convert("RGB")


def decibels(one: Image.Image, other: Image.Image) -> float | None:
    """The peak signal-to-noise ratio of two pictures; None if they are equal."""
    squares = statistics.fmean(value**2 for value in ImageStat.Stat(ImageChops.difference(one, other)).rms)
    return None if squares == 0 else round(10 * math.log10(255**2 / squares), 1)


def picture(name: str, size: tuple[int, int], folder: Path) -> str:
    path = folder / f"{name}-{size[0]}x{size[1]}.jpg"
    if not path.exists():
        Image.open(example_path(name)).convert("RGB").resize(size).save(path, quality=90)
    return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="three sizes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "memory_cpu.json")
    arguments = parser.parse_args()
    from benchmarks.harness import environment

    from impasto.encoders.weights.store import describe

    report = {"command": "python benchmarks/memory.py", "environment": environment(), "cases": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        smallest = Case("bare process", options(16, "compact", "adam", 1, "--levels=1"), (16, 16), (16, 16))
        bare = run(smallest, folder)[0]["peak_bytes"]
        report["bare_bytes"] = bare
        print(f"{'case':36}{'expected':>10}{'peak MB':>10}{'off':>8}{'half allowed':>14}{'peak MB':>10}{'dB':>8}")
        for case in cases(has_vgg19=describe("vgg19").path is not None, is_short=arguments.short):
            row, whole = run(case, folder)
            report["cases"][case.name] = row
            off = (row["expected_bytes"] or 0) / row["peak_bytes"] - 1
            line = f"{case.name:36}{(row['expected_bytes'] or 0) / 1e6:10.0f}{row['peak_bytes'] / 1e6:10.0f}{off:+8.1%}"
            if case.is_halved:
                limit = bare + (row["peak_bytes"] - bare) // 2
                half, picture_of_half = run(case, folder, f"--max-memory={limit}")
                same = decibels(whole, picture_of_half) if whole and picture_of_half else None
                row["half"] = {"limit_bytes": limit, "decibels": same} | half
                line += f"{limit / 1e6:14.0f}{half['peak_bytes'] / 1e6:10.0f}{same or 0:8.1f} {half['error']}"
            print(f"{line} {row['error']}", flush=True)
            save(arguments.out, report)  # after each row, as a whole table takes a while
    print(f"kept in {arguments.out}")


def save(path: Path, report: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
