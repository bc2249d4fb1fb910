"""The event stream, read: lines to events."""

import json
from dataclasses import dataclass
from typing import Any

from impasto.service.schemas import Job, Progress

ENDED = frozenset({"done", "stopped", "cancelled", "failed"})
"""States that a job does not leave by itself."""

MAX_FAILURES = 6
"""Connections in a row that may fail while events are followed."""

READ_TIMEOUT = 40.0
"""Seconds of silence after which a connection is taken for lost; the service says something every 15."""


def patience(num_failures: int) -> float:
    """Seconds to wait before the next attempt to connect."""
    return float(min(2.0, 0.2 * 2**num_failures))


@dataclass(frozen=True)
class Event:
    """One event of the stream.

    Attributes:
        id: Increases; where to go on after a break.
        name: ``"job"``, ``"progress"``, ``"preview"`` or ``"deleted"``.
        data: As sent.
    """

    id: int
    name: str
    data: dict[str, Any]

    @property
    def job(self) -> Job | None:
        """The job as it is now, of an event ``"job"``."""
        return Job.model_validate(self.data) if self.name == "job" else None

    @property
    def progress(self) -> Progress | None:
        """One iteration, of an event ``"progress"``."""
        return Progress.model_validate(self.data) if self.name == "progress" else None


class EventReader:
    """Takes a stream line by line, and hands out an event where one ends.

    Attributes:
        last_id: Of the last event, or what the stream began with; None before.
    """

    def __init__(self, last_id: int | None = None) -> None:
        self.last_id = last_id
        self._name: str = "message"
        self._data: list[str] = []

    def take(self, line: str) -> Event | None:
        """One line without its end; returns the event that it completes."""
        if not line:
            name, data = self._name, "\n".join(self._data)
            self._name, self._data = "message", []
            return Event(self.last_id or 0, name, json.loads(data)) if data else None
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match key:
            case "id" if value.isdecimal():
                self.last_id = int(value)
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
        return None

    def break_off(self) -> None:
        """Forgets a half event, as of a connection that was lost."""
        self._name, self._data = "message", []
