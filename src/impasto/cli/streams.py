"""Standard output and error, made so that what is shown never decides whether a picture is kept."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO


def make_streams_safe() -> None:
    """Lets output go nowhere where a stream was closed, and show escapes where a terminal lacks a character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (to the very end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
        """Writes one line at once; line breaks within it become spaces."""
        self.write(" ".join(text.splitlines()) + "\n")
        self.flush()

    def _fall_silent(self) -> int:
        """Sends whatever is still buffered, now and at exit, to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with contextlib.suppress(OSError):
            os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        return 0
