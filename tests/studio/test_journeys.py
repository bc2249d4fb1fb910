"""What people do in the studio, from a stranger's first click to a service that is killed under their hands."""

import io
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.studio.conftest import LONG, PATIENCE, SMALL, Studio, draft_of
from tests.studio.server import Server

pytestmark = pytest.mark.slow

Open = Callable[..., Studio]


def png(size: tuple[int, int] = (80, 60), color: tuple[int, int, int] = (200, 90, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return buffer.getvalue()


def drop(studio: Studio, name: str, data: bytes, target: str = "body") -> None:
    """Drops a file on the page, as a file manager would."""
    transfer = studio.page.evaluate_handle(
        """([name, numbers]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(numbers)], name, { type: 'image/png' }));
            return transfer;
        }""",
        [name, list(data)],
    )
    for event in ("dragover", "drop"):
        studio.page.dispatch_event(target, event, {"dataTransfer": transfer})


def paint(studio: Studio) -> str:
    """Presses Paint, and waits until the page is at the new job."""
    before = studio.page.url
    studio.button("paint").click()
    studio.page.wait_for_url(lambda url: url != before and "#/job/" in url, timeout=PATIENCE)
    return studio.job_id


def test_a_stranger_paints_a_first_picture_with_four_clicks(studio: Studio) -> None:
    studio.open()
    studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()
    assert studio.button("paint").is_disabled()
    studio.button("Coffee").click()
    studio.button("Oil").click()
    studio.button("sketch").click()
    paint(studio)
    studio.painted.wait_for()
    studio.button("stop").click()
    studio.wait_for_state("stopped")
    studio.tab("details").click()
    with studio.page.expect_download() as download:
        studio.button("download").click()
        studio.link_item("PNG").click()
    with Image.open(download.value.path()) as picture:
        assert picture.format == "PNG"
        assert max(picture.size) >= 256
    studio.button("wipe").click()
    divider = studio.slider("wipe_position")
    divider.press("ArrowRight")
    assert float(divider.input_value()) > 50
    studio.button("hold_original").focus()
    studio.page.keyboard.down(" ")
    studio.page.get_by_role("img", name=studio.word("original")).wait_for()
    studio.page.keyboard.up(" ")
    studio.painted.wait_for()


def test_a_preset_is_one_click_and_keeps_what_was_chosen_otherwise(studio: Studio, server: Server) -> None:
    presets = {preset["name"]: preset["recipe"] for preset in server.get("/presets")}
    studio.open(draft=draft_of(server, "coffee", "oil", recipe={}))
    keep_colors = studio.page.get_by_role("checkbox", name=studio.word("keep_colors"))
    keep_colors.check()
    for name in presets:
        studio.button(name).click()
        assert [other for other in presets if studio.button(other).get_attribute("aria-pressed") == "true"] == [name]
        assert keep_colors.is_checked()
    studio.button("sketch").click()
    paint(studio)
    asked = server.get(f"/jobs/{studio.job_id}")["asked"]
    assert asked == presets["sketch"] | {"preserve_color": "luminance"}
    server.ask("POST", f"/jobs/{studio.job_id}/cancel")


def test_a_picture_is_downloaded_in_each_format(studio: Studio, server: Server) -> None:
    job = paint_by_api(server)
    studio.open(f"#/job/{job}")
    studio.wait_for_state("done")

    def downloaded(name: str) -> Path:
        studio.button("download").click()
        with studio.page.expect_download() as download:
            studio.link_item(name).click()
        return Path(download.value.path())

    for name in ("JPEG", "WEBP", "TIFF"):
        with Image.open(downloaded(name)) as picture:
            assert picture.format == name
    assert any(name.endswith(".png") for name in zipfile.ZipFile(downloaded("ZIP")).namelist())
    assert 'model = "compact"' in downloaded("TOML").read_text()


def paint_by_api(server: Server, name: str = "", **recipe: Any) -> str:
    """A small picture that is done."""
    body = {"content": "example:coffee", "styles": ["example:oil"], "recipe": SMALL | recipe, "name": name}
    job = server.ask("POST", "/jobs", body)
    while server.get(f"/jobs/{job['id']}")["state"] in ("queued", "running"):
        time.sleep(0.1)
    return str(job["id"])


def test_two_styles_are_painted_where_their_masks_say(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "coffee", "oil", "waves"))
    studio.slider("share").first.fill("0.5")
    studio.link("masks").click()
    stage = studio.page.get_by_role("application")
    studio.page.get_by_role("img").first.wait_for()  # the stage has its size only then
    stage.wait_for()
    box = stage.bounding_box()
    assert box is not None
    middle, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for start, end in (((-200, -80), (200, 90)), ((-150, 60), (120, -60))):
        studio.page.mouse.move(middle + start[0], top + start[1])
        studio.page.mouse.down()
        studio.page.mouse.move(middle + end[0], top + end[1], steps=12)
        studio.page.mouse.up()
    layer = studio.page.get_by_role("button", name=re.compile(f"Oil.*{studio.word('mask_layer_painted')}"))
    layer.wait_for()
    studio.page.keyboard.press("Control+z")
    studio.page.keyboard.press("Control+z")
    layer.wait_for(state="detached")
    studio.button("redo").click()
    layer.wait_for()
    studio.link("finish_masks").click()
    paint(studio)
    studio.wait_for_state("done")
    job = server.get(f"/jobs/{studio.job_id}")
    assert [picture["id"] for picture in job["styles"]] == ["example:oil", "example:waves"]
    assert len(job["content_masks"]) == 2
    assert job["recipe"]["style_blend"] == [0.5, 1]


def test_masks_that_went_with_their_photo_are_brought_back(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "coffee", "oil"))
    studio.link("masks").click()
    studio.button("fill").click()
    studio.link("finish_masks").click()
    count = studio.page.get_by_text(studio.word("one_mask"))
    count.wait_for()
    studio.button("remove_photo").click()
    count.wait_for(state="detached")
    studio.button("undo").click()
    count.wait_for()


def test_a_picture_is_paused_changed_and_resumed(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "chelsea", "oil", recipe=LONG))
    job = paint(studio)
    studio.wait_for_state("painting")
    studio.painted.wait_for()
    studio.button("pause").click()
    studio.wait_for_state("paused")
    strength = studio.slider("strength")
    strength.fill("60")
    for step in range(1, 6):  # each from where the one before has led
        strength.press("ArrowRight")
        expect(strength).to_have_value(str(60 + step))
    studio.button("resume").click()
    studio.wait_for_state("painting")
    expect(strength).to_have_value("65")
    strength.fill("80")
    studio.page.wait_for_function(
        "id => fetch(`/api/v1/jobs/${id}`).then((answer) => answer.json())"
        ".then((job) => job.changes.at(-1)?.values.strength === 80)",
        arg=job,
    )
    studio.button("stop").click()
    studio.wait_for_state("stopped")
    assert server.get(f"/jobs/{job}")["changes"][-1]["values"]["strength"] == 80


def test_twenty_pictures_in_a_row_are_cancelled(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "chelsea", "oil", recipe=LONG))
    for _ in range(20):
        paint(studio)
        studio.button("cancel").click()
        studio.wait_for_state("cancelled")
    states = [job["state"] for job in server.get("/jobs?limit=20")["items"]]
    assert states == ["cancelled"] * 20


def test_a_reload_in_the_middle_shows_the_same_picture(studio: Studio, server: Server) -> None:
    studio.open(draft=draft_of(server, "rocket", "waves", recipe=LONG))
    job = paint(studio)
    studio.painted.wait_for()
    studio.page.reload()
    studio.painted.wait_for()
    assert studio.job_id == job
    studio.button("stop").click()
    studio.wait_for_state("stopped")
    studio.painted.wait_for()


def test_a_second_tab_sees_what_the_first_does(open_studio: Open, server: Server) -> None:
    first = open_studio(server).open(draft=draft_of(server, "rocket", "oil", recipe=LONG))
    second = open_studio(server).open("#/gallery")
    job = paint(first)
    tile = second.page.locator(f"a[href='#/job/{job}']")
    tile.wait_for()
    tile.click()
    second.painted.wait_for()
    second.button("cancel").click()
    second.wait_for_state("cancelled")
    first.wait_for_state("cancelled")


def test_a_sweep_fills_its_contact_sheet_and_gives_its_recipe(studio: Studio, server: Server) -> None:
    studio.open("#/sweep", draft=draft_of(server, "coffee", "oil", recipe=SMALL | {"total_iterations": 15}))
    values = studio.page.get_by_label(studio.word("values")).first
    values.fill("20, 800")
    studio.page.get_by_text(studio.word("not_allowed")).wait_for()
    expect(studio.button("paint_all")).to_be_disabled()
    values.fill("20, 80")
    studio.button("paint_all").click()
    cells = studio.page.get_by_role("link", name=re.compile(f"^{studio.word('open_cell')}"))
    cells.nth(1).wait_for()
    studio.wait_for_state("done")
    assert cells.count() == 2
    here = studio.page.get_by_role("navigation").locator("[aria-current=page]")
    expect(here.first).to_have_text(studio.word("sweep"))
    studio.button("take_recipe").nth(1).click()
    studio.painted.wait_for()
    expect(studio.slider("strength")).to_have_value("80")


def test_a_dropped_picture_brings_its_recipe_and_inputs(studio: Studio, server: Server) -> None:
    job = paint_by_api(server, strength=66)
    studio.open()
    picture = studio.page.evaluate(
        "id => fetch(`/api/v1/jobs/${id}/result`).then((a) => a.arrayBuffer()).then((b) => [...new Uint8Array(b)])", job
    )
    drop(studio, "painted.png", bytes(picture))
    studio.button("load_recipe").click()
    expect(studio.slider("strength")).to_have_value("66")
    again = paint(studio)
    studio.wait_for_state("done")
    made = server.get(f"/jobs/{again}")
    assert made["content"]["id"] == "example:coffee"
    assert made["recipe"]["total_iterations"] == SMALL["total_iterations"]


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.png", b""), ("wrong.png", b"not a picture at all"), ("huge.png", png((16, 16)))],
    ids=["empty", "wrong", "huge"],
)
def test_files_that_cannot_be_read_are_refused_in_a_sentence(studio: Studio, name: str, data: bytes) -> None:
    if name == "huge.png":  # a header that promises 90,000 × 90,000 pixels
        data = data[:16] + (90_000).to_bytes(4, "big") * 2 + data[24:]
    studio.expect("status of 4")
    studio.open()
    drop(studio, name, data)
    alert = studio.page.get_by_role("alert")
    alert.wait_for()
    assert len(alert.inner_text().split()) > 3
    studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()


def test_a_photo_is_uploaded_and_becomes_the_photo(studio: Studio) -> None:
    studio.open()
    with studio.page.expect_file_chooser() as chooser:
        studio.button("choose_photo").first.click()
    chooser.value.set_files({"name": "my holiday.png", "mimeType": "image/png", "buffer": png()})
    studio.page.get_by_text("my holiday.png").first.wait_for()
    with studio.page.expect_file_chooser() as chooser:
        studio.button("style").click()
    chooser.value.set_files({"name": "my painting.png", "mimeType": "image/png", "buffer": png(color=(20, 90, 200))})
    studio.button("my painting").wait_for()
    assert studio.button("paint").is_enabled()


def test_a_value_out_of_range_is_refused_beside_its_field(studio: Studio, server: Server) -> None:
    studio.expect("status of 422")
    studio.open(draft=draft_of(server, "coffee", "oil"))
    studio.tab("settings").click()
    studio.page.get_by_role("searchbox", name=studio.word("search")).fill("iterations")
    field = studio.page.get_by_role("textbox", name=studio.word("iterations"))
    field.fill("-5")
    field.press("Enter")
    studio.page.get_by_role("alert").filter(has_text="total_iterations").first.wait_for()
    studio.page.get_by_role("button", name=f"{studio.word('reset')} {studio.word('iterations')}").click()
    studio.page.get_by_role("alert").first.wait_for(state="detached")
    studio.page.get_by_role("searchbox", name=studio.word("search")).fill("xyzzy")
    studio.page.get_by_text(studio.word("nothing_found")).wait_for()


def test_a_photo_that_is_gone_is_said_to_be(studio: Studio, server: Server) -> None:
    studio.expect("status of 404")
    studio.page.route("**/api/v1/images/*/file", lambda route: route.fulfill(status=404))
    studio.open(draft=draft_of(server, "coffee", "oil"))
    studio.page.get_by_text(studio.word("picture_lost")).wait_for()


def test_a_deleted_picture_comes_back(studio: Studio, server: Server) -> None:
    job = paint_by_api(server, name="kept after all")
    studio.open("#/gallery")
    tile = studio.page.locator(f"a[href='#/job/{job}']")
    tile.wait_for()
    studio.page.get_by_role("checkbox", name=f"{studio.word('select')} kept after all").first.check()
    studio.button("delete").click()
    tile.wait_for(state="detached")
    studio.button("undo").click()
    tile.wait_for()


def test_a_picture_is_deleted_on_the_stage_and_comes_back(studio: Studio, server: Server) -> None:
    job = paint_by_api(server)
    studio.open(f"#/job/{job}")
    studio.painted.wait_for()
    studio.button("delete").click()
    studio.painted.wait_for(state="detached")
    studio.button("undo").click()
    studio.page.locator(f"a[href='#/job/{job}']").click()
    studio.painted.wait_for()


def test_two_pictures_are_compared_with_their_recipes(studio: Studio, server: Server) -> None:
    names = ["weak of two", "strong of two"]
    jobs = [paint_by_api(server, name=name, strength=value) for name, value in zip(names, (20, 90), strict=True)]
    studio.open("#/gallery")
    studio.page.get_by_role("searchbox", name=studio.word("search_names")).fill("of two")
    studio.page.locator(f"a[href='#/job/{jobs[0]}']").wait_for()
    for name in names:
        studio.page.get_by_role("checkbox", name=f"{studio.word('select')} {name}").first.check()
    studio.button("compare").click()
    studio.page.get_by_role("row", name=re.compile("20.*90")).wait_for()
    studio.painted.nth(1).wait_for()
    stages = studio.page.get_by_role("application")
    stages.first.press("+")
    zooms = studio.page.get_by_text(re.compile(r"^\d+ %$")).all_inner_texts()
    assert zooms[0] == zooms[1]


def test_a_picture_survives_that_the_service_is_killed(open_studio: Open, tmp_path: Path) -> None:
    server = Server(tmp_path / "service")
    server.start()
    try:
        studio = open_studio(server)
        studio.expect("ERR_", "net::", "Failed to load resource")
        studio.open(draft=draft_of(server, "coffee", "oil", recipe=SMALL | {"total_iterations": 30}))
        job = paint(studio)
        studio.painted.wait_for()
        server.kill()
        studio.page.get_by_text(studio.word("lost")).wait_for()
        server.start()
        studio.page.get_by_text(studio.word("lost")).wait_for(state="detached")
        studio.wait_for_state("done")
        assert server.get(f"/jobs/{job}")["state"] == "done"
    finally:
        server.kill()


def test_a_key_is_asked_for_once(open_studio: Open, tmp_path: Path) -> None:
    server = Server(tmp_path / "service", workers=0)
    server.data.mkdir(parents=True)
    key = server.command("keys", "create", "ania").strip()
    server.start()
    try:
        studio = open_studio(server)
        studio.expect("status of 401")
        studio.open()
        studio.page.get_by_role("dialog", name=studio.word("key_title")).wait_for()
        field = studio.page.get_by_label(studio.word("key"), exact=True)
        field.fill("wrong")
        studio.button("allow").click()
        studio.page.get_by_role("alert").filter(has_text=re.compile("key", re.IGNORECASE)).wait_for()
        field.fill(key)
        studio.button("allow").click()
        studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()
        studio.page.reload()
        studio.page.get_by_role("heading", name=studio.word("welcome")).wait_for()
        assert studio.page.get_by_role("dialog").count() == 0
    finally:
        server.kill()


def test_a_phone_paints_by_touch(open_studio: Open, server: Server) -> None:
    studio = open_studio(
        server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2
    )
    studio.open()
    studio.button("Coffee").tap()
    studio.button("Oil").tap()
    studio.tab("settings").tap()
    field = studio.page.get_by_role("textbox", name=studio.word("iterations"))
    field.fill("10")
    field.press("Enter")
    field = studio.page.get_by_role("textbox", name=studio.word("height"))
    field.fill("48")
    field.press("Enter")
    paint(studio)
    studio.painted.wait_for()
    studio.wait_for_state("done")
    assert studio.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    studio.link("gallery").tap()
    studio.page.locator("a[href^='#/job/']").first.tap()
    studio.painted.wait_for()
