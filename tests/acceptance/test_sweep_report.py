"""The report of a sweep in a real browser, opened from disk: it asks nobody for anything, and works by keyboard."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.recipe import Recipe
from impasto.runs.report import write_report
from impasto.runs.sweep_plan import plan_cells, variants_of
from impasto.runs.sweep_results import CellResult, CellState, Results

pytestmark = pytest.mark.slow

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
STRENGTHS = [10, 50, 90]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of five finished cells and a failed one, none of which was painted."""
    folder = tmp_path_factory.mktemp("sweep")
    noise = np.random.default_rng(0)
    for name in ("photo.png", "</script><oil>.png"):
        Image.fromarray(noise.integers(0, 256, (64, 96, 3), dtype=np.uint8)).save(folder / name.replace("/", "∕"))
    inputs = sorted(folder.iterdir())
    recipe = Recipe(model="compact", height=64)
    variants = variants_of({"optimizer": ["lbfgs", "adam"], "strength": STRENGTHS}, recipe)
    results = []
    for cell in plan_cells(inputs[1:], [inputs[:1]], recipe, variants):
        if cell.number == 6:
            results.append(CellResult.of(cell, CellState.FAILED, error="Memory ran out."))
            continue
        picture, curve = folder / f"{cell.name}.png", folder / f"{cell.name}.csv"
        Image.new("RGB", (96, 64), (40 * cell.number, 90, 120)).save(picture)
        with curve.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["iteration", "level", "total", "content", "style", "tv", "seconds"])
            writer.writerows([i, 1, 1 / (i + cell.number), 0, 0, 0, i / 10] for i in range(1, 30))
        facts = {"iterations": 29, "seconds": 2.9, "ssim": 0.1 * cell.number, "judge": None}
        results.append(CellResult.of(cell, CellState.DONE, picture=picture, facts=facts, curve=curve))
    pictures = [(f"input {path.name}", path) for path in inputs]
    write_report(folder / "report.html", Results("strength <of> & all", results, pictures, "impasto sweep photo.png"))
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium is installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The report, open; afterwards it must not have asked for anything nor complained."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(report.as_uri())
    yield page
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    context.close()


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def first_column(page: Any, name: str) -> list[str]:
    heads = [head.split(" ▲")[0] for head in page.locator("thead th").all_inner_texts()]
    column = heads.index(name)
    return [row.locator("td").nth(column).inner_text() for row in page.locator("tbody tr").all()]


def test_every_cell_is_shown_with_its_picture_or_its_sentence(page: Any) -> None:
    assert page.locator("h1").inner_text() == "strength <of> & all"
    assert page.locator("#grid .tile").count() == 6
    assert page.locator("#grid .tile img").count() == 5
    assert "Memory ran out." in page.locator("#grid .tile").nth(5).inner_text()
    widths = page.evaluate("[...document.querySelectorAll('#grid img')].map(image => image.naturalWidth)")
    assert widths == [96] * 5


def test_a_picture_is_wiped_against_content_and_other_cells_by_keyboard(page: Any) -> None:
    page.locator("#grid .tile").nth(1).focus()
    press(page, "Enter")
    assert page.locator("#viewer-title").inner_text() == "optimizer lbfgs, strength 50"
    page.locator("#wipe").focus()
    press(page, "Home", *["ArrowRight"] * 30)
    assert page.locator("#above").evaluate("image => image.style.clipPath") == "inset(0px 70% 0px 0px)"
    page.locator("#other").focus()
    press(page, "End")
    assert page.locator("#below").get_attribute("alt") == "Compared with: optimizer adam, strength 50"
    page.locator("#zoom").focus()
    before = page.locator("#sheet").bounding_box()["width"]
    press(page, "ArrowRight", "ArrowRight")
    assert page.locator("#sheet").bounding_box()["width"] == pytest.approx(2 * before, rel=0.01)
    page.locator("#next").focus()
    press(page, "n")
    assert page.locator("#viewer-title").inner_text() == "optimizer lbfgs, strength 90"
    press(page, "Escape")
    assert not page.locator("#viewer").is_visible()


def test_the_table_is_sorted_and_filtered_by_keyboard(page: Any) -> None:
    page.locator("[data-column=strength]").focus()
    press(page, "Enter")
    assert first_column(page, "strength") == ["10", "10", "50", "50", "90", "90"]
    press(page, "Enter")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("strength")
    page.locator("#filter").focus()
    page.keyboard.type("adam 50")
    assert page.locator("tbody tr").count() == page.locator("#grid .tile").count() == 1
    assert page.locator("#count").inner_text() == "1 of 6 cells"


def test_recipe_and_command_of_a_cell_are_copied_by_keyboard(page: Any) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#grid .tile").nth(0).focus()
    press(page, "Enter")
    for name, part in (("cell-recipe", 'optimizer = "lbfgs"'), ("cell-command", "--strength 10")):
        page.locator(f"[data-copy={name}]").focus()
        press(page, "Enter")
        page.locator("#said", has_text="Copied.").wait_for()
        assert part in page.evaluate("navigator.clipboard.readText()")


def test_links_lead_to_the_full_files(page: Any, report: Path) -> None:
    page.locator("#grid .tile").nth(0).click()
    target = page.locator("#file").get_attribute("href")
    assert (report.parent / target).is_file()


@pytest.mark.parametrize("is_open", [False, True])
def test_axe_finds_nothing_serious(page: Any, is_open: bool) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    if is_open:
        page.locator("#grid .tile").nth(1).click()
    violations = axe.Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations if v["impact"] in ("serious", "critical")] == []
