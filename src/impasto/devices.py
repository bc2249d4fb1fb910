"""Devices: choosing one, what memory it has free, recognizing "out of memory", and what becomes of freed memory."""

import ctypes
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from impasto.errors import RecipeError
from impasto.free_memory import free_memory, own_memory

logger = logging.getLogger(__name__)

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# Asks torch, which looks once, before its first tensor, for large blocks in pages of 2 MB (Linux): a picture in tiles
# gets new blocks all the time, and the system clears a few large pages faster than many small ones.

LARGEST_KEPT_BLOCK = 32 << 20
"""Bytes of the largest block that glibc can keep (its ``DEFAULT_MMAP_THRESHOLD_MAX``); larger ones go back at once."""

_LARGEST_KEPT_BLOCK_IF_LOW_MEMORY = 1 << 20

_LARGEST_KEPT_BLOCK_IF_TEMPORARY = 1 << 17

_MOST_KEPT = (1 << 31) - 1
"""Free bytes kept at the end of the heap; this many means all of them."""

_MOST_KEPT_IF_LOW_MEMORY = 1 << 17
"""glibc's default."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


@contextmanager
def mmap_temporaries(then: Callable[[], None]) -> Iterator[None]:
    """Gives each block its own memory mapping, so that work with many temporaries leaves no holes in the heap.

    Args:
        then: Sets the policy for what follows: `retain_freed_pages` or `release_freed_pages`.
    """
    _set_allocator(_LARGEST_KEPT_BLOCK_IF_TEMPORARY, _MOST_KEPT_IF_LOW_MEMORY)
    trim_freed_pages()
    yield
    then()


def retain_freed_pages() -> None:
    """Makes the allocator keep freed blocks for the next iteration; holds for the rest of the process.

    By default the allocator returns much of them to the system, which clears every page before it hands it out again:
    thousands in an iteration. `trim_freed_pages` returns what is kept when a run is over.
    """
    trim_freed_pages()
    _set_allocator(LARGEST_KEPT_BLOCK, _MOST_KEPT)


def release_freed_pages() -> None:
    """Makes the allocator return freed blocks to the system at once; holds for the rest of the process.

    Without this a run holds up to half more memory than it uses. With it the system has to clear each new block.
    """
    _set_allocator(_LARGEST_KEPT_BLOCK_IF_LOW_MEMORY, _MOST_KEPT_IF_LOW_MEMORY)
    trim_freed_pages()


def trim_freed_pages() -> None:
    """Returns what the allocator has kept to the system now. Does nothing where the C library is not glibc."""
    _call_glibc("malloc_trim", 0)


def _set_allocator(largest_kept: int, most_kept: int) -> None:
    """Sets both values: setting one alone would stop glibc from adapting the other."""
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, largest_kept)
    _call_glibc("mallopt", _M_TRIM_THRESHOLD, most_kept)


def _call_glibc(function: str, *arguments: int) -> None:
    try:
        getattr(ctypes.CDLL(None), function)(*arguments)
    except (OSError, AttributeError, TypeError):
        logger.debug("This system's allocator has no %s.", function)


KEPT_FREE = 0.1
"""Share of the free memory that a run leaves to others."""


def allowed_bytes(device: torch.device) -> int | None:
    """What the process may use in all: what it has, and most of what is free; None where the system does not tell.

    Args:
        device: Where it computes. On CUDA the memory is the device's; else it is the machine's, or its container's.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free + int((1 - KEPT_FREE) * free)
    own, free_bytes = own_memory(), free_memory()
    return None if own is None or free_bytes is None else own + int((1 - KEPT_FREE) * free_bytes)


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


def pick_precision(name: str, device: torch.device) -> str:
    """The precision of that name; ``"auto"`` is bfloat16 where the device computes it in hardware, else float32.

    Raises:
        RecipeError: If the device has no such precision.
    """
    if name == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if name in ("float16", "tf32") and device.type == "cpu":
        raise RecipeError(f"precision {name} needs a GPU; got device cpu. Use auto, float32 or bfloat16.")
    if name == "bfloat16" and not has_bfloat16(device):
        logger.warning("This device has no bfloat16 in hardware: a run takes many times as long as with float32.")
    return name


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes bfloat16 in hardware: GPUs since Ampere, processors with AVX512-BF16 or AMX."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # public names do not exist
        return any(bool(getattr(torch.cpu, check, bool)()) for check in checks)
    return False


def set_tf32(precision: str) -> None:
    """Lets CUDA round float32 to 10 bits of mantissa for ``"tf32"`` alone; holds for the rest of the process."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
