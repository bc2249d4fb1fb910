import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from impasto.engine import Progress
from impasto.recipe import Recipe, StopReason
from impasto.runs.events import EventStream, Listener
from impasto.runs.run import RunReport


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def stream(sent) -> EventStream:
    return EventStream(sent.append)


def test_every_event_of_a_run_is_json_that_names_its_kind(stream, sent):
    result = SimpleNamespace(
        iterations=3, seconds=2.0, stop_reason=StopReason.BUDGET, losses={"total": math.inf}, gradient_share={}
    )
    stream.start(Path("a.png"), [Path("s.png")], Recipe(), 1000)
    stream.download(1, None)
    values: dict[str, Any] = {"iteration": 0, "total_iterations": 3, "level": 1, "num_levels": 1, "size": (2, 3)}
    values |= {"losses": {}, "best": math.inf, "seconds": 0.0, "eta_seconds": math.nan, "image": torch.zeros}
    stream.progress(Progress(**values))
    stream.saved(Path("0.png"))
    stream.warning("odd")
    stream.done(RunReport(result, Path("out.png"), None))  # type: ignore[arg-type]
    stream.error("wrong")
    stream.summary(1, 2, 3)
    events = json.loads(json.dumps(sent, allow_nan=False))
    assert [event["event"] for event in events] == [
        "start", "download", "progress", "saved", "warning", "done", "error", "summary",
    ]  # fmt: skip
    assert events[2]["eta_seconds"] is None
    assert (events[5]["path"], events[5]["losses"]) == ("out.png", {"total": None})


def test_a_path_that_is_no_utf8_survives_json(stream, sent):
    path = Path("caf\udce9.png")
    stream.saved(path)
    assert Path(json.loads(json.dumps(sent[0]))["path"]) == path


def test_the_stream_hands_on_all_that_a_listener_can_hear():
    heard = {name for name in vars(Listener) if not name.startswith("_")}
    assert heard <= set(vars(EventStream))
