"""Server-sent events: one reader of the events' log, any number of streams that follow it.

What is new is read once, rendered once, and kept in a short memory that all streams share. A stream has nothing of
its own but its place, so that a slow reader costs no memory: it falls behind, and where it has fallen out of the
shared memory it is served from the log.
"""

import asyncio
import contextlib
import logging
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0
STALLED_SECONDS = 60.0
"""A reader that takes nothing for so long is given up; it comes back by its Last-Event-ID."""

MEMORY = 5_000
"""Events that are kept for all streams."""

BATCH = 500
"""Events that are read of the log at once."""

MAX_STREAMS = 2_000


@dataclass(frozen=True)
class LoggedEvent:
    """One event of the log.

    Attributes:
        id: Increases from event to event.
        owner: Whose job it is.
        job_id: Of which job.
        name: As the stream names it.
        data: JSON.
    """

    id: int
    owner: str
    job_id: str
    name: str
    data: str


class EventLog(Protocol):
    """Where events come from; calls may block."""

    def newest_id(self) -> int:
        """Of the last event; 0 if there is none."""

    def read(
        self, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> Sequence[LoggedEvent]:
        """The events that follow another one, in their order."""


@dataclass(frozen=True)
class _Rendered:
    id: int
    owner: str
    job_id: str
    text: bytes


class Broker:
    """Follows the log while anybody follows it.

    Args:
        log: The events.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._memory: list[_Rendered] = []
        self._floor = 0  # everything after this id is in the memory
        self._newest = 0
        self._news = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._is_closed = False
        self.num_streams = 0

    def close(self) -> None:
        """Ends all streams; their readers come back by themselves, if somebody listens then."""
        self._is_closed = True
        self._wake()

    async def stream(
        self,
        owner: str | None,
        job_id: str | None,
        after: int | None,
        greet: Callable[[], Awaitable[bytes]] | None = None,
    ) -> AsyncIterator[bytes]:
        """The events of a caller, or of one job, from a place on.

        Args:
            owner: Whose; None for everybody's.
            job_id: Of which job; None for all.
            after: The last event that is known; None for those to come.
            greet: Makes what comes first, once nothing that happens later can be missed.

        Yields:
            One or several events as text, or a comment where there was nothing to say for a while.
        """
        await self._follow()
        self.num_streams += 1
        try:
            position = self._newest if after is None else min(after, self._newest)
            yield b"retry: 2000\nid: %d\n\n" % position
            if greet is not None:
                yield await greet()
            while not self._is_closed:
                news = self._news
                text, position = await self._since(position, owner, job_id)
                if text:
                    yield text
                elif position >= self._newest:
                    try:
                        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                            await news.wait()
                    except TimeoutError:
                        yield b": still here\n\n"
        finally:
            self.num_streams -= 1

    async def _since(self, position: int, owner: str | None, job_id: str | None) -> tuple[bytes, int]:
        """What follows a place, and the place after that."""
        if position >= self._floor:
            start = bisect_right(self._memory, position, key=lambda event: event.id)
            events = self._memory[start : start + BATCH]
            end = events[-1].id if events else position
            return b"".join(event.text for event in events if _concerns(event, owner, job_id)), end
        newest = self._newest
        logged = await asyncio.to_thread(self._log.read, position, BATCH, owner, job_id)
        end = logged[-1].id if len(logged) == BATCH else max(newest, logged[-1].id if logged else 0)
        return b"".join(_render(event).text for event in logged), end

    async def _follow(self) -> None:
        """Lets the log be read, if it is not."""
        if self._is_followed:
            return
        newest = await asyncio.to_thread(self._log.newest_id)
        if not self._is_followed:  # by another stream, meanwhile
            self._newest = self._floor = newest
            self._memory = []
            self._following = asyncio.create_task(self._read_news())

    @property
    def _is_followed(self) -> bool:
        return self._following is not None and not self._following.done()

    async def _read_news(self) -> None:
        while self.num_streams and not self._is_closed:
            try:
                events = await asyncio.to_thread(self._log.read, self._newest, BATCH)
            except Exception as error:  # the database may be away for a while; nothing of the log is missed
                logger.error("events cannot be read: %s", type(error).__name__)
                events = []
            if events:
                self._memory += map(_render, events)
                self._newest = events[-1].id
                if len(self._memory) > MEMORY:
                    cut = len(self._memory) - MEMORY // 2
                    self._floor = self._memory[cut - 1].id
                    self._memory = self._memory[cut:]
                self._wake()
            if len(events) < BATCH:
                await asyncio.sleep(POLL_SECONDS)

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _concerns(event: _Rendered, owner: str | None, job_id: str | None) -> bool:
    return (owner is None or event.owner == owner) and (job_id is None or event.job_id == job_id)


def _render(event: LoggedEvent) -> _Rendered:
    text = f"id: {event.id}\nevent: {event.name}\ndata: {event.data}\n\n"
    return _Rendered(event.id, event.owner, event.job_id, text.encode())


class EventStreamResponse(Response):
    """A response that goes on until its reader leaves, stalls, or the service ends.

    Args:
        events: Makes the events.
    """

    media_type = "text/event-stream"

    def __init__(self, events: Callable[[], AsyncIterator[bytes]]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the end."""
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, TimeoutError | OSError):
                raise result

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with contextlib.aclosing(self._events()) as events:  # type: ignore[type-var]
            async for text in events:
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
