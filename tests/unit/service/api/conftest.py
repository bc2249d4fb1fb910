"""A service of this machine, and one with keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client

from tests.service import Service, api


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Client, Service]]:
    with api(tmp_path / "data") as pair:
        yield pair


@pytest.fixture
def client(made: tuple[Client, Service]) -> Client:
    return made[0]


@pytest.fixture
def rooms(made: tuple[Client, Service]) -> Service:
    return made[1]
