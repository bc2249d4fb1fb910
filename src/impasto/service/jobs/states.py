"""The states of a job, and the one table of what may follow what."""

from collections.abc import Mapping
from enum import StrEnum

from impasto.errors import UserError

__all__ = ["ENDED", "LEGAL", "Action", "ConflictError", "State", "check_transition"]


class State(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Action(StrEnum):
    """What a caller may ask of a job."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CANCEL = "cancel"
    CHANGE = "change"
    RETRY = "retry"


LEGAL: Mapping[State, frozenset[State]] = {
    # to running by a worker, to paused and cancelled by its caller, to stopped with what an earlier attempt painted
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED, State.FAILED, State.STOPPED, State.DONE}),
    # back to queued when its worker hands it back, or is lost
    State.RUNNING: frozenset({State.QUEUED, State.PAUSED, State.DONE, State.STOPPED, State.CANCELLED, State.FAILED}),
    State.PAUSED: frozenset({State.QUEUED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.STOPPED: frozenset(),
    State.CANCELLED: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.QUEUED}),
}
"""What may follow each state."""

ENDED = frozenset({State.DONE, State.STOPPED, State.CANCELLED, State.FAILED})
"""States in which nothing happens any more by itself."""

ALLOWED: Mapping[Action, frozenset[State]] = {
    Action.PAUSE: frozenset({State.QUEUED, State.RUNNING}),
    Action.RESUME: frozenset({State.PAUSED}),
    Action.STOP: frozenset({State.QUEUED, State.RUNNING, State.PAUSED}),
    Action.CANCEL: frozenset({State.QUEUED, State.RUNNING, State.PAUSED}),
    Action.CHANGE: frozenset({State.QUEUED, State.RUNNING, State.PAUSED}),
    Action.RETRY: frozenset({State.FAILED, State.CANCELLED}),
}
"""In which states each action makes sense."""


class ConflictError(UserError):
    """What is asked does not fit the state that something is in; HTTP says 409."""


def check_transition(before: State, after: State) -> None:
    """Raises `ConflictError` if a state may not follow another."""
    if after not in LEGAL[before]:
        raise ConflictError(f"A job that is {before} cannot become {after}.")


def check_action(action: Action, state: State) -> None:
    """Raises `ConflictError` if an action makes no sense in a state."""
    if state not in ALLOWED[action]:
        fitting = ", ".join(sorted(ALLOWED[action]))
        raise ConflictError(f"The job is {state}; {action} is for jobs that are {fitting}.")
