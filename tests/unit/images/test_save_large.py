"""What large pictures need of a format: smaller copies beside them, more than 4 GB, and little memory on the way."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image

from impasto.errors import OutputError
from impasto.images import Picture, as_picture, load_picture, read_recipe_json, resize, save_picture
from tests.limits import largest_file
from tests.pictures import ADOBE_RGB, GAMMA, Space, card, exif_block

SIZE = {"height": 700, "width": 1100}


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """A photograph with EXIF, of some tiles."""
    Image.fromarray(card(channels=3, **SIZE)).save(tmp_path / "source.png", exif=exif_block())
    return load_picture(tmp_path / "source.png")


@pytest.fixture
def every_tiff_is_big(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.formats.encode.TIFF_BYTES", 1000)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_pyramid_is_tiles_of_halved_sizes_below_one_page(bits: int, tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "out.tif"
    picture = replace(picture, bit_depth=bits)
    save_picture(picture.pixels, path, source=picture, recipe_json='{"seed": 7}', is_pyramid=True)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
        assert file.pages[0].is_tiled
        assert file.pages[0].bitspersample == bits
        smaller = [page.shape[:2] for page in file.pages[0].pages]
        assert smaller[:2] == [(350, 550), (175, 275)]
        assert all(page.is_reduced for page in file.pages[0].pages)
        assert np.array_equal(
            file.pages[0].asarray(), card(channels=3, **SIZE).astype(int) * (257 if bits == 16 else 1)
        )
    written = load_picture(path)
    assert torch.equal(written.pixels, picture.pixels)
    assert read_recipe_json(path) == '{"seed": 7}'
    assert b"Camera Works" in (written.exif or b"")
    assert "the largest of" in written.notes[0]
    with Image.open(path) as image:
        assert image.getexif()[0x010F] == "Camera Works"


@pytest.mark.usefixtures("every_tiff_is_big")
@pytest.mark.parametrize("is_pyramid", [False, True])
def test_a_big_tiff_holds_all_that_a_tiff_holds(is_pyramid: bool, tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "out.tif"
    profile = Space(ADOBE_RGB, GAMMA).profile()
    source = replace(picture, profile=profile)
    save_picture(
        picture.pixels, path, source=source, recipe_json='{"seed": 7}', keep_profile=True, is_pyramid=is_pyramid
    )
    assert path.read_bytes()[:4] == b"II+\0"
    written = load_picture(path)
    assert written.profile == profile
    assert written.size == picture.size
    assert read_recipe_json(path) == '{"seed": 7}'
    assert written.exif is not None
    kept = Image.Exif()
    kept.load(written.exif)
    assert kept[0x010F] == "Camera Works"
    assert kept.get_ifd(0x8769)[0x9003] == "2021:06:05 04:03:02"
    assert not kept.get_ifd(0x8825)
    assert (pyvips.Image.new_from_file(str(path), fail_on="warning").avg()) > 0


def test_usual_pictures_stay_usual_tiff_files(tmp_path: Path, picture: Picture) -> None:
    save_picture(picture.pixels, tmp_path / "out.tif", source=picture)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert not file.is_bigtiff
        assert len(file.pages) == 1
        assert not file.pages[0].is_tiled


def test_strips_leave_no_trace_in_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    muted = as_picture((card(channels=4, **SIZE) // 2 + 64).astype(np.uint8))
    source = replace(muted, profile=Space(ADOBE_RGB, GAMMA).profile())
    for name, strip in (("whole", 10**9), ("cut", 5000)):
        monkeypatch.setattr("impasto.formats.vips_decode.STRIP_PIXELS", strip)
        save_picture(muted.pixels, tmp_path / f"{name}.png", source=source, keep_profile=True)
        save_picture(resize(muted.pixels, (300, 500)), tmp_path / f"{name}.jpg", source=source)
    for suffix in (".png", ".jpg"):
        assert (tmp_path / f"whole{suffix}").read_bytes() == (tmp_path / f"cut{suffix}").read_bytes()


def test_a_number_that_is_none_is_found_in_the_last_strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.formats.vips_decode.STRIP_PIXELS", 100)
    pixels = torch.zeros(1, 3, 40, 30)
    pixels[..., -1, -1] = torch.nan
    with pytest.raises(OutputError, match="the picture holds NaN or infinity"):
        save_picture(pixels, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_pyramid", [False, True])
def test_a_disk_that_fills_up_leaves_the_earlier_tiff(is_pyramid: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"earlier")
    with largest_file(20_000), pytest.raises(OutputError, match=r"^Cannot write '.*a\.tif': File too large\."):
        save_picture(torch.rand(1, 3, 700, 600), path, is_pyramid=is_pyramid)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


MEASURED = """
import sys
from pathlib import Path
import torch
from impasto.images import save_picture

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

pixels = torch.rand(1, 3, 1, 6000).expand(1, 3, 4000, 6000).contiguous()
save_picture(pixels[..., :50, :50], sys.argv[1])
before = peak()
save_picture(pixels, sys.argv[2])
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak")
@pytest.mark.parametrize("suffix", [".tif", ".dzi"])
def test_writing_takes_less_memory_than_a_second_picture(suffix: str, tmp_path: Path) -> None:
    places = [str(tmp_path / f"{name}{suffix}") for name in ("small", "large")]
    command = [sys.executable, "-c", MEASURED, *places]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) < 200  # of numbers in floating point alone, it has 275
