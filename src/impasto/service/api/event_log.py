"""The log of events as streams have it: jobs with their addresses and pictures, as JSON."""

import json
from collections.abc import Sequence

from impasto.service.api.broker import LoggedEvent
from impasto.service.api.views import pictures_of, to_event
from impasto.service.jobs.events import EventLog
from impasto.service.jobs.records import JobRecord
from impasto.service.store.database import Database


class RenderedLog:
    """Reads the log; calls block.

    Args:
        log: Of the service.
        database: Where jobs' pictures are looked up.
    """

    def __init__(self, log: EventLog, database: Database) -> None:
        self._log, self._database = log, database

    def newest_id(self) -> int:
        """Of the last event; 0 if there is none."""
        return self._log.newest_id()

    def read(
        self, after: int, limit: int, owner: str | None = None, job_id: str | None = None
    ) -> Sequence[LoggedEvent]:
        """The events that follow another one, in their order."""
        records = self._log.read(after, limit, owner, job_id)
        jobs = [JobRecord.model_validate(record.data) for record in records if record.name == "job"]
        images = pictures_of(self._database, jobs) if jobs else {}
        return [
            LoggedEvent(
                record.id, record.owner, record.job_id, record.name,
                json.dumps(to_event(record.name, record.data, images), separators=(",", ":")),
            )
            for record in records
        ]  # fmt: skip
