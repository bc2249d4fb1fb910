"""Which queue a job joins: that of the smallest workers which it fits, so that small jobs never wait behind large ones.

Each worker declares its memory and the operator's models that it has; workers that declare the same share a queue, and
take from it alone. So whatever is in a queue fits all who listen to it. A worker that has nothing to do fetches what
waits in the queues of others and fits it, too; large workers help small ones, never the other way round.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.recipe import size_in_words
from impasto.recipe.model_names import is_custom, public_name
from impasto.service.jobs.states import State
from impasto.service.store.tables import Job, Worker

__all__ = [
    "QUEUE", "Ability", "Need", "abilities", "is_waiting", "largest_memory", "queue_of", "reason_to_wait", "route",
]  # fmt: skip

QUEUE = "impasto-jobs"
"""Of workers that declare no limit; and where jobs wait that nobody can take for now."""

WAITS = "It waits for a worker "
"""How the sentence begins that a job has among its warnings while nobody can take it."""


@dataclass(frozen=True)
class Ability:
    """What the workers of a queue can do.

    Attributes:
        queue: Its name.
        memory_bytes: That a job may take; None for no limit.
        models: Custom models that they have, by the names that callers use.
    """

    queue: str
    memory_bytes: int | None
    models: frozenset[str]

    @property
    def room(self) -> float:
        """Bytes that a job may take; infinite without a limit."""
        return math.inf if self.memory_bytes is None else self.memory_bytes


@dataclass(frozen=True)
class Need:
    """What a job asks of its worker.

    Attributes:
        peak_bytes: That it is expected to take; 0 where nobody can tell.
        model: The custom model that it wants; None for a built-in one.
    """

    peak_bytes: int
    model: str | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """From its row."""
        model = str(job.recipe.get("model", ""))
        return cls(job.plan.get("peak_bytes") or 0, model if is_custom(model) else None)

    def is_met_by(self, ability: Ability) -> bool:
        """Whether such a worker can take the job."""
        return self.peak_bytes <= ability.room and (self.model is None or self.model in ability.models)


def is_waiting() -> sa.ColumnElement[bool]:
    """Of the rows of jobs that some queue holds, and no worker has: pictures, and sweeps that want their overview."""
    is_picture = sa.and_(Job.kind == "picture", Job.state == State.QUEUED)
    is_overview = sa.and_(Job.kind != "picture", Job.wanted == "overview")
    return sa.and_(Job.finished_at.is_(None), Job.worker.is_(None), sa.or_(is_picture, is_overview))


def queue_of(memory_bytes: int | None, models: Sequence[str]) -> str:
    """The queue of a worker.

    Args:
        memory_bytes: As it declares it.
        models: The operator's list, as the worker has it.
    """
    name = QUEUE if memory_bytes is None else f"{QUEUE}-{memory_bytes}"
    if not models:
        return name
    listed = "\n".join(sorted(map(public_name, models)))
    return f"{name}-{hashlib.sha256(listed.encode()).hexdigest()[:8]}"


def abilities(session: Session) -> list[Ability]:
    """What the workers that take jobs can do, the smallest first; each kind of worker once."""
    query = sa.select(Worker.queue, Worker.memory_bytes, Worker.models).where(Worker.is_draining.is_(False))
    found = {row.queue: Ability(row.queue, row.memory_bytes, frozenset(row.models)) for row in session.execute(query)}
    return sorted(found.values(), key=lambda ability: (ability.room, ability.queue))


def route(found: Sequence[Ability], need: Need) -> str | None:
    """The queue of the smallest workers that can take a job; None if none can."""
    return next((ability.queue for ability in found if need.is_met_by(ability)), None)


def largest_memory(session: Session, otherwise: int | None) -> int | None:
    """Bytes that the largest worker has; the other value if no worker is there, and None if one has no limit."""
    found = abilities(session)
    return found[-1].memory_bytes if found else otherwise


def reason_to_wait(found: Sequence[Ability], need: Need) -> str:
    """Why nobody takes a job, in a sentence."""
    if need.model is not None and not any(need.model in ability.models for ability in found):
        return f"{WAITS}that has the model '{need.model}'; none of those at work does."
    wanted = f"{WAITS}with {size_in_words(need.peak_bytes)} of memory"
    wanted += "" if need.model is None else f" and the model '{need.model}'"
    largest = max((ability.room for ability in found), default=0)
    return f"{wanted}; the largest at work has {size_in_words(int(largest))}." if largest < math.inf else f"{wanted}."
