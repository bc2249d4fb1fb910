"""What a figure has to be read with: time, versions, machine."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["environment", "load_average"]


def environment() -> dict[str, Any]:
    """Time, versions of impasto, torch and Python, the processor, its cores, and the load before."""
    import torch

    return {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "impasto": version("impasto"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average": load_average(),
    }


def load_average() -> float | None:
    """Processes that wanted to run, over the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
