"""The client with an event loop: the same methods, awaited."""

import asyncio
import inspect
from pathlib import Path

import pytest

from impasto.examples import example_path
from impasto.service.client import AsyncClient, Client, RefusedError
from tests.service import ORDER, served, service


def public(kind: type) -> dict[str, inspect.Signature]:
    """Methods by name, with what they take."""
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    ours, theirs = public(AsyncClient), public(Client)
    assert ours.keys() == theirs.keys()
    assert {name: list(s.parameters) for name, s in ours.items()} == {n: list(s.parameters) for n, s in theirs.items()}


def test_jobs_are_made_followed_and_refused(tmp_path: Path) -> None:
    async def work(url: str) -> list[str]:
        states = []
        async with AsyncClient(url) as client:
            job = await client.submit(example_path("coffee"), ["example:oil"], ORDER["recipe"])
            async for event in client.events(job.id, after=0):
                if event and event.job:
                    states.append(event.job.state)
                    if event.job.state == "queued":
                        await client.cancel(job.id)
                    else:
                        break
            assert [found.id async for found in client.jobs()] == [job.id]
            with pytest.raises(RefusedError, match="was cancelled"):
                await client.result(job.id)
            await client.archive(job.id, tmp_path / "all.zip")
        return states

    with service(tmp_path / "data") as made, served(made.app) as url:
        assert asyncio.run(work(url)) == ["queued", "cancelled"]
    assert (tmp_path / "all.zip").read_bytes()[:2] == b"PK"
