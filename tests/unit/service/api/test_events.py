"""Event streams over HTTP: each event once, resumed where they broke off."""

import json

from httpx import Client

from tests.service import API, ORDER, Service


def read(client: Client, address: str, count: int, last_id: int | None = None) -> list[tuple[int, str]]:
    """Ids and names of the next events of a stream."""
    headers = {} if last_id is None else {"Last-Event-ID": str(last_id)}
    found: list[tuple[int, str]] = []
    number, name = 0, ""
    with client.stream("GET", f"{API}/{address}", headers=headers, timeout=20) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            key, _, value = line.partition(": ")
            if key == "id":
                number = int(value)
            elif key == "event":
                name = value
            elif key == "data":
                found.append((number, name))
                if len(found) == count:
                    break
    return found


def test_a_stream_tells_all_jobs_and_one_tells_its_own(made: tuple[Client, Service]) -> None:
    client, _ = made
    one, two = (client.post(f"{API}/jobs", json=ORDER).json()["id"] for _ in range(2))
    client.post(f"{API}/jobs/{two}/pause")
    client.delete(f"{API}/jobs/{one}")
    everything = read(client, "events", 5, last_id=0)
    assert [number for number, _ in everything] == sorted({number for number, _ in everything})
    assert everything[-1][1] == "deleted"
    own = read(client, f"jobs/{two}/events", 2, last_id=0)
    assert [name for _, name in own] == ["job", "job"]


def test_a_stream_goes_on_after_the_last_event_that_came(made: tuple[Client, Service]) -> None:
    client, _ = made
    job = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    for action in ("pause", "resume", "pause"):
        client.post(f"{API}/jobs/{job}/{action}")
    first = read(client, "events", 2, last_id=0)
    rest = read(client, "events", 2, last_id=first[-1][0])
    assert len({number for number, _ in first + rest}) == 4


def test_who_comes_late_to_a_job_hears_how_it_ended(made: tuple[Client, Service]) -> None:
    client, _ = made
    job = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    client.post(f"{API}/jobs/{job}/cancel")
    with client.stream("GET", f"{API}/jobs/{job}/events", timeout=20) as response:
        data = next(line for line in response.iter_lines() if line.startswith("data: "))
    assert json.loads(data.removeprefix("data: "))["state"] == "cancelled"


def test_progress_and_previews_have_what_the_studio_needs(made: tuple[Client, Service]) -> None:
    client, rooms = made
    job = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    assignment = rooms.attempts.begin(job, 1, "worker")
    assert assignment is not None
    rooms.attempts.tell_progress(assignment, {"iteration": 0, "seconds": 0.0})
    rooms.artifacts.put(f"jobs/{job}/preview.png", b"x")
    rooms.attempts.tell_preview(assignment, f"jobs/{job}/preview.png")
    assert [name for _, name in read(client, "events", 4, last_id=0)] == ["job", "job", "progress", "preview"]


def test_a_number_that_is_none_is_refused(client: Client) -> None:
    assert client.get(f"{API}/events", headers={"Last-Event-ID": "x"}).status_code == 422
