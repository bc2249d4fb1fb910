"""What jobs leave, over HTTP: the picture in several formats, small versions, those in between, all of it as a ZIP."""

import io
import zipfile

import pytest
from httpx import Client
from PIL import Image

from impasto.examples import example_path
from impasto.service.jobs.records import thumbnails_of_job
from impasto.service.jobs.states import State
from tests.service import API, ORDER, Service

LOSSES = "iteration,level,total,content,style,tv,seconds\n1,1,2.5,1.0,1.25,0.25,0.1\n2,1,nan,0.5,,0.25,0.2\n"


@pytest.fixture
def job(made: tuple[Client, Service]) -> str:
    """A job that is done, as a worker leaves it."""
    client, rooms = made
    job_id = client.post(f"{API}/jobs", json=ORDER | {"name": "Morning / tea"}).json()["id"]
    assignment = rooms.attempts.begin(job_id, 1, "worker")
    assert assignment is not None
    png = io.BytesIO()
    with Image.open(example_path("waves")) as waves:
        waves.save(png, "PNG")
    folder = f"jobs/{job_id}"
    for key in (f"{folder}/result.png", f"{folder}/pictures/00002.png"):
        rooms.artifacts.put(key, png.getvalue())
    rooms.artifacts.put(f"{folder}/losses.csv", LOSSES.encode())
    rooms.attempts.tell_picture(assignment, 2)
    artifacts = {"result": f"{folder}/result.png", "losses": f"{folder}/losses.csv"}
    rooms.attempts.finish(assignment, State.DONE, artifacts, {"stop_reason": "budget", "iteration": 4})
    return str(job_id)


@pytest.mark.parametrize(("name", "format"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("tiff", "TIFF")])
def test_the_result_comes_in_the_format_that_is_asked_for(client: Client, job: str, name: str, format: str) -> None:
    answer = client.get(f"{API}/jobs/{job}/result", params={"format": name})
    assert answer.headers["content-type"] == f"image/{name}"
    picture = Image.open(io.BytesIO(answer.content))
    with Image.open(example_path("waves")) as waves:
        assert (picture.format, picture.size) == (format, waves.size)
    assert "Morning" in answer.headers["content-disposition"]


def test_a_result_that_is_not_there_yet_says_so_after_the_wait(client: Client) -> None:
    job_id = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    answer = client.get(f"{API}/jobs/{job_id}/result", params={"wait": 0.1})
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "5")
    assert "queued" in answer.json()["detail"]


def test_a_cancelled_job_has_no_result(client: Client) -> None:
    job_id = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    client.post(f"{API}/jobs/{job_id}/cancel")
    answer = client.get(f"{API}/jobs/{job_id}/result", params={"wait": 60})
    assert (answer.status_code, answer.json()["detail"]) == (409, "The job was cancelled, so there is no picture.")


def test_small_versions_are_cached_by_their_tag(client: Client, job: str) -> None:
    for address in ("preview", "thumbnail"):
        answer = client.get(f"{API}/jobs/{job}/{address}", params={"size": 128})
        assert max(Image.open(io.BytesIO(answer.content)).size) == 128
        again = client.get(
            f"{API}/jobs/{job}/{address}", params={"size": 128}, headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


def test_thumbnails_of_older_pictures_of_a_job_go(
    client: Client, rooms: Service, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = f"{thumbnails_of_job(job)}/older/128.webp"
    rooms.artifacts.put(old, b"x")
    monkeypatch.setattr("impasto.service.api.shelf.SUPERSEDED_SECONDS", 0)
    assert client.get(f"{API}/jobs/{job}/thumbnail", params={"size": 128}).status_code == 200
    assert not rooms.artifacts.exists(old)


def test_a_job_without_a_picture_shows_its_content(client: Client) -> None:
    job_id = client.post(f"{API}/jobs", json=ORDER).json()["id"]
    assert client.get(f"{API}/jobs/{job_id}/preview").status_code == 404
    assert client.get(f"{API}/jobs/{job_id}/thumbnail").headers["content-type"] == "image/webp"


def test_pictures_in_between_are_listed_and_fetched(client: Client, job: str) -> None:
    (picture,) = client.get(f"{API}/jobs/{job}/pictures").json()
    assert picture["iteration"] == 2
    assert client.get(picture["url"]).headers["content-type"] == "image/png"
    assert client.get(f"{API}/jobs/{job}/pictures/3").status_code == 404


def test_losses_that_are_not_finite_are_null(client: Client, job: str) -> None:
    assert client.get(f"{API}/jobs/{job}/losses").json() == [
        {"iteration": 1, "total": 2.5, "content": 1.0, "style": 1.25, "tv": 0.25},
        {"iteration": 2, "total": None, "content": 0.5, "style": None, "tv": 0.25},
    ]


def test_the_archive_has_all_of_it(client: Client, job: str) -> None:
    answer = client.get(f"{API}/jobs/{job}/archive")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == ["00002.png", "final.png", "losses.csv", "recipe.toml"]
    assert archive.read("losses.csv").decode() == LOSSES
    assert "height = 32" in archive.read("recipe.toml").decode()


def test_a_batch_s_archive_has_a_folder_for_each_cell(client: Client) -> None:
    body = {"contents": ["example:coffee", "example:chelsea"], "styles": ["example:oil"], "recipe": ORDER["recipe"]}
    batch = client.post(f"{API}/batches", json=body).json()["id"]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"{API}/jobs/{batch}/archive").content))
    assert sum(name.endswith("/recipe.toml") for name in archive.namelist()) == 2
    assert not any(name.startswith("/") or ".." in name for name in archive.namelist())


def test_recipe_and_command_repeat_the_job(client: Client, job: str) -> None:
    toml = client.get(f"{API}/jobs/{job}/recipe.toml")
    assert toml.headers["content-type"] == "application/toml"
    command = client.get(f"{API}/jobs/{job}/command").json()["command"]
    assert command == "impasto stylize coffee.jpg oil.jpg --model compact --total-iterations 4 --height 32"
