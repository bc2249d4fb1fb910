"""Large files: read in pieces, shrunk as they are read, and the same picture as ever."""

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image

from impasto.errors import ImageError
from impasto.images import Picture, load_picture, read_recipe_json, resize, save_picture
from impasto.images.load import LARGE_PIXELS
from tests.pictures import ADOBE_RGB, GAMMA, Space, card, encoded, turned, write_odd

KINDS = ("jpeg", "png", "webp", "tiff", "avif", "jp2", "gif", "bmp")


@pytest.fixture
def every_picture_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.images.load.LARGE_PIXELS", 100)
    monkeypatch.setattr("impasto.formats.files.LARGE_FILE", 100)
    monkeypatch.setattr("impasto.formats.vips_decode.STRIP_PIXELS", 400)


def shrunk(path: Path, size: tuple[int, int] = (9, 15)) -> Picture:
    return load_picture(path, shrink_to=lambda _: size)


def same_but_for_samples(one: Picture, other: Picture) -> bool:
    names = [field.name for field in fields(Picture) if field.name not in ("samples", "alpha")]
    return [getattr(one, name) for name in names] == [getattr(other, name) for name in names]


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_file_is_read_as_a_small_one_is(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    write_odd(tmp_path / "a", card(channels=3), kind)
    before = load_picture(tmp_path / "a")
    request.getfixturevalue("every_picture_is_large")
    after = load_picture(tmp_path / "a")
    assert same_but_for_samples(before, after)
    assert torch.equal(before.samples, after.samples)


@pytest.mark.usefixtures("every_picture_is_large")
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_shrinking_on_the_way_is_shrinking_afterwards(kind: str, channels: int, tmp_path: Path) -> None:
    write_odd(tmp_path / "a", card(channels=channels), kind)
    whole, small = load_picture(tmp_path / "a"), shrunk(tmp_path / "a")
    assert small.size == (9, 15)
    assert same_but_for_samples(whole, small)
    assert (small.pixels - resize(whole.pixels, (9, 15))).abs().max() < 1e-5


@pytest.mark.usefixtures("every_picture_is_large")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_shrunk_upright(orientation: int, tmp_path: Path) -> None:
    write_odd(tmp_path / "a", turned(card(channels=3), orientation), "jpeg", orientation=orientation)
    whole, small = load_picture(tmp_path / "a"), shrunk(tmp_path / "a")
    assert whole.size == (24, 40)
    assert (small.pixels - resize(whole.pixels, (9, 15))).abs().max() < 1e-5


@pytest.mark.usefixtures("every_picture_is_large")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_and_depth_hold_while_shrinking(dtype: type, tmp_path: Path) -> None:
    write_odd(tmp_path / "a", card(channels=3, dtype=dtype), "tiff", profile=Space(ADOBE_RGB, GAMMA).profile())
    whole, small = load_picture(tmp_path / "a"), shrunk(tmp_path / "a")
    assert whole.profile is not None
    assert same_but_for_samples(whole, small)
    assert (small.pixels - resize(whole.pixels, (9, 15))).abs().max() < 1e-5


@pytest.mark.usefixtures("every_picture_is_large")
def test_invisible_colors_do_not_bleed_while_shrinking(tmp_path: Path) -> None:
    samples = np.zeros((40, 40, 4), np.uint8)
    samples[:, :20] = (200, 100, 50, 255)
    samples[:, 20:] = (0, 255, 0, 0)
    Image.fromarray(samples).save(tmp_path / "a.png")
    small = shrunk(tmp_path / "a.png", (10, 10))
    assert small.alpha is not None
    visible = small.alpha[0, 0] > 0.05
    colors = small.pixels[0, :, visible] * 255
    assert colors[0] == pytest.approx(200, abs=0.1)
    assert colors[1] == pytest.approx(100, abs=0.1)
    assert visible[:, :4].all()
    assert not visible[:, 6:].any()


@pytest.mark.usefixtures("every_picture_is_large")
def test_opaque_pictures_with_alpha_stay_opaque(tmp_path: Path) -> None:
    Image.fromarray(card(channels=3)).convert("RGBA").save(tmp_path / "a.png")
    small = shrunk(tmp_path / "a.png")
    assert small.alpha is not None
    assert (small.alpha == 1).all()


@pytest.mark.usefixtures("every_picture_is_large")
def test_what_is_needed_at_full_size_is_read_at_full_size(tmp_path: Path) -> None:
    Image.fromarray(card(channels=3)).save(tmp_path / "a.png")
    asked = []
    picture = load_picture(tmp_path / "a.png", shrink_to=lambda size: asked.append(size) or (80, 100))
    assert asked == [(24, 40)]
    assert picture.size == (24, 40)
    assert picture.samples.dtype == torch.uint8


def test_usual_photographs_are_never_shrunk_on_the_way(tmp_path: Path) -> None:
    Image.fromarray(card(channels=3, height=600, width=800)).save(tmp_path / "a.png")
    assert load_picture(tmp_path / "a.png", shrink_to=lambda _: (4, 4)).size == (600, 800)
    assert LARGE_PIXELS > 24_000_000


@pytest.mark.usefixtures("every_picture_is_large")
def test_a_jpeg_without_its_end_marker_is_shrunk_whole(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(card(channels=3)), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data[:-2])
    small = shrunk(tmp_path / "a.jpg")
    assert small.notes == ("its end marker is missing, the picture is whole",)
    assert (small.pixels - resize(load_picture(tmp_path / "a.jpg").pixels, (9, 15))).abs().max() < 1e-5


@pytest.mark.usefixtures("every_picture_is_large")
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_a_large_file_that_ends_early_is_refused(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    write_odd(tmp_path / "a", rng.integers(0, 256, (200, 300, 3)).astype(np.uint8), kind)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ImageError, match=r"that is damaged, truncated or of an unknown kind"):
        shrunk(tmp_path / "a")


@pytest.mark.usefixtures("every_picture_is_large")
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(card(channels=3)).save(path)

    def touch(size: tuple[int, int]) -> tuple[int, int]:
        os.utime(path, ns=(0, 0))
        return size

    with pytest.raises(ImageError, match=r"a\.png' changed while it was read\. Try again once it is written\.$"):
        load_picture(path, shrink_to=touch)


@pytest.mark.usefixtures("every_picture_is_large")
def test_recipes_are_found_in_large_files(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".tif"):
        save_picture(torch.rand(1, 3, 40, 40), tmp_path / f"a{suffix}", recipe_json='{"seed": 7}')
        assert read_recipe_json(tmp_path / f"a{suffix}") == '{"seed": 7}'


def test_one_strip_may_hold_a_whole_tiff(tmp_path: Path) -> None:
    """Libtiff alone refuses to take more than 50 MB at once."""
    samples = np.zeros((6000, 3200, 3), np.uint8)
    samples[5999] = (1, 2, 3)
    tifffile.imwrite(tmp_path / "a.tif", samples, rowsperstrip=6000, photometric="rgb", compression="zlib")
    assert load_picture(tmp_path / "a.tif").samples[0, :, 5999, 77].tolist() == [1, 2, 3]


def test_no_limit_of_pillow_stands_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("bmp", "jp2"):
        write_odd(tmp_path / kind, card(channels=3), kind)
        assert load_picture(tmp_path / kind).size == (24, 40)
    (tmp_path / "a.ppm").write_bytes(b"P6\n40 24\n255\n" + card(channels=3).tobytes())
    assert load_picture(tmp_path / "a.ppm").size == (24, 40)
    with pytest.raises(ImageError, match="has 40×24 pixels; at most 900 are allowed"):
        load_picture(tmp_path / "a.ppm", max_pixels=900)


MEASURED = """
import sys
from pathlib import Path
from impasto.images import load_picture

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

before = peak()
picture = load_picture(sys.argv[1], shrink_to=lambda size: (200, 300))
assert picture.size == (200, 300), picture.size
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize(
    ("suffix", "copies", "most"), [(".tif", 24, 140), pytest.param(".png", 40, 380, marks=pytest.mark.slow)]
)
def test_a_large_picture_takes_less_memory_than_its_samples(
    suffix: str, copies: int, most: int, tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (250, 400, 3)).astype(np.uint8)
    path = str(tmp_path / f"a{suffix}")
    options = {"compression": 1} if suffix == ".png" else {}
    pyvips.Image.new_from_array(noise).replicate(copies, copies).write_to_file(path, **options)
    command = [sys.executable, "-c", MEASURED, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert most < noise.nbytes * copies**2 / 2**20
    assert float(done.stdout) < most
