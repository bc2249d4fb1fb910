"""Everybody can use the studio: WCAG 2.2 AA as far as axe sees it, and a keyboard alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.studio.conftest import LONG, Studio, draft_of, skip_or_fail
from tests.studio.server import Server
from tests.studio.test_journeys import paint, paint_by_api

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[2] / "studio" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

Open = Callable[..., Studio]


def findings(studio: Studio, where: str) -> list[str]:
    """What axe says of the page as it is."""
    studio.page.wait_for_timeout(400)  # fading colors have a contrast of their own
    studio.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = studio.page.evaluate("tags => axe.run({ runOnly: tags })", TAGS)
    return [
        f"{where}: {violation['id']} {node['target']} {node.get('failureSummary', '')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="session", autouse=True)
def axe() -> None:
    if not AXE.is_file():
        skip_or_fail("axe-core is not installed (make studio-test)")


@pytest.mark.parametrize(("theme", "width"), [("light", 1366), ("dark", 390)], ids=["laptop in light", "phone in dark"])
def test_axe_finds_nothing_on_any_view(open_studio: Open, server: Server, theme: Any, width: int) -> None:
    studio = open_studio(server, viewport={"width": width, "height": 800}, color_scheme=theme)
    jobs = [paint_by_api(server, strength=value) for value in (30, 60)]
    studio.expect("status of 4")
    found: list[str] = []

    def look(where: str) -> None:
        found.extend(findings(studio, where))

    studio.open()
    studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()
    look("welcome")
    studio.button("Coffee").click()
    studio.button("Oil").click()
    studio.button("Waves").click()
    look("draft")
    studio.tab("settings").click()
    look("settings")
    studio.page.get_by_role("textbox", name=studio.word("iterations")).fill("-1")
    studio.page.get_by_role("textbox", name=studio.word("iterations")).press("Enter")
    studio.page.get_by_role("alert").first.wait_for()
    look("refused")
    studio.open(f"#/job/{jobs[0]}")
    studio.painted.wait_for()
    look("job")
    studio.button("wipe").click()
    look("wipe")
    studio.button("download").click()
    look("downloads")
    studio.page.keyboard.press("Escape")
    studio.button("menu").click()
    look("menu")
    for place in ("gallery", "sweep", "masks", f"compare/{jobs[0]}/{jobs[1]}"):
        studio.open(f"#/{place}")
        studio.page.wait_for_function(
            "() => [...document.images].every((image) => image.complete || image.loading === 'lazy')"
        )
        look(place)
    assert found == []


def test_axe_finds_nothing_while_a_picture_is_painted(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "coffee", "oil", recipe=LONG))
    paint(studio)
    studio.painted.wait_for()
    found = findings(studio, "painting")
    studio.tab("details").click()
    found += findings(studio, "details")
    studio.button("pause").click()
    studio.wait_for_state("paused")
    found += findings(studio, "paused")
    studio.button("cancel").click()
    studio.wait_for_state("cancelled")
    assert found + findings(studio, "cancelled") == []


def reached(studio: Studio, presses: int = 120) -> list[str]:
    """What the Tab key comes by, by role and name."""
    studio.link("skip").focus()
    names = []
    for _ in range(presses):
        names.append(
            studio.page.evaluate(
                """() => {
                    const at = document.activeElement;
                    const label = at.labels?.[0]?.innerText ?? at.getAttribute('aria-label') ?? at.innerText ?? '';
                    return label.trim();
                }"""
            )
        )
        studio.page.keyboard.press("Tab")
        if studio.page.evaluate("document.activeElement === document.body"):
            break
    return names


def test_the_keyboard_alone_paints_a_picture_and_reaches_every_action(studio: Studio, server: Server) -> None:
    studio.open()
    studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()
    for name in ("Coffee", "Oil"):
        studio.button(name).focus()
        studio.page.keyboard.press("Enter")
    studio.button("sketch").focus()
    studio.page.keyboard.press(" ")
    names = reached(studio)
    for name in ("gallery", "sweep", "menu", "strength", "paint", "style", "masks"):
        assert any(studio.word(name) in found for found in names), (name, names)
    studio.button("paint").focus()
    studio.page.keyboard.press("Enter")
    studio.painted.wait_for()
    names = reached(studio)
    for name in ("pause", "stop", "cancel", "wipe", "hold_original"):
        assert any(studio.word(name) in found for found in names), (name, names)
    studio.button("cancel").focus()
    studio.page.keyboard.press("Enter")
    studio.wait_for_state("cancelled")
    stage = studio.page.get_by_role("application")
    stage.focus()
    before = studio.page.get_by_text("%").first.inner_text()
    stage.press("+")
    assert studio.page.get_by_text("%").first.inner_text() != before
    stage.press("0")
    assert studio.page.get_by_text("%").first.inner_text() == before


def test_tabs_follow_the_arrows(studio: Studio) -> None:
    studio.open()
    studio.tab("picture").focus()
    studio.page.keyboard.press("ArrowRight")
    assert studio.tab("settings").get_attribute("aria-selected") == "true"
    studio.page.get_by_role("searchbox", name=studio.word("search")).wait_for()


def test_nothing_moves_for_those_who_asked_for_it(open_studio: Open, server: Server) -> None:
    studio = open_studio(server, reduced_motion="reduce")
    studio.open(draft=draft_of(server, "coffee", "oil", recipe=LONG))
    paint(studio)
    studio.painted.wait_for()
    assert studio.page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0
    studio.button("cancel").click()
    studio.wait_for_state("cancelled")
