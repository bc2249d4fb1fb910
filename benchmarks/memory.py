"""Peak memory as expected and as it was: five sizes with two optimizers, other settings, and runs with --max-memory.

Each run is the command line in a process of its own; the expectation is the one that it prints before its first
iteration, the peak is what the system counted. ``python benchmarks/memory.py``; the JSON is kept in
``benchmarks/results/memory_cpu.json``. VGG19 is taken where its weights are on this machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from impasto.examples import example_path

HEIGHTS = (182, 365, 577, 816, 1153)
"""Of a 3:2 picture: 0.05, 0.2, 0.5, 1 and 2 megapixels."""

CONTENT_SIZE, STYLE_SIZE = (1500, 1000), (600, 600)


@dataclass(frozen=True)
class Case:
    """One run: its options, and the width and height of its pictures."""

    name: str
    options: tuple[str, ...]
    content: tuple[int, int] = CONTENT_SIZE
    style: tuple[int, int] = STYLE_SIZE


def options(height: int, model: str, optimizer: str, iterations: int, *more: str) -> tuple[str, ...]:
    return (
        f"--height={height}", f"--model={model}", f"--optimizer={optimizer}", f"--total-iterations={iterations}", *more,
    )  # fmt: skip


def cases(*, has_vgg19: bool, is_short: bool) -> list[Case]:
    """The table. L-BFGS fills its history on a coarse level, so that few iterations are needed on the fine one."""
    heights = HEIGHTS[:3] if is_short else HEIGHTS
    rows = [
        Case(
            f"compact, {optimizer}, {height} px",
            options(height, "compact", optimizer, 24 if optimizer == "lbfgs" else 3,
                    f"--levels={2 if optimizer == 'lbfgs' else 1}"),
        )
        for height in heights
        for optimizer in ("lbfgs", "adam")
    ]  # fmt: skip
    adam = options(365, "compact", "adam", 3, "--levels=1")
    rows += [
        Case("compact, bfloat16", (*adam, "--precision=bfloat16")),
        Case("compact, wide style", adam, style=(1800, 600)),
        Case("compact, narrow style", adam, style=(300, 900)),
        Case("compact, content of 15 megapixels", adam, content=(4800, 3200)),
        Case("compact, reflect padding", (*adam, "--padding=reflect")),
    ]
    if has_vgg19:
        for height in (182, 365) if is_short else (182, 365, 577):
            rows.append(Case(f"vgg19, adam, {height} px", options(height, "vgg19", "adam", 2, "--levels=1")))
        rows.append(
            Case("vgg19, bfloat16, 365 px", options(365, "vgg19", "adam", 2, "--levels=1", "--precision=bfloat16"))
        )
    return rows


def run(case: Case, folder: Path, *more: str) -> dict[str, object]:
    """Runs a case in a fresh process and reads its first line and its peak."""
    content = picture("coffee", case.content, folder)
    style = picture("oil", case.style, folder)
    command = [
        sys.executable, "-m", "impasto", "stylize", content, style, "-o", str(folder / "out.png"), "--overwrite",
        "--saving-interval=0", "--threads=1", "--json", *case.options, *more,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    events = [json.loads(line) for line in output.splitlines()]
    return {
        "expected_bytes": next((event["peak_bytes"] for event in events if event["event"] == "start"), None),
        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "exit_code": os.waitstatus_to_exitcode(status),
        "warnings": [event["message"] for event in events if event["event"] == "warning"],
        "error": errors.strip(),
    }


def picture(name: str, size: tuple[int, int], folder: Path) -> str:
    path = folder / f"{name}-{size[0]}x{size[1]}.jpg"
    if not path.exists():
        Image.open(example_path(name)).convert("RGB").resize(size).save(path, quality=90)
    return str(path)


def halved(rows: Sequence[tuple[Case, dict[str, object]]], folder: Path) -> dict[str, dict[str, object]]:
    """The same runs again with half of what they took allowed."""
    table = {}
    for case, row in rows:
        limit = row["peak_bytes"] // 2
        table[case.name] = {"limit_bytes": limit} | run(case, folder, f"--max-memory={limit}")
        print(f"{case.name:36}{limit / 1e6:10.0f}{table[case.name]['peak_bytes'] / 1e6:10.0f}"
              f"  exit {table[case.name]['exit_code']} {table[case.name]['error']}", flush=True)  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="three sizes")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "memory_cpu.json")
    arguments = parser.parse_args()
    from impasto.encoders.weights import describe

    rows = []
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'case':36}{'expected':>10}{'peak MB':>10}{'off':>8}")
        for case in cases(has_vgg19=describe("vgg19").path is not None, is_short=arguments.short):
            row = run(case, folder)
            rows.append((case, row))
            results[case.name] = asdict(case) | row
            off = (row["expected_bytes"] or 0) / row["peak_bytes"] - 1
            print(f"{case.name:36}{(row['expected_bytes'] or 0) / 1e6:10.0f}{row['peak_bytes'] / 1e6:10.0f}{off:+8.1%}"
                  f" {row['error']}", flush=True)  # fmt: skip
        print(f"\n{'with half allowed':36}{'allowed':>10}{'peak MB':>10}")
        half = halved([pair for pair in rows if "lbfgs" in pair[0].name or "vgg19, adam" in pair[0].name], folder)
    from impasto.bench import environment

    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = {"command": "python benchmarks/memory.py", "environment": environment(), "expected": results, "half": half}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {arguments.out}")


if __name__ == "__main__":
    main()
