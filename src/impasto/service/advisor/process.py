"""The advisor's process: hears questions on standard input, as `impasto.service.child_process` puts them."""

import json
import os
import select
import sys
import threading
from collections.abc import Mapping
from typing import Any

from impasto.errors import ImpastoError
from impasto.service.advisor import tasks

IDLE_SECONDS = 300.0
"""After so much silence the process ends, and gives its memory back."""

_writing = threading.Lock()


def main() -> None:
    """Answers one question after the other; downloads go on beside them."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints does not get among the answers
    downloads: list[threading.Thread] = []
    buffer = b""
    while True:
        is_busy = any(thread.is_alive() for thread in downloads)
        if not select.select([0], [], [], IDLE_SECONDS)[0]:
            if is_busy:
                continue
            return
        data = os.read(0, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            question = json.loads(line)
            if question["task"] == "download":
                thread = threading.Thread(target=_answer, args=(question, out), daemon=True)
                thread.start()
                downloads.append(thread)
            else:
                _answer(question, out)


def _answer(question: Mapping[str, Any], out: Any) -> None:
    def say(**words: Any) -> None:
        with _writing:
            out.write(json.dumps({"id": question["id"]} | words) + "\n")
            out.flush()

    arguments = dict(question["arguments"])
    if question["task"] == "download":
        arguments["news"] = lambda news: say(news=news)
    try:
        say(result=getattr(tasks, question["task"])(**arguments))
    except ImpastoError as error:
        say(error=type(error).__name__, message=str(error))
    except Exception as error:  # a helper outlives what one question does to it
        say(error=ImpastoError.__name__, message=f"The service cannot tell ({type(error).__name__}: {error}).")


if __name__ == "__main__":
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the service, which then closes our input
    torch.set_num_threads(max(1, int(sys.argv[1]) if len(sys.argv) > 1 else 1))
    main()
