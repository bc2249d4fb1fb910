"""The fair order between callers: start-time fair queueing.

Within a priority, each job takes a turn: one after its caller's last one, but never before the turn that is on now. So
callers with jobs waiting alternate, however many each of them has put in, and somebody who comes new waits for at most
one job of each of the others. A higher priority goes first.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.service.jobs.states import State
from impasto.service.store.tables import Job

TURNS_A_PRIORITY = 200_000_000
"""Room for turns within one priority; ten priorities fill DBOS's range of 1 to 2^31 - 1."""


def next_turn(session: Session, owner: str, priority: int) -> int:
    """The turn of a caller's new job.

    Args:
        session: The transaction that adds it.
        owner: The caller.
        priority: 0 to 9.
    """
    unfinished = Job.finished_at.is_(None)
    of_level = sa.and_(unfinished, Job.priority == priority)
    waiting = sa.select(sa.func.min(Job.turn)).where(of_level, Job.state == State.QUEUED)
    running = sa.select(sa.func.max(Job.turn)).where(of_level, Job.state == State.RUNNING)
    own = sa.select(sa.func.max(Job.turn)).where(of_level, Job.owner == owner)
    first_waiting, last_running, last_own = (session.scalar(query) for query in (waiting, running, own))
    now = first_waiting if first_waiting is not None else last_running or 0
    return max(now, (last_own if last_own is not None else -1) + 1)


def queue_priority(priority: int, turn: int) -> int:
    """What the queue sorts by, lowest first."""
    return (9 - priority) * TURNS_A_PRIORITY + min(turn, TURNS_A_PRIORITY - 2) + 1
