"""Standard output and error, made so that what is shown never decides whether a picture is kept."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from impasto.recipe.messages import printable, shortened

_MAX_SENTENCE = 2000
"""Characters of an error."""


def make_streams_safe() -> None:
    """Lets output go nowhere where a stream was closed, and show escapes where a terminal lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (to the very end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def stdout_for_events() -> Iterator[TextIO]:
    """Sends whatever is printed meanwhile to standard error, also by a foreign model's code or what that starts.

    Yields:
        A stream that alone still leads to standard output.
    """
    stream = sys.stdout
    stream.flush()
    with contextlib.ExitStack() as stack:
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError):  # no file of the system's, as in a notebook
            own = stream
        else:
            kept = os.dup(descriptor)
            own = stack.enter_context(os.fdopen(kept, "w", encoding=stream.encoding, errors="backslashreplace"))
            os.dup2(_error_descriptor(stack), descriptor)
            stack.callback(os.dup2, kept, descriptor)
            stack.callback(stream.flush)  # before that: what still is buffered was printed, too
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield own


def _error_descriptor(stack: contextlib.ExitStack) -> int:
    """Where standard error leads; nowhere, if it is closed."""
    try:
        return sys.stderr.fileno()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        return nowhere


class LastingStream:
    """A text stream whose reader may leave or whose terminal may close: writing then goes on in silence."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes text and returns its length, or 0 if nobody reads any more."""
        try:
            return self._stream.write(text)
        except OSError:
            return self._fall_silent()

    def flush(self) -> None:
        """Hands on what is buffered."""
        try:
            self._stream.flush()
        except OSError:
            self._fall_silent()

    def line(self, text: str) -> None:
        """Writes one line at once; line breaks within it become spaces, other control characters escapes."""
        self.write(printable(" ".join(text.splitlines())) + "\n")
        self.flush()

    def error(self, sentence: str) -> None:
        """Writes what went wrong as one line; of what is very long, as a path of that kind, the middle is left out."""
        self.line(shortened(f"impasto: {' '.join(sentence.splitlines())}", _MAX_SENTENCE))

    def _fall_silent(self) -> int:
        """Sends whatever is still buffered, now and at exit, to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError):
            os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        return 0
