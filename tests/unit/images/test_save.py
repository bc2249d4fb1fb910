"""Pictures to files: what is kept, what every format holds, and what happens when writing fails."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ImageError, OutputError
from impasto.images import (
    WRITABLE_SUFFIXES,
    Picture,
    as_picture,
    check_writable,
    load_picture,
    read_recipe_json,
    resize,
    save_picture,
)
from impasto.recipe import MAX_RECIPE_BYTES, Recipe
from tests.limits import largest_file
from tests.pictures import ADOBE_RGB, DISPLAY_P3, GAMMA, Space, card, exif_block

ALWAYS = sorted(WRITABLE_SUFFIXES - {".heic", ".heif", ".dzi"})
"""Deep Zoom is no file that can be read back; `tests/unit/formats/test_deep_zoom.py` has its tests."""
EXACT = (".png", ".tif", ".tiff", ".jp2")
WITH_16_BIT = (".png", ".tif", ".tiff")


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """A photograph as cameras write it, with alpha."""
    path = tmp_path / "source.png"
    Image.fromarray(card(channels=4)).save(path, exif=exif_block())
    return load_picture(path)


def _suffixes() -> list[object]:
    optional = pytest.mark.skipif(_is_missing("pillow_heif"), reason="pillow-heif is not installed")
    return [*ALWAYS, *(pytest.param(suffix, marks=optional) for suffix in (".heic", ".heif"))]


def _is_missing(package: str) -> bool:
    try:
        __import__(package)
    except ImportError:
        return True
    return False


SUFFIXES = _suffixes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_picture_recipe_and_exif_but_no_place(suffix: str, tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / f"out{suffix}"
    recipe = json.dumps({"recipe": json.loads(Recipe().to_json()), "name": '<&">\\u00e4'})
    save_picture(picture.pixels, path, source=picture, recipe_json=recipe)
    written = load_picture(path)
    assert written.size == picture.size
    assert read_recipe_json(path) == recipe
    assert written.exif is not None
    assert b"Camera Works" in written.exif
    assert b"2021:06:05" in written.exif
    assert written.profile is None
    assert written.notes == ()
    assert b"secret notes" not in path.read_bytes()
    assert not _gps(path, written)
    if suffix in EXACT:
        assert torch.equal(written.pixels, picture.pixels)


def _gps(path: Path, written: Picture) -> dict[int, object]:
    """The place in a written file, as Pillow finds it in its EXIF."""
    exif = Image.Exif()
    exif.load(written.exif or b"")
    found = dict(exif.get_ifd(0x8825))
    if path.suffix not in (".jp2", ".heic", ".heif"):
        with Image.open(path) as image:
            assert dict(image.getexif().get_ifd(0x8825)) == found
    return found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_place_is_kept_on_request(suffix: str, tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / f"out{suffix}"
    save_picture(picture.pixels, path, source=picture, keep_gps=True)
    assert _gps(path, load_picture(path))[2] == (48.0, 51.0, 30.0)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_other_programs_find_the_exif_upright(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / "source.jpg"
    Image.fromarray(card(channels=3)).save(source, exif=exif_block(orientation=6))
    picture = load_picture(source)
    save_picture(picture.pixels, tmp_path / f"out{suffix}", source=picture)
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif[0x010F] == "Camera Works"
        assert exif.get_ifd(0x8769)[0x9003] == "2021:06:05 04:03:02"
        assert exif.get_ifd(0x8769)[0x829A] == pytest.approx(1 / 250)
        assert exif.get(0x0112, 1) == 1
        assert image.size == (24, 40)


@pytest.mark.parametrize("suffix", WITH_16_BIT)
@pytest.mark.parametrize("bits", [8, 16])
def test_what_was_read_is_written_back_exactly(suffix: str, bits: int, tmp_path: Path) -> None:
    codes = np.arange(65536 if bits == 16 else 256).astype(np.uint16 if bits == 16 else np.uint8)
    picture = as_picture(codes.reshape(-1, 16))
    save_picture(picture.pixels, tmp_path / f"a{suffix}", source=picture)
    written = load_picture(tmp_path / f"a{suffix}")
    assert written.bit_depth == bits
    assert torch.equal(written.pixels, picture.pixels)


def test_8_bit_is_the_nearest_code(tmp_path: Path) -> None:
    values = torch.linspace(-0.2, 1.2, 3000).expand(1, 3, 2, 3000)
    save_picture(values, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        written = np.asarray(image)[0, :, 0]
    assert np.array_equal(written, np.floor(values[0, 0, 0].clamp(0, 1).double().numpy() * 255 + 0.5))


def test_depth_follows_the_source_where_the_format_can(tmp_path: Path) -> None:
    wide = as_picture(card(channels=3, dtype=np.uint16))
    for suffix in ALWAYS:
        path = tmp_path / f"a{suffix}"
        save_picture(wide.pixels, path, source=wide)
        assert load_picture(path).bit_depth == (16 if suffix in WITH_16_BIT else 8)
    save_picture(wide.pixels, tmp_path / "8.png", source=wide, bit_depth="8")
    assert load_picture(tmp_path / "8.png").bit_depth == 8
    save_picture(wide.pixels, tmp_path / "16.png", bit_depth="16")
    assert load_picture(tmp_path / "16.png").bit_depth == 16


@pytest.mark.parametrize("suffix", sorted(set(ALWAYS) - set(WITH_16_BIT)))
def test_16_bit_is_refused_where_the_format_has_none(suffix: str, tmp_path: Path) -> None:
    for refuse in (
        lambda path: check_writable(path, bit_depth="16"),
        lambda path: save_picture(torch.zeros(1, 3, 4, 4), path, bit_depth="16"),
    ):
        with pytest.raises(OutputError, match=r"holds 8 bits per channel, not 16\. Write \.png or .*\.tiff\.$"):
            refuse(tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [suffix for suffix in ALWAYS if suffix not in (".jpg", ".jpeg")])
def test_alpha_is_put_back_at_the_outputs_size(suffix: str, tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(resize(picture.pixels, (48, 80)), path, source=picture)
    written = load_picture(path)
    assert picture.alpha is not None
    assert written.alpha is not None
    assert (written.alpha - resize(picture.alpha, (48, 80))).abs().max() * 255 <= 3


def test_jpeg_puts_transparent_pictures_on_white_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    half = as_picture(np.full((16, 16, 4), (0, 0, 0, 51), np.uint8))
    save_picture(half.pixels, tmp_path / "a.jpg", source=half)
    assert np.rint(load_picture(tmp_path / "a.jpg").to_numpy() * 255) == pytest.approx(204, abs=1)
    assert "no transparency" in caplog.text
    caplog.clear()
    opaque = as_picture(np.full((16, 16, 4), 255, np.uint8))
    save_picture(opaque.pixels, tmp_path / "b.jpg", source=opaque)
    assert caplog.text == ""


def test_jpeg_keeps_all_its_chroma(tmp_path: Path) -> None:
    save_picture(torch.rand(1, 3, 32, 32), tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert all(layer[1:3] == (1, 1) for layer in image.layer)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".jp2"])
def test_gray_pictures_are_written_in_one_channel(suffix: str, tmp_path: Path) -> None:
    gray = as_picture(card(channels=1))
    save_picture(gray.pixels, tmp_path / f"a{suffix}", source=gray, is_gray=True)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.mode == "L"
    assert (load_picture(tmp_path / f"a{suffix}").pixels - gray.pixels).abs().max() * 255 <= 2


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2"])
def test_gray_pictures_keep_their_alpha(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(card(channels=2)).save(tmp_path / "source.png")
    gray = load_picture(tmp_path / "source.png")
    save_picture(gray.pixels, tmp_path / f"a{suffix}", source=gray, is_gray=True)
    written = load_picture(tmp_path / f"a{suffix}")
    assert written.is_gray
    assert np.array_equal(written.to_numpy(), gray.to_numpy())


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_formats_without_gray_hold_three_equal_channels(suffix: str, tmp_path: Path) -> None:
    gray = as_picture(card(channels=1))
    save_picture(gray.pixels, tmp_path / f"a{suffix}", source=gray, is_gray=True)
    assert load_picture(tmp_path / f"a{suffix}").is_gray


@pytest.mark.parametrize("suffix", ALWAYS)
@pytest.mark.parametrize("space", [Space(ADOBE_RGB, GAMMA), Space(DISPLAY_P3, 0)], ids=["AdobeRGB", "Display P3"])
def test_the_sources_profile_is_kept_on_request(suffix: str, space: Space, tmp_path: Path) -> None:
    muted = (card(channels=3) // 2 + 64).astype(np.uint8)  # inside sRGB
    Image.fromarray(muted).save(tmp_path / "source.png", icc_profile=space.profile())
    picture = load_picture(tmp_path / "source.png")
    path = tmp_path / f"out{suffix}"
    save_picture(picture.pixels, path, source=picture, keep_profile=True)
    written = load_picture(path)
    assert written.profile == space.profile()
    if suffix in EXACT:
        assert (written.pixels - picture.pixels).abs().max() * 255 <= 0.5
        with Image.open(path) as image:
            assert np.abs(np.asarray(image).astype(int) - muted).max() <= 1
    save_picture(picture.pixels, path, source=picture)
    assert load_picture(path).profile is None


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_gray_profiles_are_kept_on_request(suffix: str, tmp_path: Path) -> None:
    space = Space(None, 461 / 256)
    Image.fromarray(card(channels=1)[..., 0]).save(tmp_path / "source.png", icc_profile=space.profile())
    picture = load_picture(tmp_path / "source.png")
    path = tmp_path / f"out{suffix}"
    save_picture(picture.pixels, path, source=picture, keep_profile=True, is_gray=True)
    written = load_picture(path)
    assert written.profile == space.profile()
    assert (written.pixels - picture.pixels).abs().max() * 255 <= 2


def test_a_gray_profile_is_left_where_the_output_has_colors(tmp_path: Path) -> None:
    gray = replace(as_picture(card(channels=1)), profile=Space(None, GAMMA).profile())
    colors = as_picture(card(channels=3))
    save_picture(colors.pixels, tmp_path / "a.png", source=gray, keep_profile=True)
    written = load_picture(tmp_path / "a.png")
    assert written.profile is None
    assert torch.equal(written.pixels, colors.pixels)


def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, picture: Picture) -> None:
    for suffix in ALWAYS:
        files = [tmp_path / f"{name}{suffix}" for name in "ab"]
        for path in files:
            save_picture(picture.pixels, path, source=picture, recipe_json="{}")
        assert files[0].read_bytes() == files[1].read_bytes(), suffix


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1)])
def test_the_smallest_pictures_are_written_in_every_format(size: tuple[int, int], tmp_path: Path) -> None:
    for suffix in ALWAYS:
        save_picture(torch.full((1, 3, *size), 0.5), tmp_path / f"a{suffix}", recipe_json='{"a": 1}')
        assert load_picture(tmp_path / f"a{suffix}").size == size


def test_recipes_too_long_or_not_ascii_are_refused(tmp_path: Path) -> None:
    for recipe in ("x" * MAX_RECIPE_BYTES, '"ä"'):
        with pytest.raises(OutputError, match=f"it must be ASCII JSON below {MAX_RECIPE_BYTES} bytes"):
            save_picture(torch.zeros(1, 3, 4, 4), tmp_path / "a.png", recipe_json=recipe)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ALWAYS)
def test_the_longest_recipe_fits(suffix: str, tmp_path: Path) -> None:
    long = '"' + "x" * (MAX_RECIPE_BYTES - 1_000) + '"'
    save_picture(torch.zeros(1, 3, 4, 4), tmp_path / f"a{suffix}", recipe_json=long)
    assert read_recipe_json(tmp_path / f"a{suffix}") == long


def test_a_recipe_that_jpeg_cannot_hold_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a JPEG holds \d+\. Write \.png or \.webp\.$"):
        save_picture(torch.zeros(1, 3, 4, 4), tmp_path / "a.jpg", recipe_json='"' + "&" * 60_000 + '"')


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF", "JPEG2000", "BMP", "GIF"])
def test_pictures_without_a_recipe_say_so(kind: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    (tmp_path / "a").write_bytes(buffer.getvalue())
    with pytest.raises(ImageError, match=r"^'.*' holds no recipe: "):
        read_recipe_json(tmp_path / "a")


def test_recipes_survive_as_an_xmp_attribute(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta><rdf:Description impasto:recipe="{&quot;seed&quot;: 7}"/></x:xmpmeta>'
    Image.new("RGB", (4, 4)).save(tmp_path / "a.webp", xmp=xmp)
    assert json.loads(read_recipe_json(tmp_path / "a.webp")) == {"seed": 7}


def test_exif_too_large_for_jpeg_is_left_out_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exif = exif_block()
    exif[0x010E], exif[0x8298] = "d" * 40_000, "c" * 40_000
    Image.fromarray(card(channels=3)).save(tmp_path / "a.png", exif=exif)
    picture = load_picture(tmp_path / "a.png")
    save_picture(picture.pixels, tmp_path / "a.jpg", source=picture)
    assert "EXIF is not kept" in caplog.text
    assert b"dddd" not in (load_picture(tmp_path / "a.jpg").exif or b"")


def test_a_failing_disk_leaves_the_earlier_picture_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"^Cannot write '.*a\.png': No space left on device\."):
        save_picture(torch.zeros(1, 3, 4, 4), path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_grow_leaves_the_earlier_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")
    with largest_file(1000), pytest.raises(OutputError, match=r"^Cannot write '.*a\.png': File too large\."):
        save_picture(torch.rand(1, 3, 64, 64), path)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(OutputError, match=r"^'.*a\.png' is not written: the picture holds NaN or infinity\."):
            save_picture(torch.full((1, 3, 4, 4), value), tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"the pixels have shape \(3, 4, 4\), not \(1, 3, H, W\)\.$"):
        save_picture(torch.zeros(3, 4, 4), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_links_stay_links(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.png"
    save_picture(torch.zeros(1, 3, 4, 4), path)
    link = tmp_path / "link.png"
    link.symlink_to(path)
    save_picture(torch.ones(1, 3, 4, 4), link)
    assert link.is_symlink()
    assert load_picture(path).pixels.min() == 1


def test_checking_makes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep" / "a.PNG", size=(400, 600), bit_depth="16")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written_are_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    cases = {
        "a.bmp": "suffix '.bmp'",
        "a.pgn": "Did you mean '.png'",
        "a": "no suffix",
        "folder.png": "is a folder",
        "file/a.png": "is not a folder. Choose another place.",
        "x" * 300 + ".png": "File name too long",
        "zero\0byte.png": "null byte",
    }
    for name, words in cases.items():
        with pytest.raises(OutputError) as caught:
            check_writable(tmp_path / name)
        assert words in str(caught.value)
        with pytest.raises(OutputError):
            save_picture(torch.zeros(1, 3, 4, 4), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_without_the_right_to_write_are_found_before_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied in"):
        check_writable(tmp_path / "a.png")


@pytest.mark.parametrize(("suffix", "edge"), [(".jpg", 65_500), (".webp", 16_383), (".avif", 16_384)])
def test_sizes_that_a_format_cannot_hold_are_found_before_the_run(suffix: str, edge: int, tmp_path: Path) -> None:
    check_writable(tmp_path / f"a{suffix}", size=(8, edge))
    save_picture(torch.zeros(1, 3, 1, edge), tmp_path / f"a{suffix}")
    for refuse in (
        lambda: check_writable(tmp_path / f"a{suffix}", size=(8, edge + 1)),
        lambda: save_picture(torch.zeros(1, 3, 1, edge + 1), tmp_path / f"b{suffix}"),
    ):
        with pytest.raises(OutputError, match=f"holds at most {edge} pixels an edge, the output has {edge + 1}") as got:
            refuse()
        assert str(got.value).endswith("Write .png, .tif or .dzi.")
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_heic_without_its_package_is_found_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OutputError, match="writing HEIC needs the package pillow_heif"):
        check_writable(tmp_path / "a.heic")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a system with /proc")
def test_a_place_where_even_root_cannot_write_is_found_before_the_run():
    with pytest.raises(OutputError, match=r"Cannot write '/proc/x/out.png'.*Choose another place"):
        check_writable("/proc/x/out.png")
