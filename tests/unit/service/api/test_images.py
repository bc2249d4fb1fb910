"""Pictures over HTTP: kept once, small versions, hostile files refused."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from httpx import Client
from PIL import Image

from impasto.examples import example_path
from tests.service import API, ORDER, Service, api

COFFEE = example_path("coffee").read_bytes()


def png(width: int, height: int, data: bytes | None = None) -> bytes:
    """A PNG whose header says a size, whatever its data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = zlib.compress(b"\0" * ((width * 3 + 1) * height)) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def upload(client: Client, data: bytes, name: str = "photo.jpg"):
    return client.post(f"{API}/images", files={"file": (name, data)})


def test_a_picture_is_kept_with_its_facts(client: Client) -> None:
    answer = upload(client, COFFEE)
    assert answer.status_code == 201
    image = answer.json()
    assert (image["name"], image["format"], image["width"], image["height"]) == ("photo.jpg", "JPEG", 600, 400)
    assert client.get(image["file_url"]).content == COFFEE
    assert answer.headers["location"] == f"{API}/images/{image['id']}"


def test_the_same_bytes_are_kept_once(client: Client) -> None:
    first, second = upload(client, COFFEE), upload(client, COFFEE, "other.jpg")
    assert second.status_code == 200
    assert first.json()["id"] == second.json()["id"]
    assert len(client.get(f"{API}/images").json()["items"]) == 1


def test_a_body_may_be_the_file_itself(client: Client) -> None:
    answer = client.post(
        f"{API}/images", params={"name": "x.png"}, content=png(3, 2), headers={"Content-Type": "image/png"}
    )
    assert (answer.status_code, answer.json()["name"], answer.json()["width"]) == (201, "x.png", 3)


@pytest.mark.parametrize("size", [128, 1024])
def test_thumbnails_fit_their_size_and_are_not_enlarged(client: Client, size: int) -> None:
    image = upload(client, COFFEE).json()
    answer = client.get(image["thumbnail_url"], params={"size": size})
    assert answer.headers["content-type"] == "image/webp"
    assert max(Image.open(io.BytesIO(answer.content)).size) == min(size, 600)


def test_a_client_that_has_a_file_gets_it_once(client: Client) -> None:
    image = upload(client, COFFEE).json()
    tag = client.get(image["file_url"]).headers["etag"]
    assert client.get(image["file_url"], headers={"If-None-Match": tag}).status_code == 304


def test_bundled_pictures_are_pictures_too(client: Client) -> None:
    examples = client.get(f"{API}/examples").json()
    assert {"content", "style"} == {example["kind"] for example in examples}
    for example in examples:
        assert example["title"] and example["credit"]
    assert client.get(f"{API}/images/example:coffee/file").content == COFFEE
    assert client.delete(f"{API}/images/example:coffee").status_code == 409


def test_a_picture_that_a_job_needs_stays(client: Client) -> None:
    image = upload(client, COFFEE).json()
    job = client.post(f"{API}/jobs", json=ORDER | {"content": image["id"]}).json()
    assert client.delete(f"{API}/images/{image['id']}").status_code == 409
    assert job["content"]["id"] == image["id"]


def test_a_picture_can_be_deleted_with_its_thumbnails(client: Client, rooms: Service) -> None:
    image = upload(client, COFFEE).json()
    assert list(rooms.artifacts.keys("thumbnails"))
    assert client.delete(f"{API}/images/{image['id']}").status_code == 204
    assert client.get(f"{API}/images/{image['id']}").status_code == 404
    assert [*rooms.artifacts.keys("images"), *rooms.artifacts.keys("thumbnails")] == []


def test_lists_come_in_pages(client: Client) -> None:
    ids = [upload(client, png(2, 2 + n), f"{n}.png").json()["id"] for n in range(3)]
    first = client.get(f"{API}/images", params={"limit": 2}).json()
    second = client.get(f"{API}/images", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [image["id"] for image in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


HOSTILE = {
    "empty": b"",
    "text": b"GIF? no",
    "script": b"#!/bin/sh\nrm -rf /\n",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "truncated": COFFEE[:5000],
    "bomb": png(30_000, 30_000, zlib.compress(b"\0" * 10**6)),
    "no pixels": png(100, 100, b""),
    "polyglot": b"\x89PNG\r\n\x1a\n" + b"PK\x03\x04" + b"\0" * 100,
    "zip": b"PK\x03\x04" + b"\0" * 100,
    "tiff loop": b"II*\0\x08\0\0\0\x01\0\x00\x01\x04\0\x01\0\0\0\x01\0\0\0\x08\0\0\0",
    "pdf": b"%PDF-1.4\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_whole_picture_is_refused_in_a_sentence(client: Client, data: bytes) -> None:
    answer = upload(client, data, "evil.jpg")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("'evil.jpg'")
    assert client.get(f"{API}/images").json()["items"] == []


def test_a_label_is_not_believed(client: Client) -> None:
    answer = client.post(f"{API}/images", files={"file": ("photo.jpg", png(2, 2), "text/html")})
    image = answer.json()
    assert image["format"] == "PNG"
    assert client.get(image["file_url"]).headers["content-type"] == "image/png"


def test_a_picture_with_a_page_behind_it_is_served_as_a_picture(client: Client) -> None:
    image = upload(client, COFFEE + b"<script>alert(1)</script>", "x.html").json()
    headers = client.get(image["file_url"]).headers
    assert headers["content-type"] == "image/jpeg"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system.ini", "system.ini"),
        ("a\nb\x1b[31m.png", "a\\nb\\x1b[31m.png"),
        ("..", "picture"),
        ("", "picture"),
        ("n" * 999 + ".png", "n" * 200),
    ],
)
def test_a_name_is_shown_and_never_opened(client: Client, given: str, kept: str) -> None:
    answer = client.post(f"{API}/images", params={"name": given[:500]}, content=png(2, 2))
    assert answer.json()["name"] == kept


def test_nothing_is_left_behind(made: tuple[Client, Service], tmp_path: Path) -> None:
    client, _ = made
    upload(client, COFFEE)
    upload(client, HOSTILE["truncated"])
    assert list((tmp_path / "data" / "scratch").iterdir()) == []


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    with api(tmp_path / "data", max_pixels=100) as (client, _):
        answer = upload(client, png(11, 10))
    assert answer.status_code == 422
    assert "at most 100 are allowed" in answer.json()["detail"]


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    with api(tmp_path / "data", max_upload_bytes=1000) as (client, _):
        answer = upload(client, b"x" * 3_000_000)
    assert answer.status_code == 413


def test_a_form_without_a_file_says_what_is_missing(client: Client) -> None:
    answer = client.post(f"{API}/images", files={"picture": ("x.png", png(2, 2))})
    assert answer.status_code == 422
    assert "'file'" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%00", "example:../x", "a" * 100])
def test_no_id_is_a_path(client: Client, path: str) -> None:
    assert client.get(f"{API}/images/{path}/file").status_code in (404, 405, 422)
