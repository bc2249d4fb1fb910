"""The studio's files: served from their folder, and nothing outside of it."""

import asyncio
from pathlib import Path

import httpx
import pytest
from httpx import Client

from impasto.service.api.app import bare_app
from impasto.service.api.studio import FOREVER
from tests.service import Service


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "studio"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Studio</title>")
    (folder / "assets" / "main-1a2b.js").write_text("export {}")
    (tmp_path / "secret").write_text("secret")
    return folder


def fetch(folder: Path, *paths: str) -> list[httpx.Response]:
    """What an application with this studio answers."""

    async def inside() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=bare_app(folder))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(inside())


def test_each_file_of_the_studio_has_an_address(built: Path) -> None:
    page, index, script = fetch(built, "/", "/index.html", "/assets/main-1a2b.js")
    assert "<title>Studio</title>" in page.text and page.text == index.text
    assert page.headers["cache-control"] == "no-cache"
    assert (script.text, script.headers["cache-control"]) == ("export {}", FOREVER)


def test_nothing_else_has_one(built: Path) -> None:
    for answer in fetch(built, "/../secret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret", "/assets", "/secret"):
        assert answer.status_code == 404


def test_without_a_studio_a_page_says_how_to_build_it(client: Client, rooms: Service) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    if "is not built" in answer.text:
        assert "tools/build_studio.py" in answer.text
    for path in ("/../pyproject.toml", "/%2e%2e/pyproject.toml", "/assets/../../cli/app.py", "/studio.py"):
        assert client.get(path).status_code == 404
