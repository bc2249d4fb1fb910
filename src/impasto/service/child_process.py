"""A process that answers questions: lines of JSON in, lines of JSON out; started when it is needed, and again."""

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from impasto import errors
from impasto.errors import ImpastoError

MAX_LINE_BYTES = 4 << 20
"""Of an answer."""

_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


class ChildProcess:
    """Asks a module of this package that runs as a process of its own.

    Args:
        module: Run by ``python -m``; answers ``{"id", "task", "arguments"}`` by ``{"id", "result"}`` or
            ``{"id", "error", "message"}``, in any order; lines that have ``"news"`` besides come before an answer.
        arguments: Of its command line.
        environment: Variables besides those that every process needs; nothing else of the service's is handed on.
    """

    def __init__(
        self, module: str, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self._environment = kept | dict(environment or {})
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, tuple[asyncio.Future[dict[str, Any]], Callable[[Any], None] | None]] = {}
        self._ids = itertools.count(1)

    async def ask(self, task: str, *, on_news: Callable[[Any], None] | None = None, **arguments: Any) -> Any:
        """Puts a question and waits for the answer.

        Raises:
            ImpastoError: Of the class that the process names, or if it ended.
        """
        process = await self._started()
        request_id = next(self._ids)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answered, on_news
        assert process.stdin is not None  # noqa: S101 (it was asked for)
        with contextlib.suppress(ConnectionError):  # those that wait are told of its end
            process.stdin.write(json.dumps({"id": request_id, "task": task, "arguments": arguments}).encode() + b"\n")
            await process.stdin.drain()
        answer = await answered
        if "error" in answer:
            kind = getattr(errors, answer["error"], ImpastoError)
            raise kind(answer["message"])
        return answer["result"]

    async def close(self) -> None:
        """Ends the process, and what it has at work."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                async with asyncio.timeout(2):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
        if self._listening is not None:
            await self._listening

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, env=self._environment, limit=MAX_LINE_BYTES,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                self._listening = asyncio.create_task(self._listen(self._process))
            return self._process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 (it was asked for)
        while line := await process.stdout.readline():
            answer = json.loads(line)
            if "news" in answer:
                _, on_news = self._waiting.get(answer["id"], (None, None))
                if on_news is not None:
                    on_news(answer["news"])
                continue
            answered, _ = self._waiting.pop(answer["id"], (None, None))
            if answered is not None and not answered.done():
                answered.set_result(answer)
        await process.wait()
        failure = {"error": "ImpastoError", "message": "A helper of the service ended unexpectedly. Try again."}
        waiting, self._waiting = self._waiting, {}
        for answered, _ in waiting.values():
            if not answered.done():
                answered.set_result(failure)
