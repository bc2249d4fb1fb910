"""Peak memory of this process over a part of its life, where the system can tell it (Linux)."""

import re
from contextlib import suppress
from pathlib import Path

__all__ = ["forget_peak", "peak_bytes"]

_PROCESS = Path("/proc/self")


def forget_peak() -> None:
    """Lets the peak be counted anew from now on; without effect where the system cannot."""
    with suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int | None:
    """Largest resident memory since `forget_peak`; None where the system does not tell."""
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", (_PROCESS / "status").read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None
