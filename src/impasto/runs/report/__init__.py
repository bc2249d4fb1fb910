"""placeholder"""
from pathlib import Path
from impasto.runs.sweep_results import Results
def write_report(path: Path, results: Results) -> None: ...
