"""The log of events: append-only, with ids that increase in the order in which readers see them."""

from collections.abc import Sequence

from impasto.service.jobs.records import EventRecord
from impasto.service.store.database import Database


class EventLog:
    """Reads the log, and waits for nobody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_id(self) -> int:
        """Of the last event; 0 if there is none."""

    def read(self, after: int, limit: int, owner: str | None = None, job_id: str | None = None) -> Sequence[EventRecord]:
        """The events that follow another one, in their order.

        Args:
            after: Id of the last one that is known.
            limit: How many at most.
            owner: Only this caller's.
            job_id: Only this job's.
        """
