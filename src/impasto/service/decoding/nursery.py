"""The process that forks one child for each picture: decoders are loaded once, and a child lives for one picture.

It never looks at a picture itself. Requests come as lines of JSON on standard input, answers go as such lines to
standard output; it ends when its input does.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from impasto.errors import ImageError, ImpastoError
from impasto.service.decoding.tasks import TASKS

MAX_ANSWER_BYTES = 1 << 20
"""Of a child; an embedded recipe is below 64 kB."""

_TOO_MUCH = "'{}' needs more memory to decode than the service allows. Shrink it."


@dataclass(frozen=True)
class Limits:
    """Of one child.

    Attributes:
        seconds: Of the clock; the processor's time is limited to the same.
        memory_bytes: Beyond what the decoders themselves take.
        file_bytes: Of a file that it writes.
    """

    seconds: float
    memory_bytes: int
    file_bytes: int


@dataclass
class _Child:
    """A child at work."""

    request_id: int
    name: str
    pid: int
    deadline: float
    is_late: bool = False
    answer: bytearray = field(default_factory=bytearray)


def main(limits: Limits) -> None:
    """Serves requests until standard input ends; then kills what is still at work."""
    children: dict[int, _Child] = {}
    buffer = b""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    try:
        while True:
            for key, _ in selector.select(_patience(children.values())):
                if key.fd == 0:
                    data = os.read(0, 65536)
                    if not data:
                        return
                    *lines, buffer = (buffer + data).split(b"\n")
                    for line in lines:
                        reader, child = _fork(json.loads(line), limits)
                        children[reader] = child
                        selector.register(reader, selectors.EVENT_READ)
                else:
                    _read(selector, key.fd, children)
            _kill_late(children.values())
    finally:
        for child in children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)


def _patience(children: Iterable[_Child]) -> float | None:
    deadlines = [child.deadline for child in children if not child.is_late]
    return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None


def _kill_late(children: Iterable[_Child]) -> None:
    for child in children:
        if not child.is_late and time.monotonic() >= child.deadline:
            child.is_late = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)


def _read(selector: selectors.BaseSelector, reader: int, children: dict[int, _Child]) -> None:
    """Takes what a child says; at its end, tells whoever asked."""
    child = children[reader]
    data = os.read(reader, 65536)
    if data and len(child.answer) < MAX_ANSWER_BYTES:
        child.answer += data
        return
    selector.unregister(reader)
    os.close(reader)
    del children[reader]
    _, status = os.waitpid(child.pid, 0)
    print(json.dumps(_outcome(child, status) | {"id": child.request_id}), flush=True)  # noqa: T201 (the protocol)


def _outcome(child: _Child, status: int) -> dict[str, Any]:
    """What to answer: the child's own words, or what its end says."""
    if child.is_late or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        why = "takes too long to decode"
    elif os.WIFSIGNALED(status):
        why = f"ends its decoder ({signal.Signals(os.WTERMSIG(status)).name})"
    else:
        with contextlib.suppress(ValueError):
            answer = json.loads(child.answer)
            if isinstance(answer, dict):
                return answer
        why = "ends its decoder"
    return {"error": "ImageError", "message": f"'{child.name}' {why}; it is damaged, or made to do so."}


def _fork(request: Mapping[str, Any], limits: Limits) -> tuple[int, _Child]:
    """Starts a child; returns where its answer can be read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _live(request, writer, limits)
    os.close(writer)
    deadline = time.monotonic() + limits.seconds
    return reader, _Child(request["id"], str(request["arguments"]["name"]), pid, deadline)


def _live(request: Mapping[str, Any], writer: int, limits: Limits) -> None:
    """The whole life of a child."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):  # a child neither reads requests nor answers them
            os.dup2(nowhere, descriptor)
        _restrict(limits)
        answer = _answer(request)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(json.dumps(answer).encode())
        code = 0
    finally:
        os._exit(code)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    name = request["arguments"]["name"]
    try:
        return {"result": TASKS[request["task"]](**request["arguments"])}
    except ImpastoError as error:
        if "out of memory" not in str(error):  # which libvips says as it says anything else
            return {"error": type(error).__name__, "message": str(error)}
        message = _TOO_MUCH.format(name)
    except MemoryError:
        message = _TOO_MUCH.format(name)
    except OSError as error:
        message = f"The service cannot store the picture: {error.strerror or type(error).__name__}."
        return {"error": ImpastoError.__name__, "message": message}
    except Exception as error:  # whatever a stranger's bytes provoke in a decoder
        message = f"'{name}' cannot be decoded ({type(error).__name__}). Use an intact copy."
    return {"error": ImageError.__name__, "message": message}


def _restrict(limits: Limits) -> None:
    seconds = int(limits.seconds) + 1
    for what, limit in (
        (resource.RLIMIT_AS, _address_space() + limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _address_space() -> int:
    """Bytes of addresses that this process has taken already."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[0]) * resource.getpagesize()
    return 1 << 30


if __name__ == "__main__":
    import numpy  # noqa: F401 (so that children need not load it)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the service, which then closes our input
    main(Limits(**json.loads(sys.argv[1])))
