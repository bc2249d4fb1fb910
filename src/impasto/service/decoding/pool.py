"""Asks the nursery, from the event loop; starts it when it is needed, and again should it end."""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from impasto import errors
from impasto.errors import ImageError, ImpastoError

THUMBNAIL_EDGES = (128, 256, 512, 1024)
"""Pixels of the longest edge."""

MAX_LINE_BYTES = 4 << 20
"""Of an answer."""


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
        self.limits = limits
        self._slots = asyncio.Semaphore(limits.num_at_once)
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)

    async def inspect(self, source: Path, name: str, thumbnails: Mapping[int, Path]) -> dict[str, Any]:
        """As `impasto.service.decoding.tasks.inspect`.

        Raises:
            ImageError: If it is no readable picture, too large, or takes more than its limits.
        """
        files = {str(edge): str(file) for edge, file in thumbnails.items()}
        return await self._ask("inspect", source=str(source), name=name, thumbnails=files)

    async def convert(self, source: Path, target: Path, name: str) -> None:
        """As `impasto.service.decoding.tasks.convert`.

        Raises:
            OutputError: If the format cannot hold the picture.
        """
        await self._ask("convert", source=str(source), target=str(target), name=name)

    async def close(self) -> None:
        """Ends the nursery and whatever is still at work in it."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            await self._process.wait()
        if self._listening is not None:
            await self._listening

    async def _ask(self, task: str, **arguments: Any) -> dict[str, Any]:
        async with self._slots:
            process = await self._nursery()
            request_id = next(self._ids)
            self._waiting[request_id] = answered = asyncio.get_running_loop().create_future()
            request = {"id": request_id, "task": task, "arguments": arguments | {"max_pixels": self.limits.max_pixels}}
            assert process.stdin is not None  # noqa: S101 (it was asked for)
            with contextlib.suppress(ConnectionError):  # its end is told to those that wait
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
            answer = await answered
        if "error" in answer:
            raise _error(answer["error"], answer["message"])
        result: dict[str, Any] = answer["result"]
        return result

    async def _nursery(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                limits = {name: asdict(self.limits)[name] for name in ("seconds", "memory_bytes", "file_bytes")}
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "impasto.service.decoding.nursery", json.dumps(limits),
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=_environment(), limit=MAX_LINE_BYTES,
                )  # fmt: skip
                self._listening = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        while line := await process.stdout.readline():
            answer = json.loads(line)
            if (answered := self._waiting.pop(answer["id"], None)) and not answered.done():
                answered.set_result(answer)
        await process.wait()
        failure = {"error": "ImpastoError", "message": "The picture decoder ended unexpectedly. Try again."}
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_result(failure)
        self._waiting.clear()


def _environment() -> dict[str, str]:
    """Of the nursery: nothing of the service's own, and one thread, since it forks."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VIPS_CONCURRENCY"), "1")
    return kept | threads


def _error(name: str, message: str) -> Exception:
    if name == "OSError":
        return ImpastoError(f"The service cannot store the picture: {message}.")
    kind = getattr(errors, name, ImageError)
    error: Exception = kind(message)
    return error
