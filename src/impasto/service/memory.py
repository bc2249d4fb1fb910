"""How much memory this machine, or the container that the process is in, has to give."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["free_memory"]

LIMITS = {
    "": ("sys/fs/cgroup", "memory.max"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
}
"""Folder and file of the limit in version 2 of Linux's control groups and, by the controller's name, in version 1."""


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that new processes can have: what the system calls available, or the container's limit if that is less.

    Args:
        root: Of the file system.

    Returns:
        None where the system does not say. Where it has no word for "available", all of its memory.
    """
    return min([*_available(root), *_limits(root)], default=None)


def _available(root: Path) -> Iterator[int]:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if found:
        yield int(found[1]) * 1024
    elif root == Path("/") and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _limits(root: Path) -> Iterator[int]:
    """Those of the process's own groups and of all above; within a container its group often looks like the root."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in LIMITS:
                folder, file = LIMITS[controller]
                place = Path(group.lstrip("/"))
                for each in (place, *place.parents):
                    text = _text(root / folder / each / file).strip()
                    if text.isdecimal():
                        yield int(text)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
