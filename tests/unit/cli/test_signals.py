import os
import signal
from collections.abc import Iterator

import pytest

from impasto.cli.signals import Interrupted, stop_on_signal
from impasto.engine import Control

CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.fixture(autouse=True)
def hangup_is_not_ignored() -> Iterator[None]:
    """As in a terminal, whatever started the tests: under nohup, processes ignore SIGHUP and pass that on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def handlers_as_before():
    before = {number: signal.getsignal(number) for number, _ in CODES}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), CODES)
def test_a_signal_stops_a_run_that_has_a_picture(number, code, capfd):
    control = Control()
    with stop_on_signal(control) as interruption:
        interruption.has_picture = True
        os.kill(os.getpid(), number)
        assert control.is_stopped and not control.is_cancelled
        assert signal.getsignal(number) is signal.SIG_DFL, "the second one ends the process"
    assert interruption.exit_code == code
    assert capfd.readouterr().err == "impasto: stopping after this iteration; once more ends at once.\n"


@pytest.mark.parametrize(("number", "code"), CODES)
def test_without_a_picture_there_is_nothing_to_wait_for(number, code):
    control = Control()
    with pytest.raises(Interrupted) as interrupted, stop_on_signal(control):
        os.kill(os.getpid(), number)
    assert interrupted.value.exit_code == code
    assert isinstance(interrupted.value, KeyboardInterrupt)


def test_afterwards_the_handlers_are_those_of_before():
    before = [signal.getsignal(number) for number, _ in CODES]
    with stop_on_signal(Control()) as interruption:
        pass
    assert [signal.getsignal(number) for number, _ in CODES] == before
    assert interruption.exit_code == 0


def test_a_run_under_nohup_outlives_its_terminal():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    control = Control()
    with stop_on_signal(control) as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
    assert not control.is_stopped
    assert interruption.exit_code == 0
