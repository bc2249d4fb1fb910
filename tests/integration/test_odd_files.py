"""Folders hold odd files: every format, orientation, profile, depth and alpha; and damaged ones."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from impasto.errors import ImageError
from impasto.images import load_picture
from tests.pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    GAMMA,
    SRGB,
    Space,
    card,
    encoded,
    png_bomb,
    turned,
    write_odd,
)

SPACES = {
    "untagged": None,
    "sRGB": Space(SRGB, 0),
    "Display P3": Space(DISPLAY_P3, 0),
    "AdobeRGB": Space(ADOBE_RGB, GAMMA),
}
GRAY_SPACES = {"untagged": None, "gamma 1.8": Space(None, 461 / 256), "gamma 2.2": Space(None, GAMMA)}

# format, bits, whether it holds alpha, whether it holds one channel
FORMATS = {
    "jpeg": ("jpeg", np.uint8, False, True),
    "png": ("png", np.uint8, True, True),
    "png 16": ("png", np.uint16, True, True),
    "tiff": ("tiff", np.uint8, True, True),
    "tiff 16": ("tiff", np.uint16, True, True),
    "webp": ("webp", np.uint8, True, False),
    "jp2": ("jp2", np.uint8, True, True),
}
COLOR = [(name, has_alpha) for name, (_, _, fits, _) in FORMATS.items() for has_alpha in sorted({False, fits})]
GRAY = [(name, has_alpha) for name, has_alpha in COLOR if FORMATS[name][3]]


def _check(path: Path, upright: np.ndarray, space: Space | None, dtype: type, *, has_alpha: bool) -> None:
    """Compares a picture with what its numbers mean by matrix arithmetic: within 1 gray level of 255."""
    picture = load_picture(path)
    values = upright / np.iinfo(dtype).max
    colors = values[..., :-1] if has_alpha else values
    expected = colors if space is None else space.to_srgb(colors)
    got = picture.to_numpy()
    assert got.shape == (*upright.shape[:2], 4 if has_alpha else 3), path.name
    assert np.abs(got[..., :3] - expected).max() * 255 <= 1, path.name
    if has_alpha:
        assert np.abs(got[..., 3:] - values[..., -1:]).max() == pytest.approx(0, abs=1e-6), path.name
    assert picture.is_gray == (colors.shape[2] == 1), path.name
    assert picture.bit_depth == np.iinfo(dtype).bits, path.name
    assert (picture.profile is None) == (space is None or space is SPACES["sRGB"]), path.name
    assert picture.notes == (), path.name


@pytest.mark.parametrize("space_name", SPACES)
@pytest.mark.parametrize(("name", "has_alpha"), COLOR)
def test_color_pictures_are_upright_and_true_in_every_orientation(
    name: str, space_name: str, has_alpha: bool, tmp_path: Path
) -> None:
    kind, dtype, _, _ = FORMATS[name]
    space = SPACES[space_name]
    upright = card(channels=4 if has_alpha else 3, dtype=dtype)
    for orientation in range(1, 9):
        path = tmp_path / f"{name} {space_name} {orientation}"
        stored = turned(upright, orientation)
        write_odd(path, stored, kind, orientation=orientation, profile=space and space.profile())
        if kind == "jpeg":  # lossy: what counts is what its numbers became
            stored = np.asarray(Image.open(path))
            reference = turned(stored, {6: 8, 8: 6}.get(orientation, orientation))
            assert np.abs(reference.astype(int) - upright).max() <= 3
        else:
            reference = upright
        _check(path, reference, space, dtype, has_alpha=has_alpha)


@pytest.mark.parametrize("space_name", GRAY_SPACES)
@pytest.mark.parametrize(("name", "has_alpha"), GRAY)
def test_gray_pictures_stay_gray_and_true(name: str, space_name: str, has_alpha: bool, tmp_path: Path) -> None:
    kind, dtype, _, _ = FORMATS[name]
    space = GRAY_SPACES[space_name]
    upright = card(channels=2 if has_alpha else 1, dtype=dtype)
    for orientation in (1, 6):
        path = tmp_path / f"{name} {space_name} {orientation}"
        profile = space and space.profile()
        write_odd(path, turned(upright, orientation), kind, orientation=orientation, profile=profile)
        reference = upright
        if kind == "jpeg":
            stored = np.asarray(Image.open(path))[..., None]
            reference = turned(stored, {6: 8}.get(orientation, orientation))
        _check(path, reference, space, dtype, has_alpha=has_alpha)


@pytest.mark.parametrize("has_alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("space_name", SPACES)
def test_avif_colors_are_true(space_name: str, has_alpha: bool, tmp_path: Path) -> None:
    space = SPACES[space_name]
    upright = card(channels=4 if has_alpha else 3)
    write_odd(tmp_path / "a.avif", upright, "avif", profile=space and space.profile())
    _check(tmp_path / "a.avif", upright, space, np.uint8, has_alpha=has_alpha)


def test_avif_is_turned_upright_by_its_own_property(tmp_path: Path) -> None:
    upright = card(channels=3)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.fromarray(turned(upright, orientation))
        image.save(tmp_path / "a.avif", quality=100, subsampling="4:4:4", exif=exif)
        assert np.abs(load_picture(tmp_path / "a.avif").to_numpy() * 255 - upright).max() <= 3


def test_heic_is_read_where_its_package_is_installed(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    upright = card(channels=4, height=64, width=64)
    pillow_heif.from_pillow(Image.fromarray(upright)).save(tmp_path / "a.heic", quality=-1, chroma=444)
    got = load_picture(tmp_path / "a.heic").to_numpy()
    assert np.abs(got * 255 - upright).max() <= 3


def _intact() -> dict[str, bytes]:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    kinds = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000", "BMP", "PPM")
    return {kind: encoded(image, kind) for kind in kinds}


def _bad_tiff() -> bytes:
    """Complete in its header, and with strips that lie past its end."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    return buffer.getvalue()[:-6000]


def _damaged() -> dict[str, bytes]:
    intact = _intact()
    files = {f"half a {kind}": data[: len(data) // 2] for kind, data in intact.items()}
    files |= {f"the first bytes of a {kind}": data[:24] for kind, data in intact.items()}
    png = intact["PNG"]
    files |= {
        "empty": b"",
        "text": b"This is no picture.\n" * 20,
        "page": b"<!doctype html><html><body>404</body></html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "zip": b"PK\x03\x04" + bytes(200),
        "noise": np.random.default_rng(1).bytes(5000),
        "zeros": bytes(5000),
        "flipped bits in a PNG": png[:2000] + bytes(byte ^ 0xFF for byte in png[2000:2010]) + png[2010:],
        "a hole in a JPEG": intact["JPEG"][:300] + intact["JPEG"][-300:],
        "a TIFF without its last strips": _bad_tiff(),
        "a PNG of 60,000 × 60,000 pixels": png_bomb(60_000, 60_000),
        "a PNG of no height": png_bomb(10, 0),
        "a JPEG of 65,000 × 65,000 pixels": _resized_jpeg(intact["JPEG"]),
        "a BMP of 60,000 × 60,000 pixels": intact["BMP"][:18] + struct.pack("<II", 60_000, 60_000) + intact["BMP"][26:],
    }
    return files


def _resized_jpeg(data: bytes) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + (65_000).to_bytes(2, "big") * 2 + data[at + 4 :]


DAMAGED = _damaged()


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_files_are_refused_in_one_sentence(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(ImageError) as caught:
        load_picture(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message.replace(str(path), "")) <= 250
    assert caught.value.__cause__ is None
    assert capfd.readouterr().err == ""


def test_the_folder_of_odd_files_is_large_enough() -> None:
    assert 8 * len(COLOR) * len(SPACES) >= 60
    assert len(DAMAGED) >= 20
