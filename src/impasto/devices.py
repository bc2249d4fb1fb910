"""Devices: picking one, what "out of memory" is, and what the allocator does with freed memory."""

import ctypes
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from impasto.errors import RecipeError

logger = logging.getLogger(__name__)

LARGEST_KEPT_BLOCK = 32 << 20
"""Larger blocks go back to the system at once: glibc keeps none (its ``DEFAULT_MMAP_THRESHOLD_MAX``)."""

_LARGEST_KEPT_BLOCK_IF_LOW_MEMORY = 1 << 20

_LARGEST_KEPT_BLOCK_IF_TEMPORARY = 1 << 17

_MOST_KEPT, _MOST_KEPT_IF_LOW_MEMORY = (
    (1 << 31) - 1,
    1 << 17,
)  # at the end of the heap; the one is all, the other's usual

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


@contextmanager
def mmap_temporaries(then: Callable[[], None]) -> Iterator[None]:
    """For what leaves few blocks of many behind: each of them has a place of its own, and the heap no holes after it.

    Args:
        then: `retain_freed_pages` or `release_freed_pages`, for what follows.
    """
    _set_allocator(_LARGEST_KEPT_BLOCK_IF_TEMPORARY, _MOST_KEPT_IF_LOW_MEMORY)
    trim_freed_pages()
    yield
    then()


def retain_freed_pages() -> None:
    """Has the allocator keep blocks that are freed from now on for the next iteration; for the rest of the process.

    By itself it gives much of them back, and the system clears every page before it hands it out again: thousands in
    an iteration. What is kept when a run is over goes back by `trim_freed_pages`.
    """
    trim_freed_pages()
    _set_allocator(LARGEST_KEPT_BLOCK, _MOST_KEPT)


def release_freed_pages() -> None:
    """Has the allocator give freed blocks back at once instead of keeping holes; for the rest of the process.

    Without it a run holds up to half more than it uses; with it each new block costs the system's time to clear it.
    """
    _set_allocator(_LARGEST_KEPT_BLOCK_IF_LOW_MEMORY, _MOST_KEPT_IF_LOW_MEMORY)
    trim_freed_pages()


def trim_freed_pages() -> None:
    """Gives back now what the allocator has kept. Where the C library is not glibc nothing changes."""
    _call_glibc("malloc_trim", 0)


def _set_allocator(largest_kept: int, most_kept: int) -> None:
    """Sets both, since each that is set alone ends glibc's own adaptation of the other."""
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, largest_kept)
    _call_glibc("mallopt", _M_TRIM_THRESHOLD, most_kept)


def _call_glibc(function: str, *arguments: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*arguments)
    except (OSError, AttributeError, TypeError):
        logger.debug("This system's allocator has no %s.", function)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a processor or an accelerator."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in words or "not enough memory" in words or "out of memory" in words
    )


def pick_device(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is the first accelerator, else the CPU.

    Raises:
        RecipeError: If this machine (or this torch) has no such device.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError):
        raise RecipeError(f"Device '{name}' is not available here; use --device auto or cpu.") from None
    return device
