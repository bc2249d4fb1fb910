"""Where the service is, and who asks: what both clients share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from impasto.service.client.calls import BASE, DEFAULT_URL, unreachable


class Connection:
    """An address and a key.

    Args:
        url: Of the service; ``IMPASTO_URL`` where none is given, else this machine's.
        key: ``IMPASTO_KEY`` where none is given.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, url: str | None, key: str | None, timeout: float) -> None:
        self.timeout = timeout
        self.url = (url or os.environ.get("IMPASTO_URL") or DEFAULT_URL).rstrip("/")
        key = key or os.environ.get("IMPASTO_KEY")
        self.options: dict[str, Any] = {
            "base_url": self.url + BASE,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": timeout,
        }

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what goes wrong on the way into a sentence."""
        try:
            yield
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise unreachable(self.url, error) from None
