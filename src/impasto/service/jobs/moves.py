"""How a job's row changes: every move from state to state goes through here, with its event and its parent's counts."""

import datetime
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.service.jobs.events import log_job
from impasto.service.jobs.states import ENDED, State, check_transition
from impasto.service.queue import Queue
from impasto.service.store.tables import Attempt, Job, now

__all__ = ["cells_of", "end_attempt", "find_locked", "hand_over", "move"]

PICTURE, SWEEP = "picture", "sweep"

_STARTED = frozenset({State.RUNNING, State.DONE, State.STOPPED, State.FAILED})


def find_locked(session: Session, job_id: str) -> Job | None:
    """A job's row, which nobody else changes until the transaction's end."""
    return session.scalar(sa.select(Job).where(Job.id == job_id).with_for_update())


def cells_of(session: Session, parent: Job) -> Sequence[Job]:
    """The cells of a sweep or batch, in their order."""
    query = sa.select(Job).where(Job.owner == parent.owner, Job.parent_id == parent.id).order_by(Job.number)
    return session.scalars(query.with_for_update()).all()


def move(session: Session, queue: Queue, job: Job, state: State) -> None:
    """Brings a job into another state.

    Raises:
        ConflictError: If it may not follow the present one.
    """
    check_transition(State(job.state), state)
    job.state = state
    if state is State.RUNNING and job.started_at is None:
        job.started_at = now()
    if state is not State.RUNNING:
        job.worker, job.eta_seconds = None, None
    if state is not State.FAILED:
        job.cause = None
    if state in ENDED:
        job.finished_at, job.wanted, job.failed_attempts = now(), None, 0
    else:
        job.finished_at = None
    log_job(session, job)
    if job.parent_id is not None:
        parent = find_locked(session, job.parent_id)
        if parent is not None:
            follow_cells(session, queue, parent)


def hand_over(session: Session, queue: Queue, job: Job) -> None:
    """Brings a job into the queue."""
    move(session, queue, job, State.QUEUED)
    queue.enqueue(session, job)


def end_attempt(session: Session, job: Job, outcome: str, at: datetime.datetime | None = None) -> None:
    """Notes how the present attempt ended, and when, if that was before now."""
    row = session.get(Attempt, (job.number, job.attempt))
    if row is not None and row.ended_at is None:
        row.ended_at, row.outcome = max(row.started_at, at) if at is not None else now(), outcome


def follow_cells(session: Session, queue: Queue, parent: Job) -> None:
    """Brings a parent's counts and state to what its cells say; the sheet of a sweep is made once all have ended."""
    session.flush()
    query = sa.select(Job.state, sa.func.count()).where(Job.owner == parent.owner, Job.parent_id == parent.id)
    counts = {State(state): count for state, count in session.execute(query.group_by(Job.state))}
    num_done = counts.get(State.DONE, 0) + counts.get(State.STOPPED, 0)
    num_failed = counts.get(State.FAILED, 0)
    before = (parent.state, parent.num_done, parent.num_failed)
    parent.num_done, parent.num_failed = num_done, num_failed
    if all(state in ENDED for state in counts):
        if parent.kind == SWEEP and num_done and parent.state != State.DONE:
            if parent.wanted != "overview":
                parent.state, parent.wanted, parent.worker = State.RUNNING, "overview", None
                queue.enqueue(session, parent)
        else:
            parent.state = State.DONE if num_done else State.FAILED if num_failed else State.CANCELLED
            parent.finished_at = now()
    else:
        parent.state, parent.finished_at, parent.wanted = _joint_state(counts), None, None
        if parent.started_at is None and parent.state == State.RUNNING:
            parent.started_at = now()
    if (parent.state, parent.num_done, parent.num_failed) != before:
        log_job(session, parent)


def _joint_state(counts: dict[State, int]) -> State:
    """What several jobs do together, some of which have not ended."""
    if counts.get(State.QUEUED, 0) and not _STARTED & counts.keys():
        return State.QUEUED
    if counts.get(State.PAUSED, 0) and not {State.QUEUED, State.RUNNING} & counts.keys():
        return State.PAUSED
    return State.RUNNING


def with_cells(session: Session, job: Job) -> Iterator[Job]:
    """The pictures that a job stands for: itself, or its cells."""
    if job.kind == PICTURE:
        yield job
    else:
        yield from cells_of(session, job)
