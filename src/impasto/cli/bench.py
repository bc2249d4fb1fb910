"""``impasto bench``: this package against the plain method, on this machine."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from impasto.bench.rows import ROWS
from impasto.bench.session import PAIRS, Settings, run_bench, table
from impasto.errors import UserError, did_you_mean

_DEFAULTS = Settings()


def bench(
    *,
    height: Annotated[int, Parameter(help="Of the pictures, in pixels.", validator=Number(gte=16))] = _DEFAULTS.height,
    pairs: Annotated[
        int, Parameter(help="Pairs of bundled pictures.", validator=Number(gte=1, lte=len(PAIRS)))
    ] = _DEFAULTS.pairs,
    rows: Annotated[str, Parameter(help=f"What to measure, of {', '.join(ROWS)}; with commas.")] = ",".join(ROWS),
    target_iterations: Annotated[
        int,
        Parameter(help="Of the plain method; its objective after them is the target.", validator=Number(gte=2)),
    ] = _DEFAULTS.target_iterations,
    json: Annotated[
        Path, Parameter(help="File of the figures; a run that was cut off goes on from it. The plot lies beside it.")
    ] = Path("impasto-bench.json"),
) -> int:
    """Time this package and the plain method side by side: seconds to the same objective, on this machine."""
    names = [name.strip() for name in rows.split(",") if name.strip()]
    for name in names:
        if name not in ROWS:
            raise UserError(f"Unknown row '{name}'. {did_you_mean(name, sorted(ROWS))}")
    if not names:
        raise UserError(f"--rows names nothing to measure; it takes {', '.join(ROWS)}.")
    settings = Settings(height, pairs, names, target_iterations)

    def tell(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    report = run_bench(settings, json, tell)
    from impasto.bench.plot import plot_curves

    plot_curves(report, json.with_suffix(".png"))
    tell(table(report))
    return 0
