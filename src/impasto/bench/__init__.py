"""Side-by-side timing of this package and the plain method, on this machine: ``impasto bench``."""

from impasto.bench.rows import ROWS
from impasto.bench.session import Settings, run_bench

__all__ = ["ROWS", "Settings", "run_bench"]
