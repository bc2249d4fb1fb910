"""Structured logs: a line for each event, as text for people or as JSON, with ids of jobs and never a path or a key.

The library logs through `logging`; what it says of a run may name files. So records of other rooms than the service's
are written by their level and room alone: their sentences reach the job's caller, not the operator's log.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["configure_logs"]

SERVICE = "impasto.service"

_KNOWN = ("job_id", "worker", "attempt", "reason", "error", "is_clean", "method", "route", "status", "seconds", "owner",
          "pid", "count", "code", "address")  # fmt: skip
"""What a record may carry besides its event."""


def configure_logs(log_format: str, level: int = logging.INFO) -> None:
    """Lets everything that is logged in this process go to stderr, one line each.

    Args:
        log_format: ``text`` or ``json``.
        level: The least serious that is written.
    """
    is_json = log_format == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer() if is_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=_KNOWN),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_without_paths, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("impasto").setLevel(logging.WARNING)
    logging.getLogger(SERVICE).setLevel(level)


def _without_paths(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leaves out the sentence of a record that comes from the painting itself."""
    record = event.get("_record")
    if record is not None and record.name.startswith("impasto.") and not record.name.startswith(SERVICE):
        event["event"] = "a note on a job"
        record.exc_info = None
    return event
