"""How much memory this machine, or the container that the process is in, has free; without torch."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["free_memory", "own_memory"]

GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Folder, file of the limit, file of what is used, and the line of ``memory.stat`` with caches of files that can go; in
version 2 of Linux's control groups and, by the controller's name, in version 1."""


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that processes can have in addition: what the system calls available, or less where a container has less.

    Args:
        root: Of the file system.

    Returns:
        None where the system does not say. Where it has no word for "available", all of its memory.
    """
    return min([*_available(root), *_left_by_groups(root)], default=None)


def own_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process has in memory; None where the system does not say."""
    return _kilobytes(root / "proc/self/status", "VmRSS")


def _available(root: Path) -> Iterator[int]:
    available = _kilobytes(root / "proc/meminfo", "MemAvailable")
    if available is not None:
        yield available
    elif root == Path("/") and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left_by_groups(root: Path) -> Iterator[int]:
    """Of the process's own groups and of all above; within a container its group often looks like the root."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            if controller not in GROUPS:
                continue
            folder, limit, used, cached = GROUPS[controller]
            place = Path(group.lstrip("/"))
            for each in (root / folder / part for part in (place, *place.parents)):
                most = _number(each / limit)
                if most is not None:
                    kept = re.search(rf"^{cached} (\d+)", _text(each / "memory.stat"), re.MULTILINE)
                    yield max(0, most - (_number(each / used) or 0) + (int(kept[1]) if kept else 0))


def _kilobytes(file: Path, name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", _text(file), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")
    except OSError:
        return ""
