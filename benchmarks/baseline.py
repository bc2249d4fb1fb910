"""Seconds an iteration and peak memory: the plain method against ours. ``python benchmarks/baseline.py``.

VGG19 at 256×384 and 400×600, both in one run, each case in processes of its own and in turn. The JSON is kept in
``benchmarks/results/baseline_cpu.json``.
"""

import argparse
from pathlib import Path

from benchmarks.harness import METHODS, Case, compare, write_report

from impasto.examples import example_path

SIZES = ((256, 384), (400, 600))
OTHERS = {
    "impasto, bfloat16": {"precision": "bfloat16"},
    "impasto, compact": {"model": "compact"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=9, help="of each measurement; the first warms up")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each case, in turn")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "baseline_cpu.json")
    arguments = parser.parse_args()
    content, style = str(example_path("coffee")), str(example_path("oil"))
    methods = {method: (method, {}) for method in METHODS} | {k: ("impasto", v) for k, v in OTHERS.items()}
    cases = {
        f"{name}, {height}×{width}": Case(method, (height, width), arguments.iterations, content, style, values)
        for height, width in SIZES
        for name, (method, values) in methods.items()
    }
    results = compare(cases, arguments.repeats)
    write_report(arguments.out, "python benchmarks/baseline.py", cases, results)
    print(f"{'case':36}{'s/iteration':>12}{'IQR':>8}{'peak MB':>9}{'above loaded MB':>17}{'objective':>11}")
    for name, row in results.items():
        memory = row["peak_bytes"] / 1e6, row["above_loaded_bytes"] / 1e6
        print(
            f"{name:36}{row['seconds_median']:12.3f}{row['seconds_iqr']:8.3f}{memory[0]:9.0f}{memory[1]:17.0f}"
            f"{row['objective']:11.5f}"
        )
    print(f"kept in {arguments.out}")


if __name__ == "__main__":
    main()
