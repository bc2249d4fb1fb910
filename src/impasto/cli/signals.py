"""Ctrl-C and its kin: the first asks the run to stop and keep its picture, the second ends the process."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from impasto.engine import Control

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(KeyboardInterrupt):
    """A signal came before there was a picture to keep.

    Attributes:
        exit_code: 128 + the signal's number, as shells have it.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__()
        self.exit_code = exit_code


class Interruption:
    """What a run and the signals tell each other.

    Attributes:
        has_picture: Set by the run once there is something to keep.
        exit_code: 128 + the number of the signal that ended the run; 0 if there was none.
    """

    has_picture = False
    exit_code = 0


@contextmanager
def stop_on_signal(control: "Control") -> Iterator[Interruption]:
    """Lets the first signal stop the run with the best picture so far; a second one ends the process at once.

    Raises:
        Interrupted: If the first signal comes before there is a picture.
    """
    interruption = Interruption()

    def stop(number: int, _: "FrameType | None") -> None:
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        interruption.exit_code = 128 + number
        if not interruption.has_picture:
            raise Interrupted(interruption.exit_code)
        control.stop()
        # Not through Python's streams: the signal may have come amid a write to one of them.
        cursor = _SHOW_CURSOR if os.isatty(2) else b""
        os.write(2, cursor + b"impasto: stopping after this iteration; once more ends at once.\n")

    # A process under nohup is meant to outlive its terminal.
    handled = [number for number in _SIGNALS if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
