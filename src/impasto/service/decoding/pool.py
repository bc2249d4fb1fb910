"""Asks the nursery, from the event loop."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.service.child_process import ChildProcess

THUMBNAIL_EDGES = (128, 256, 512, 1024)
"""Pixels of the longest edge."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"), "1")
"""Variables of a process that forks."""


@dataclass(frozen=True)
class DecodingLimits:
    """What a picture may take.

    Attributes:
        seconds: To decode.
        memory_bytes: To decode.
        file_bytes: Of a file that is written of it.
        max_pixels: Of the picture.
        num_at_once: Pictures that are decoded at the same time.
    """

    seconds: float = 30.0
    memory_bytes: int = 3 << 30
    file_bytes: int = 2 << 30
    max_pixels: int = 100_000_000
    num_at_once: int = 2


class DecodingPool:
    """Decodes pictures in child processes, a few at once.

    Args:
        limits: What one picture may take.
    """

    def __init__(self, limits: DecodingLimits) -> None:
        self._max_pixels = limits.max_pixels
        self._slots = asyncio.Semaphore(limits.num_at_once)
        words = {"seconds": limits.seconds, "memory_bytes": limits.memory_bytes, "file_bytes": limits.file_bytes}
        self._nursery = ChildProcess("impasto.service.decoding.nursery", [json.dumps(words)], _ONE_THREAD)

    async def inspect(self, source: Path, name: str, thumbnails: Mapping[int, Path]) -> dict[str, Any]:
        """As `impasto.service.decoding.tasks.inspect`.

        Raises:
            ImageError: If it is no readable picture, too large, or takes more than its limits.
        """
        files = {str(edge): str(file) for edge, file in thumbnails.items()}
        result: dict[str, Any] = await self._ask("inspect", source=str(source), name=name, thumbnails=files)
        return result

    async def convert(self, source: Path, target: Path, name: str) -> None:
        """As `impasto.service.decoding.tasks.convert`.

        Raises:
            OutputError: If the format cannot hold the picture.
        """
        await self._ask("convert", source=str(source), target=str(target), name=name)

    async def close(self) -> None:
        """Ends the nursery and whatever is still at work in it."""
        await self._nursery.close()

    async def _ask(self, task: str, **arguments: Any) -> Any:
        async with self._slots:
            return await self._nursery.ask(task, max_pixels=self._max_pixels, **arguments)
