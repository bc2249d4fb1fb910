"""Event streams: each event once, in order, whoever is slow."""

import asyncio
from collections.abc import Sequence

from impasto.service.api.broker import BATCH, MEMORY, Broker, LoggedEvent


class Log:
    """Events in memory."""

    def __init__(self) -> None:
        self.events: list[LoggedEvent] = []

    def add(self, count: int, owner: str = "ann", job_id: str = "j") -> None:
        """Adds some events."""
        for _ in range(count):
            number = len(self.events) + 1
            self.events.append(LoggedEvent(number, owner, job_id, "progress", f'{{"n":{number}}}'))

    def newest_id(self) -> int:
        return len(self.events)

    def read(
        self, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> Sequence[LoggedEvent]:
        found = (event for event in self.events[after:] if owner in (None, event.owner))
        return [event for event in found if job_id in (None, event.job_id)][:limit]


def ids_in(text: bytes) -> list[int]:
    """Ids of the events of a stream that have data."""
    blocks = text.decode().split("\n\n")
    return [int(block.split("\n")[0].removeprefix("id: ")) for block in blocks if "\ndata: " in block]


async def collect(broker: Broker, count: int, owner: str | None, job_id: str | None, after: int | None) -> list[int]:
    """The ids of the first events of a stream."""
    found: list[int] = []
    stream = broker.stream(owner, job_id, after)
    async for text in stream:
        found += ids_in(text)
        if len(found) >= count:
            break
    await stream.aclose()  # type: ignore[attr-defined]
    return found


def test_a_new_stream_begins_with_what_comes_next() -> None:
    async def run() -> list[int]:
        log = Log()
        log.add(5)
        reading = asyncio.create_task(collect(Broker(log), 3, "ann", None, None))
        await asyncio.sleep(0.05)
        log.add(3)
        return await reading

    assert asyncio.run(run()) == [6, 7, 8]


def test_a_stream_goes_on_after_the_last_event_that_is_known() -> None:
    log = Log()
    log.add(BATCH * 3)
    found = asyncio.run(collect(Broker(log), BATCH * 3 - 7, "ann", None, 7))
    assert found == list(range(8, BATCH * 3 + 1))


def test_callers_see_their_own_events_only() -> None:
    log = Log()
    log.add(2, owner="ann")
    log.add(2, owner="bob")
    log.add(1, owner="ann")
    assert asyncio.run(collect(Broker(log), 3, "ann", None, 0)) == [1, 2, 5]


def test_a_stream_of_one_job_has_nothing_else() -> None:
    log = Log()
    log.add(2, job_id="a")
    log.add(2, job_id="b")
    assert asyncio.run(collect(Broker(log), 2, "ann", "b", 0)) == [3, 4]


def test_a_reader_who_falls_out_of_the_memory_misses_nothing() -> None:
    async def run() -> list[int]:
        log = Log()
        broker = Broker(log)
        slow = broker.stream("ann", None, None)
        await anext(slow)
        fast = asyncio.create_task(collect(broker, MEMORY * 2, "ann", None, None))
        await asyncio.sleep(0.05)
        log.add(MEMORY * 2)
        await fast
        found: list[int] = []
        while len(found) < MEMORY * 2:
            found += ids_in(await anext(slow))
        await slow.aclose()  # type: ignore[attr-defined]
        return found

    assert asyncio.run(run()) == list(range(1, MEMORY * 2 + 1))


def test_closing_ends_all_streams() -> None:
    async def run() -> int:
        broker = Broker(Log())
        stream = broker.stream("ann", None, None)
        await anext(stream)
        waiting = asyncio.create_task(anext(stream, b"end"))
        await asyncio.sleep(0.01)
        broker.close()
        assert await waiting == b"end"
        return broker.num_streams

    assert asyncio.run(run()) == 0


def test_an_id_from_the_future_is_no_reason_to_wait_for_it() -> None:
    async def run() -> list[int]:
        log = Log()
        log.add(1)
        reading = asyncio.create_task(collect(Broker(log), 1, "ann", None, 10**9))
        await asyncio.sleep(0.05)
        log.add(1)
        return await reading

    assert asyncio.run(run()) == [2]


def test_a_log_that_is_away_for_a_while_is_read_later() -> None:
    class Away(Log):
        """Fails once."""

        num_reads = 0

        def read(
            self, after: int, limit: int, owner: str | None = None, job_id: str | None = None
        ) -> Sequence[LoggedEvent]:
            self.num_reads += 1
            if self.num_reads == 1:
                raise OSError("away")
            return super().read(after, limit, owner, job_id)

    async def run() -> list[int]:
        log = Away()
        reading = asyncio.create_task(collect(Broker(log), 2, "ann", None, None))
        await asyncio.sleep(0.01)
        log.add(2)
        return await reading

    assert asyncio.run(run())[-1] == 2
