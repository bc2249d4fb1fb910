"""The typed client of the service: `Client`, and `AsyncClient` for programs with an event loop.

from pathlib import Path

from impasto.service.client import Client

with Client() as client:
    job = client.submit(Path("photo.jpg"), ["example:oil"], {"height": 600})
    client.save_result(job.id, Path("painted.png"))
"""

from impasto.service.client.aio import AsyncClient
from impasto.service.client.errors import RefusedError, ServiceError
from impasto.service.client.events import ENDED, Event
from impasto.service.client.sync import Client

__all__ = ["ENDED", "AsyncClient", "Client", "Event", "RefusedError", "ServiceError"]
