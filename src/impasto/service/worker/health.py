"""Whether the worker of this machine is heard of: ``python -m impasto.service.worker.health``, for container engines.

Exit code 0 if a worker that began under this host's name has sent its heartbeat within the lease, else 1.
"""

import datetime
import socket
import sys

import sqlalchemy as sa

from impasto.errors import ImpastoError
from impasto.service.settings import Settings
from impasto.service.store.database import Database
from impasto.service.store.tables import Worker, now

__all__ = ["is_heard_of", "main"]


def is_heard_of(database: Database, lease_seconds: float, host: str | None = None) -> bool:
    """Whether a worker of a machine has been heard of within the lease.

    Args:
        database: With the tables.
        lease_seconds: How long a worker may be silent.
        host: Name of the machine; this one by default.
    """
    oldest = now() - datetime.timedelta(seconds=lease_seconds)
    name = (host or socket.gethostname())[:200]
    with database.reading() as session:
        found = session.scalar(sa.select(Worker.id).where(Worker.host == name, Worker.heartbeat_at >= oldest).limit(1))
    return found is not None


def main() -> int:
    """Looks; returns the exit code."""
    try:
        settings = Settings.load()
        database = Database(settings.database)
        return 0 if is_heard_of(database, settings.lease_seconds) else 1
    except (ImpastoError, sa.exc.SQLAlchemyError):
        return 1


if __name__ == "__main__":
    sys.exit(main())
