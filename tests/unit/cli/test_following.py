"""Commands for a service: a job is submitted, listed, followed and fetched, as a run of this machine is."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from impasto.cli import main
from impasto.examples import example_path
from impasto.runs.events import EventStream
from impasto.service.jobs.states import State
from tests.service import Service, served, service

OPTIONS = ["--model", "compact", "--height", "32", "--total-iterations", "4"]


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service(tmp_path / "data") as made, served(made.app) as url:
        monkeypatch.setenv("IMPASTO_URL", url)
        yield made


def paint(rooms: Service, job_id: str, is_shown: threading.Event | None = None) -> None:
    """Does what a worker does, in a moment."""
    assignment = rooms.attempts.begin(job_id, 1, "worker")
    assert assignment is not None
    for iteration in (1, 2):
        progress = {
            "iteration": iteration, "total_iterations": 4, "level": 1, "num_levels": 1, "size": [32, 48],
            "losses": {"total": 1.0 / iteration}, "seconds": 0.1 * iteration, "eta_seconds": 0.2,
        }  # fmt: skip
        rooms.attempts.tell_progress(assignment, progress)
    if is_shown is not None:
        is_shown.wait(60)
    rooms.artifacts.put(f"jobs/{job_id}/result.png", example_path("waves"))
    values = {"stop_reason": "budget", "size": [32, 48]}
    rooms.attempts.finish(assignment, State.DONE, {"result": f"jobs/{job_id}/result.png"}, values)


def paint_when_watched(rooms: Service, job_id: str, is_shown: threading.Event | None = None) -> threading.Thread:
    """Paints once somebody follows; ends once the last iteration was shown, if that is asked for."""

    def work() -> None:
        while not rooms.app.state.edge.broker.num_streams:
            time.sleep(0.01)
        paint(rooms, job_id, is_shown)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def submitted(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["submit", str(example_path("coffee")), "example:oil", *OPTIONS, "--name", "Morning"]) == 0
    return capsys.readouterr().out.strip()


def test_a_job_is_submitted_and_listed(rooms: Service, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = submitted(capsys)
    record = rooms.desk.get("local", job_id)
    assert (record.name, record.recipe["height"]) == ("Morning", 32)
    assert main(["jobs"]) == 0
    line = capsys.readouterr().out
    assert job_id in line and "queued" in line and "Morning" in line
    assert main(["jobs", "--json", "--state", "queued"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == job_id


def test_a_job_is_watched_to_its_end(
    rooms: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_shown, progress = threading.Event(), EventStream.progress

    def tell(reporter: EventStream, event: Any) -> None:
        progress(reporter, event)
        if event.iteration == 2:
            is_shown.set()

    monkeypatch.setattr(EventStream, "progress", tell)
    thread = paint_when_watched(rooms, submitted(capsys), is_shown)
    assert main(["watch", "--json"]) == 0
    thread.join()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "start"
    assert [event["iteration"] for event in events if event["event"] == "progress"] == [1, 2]
    assert events[-1]["event"] == "done"
    assert events[-1]["stop_reason"] == "budget"


def test_the_last_progress_of_a_job_that_has_ended_is_shown(rooms: Service, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = submitted(capsys)
    paint(rooms, job_id)
    assert main(["watch", job_id, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["start", "progress", "done"]
    assert (events[1]["iteration"], events[1]["losses"]) == (2, {"total": 0.5})


def test_a_result_is_fetched_by_the_beginning_of_its_id(
    rooms: Service, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    job_id = submitted(capsys)
    paint(rooms, job_id)
    out = tmp_path / "out.png"
    assert main(["fetch", job_id[:6], "-o", str(out)]) == 0
    assert out.read_bytes() == example_path("waves").read_bytes()
    assert main(["fetch", job_id, "-o", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["fetch", job_id, "-o", str(tmp_path / "all.zip")]) == 0
    assert main(["fetch", job_id, "-o", str(tmp_path / "out.bmp")]) == 2


def test_the_users_mistakes_are_sentences(rooms: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", str(example_path("coffee"))]) == 2
    assert "No style picture" in capsys.readouterr().err
    assert main(["submit", "example:coffee", "example:oil", "--height", "0"]) == 2
    assert main(["watch", "nothing"]) == 2
    assert main(["watch"]) == 2
    assert "impasto submit" in capsys.readouterr().err


def test_a_failed_job_is_a_failure(rooms: Service, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = submitted(capsys)
    assignment = rooms.attempts.begin(job_id, 1, "worker")
    assert assignment is not None
    rooms.attempts.fail(assignment, "Memory ran out.")
    assert main(["watch", job_id]) == 1
    assert "Memory ran out." in capsys.readouterr().err
