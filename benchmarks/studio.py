"""How fast the studio is: its start, the first preview, a long gallery, and painting of masks.

    python benchmarks/studio.py                                       # five runs; needs the built page and Chromium
    python benchmarks/studio.py --runs 1 --output build/studio.json   # a try

Against a service that really runs, in Debian's Chromium. The gallery's 2,000 jobs are answered by this program instead
of painted. Keeps medians and interquartile ranges over the runs, by default in `benchmarks/results/studio.json`.
"""

import argparse
import gzip
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.harness import environment  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from tests.studio.conftest import FLAGS, PAGE, chromium, draft_of  # noqa: E402
from tests.studio.server import Server  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "studio.json"
NUM_JOBS = 2000
NUM_STROKES = 60
MEGAPIXELS_12 = (4000, 3000)
FRAMES = """async () => {
  // Each step to the end of what is there, until everything is; the longest time between two frames counts.
  const scroller = document.querySelector('.scroll');
  let longest = 0, last = performance.now(), isOver = false;
  const frame = (now) => {
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) requestAnimationFrame(frame);
  };
  await new Promise(requestAnimationFrame);
  last = performance.now();
  requestAnimationFrame(frame);
  for (let still = 0; still < 40;) {
    const before = scroller.scrollTop;
    scroller.scrollTop += 400;
    await new Promise((resolve) => setTimeout(resolve, 30));
    still = scroller.scrollTop === before ? still + 1 : 0;
  }
  isOver = true;
  return { longest, cells: scroller.querySelectorAll('li').length };
}"""

Measure = Callable[[Any, Server], float]


def start(context: Any, server: Server) -> float:
    """Milliseconds from the request to a page that can be used."""
    page = context.new_page()
    begin = time.perf_counter()
    page.goto(server.url)
    page.get_by_role("button", name="Coffee").wait_for()
    seconds = time.perf_counter() - begin
    page.close()
    return 1000 * seconds


def first_preview(context: Any, server: Server) -> float:
    """Milliseconds from the click on Paint to the first preview, at 512 pixels with the bundled encoder."""
    page = context.new_page()
    draft = draft_of(server, "coffee", "oil", recipe={"model": "compact", "size": 512})
    page.goto(f"{server.url}/icon.svg")
    page.evaluate("draft => localStorage.setItem('impasto.draft', JSON.stringify(draft))", draft)
    page.goto(server.url)
    button = page.get_by_role("button", name="Paint", exact=True)
    button.wait_for()
    page.wait_for_timeout(1000)
    begin = time.perf_counter()
    button.click()
    page.get_by_role("img", name="Painted picture").wait_for(timeout=120_000)
    seconds = time.perf_counter() - begin
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(1500)
    page.close()
    return 1000 * seconds


def longest_step(context: Any, server: Server) -> float:
    """Milliseconds between two frames, at most, while a gallery of 2,000 jobs is scrolled to its end."""
    page = context.new_page()
    recipe = {"model": "compact", "height": 32, "total_iterations": 1}
    job = server.ask("POST", "/jobs", {"content": "example:coffee", "styles": ["example:oil"], "recipe": recipe})

    def answer(route: Any) -> None:
        query = dict(part.split("=") for part in route.request.url.partition("?")[2].split("&") if "=" in part)
        first, limit = int(query.get("cursor", 0)), int(query.get("limit", 50))
        last = min(first + limit, NUM_JOBS)
        items = [job | {"id": f"job{index}", "state": "done", "name": f"Job {index}"} for index in range(first, last)]
        route.fulfill(json={"items": items, "next_cursor": str(last) if last < NUM_JOBS else None})

    page.route("**/api/v1/jobs?*", answer)
    page.goto(f"{server.url}/#/gallery")
    page.get_by_role("link").filter(has_text="Job 1").first.wait_for()
    found = page.evaluate(FRAMES)
    assert found["cells"] >= NUM_JOBS, found  # and the job itself, of which the page hears as of a new one
    page.close()
    return float(found["longest"])


def undo(context: Any, server: Server) -> float:
    """Milliseconds for one undo after 60 strokes on a photo of 12 megapixels, until the page has drawn it."""
    page = context.new_page()
    buffer = io.BytesIO()
    Image.effect_noise((200, 150), 90).resize(MEGAPIXELS_12).convert("RGB").save(buffer, "JPEG", quality=80)
    page.goto(server.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").first.click()
    chooser.value.set_files({"name": "large.jpg", "mimeType": "image/jpeg", "buffer": buffer.getvalue()})
    page.get_by_text("4000 × 3000").wait_for()
    page.get_by_role("button", name="Oil").click()
    page.get_by_role("link", name="Paint masks").click()
    box = page.get_by_role("application").bounding_box()
    page.get_by_role("slider", name="Size").fill("120")
    for stroke in range(NUM_STROKES):
        y = box["y"] + box["height"] * (0.1 + 0.8 * stroke / NUM_STROKES)
        page.mouse.move(box["x"] + 0.2 * box["width"], y)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], y + 20, steps=6)
        page.mouse.up()
    milliseconds = page.evaluate(
        """async () => {
            const button = [...document.querySelectorAll('button')].find((one) => one.innerText.trim() === 'Undo');
            const times = [];
            for (let step = 0; step < 20; step++) {
                const begin = performance.now();
                button.click();
                await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
                times.push(performance.now() - begin);
            }
            return times.sort((a, b) => a - b)[10];
        }"""
    )
    page.close()
    return float(milliseconds)


MEASURES: Sequence[tuple[str, Measure]] = [
    ("start_ms", start), ("first_preview_512_ms", first_preview), ("gallery_2000_longest_step_ms", longest_step),
    ("undo_60_strokes_12mp_ms", undo),
]  # fmt: skip


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Median and interquartile range."""
    quarters = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    spread = quarters[2] - quarters[0]
    return {"median": round(statistics.median(values), 1), "iqr": round(spread, 1), "runs": len(values)}


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description="Measure the studio.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULT)
    given = parser.parse_args()
    scripts = (PAGE.parent / "assets").glob("*.js")
    result: dict[str, Any] = {"js_gzip_bytes": sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts)}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder) / "service")
        server.start()
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            for name, measure in MEASURES:
                values = []
                for _ in range(given.runs):
                    context = browser.new_context(viewport={"width": 1366, "height": 800}, locale="en")
                    values.append(measure(context, server))
                    context.close()
                result[name] = summary(values)
                print(name, result[name])
        finally:
            browser.close()
            server.stop()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result | environment(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
