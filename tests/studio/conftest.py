"""Browser tests of the studio: Debian's Chromium, driven by Playwright, against a service that really runs.

Each journey is walked in English and in Polish, and finds things by role and name. Every page is watched:
an error on its console, a request to another host or a violation of its policy fails the test.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.studio.server import Server
from tests.studio.words import WORDS

PAGE = Path(__file__).parents[2] / "src" / "impasto" / "studio" / "index.html"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
PATIENCE = 300_000
"""Milliseconds: painting shares its processor with other tests."""

SMALL = {"model": "compact", "height": 48, "total_iterations": 12}
"""A picture that is painted within seconds."""

LONG = {"model": "compact", "height": 48, "total_iterations": 100_000, "optimizer": "adam"}
"""A picture that is still being painted when the test is over: L-BFGS ends by itself where nothing is left to gain."""

LAPTOP = {"width": 1366, "height": 800}


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def skip_or_fail(reason: str) -> None:
    """Where a browser has been promised, a test that cannot run is a failure."""
    if os.environ.get("IMPASTO_BROWSER") == "require":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = chromium()
    if path is None:
        skip_or_fail("no Chromium is installed (apt-get install chromium)")
    if not PAGE.is_file():
        skip_or_fail("the studio is not built (make studio)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for all journeys that do it no harm."""
    server = Server(tmp_path_factory.mktemp("service"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["en", "pl"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Studio:
    """A page of the studio, and what it must never do."""

    def __init__(self, page: Any, url: str, language: str) -> None:
        self.page, self.url, self.words, self.language = page, url, WORDS[language], language
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.set_default_timeout(PATIENCE)
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", self.see)

    def hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")

    def see(self, request: Any) -> None:
        if not request.url.startswith((self.url, "blob:", "data:")):
            self.complaints.append(f"request to another host: {request.url}")

    def expect(self, *parts: str) -> None:
        """Allows complaints that a test provokes, as a refused upload's status on the console."""
        self.expected += parts

    @property
    def failures(self) -> list[str]:
        return [line for line in self.complaints if not any(part in line for part in self.expected)]

    def open(self, place: str = "", draft: dict[str, Any] | None = None) -> "Studio":
        """Opens a place of the page, with a draft that the person has left behind there."""
        if draft is not None:
            self.page.add_init_script(
                "if (!localStorage.getItem('impasto.draft'))"
                f" localStorage.setItem('impasto.draft', {json.dumps(json.dumps(draft))})"
            )
        self.page.goto(f"{self.url}/{place}")
        self.page.get_by_role("navigation").first.wait_for()
        return self

    def word(self, name: str) -> str:
        return self.words[name]

    def button(self, name: str, *, exact: bool = True) -> Any:
        return self.page.get_by_role("button", name=self.words.get(name, name), exact=exact)

    def link(self, name: str) -> Any:
        return self.page.get_by_role("link", name=self.words.get(name, name), exact=True)

    def link_item(self, name: str) -> Any:
        """A link of an open menu, by a part of its name."""
        return self.page.get_by_role("link", name=re.compile(re.escape(name)))

    def tab(self, name: str) -> Any:
        return self.page.get_by_role("tab", name=self.words[name])

    def slider(self, name: str) -> Any:
        return self.page.get_by_role("slider", name=self.words.get(name, name), exact=True)

    @property
    def painted(self) -> Any:
        return self.page.get_by_role("img", name=self.words["painted"])

    def state(self, name: str) -> Any:
        """What the page tells screen readers of the job on the stage."""
        said = re.compile(f"^{re.escape(self.words[name])}, ")
        return self.page.get_by_role("status").filter(has_text=said)

    def wait_for_state(self, name: str) -> None:
        self.state(name).first.wait_for(state="attached")

    @property
    def job_id(self) -> str:
        return str(self.page.evaluate("location.hash.split('/')[2]"))


@pytest.fixture
def open_studio(browser: Any, language: str) -> Iterator[Callable[..., Studio]]:
    """Opens a browser of its own on a service, and looks at the end whether the page has behaved."""
    opened: list[tuple[Any, Studio]] = []

    def open_one(server: Server, *, context: Any = None, **options: Any) -> Studio:
        options = {"viewport": LAPTOP, "locale": language} | options
        context = context or browser.new_context(**options)
        studio = Studio(context.new_page(), server.url, language)
        opened.append((context, studio))
        return studio

    yield open_one
    failures = [line for _, studio in opened for line in studio.failures]
    for context, _ in opened:
        context.close()
    assert failures == []


@pytest.fixture
def studio(open_studio: Callable[..., Studio], server: Server) -> Studio:
    return open_studio(server)


def draft_of(server: Server, content: str, *styles: str, recipe: dict[str, Any] | None = None) -> dict[str, Any]:
    """A draft of bundled pictures, as the page keeps it."""
    examples = {example["name"].partition(".")[0]: example for example in server.get("/examples")}
    return {
        "content": examples[content],
        "styles": [
            {"key": str(index + 1), "picture": examples[style], "share": 1, "scale": 1}
            for index, style in enumerate(styles)
        ],
        "overrides": SMALL if recipe is None else recipe,
        "job": None,
    }
