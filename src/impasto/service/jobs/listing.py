"""Jobs by the page: filtered, searched, the newest first; a page costs the same among ten and 100,000 of them."""

from impasto.service.jobs.records import JobRecord, Page
from impasto.service.store.database import Database

MAX_LIMIT = 200


def list_jobs(
    database: Database, owner: str | None, *, state: str | None = None, kind: str | None = None,
    search: str | None = None, parent_id: str | None = None, limit: int = 50, cursor: str | None = None,
) -> Page[JobRecord]:
    """One page of jobs.

    Args:
        database: With the tables.
        owner: Whose; None for everybody's.
        state: Only those in a state.
        kind: ``picture``, ``sweep`` or ``batch``.
        search: Words that all occur in the name, the pictures' names, the model or the look; in any case.
        parent_id: The cells of a sweep or batch; without it, jobs that are no cells.
        limit: Jobs on a page, at most 200.
        cursor: From the page before.

    Raises:
        UserError: If state, kind or cursor are not understood.
    """


def count_states(database: Database) -> dict[str, int]:
    """How many unfinished jobs are in each state, for metrics and readiness."""
