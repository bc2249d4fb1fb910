"""The table of legal transitions."""

import pytest

from impasto.service.jobs.states import (
    ALLOWED,
    ENDED,
    LEGAL,
    Action,
    ConflictError,
    State,
    check_action,
    check_transition,
)


def test_every_state_is_in_the_table():
    assert LEGAL.keys() == set(State)
    assert ALLOWED.keys() == set(Action)


def test_what_is_done_stays_done():
    for state in State:
        with pytest.raises(ConflictError, match="cannot become"):
            check_transition(State.DONE, state)


def test_a_failed_job_can_wait_again():
    check_transition(State.FAILED, State.QUEUED)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_nothing_ended_is_paused_stopped_or_changed(state):
    for action in (Action.PAUSE, Action.RESUME, Action.STOP, Action.CANCEL, Action.CHANGE):
        with pytest.raises(ConflictError, match=state):
            check_action(action, state)
