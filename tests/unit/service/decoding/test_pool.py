"""Pictures decoded in children: limits on time and memory hold, and whatever a child does, the next one works."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from impasto.errors import ImageError, OutputError
from impasto.examples import example_path
from impasto.images import load_picture, read_recipe_json, save_picture
from impasto.service.decoding.pool import THUMBNAIL_EDGES, DecodingLimits, DecodingPool

COFFEE = example_path("coffee")


def run(work: Callable[[DecodingPool], Awaitable[Any]], **limits: Any) -> Any:
    """Does something with a pool."""

    async def inside() -> Any:
        pool = DecodingPool(DecodingLimits(**limits))
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(inside())


def opened(file: Path) -> Image.Image:
    """A picture, with its file closed."""
    return Image.open(io.BytesIO(file.read_bytes()))


def large(folder: Path) -> Path:
    """A small file of many pixels."""
    file = folder / "large.png"
    Image.new("RGB", (6000, 6000)).save(file)
    return file


def test_a_picture_is_looked_over_and_made_small(tmp_path: Path) -> None:
    files = {edge: tmp_path / f"{edge}.webp" for edge in THUMBNAIL_EDGES}
    facts = run(lambda pool: pool.inspect(COFFEE, "coffee.jpg", files))
    assert (facts["format"], facts["width"], facts["height"], facts["recipe"]) == ("JPEG", 600, 400, None)
    assert [max(opened(files[edge]).size) for edge in THUMBNAIL_EDGES] == [128, 256, 512, 600]


def test_a_thumbnail_looks_like_its_picture(tmp_path: Path) -> None:
    run(lambda pool: pool.inspect(COFFEE, "coffee.jpg", {128: tmp_path / "small.webp"}))
    small = opened(tmp_path / "small.webp").convert("RGB")
    expected = opened(COFFEE).resize(small.size, Image.Resampling.LANCZOS)
    pairs = zip(small.tobytes(), expected.tobytes(), strict=True)
    assert sum(abs(a - b) for a, b in pairs) / len(small.tobytes()) < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_every_kind_have_thumbnails(tmp_path: Path, mode: str) -> None:
    source = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new(mode, (300, 200)).save(source)
    run(lambda pool: pool.inspect(source, "x", {128: tmp_path / "small.webp"}))
    small = opened(tmp_path / "small.webp")
    assert small.size == (128, 85)
    assert ("A" in small.mode) == ("A" in mode)


def test_time_is_limited(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="takes too long to decode"):
        run(lambda pool: pool.inspect(large(tmp_path), "large.png", {}), seconds=0.01)


def test_memory_is_limited(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="needs more memory"):
        run(lambda pool: pool.inspect(large(tmp_path), "large.png", {}), memory_bytes=20_000_000)


def test_a_child_that_is_killed_takes_nobody_with_it(tmp_path: Path) -> None:
    async def work(pool: DecodingPool) -> Any:
        with pytest.raises(ImageError):
            await pool.inspect(large(tmp_path), "large.png", {})
        return await pool.inspect(COFFEE, "coffee.jpg", {})

    assert run(work, memory_bytes=60_000_000)["width"] == 600


def test_many_at_once_all_get_their_own_answer(tmp_path: Path) -> None:
    for number in range(1, 7):
        Image.new("RGB", (10 * number, 7)).save(tmp_path / f"{number}.png")

    async def work(pool: DecodingPool) -> list[int]:
        jobs = [pool.inspect(tmp_path / f"{number}.png", "x", {}) for number in range(1, 7)]
        return [facts["width"] for facts in await asyncio.gather(*jobs)]

    assert run(work) == [10, 20, 30, 40, 50, 60]


def test_a_painted_picture_keeps_its_recipe_in_every_format(tmp_path: Path) -> None:
    recipe = json.dumps({"recipe": {"height": 8}})
    picture = load_picture(COFFEE)
    save_picture(picture.pixels, tmp_path / "in.png", source=picture, recipe_json=recipe)

    async def work(pool: DecodingPool) -> str:
        for suffix in (".jpg", ".webp", ".tif"):
            await pool.convert(tmp_path / "in.png", tmp_path / f"out{suffix}", "in.png")
        return str((await pool.inspect(tmp_path / "in.png", "in.png", {}))["recipe"])

    assert run(work) == recipe
    for suffix in (".jpg", ".webp", ".tif"):
        assert read_recipe_json(tmp_path / f"out{suffix}") == recipe
        assert load_picture(tmp_path / f"out{suffix}").size == (400, 600)


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    Image.new("L", (17_000, 2)).save(tmp_path / "wide.png")
    with pytest.raises(OutputError, match="WebP holds at most 16383"):
        run(lambda pool: pool.convert(tmp_path / "wide.png", tmp_path / "wide.webp", "wide.png"))


def test_transparency_is_put_on_white_where_there_is_none(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    run(lambda pool: pool.convert(tmp_path / "clear.png", tmp_path / "clear.jpg", "clear.png"))
    assert opened(tmp_path / "clear.jpg").getpixel((10, 10)) == (255, 255, 255)
