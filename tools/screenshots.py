"""Takes the pictures of the studio in `docs/pictures/studio/`, from a service that really paints.

    python tools/screenshots.py [NAME ...]

Needs Debian's Chromium, Playwright and a built studio (`make studio`). The service runs in a folder of its own and
takes some minutes; with names, only the pictures so named are taken again.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402
from tests.studio.conftest import FLAGS, chromium, draft_of  # noqa: E402
from tests.studio.server import Server  # noqa: E402

from impasto.examples import example_path  # noqa: E402
from impasto.service.client import Client  # noqa: E402

TARGET = ROOT / "docs" / "pictures" / "studio"
SIZES = {"phone": (390, 844), "laptop": (1366, 800), "wide": (1920, 1080)}
QUALITY = 82
PAIRS = [("coffee", "hokusai", 45), ("chelsea", "oil", 40), ("rocket", "munch", 50), ("astronaut", "kandinsky", 35),
         ("coffee", "glass", 50)]  # fmt: skip
"""What the gallery holds: photo, style, strength."""

RECIPE = {"model": "compact", "size": 320, "total_iterations": 20}
LONG = {"model": "compact", "size": 320, "total_iterations": 5000}

logger = logging.getLogger("screenshots")


SETTLED = """() => {
  const seen = (element) => {
    const { top, bottom, width } = element.getBoundingClientRect();
    return width > 0 && bottom > 0 && top < innerHeight;
  };
  return (
    document.querySelector('h1, h2') !== null &&
    !/Loading…|Wczytywanie…/.test(document.body.innerText) &&
    [...document.images].filter(seen).every((image) => image.complete && image.naturalWidth > 0)
  );
}"""
"""Whether the page has all that it shows."""


def settle(page: Any) -> None:
    """Waits until a page has all that it shows, and still has a moment later, as one answer leads to new requests."""
    for _ in range(3):
        page.wait_for_function(SETTLED)
        page.wait_for_timeout(700)


@dataclass
class Scene:
    """A running service with some pictures, and a browser."""

    browser: Any
    server: Server
    jobs: list[str]
    sweep: str

    @contextmanager
    def page(self, size: str, theme: str, place: str = "", language: str = "en", draft: Any = None) -> Iterator[Any]:
        """A page at a place, gone afterwards."""
        width, height = SIZES[size]
        phone = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if size == "phone" else {}
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, locale=language, **phone
        )
        page = context.new_page()
        page.set_default_timeout(120_000)
        if draft is not None:
            page.goto(f"{self.server.url}/icon.svg")
            page.evaluate("draft => localStorage.setItem('impasto.draft', JSON.stringify(draft))", draft)
        page.goto(f"{self.server.url}/{place}")
        settle(page)
        yield page
        context.close()

    def draft(self, *names: str, **changes: Any) -> dict[str, Any]:
        """A draft of bundled pictures."""
        return draft_of(self.server, *names, recipe=RECIPE) | changes


def welcome(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """Before anything was chosen."""
    with scene.page(size, theme) as page:
        save(page)


def paint(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """A picture that is done, beside what it was made of."""
    draft = scene.draft("coffee", "hokusai", job=scene.jobs[0])
    with scene.page(size, theme, f"#/job/{scene.jobs[0]}", draft=draft) as page:
        save(page)


def live(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """While it is painted."""
    job = scene.server.ask(
        "POST", "/jobs", {"content": "example:chelsea", "styles": ["example:hokusai"], "recipe": LONG}
    )
    with scene.page(size, theme, f"#/job/{job['id']}", draft=scene.draft("chelsea", "hokusai", job=job["id"])) as page:
        page.get_by_role("tab", name="Details").click()
        page.get_by_role("img", name="Painted picture").wait_for()
        page.wait_for_timeout(12_000)
        save(page)
    scene.server.ask("POST", f"/jobs/{job['id']}/cancel")


def settings(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """All settings."""
    draft = scene.draft("rocket", "munch", job=scene.jobs[2])
    with scene.page(size, theme, f"#/job/{scene.jobs[2]}", draft=draft) as page:
        page.get_by_role("tab", name="Settings").click()
        settle(page)
        save(page)


def wipe(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """Before and after, in Polish."""
    draft = scene.draft("rocket", "munch", job=scene.jobs[2])
    with scene.page(size, theme, f"#/job/{scene.jobs[2]}", language="pl", draft=draft) as page:
        page.get_by_role("button", name="Przed i po").click()
        settle(page)
        save(page)


def masks(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """Painting of masks."""
    with scene.page(size, theme, "#/masks", draft=scene.draft("coffee", "glass", "waves")) as page:
        box = page.get_by_role("application").bounding_box()
        left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.get_by_role("slider", name="Size").fill("150")
        for radius in (0.05, 0.12, 0.19):
            reach = radius * box["width"]
            page.mouse.move(left - reach, top - reach / 2)
            page.mouse.down()
            for dx, dy in ((1, -0.6), (1.1, 0.5), (-0.9, 0.6), (-1, -0.5)):
                page.mouse.move(left + dx * reach, top + dy * reach, steps=8)
            page.mouse.up()
        settle(page)
        save(page)


def gallery(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """All pictures."""
    with scene.page(size, theme, "#/gallery") as page:
        save(page)


def compare(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """Two pictures side by side."""
    with scene.page(size, theme, f"#/compare/{scene.jobs[0]}/{scene.jobs[4]}") as page:
        save(page)


def sweep(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """A contact sheet."""
    with scene.page(size, theme, f"#/job/{scene.sweep}") as page:
        save(page)


def failed(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """A picture with a long name that could not be painted, in Polish."""
    with scene.page(size, theme, f"#/job/{fail(scene.server)}", language="pl") as page:
        page.get_by_role("tab", name="Szczegóły").click()
        settle(page)
        save(page)


def refused(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """What the service refuses, beside what caused it."""
    draft = scene.draft("coffee", "hokusai") | {"overrides": RECIPE | {"content_layers": ["relu9_9"]}}
    with scene.page(size, theme, draft=draft) as page:
        page.get_by_role("tab", name="Settings").click()
        page.get_by_role("checkbox", name="Changed only").check()
        settle(page)
        save(page)


def nothing(scene: Scene, size: str, theme: str, save: Callable[[Any], None]) -> None:
    """A gallery in which nothing is found."""
    with scene.page(size, theme, "#/gallery") as page:
        page.get_by_role("searchbox").fill("nowhere")
        settle(page)
        save(page)


SCENES: Sequence[tuple[Callable[..., None], str, str]] = [
    (welcome, "laptop", "light"), (paint, "laptop", "light"), (live, "laptop", "dark"), (settings, "laptop", "light"),
    (wipe, "laptop", "dark"), (masks, "laptop", "light"), (gallery, "wide", "light"), (compare, "wide", "dark"),
    (sweep, "wide", "light"), (welcome, "phone", "light"), (paint, "phone", "light"), (gallery, "phone", "dark"),
    (masks, "phone", "dark"), (failed, "laptop", "light"), (refused, "laptop", "light"), (nothing, "laptop", "light"),
    (failed, "phone", "light"),
]  # fmt: skip


LONG_NAME = "The harbor in the evening, seen from the window of the inn, while the boats come back from the sea"


def prepare(server: Server) -> tuple[list[str], str]:
    """Paints what the gallery shows; returns the pictures' ids and that of a sweep."""
    jobs = []
    for photo, style, strength in PAIRS:
        body = {
            "content": f"example:{photo}",
            "styles": [f"example:{style}"],
            "recipe": RECIPE | {"strength": strength},
        }
        jobs.append(server.ask("POST", "/jobs", body)["id"])
    recipe = RECIPE | {"size": 96, "total_iterations": 12}
    body = {"content": "example:astronaut", "styles": ["example:oil"], "recipe": recipe}
    vary = {"strength": [20, 50, 80], "look": ["painterly", "bold"]}
    sweep = server.ask("POST", "/sweeps", body | {"vary": vary})["id"]
    for job in [*jobs, sweep]:
        while server.get(f"/jobs/{job}")["state"] not in ("done", "failed"):
            time.sleep(1)
        logger.info("painted %s", job)
    return jobs, sweep


def fail(server: Server) -> str:
    """A job whose photo is lost on the disk."""
    with Client(server.url) as client:
        photo = client.upload(example_path("coffee"))
    (server.data / "artifacts" / "images" / photo.sha256).unlink(missing_ok=True)
    body = {"content": photo.id, "styles": ["example:oil"], "recipe": RECIPE, "name": LONG_NAME}
    job = str(server.ask("POST", "/jobs", body)["id"])
    while server.get(f"/jobs/{job}")["state"] != "failed":
        time.sleep(0.5)
    return job


def main(names: Sequence[str]) -> None:
    """Takes the pictures."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder) / "service")
        server.start()
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            scene = Scene(browser, server, *prepare(server))
            for take, size, theme in SCENES:
                name = f"{take.__name__}-{size}-{theme}"
                if names and name not in names:
                    continue
                path = TARGET / f"{name}.jpg"
                take(
                    scene, size, theme, lambda page, path=path: page.screenshot(path=path, type="jpeg", quality=QUALITY)
                )
                logger.info("%s: %d kB", path.name, path.stat().st_size // 1000)
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description="Take the pictures of the studio.")
    parser.add_argument("names", nargs="*", help="as paint-laptop-light; all of them by default")
    main(parser.parse_args().names)
