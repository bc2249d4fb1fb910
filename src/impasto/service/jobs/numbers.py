"""What the tables say of the whole fleet: who waits how long, who works, what ended lately and how."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from impasto.service.jobs.states import State
from impasto.service.store.database import Database
from impasto.service.store.tables import Attempt, Job, Worker, now

__all__ = ["LATELY_SECONDS", "EndedJob", "FleetNumbers", "count_fleet"]

LATELY_SECONDS = 300
"""Of what ended, only so much of the past is told."""

MAX_ENDED = 2000
"""Jobs that quantiles are taken over; the newest, where more have ended."""

MEGAPIXELS: Mapping[str, float] = {"small": 0.25, "medium": 1.0}
"""Sizes of pictures by their name: below so many megapixels; the others are large."""


@dataclass(frozen=True)
class EndedJob:
    """A job that ended lately.

    Attributes:
        state: How.
        priority: 0 to 9.
        size: ``small``, ``medium`` or ``large``.
        wait_seconds: Until a worker first began it; None if none did.
        run_seconds: Of painting, all attempts together.
        iterations: That were painted.
    """

    state: str
    priority: int
    size: str
    wait_seconds: float | None
    run_seconds: float
    iterations: int


@dataclass(frozen=True)
class FleetNumbers:
    """The numbers at one moment.

    Attributes:
        states: Unfinished pictures in each state; states without any are there with 0.
        queued: Pictures that wait, by priority.
        oldest_seconds: Age of the oldest picture that waits, by priority.
        workers: Workers that are heard of: ``working``, ``idle`` and ``draining``.
        ended_states: How many pictures ended lately, by state.
        ended: What ended lately; the newest, where there are more than quantiles need.
        lost_attempts: Attempts that ended lately with their worker.
        queues: How many pictures wait in each queue.
        failures: How many pictures failed lately, by cause.
        planned_bytes: That the running jobs were expected to take, together.
        taken_bytes: That the workers which have them take now, together.
        recovery_seconds: From a lost worker's last heartbeat to the start of its job's next attempt, of those that
            started lately.
    """

    states: Mapping[str, int]
    queued: Mapping[int, int]
    oldest_seconds: Mapping[int, float]
    workers: Mapping[str, int]
    ended_states: Mapping[str, int]
    ended: Sequence[EndedJob]
    lost_attempts: int
    queues: Mapping[str, int]
    failures: Mapping[str, int]
    planned_bytes: int
    taken_bytes: int
    recovery_seconds: Sequence[float]


def count_fleet(database: Database, lease_seconds: float) -> FleetNumbers:
    """Counts; blocks. The queries look at unfinished and at recent rows only, however large the tables are.

    Args:
        database: With the tables.
        lease_seconds: How long a worker may be silent.
    """
    at = now()
    since = at - datetime.timedelta(seconds=LATELY_SECONDS)
    unfinished = sa.and_(Job.finished_at.is_(None), Job.kind == "picture")
    states = sa.select(Job.state, sa.func.count()).where(unfinished).group_by(Job.state)
    waiting = (
        sa.select(Job.priority, sa.func.count(), sa.func.min(Job.created_at))
        .where(unfinished, Job.state == State.QUEUED)
        .group_by(Job.priority)
    )
    lately = sa.and_(Job.finished_at >= since, Job.kind == "picture")
    ended_states = sa.select(Job.state, sa.func.count()).where(lately).group_by(Job.state)
    ended = (
        sa.select(Job.state, Job.priority, Job.size, Job.created_at, Job.started_at, Job.seconds, Job.iteration)
        .where(lately)
        .order_by(Job.finished_at.desc())
        .limit(MAX_ENDED)
    )
    alive = Worker.heartbeat_at >= at - datetime.timedelta(seconds=lease_seconds)
    busy = sa.select(Job.worker).where(Job.finished_at.is_(None), Job.worker.is_not(None))
    workers = sa.select(Worker.is_draining, Worker.id.in_(busy), sa.func.count()).where(alive)
    lost = sa.select(sa.func.count()).where(
        Attempt.job_number == Job.number, Job.finished_at.is_(None) | (Job.finished_at >= since),
        Attempt.ended_at >= since, Attempt.outcome.startswith("lost"),
    )  # fmt: skip
    queues = (
        sa.select(Job.queue, sa.func.count()).where(unfinished, Job.state == State.QUEUED).group_by(Job.queue)
    )  # fmt: skip
    failures = sa.select(Job.cause, sa.func.count()).where(lately, Job.cause.is_not(None)).group_by(Job.cause)
    running = sa.select(Job.plan, Worker.taken_bytes).where(
        Job.worker == Worker.id, Job.finished_at.is_(None), Job.kind == "picture"
    )
    lost_one, next_one = aliased(Attempt), aliased(Attempt)
    recoveries = sa.select(lost_one.ended_at, next_one.started_at).where(
        Job.number == next_one.job_number, Job.finished_at.is_(None) | (Job.finished_at >= since),
        lost_one.job_number == next_one.job_number, lost_one.attempt == next_one.attempt - 1,
        next_one.started_at >= since, lost_one.outcome.startswith("lost"),
    )  # fmt: skip
    with database.reading() as session:
        rows = session.execute(waiting).all()
        at_work = session.execute(running).all()
        counted: dict[str, int] = dict(session.execute(states).all())
        return FleetNumbers(
            states={state: counted.get(state, 0) for state in (State.QUEUED, State.RUNNING, State.PAUSED)},
            queued={priority: count for priority, count, _ in rows},
            oldest_seconds={priority: (at - oldest).total_seconds() for priority, _, oldest in rows},
            workers=_by_what_they_do(session.execute(workers.group_by(Worker.is_draining, Worker.id.in_(busy))).all()),
            ended_states=dict(session.execute(ended_states).all()),
            ended=[_ended(*row) for row in session.execute(ended)],
            lost_attempts=session.scalar(lost) or 0,
            queues=dict(session.execute(queues).all()),
            failures={cause: count for cause, count in session.execute(failures) if cause is not None},
            planned_bytes=sum(plan.get("peak_bytes") or 0 for plan, _ in at_work),
            taken_bytes=sum(taken or 0 for _, taken in at_work),
            recovery_seconds=[
                (started - ended).total_seconds() for ended, started in session.execute(recoveries) if ended is not None
            ],
        )


def _by_what_they_do(rows: Sequence[sa.Row[bool, bool, int]]) -> dict[str, int]:
    counts = {"working": 0, "idle": 0, "draining": 0}
    for is_draining, is_busy, count in rows:
        counts["draining" if is_draining else "working" if is_busy else "idle"] += count
    return counts


def _ended(
    state: str,
    priority: int,
    size: Sequence[int] | None,
    created: datetime.datetime,
    started: datetime.datetime | None,
    seconds: float,
    iterations: int,
) -> EndedJob:
    megapixels = size[0] * size[1] / 1e6 if size else 0.0
    name = next((name for name, limit in MEGAPIXELS.items() if megapixels < limit), "large")
    wait = None if started is None else max(0.0, (started - created).total_seconds())
    return EndedJob(state, priority, name, wait, seconds, iterations)
