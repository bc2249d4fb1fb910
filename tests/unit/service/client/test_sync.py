"""The client against a service of its own: what goes in comes out, and errors are sentences."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from impasto.examples import example_path
from impasto.recipe import Recipe
from impasto.service.client import Client, RefusedError, ServiceError
from impasto.service.jobs.states import State
from tests.service import ORDER, Service, served, service


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Client, Service]]:
    with service(tmp_path / "data") as made, served(made.app) as url, Client(url) as client:
        yield client, made


def submit(client: Client, **options):
    return client.submit("example:coffee", ["example:oil"], ORDER["recipe"], **options)


def test_a_file_is_uploaded_before_its_job_is_made(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    job = client.submit(example_path("coffee"), ["example:oil"], Recipe(height=32), name="One", priority=9)
    assert job.content is not None and job.content.name == "coffee.jpg"
    assert (job.recipe["height"], job.priority) == (32, 9)
    assert client.image(job.content.id).width == 600


def test_a_key_of_idempotency_makes_one_job(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    assert submit(client, idempotency_key="x").id == submit(client, idempotency_key="x").id


def test_jobs_come_page_by_page(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    ids = [submit(client).id for _ in range(3)]
    assert [job.id for job in client.jobs()] == ids[::-1]
    assert [job.id for job in client.jobs(state="failed")] == []


def test_jobs_are_steered(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    job = submit(client)
    assert client.pause(job.id).state == "paused"
    assert client.resume(job.id).state == "queued"
    assert client.change(job.id, strength=70).state == "queued"
    assert client.rename(job.id, "New").name == "New"
    assert client.again(job.id, {"strength": 10}).recipe["strength"] == 10
    assert client.cancel(job.id).state == "cancelled"
    assert client.retry(job.id).state == "queued"
    client.delete(job.id)
    assert client.restore(job.id).name == "New"


def test_sweeps_and_batches_have_cells(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    sweep = client.sweep("example:coffee", ["example:oil"], {"strength": [10, 90]}, ORDER["recipe"])
    batch = client.batch(["example:coffee", example_path("oil")], ["example:oil"], ORDER["recipe"])
    assert (sweep.num_cells, batch.num_cells) == (2, 2)
    assert len(list(client.jobs(parent_id=sweep.id))) == 2


def test_what_the_service_refuses_is_said_by_its_sentence(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    with pytest.raises(RefusedError, match="height is 0; it must be a whole number") as refusal:
        client.submit("example:coffee", ["example:oil"], {"height": 0})
    assert (refusal.value.status, refusal.value.exit_code) == (422, 2)
    with pytest.raises(RefusedError, match="no picture yet"):
        client.result(submit(client).id)


def test_a_service_that_is_not_there_is_an_error_in_a_sentence() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServiceError, match="impasto serve") as failure:
        client.version()
    assert failure.value.exit_code == 1


def test_a_job_is_waited_for_and_its_result_written(pair: tuple[Client, Service], tmp_path: Path) -> None:
    client, rooms = pair
    job = submit(client)

    def work() -> None:
        time.sleep(0.3)
        finish(rooms, job.id)

    worker = threading.Thread(target=work)
    worker.start()
    done = client.save_result(job.id, tmp_path / "out.png")
    worker.join()
    assert done.state == "done"
    assert (tmp_path / "out.png").read_bytes() == example_path("waves").read_bytes()
    assert client.result(job.id, format="jpeg")[:3] == b"\xff\xd8\xff"
    client.archive(job.id, tmp_path / "all.zip")
    assert (tmp_path / "all.zip").read_bytes()[:2] == b"PK"


def finish(rooms: Service, job_id: str) -> None:
    """Does what a worker does, in a moment."""
    assignment = rooms.attempts.begin(job_id, 1, "worker")
    assert assignment is not None
    rooms.artifacts.put(f"jobs/{job_id}/result.png", example_path("waves"))
    rooms.attempts.finish(assignment, State.DONE, {"result": f"jobs/{job_id}/result.png"}, {"stop_reason": "budget"})


def test_events_come_once_and_go_on_after_a_break(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    job = submit(client)
    client.pause(job.id)
    events = client.events(job.id, after=0)
    seen = [event for event in (next(events), next(events), next(events)) if event]
    assert [event.job.state for event in seen if event.job] == ["queued", "paused"]
    client.resume(job.id)
    later = client.events(job.id, after=seen[-1].id)
    event = next(event for event in later if event)
    assert event.id > seen[-1].id
    assert event.job is not None and event.job.state == "queued"


def test_waiting_ends_when_it_is_told_to(pair: tuple[Client, Service]) -> None:
    client, _ = pair
    with pytest.raises(TimeoutError, match="still goes on"):
        client.wait(submit(client).id, timeout=0.2)


def test_the_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"version": "1", "api": "v1"})

    monkeypatch.setenv("IMPASTO_KEY", "imp_secret")
    with Client("http://paint.example", transport=httpx.MockTransport(answer)) as client:
        client.version()
        assert "imp_secret" not in repr(client)
    assert seen[0].headers["authorization"] == "Bearer imp_secret"
    assert str(seen[0].url) == "http://paint.example/api/v1/version"
