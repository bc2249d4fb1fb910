"""The core of the service: database, artifacts, queue and desk, opened together. Neither torch nor numpy is loaded."""

from dataclasses import dataclass
from typing import Self

from impasto.service.artifacts import Artifacts
from impasto.service.jobs.attempts import Attempts
from impasto.service.jobs.desk import Desk
from impasto.service.jobs.events import EventLog
from impasto.service.queue import Queue
from impasto.service.settings import Settings
from impasto.service.store.database import Database

__all__ = ["Core"]


@dataclass(frozen=True)
class Core:
    """What API, workers and supervisor share.

    Attributes:
        settings: The operator's.
        database: Tables and transactions.
        artifacts: Files by key.
        queue: From callers to workers.
        desk: What callers ask.
        attempts: What workers tell.
        events: The log that streams read.
    """

    settings: Settings
    database: Database
    artifacts: Artifacts
    queue: Queue
    desk: Desk
    attempts: Attempts
    events: EventLog

    @classmethod
    def open(cls, settings: Settings, *, migrates: bool = True) -> Self:
        """Opens all of it.

        Args:
            settings: The operator's.
            migrates: Whether the schema is brought up to date first, by whoever comes first.

        Raises:
            UserError: If the data folder or a URL cannot be used.
            DatabaseError: If the database cannot be reached.
        """
        settings.prepare()
        database = Database(settings.database)
        queue = Queue(database)
        if migrates:
            database.migrate()
            queue.migrate()
        return cls(
            settings, database, Artifacts(settings.artifacts), queue, Desk(database, queue, settings),
            Attempts(database, queue, settings), EventLog(database),
        )  # fmt: skip

    def close(self) -> None:
        """Closes all connections."""
        self.database.close()
