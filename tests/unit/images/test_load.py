"""Files to pictures: what is taken from them, and what is refused."""

import errno
import hashlib
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch
from PIL import Image

from impasto.errors import ImageError
from impasto.formats.files import replace_file
from impasto.images import load_picture
from impasto.recipe import RunOptions
from tests.pictures import ADOBE_RGB, GAMMA, Space, card, encoded, png_bomb


def _save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_a_file_gives_name_hash_and_exact_pixels(tmp_path: Path) -> None:
    path = _save(tmp_path / "a picture.png", Image.fromarray(card(channels=3)))
    picture = load_picture(path)
    assert picture.name == "a picture.png"
    assert picture.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(picture.pixels[0], torch.from_numpy(card(channels=3)).permute(2, 0, 1) / 255)


def test_the_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really a jpeg.png"
    path.write_bytes(encoded(Image.fromarray(card(channels=3)), "JPEG"))
    assert load_picture(path).size == (24, 40)


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.new("RGB", (4, 4), (255, 0, 0)))
    stamp = path.stat()
    first = load_picture(path)
    _save(path, Image.new("RGB", (4, 4), (0, 0, 255)))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = load_picture(path)
    assert first.pixels[0, :, 0, 0].tolist() == [1, 0, 0]
    assert second.pixels[0, :, 0, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("1", "TIFF"), ("L", "PNG"), ("L", "WEBP"), ("L", "AVIF"), ("L", "JPEG2000"), ("I;16", "JPEG2000")],
)
def test_gray_pictures_are_known_as_gray(mode: str, kind: str, tmp_path: Path) -> None:
    ramp = Image.fromarray(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8))
    image = Image.fromarray(np.asarray(ramp).astype(np.uint16) * 257) if mode == "I;16" else ramp.convert(mode)
    (tmp_path / "gray").write_bytes(encoded(image, kind))
    picture = load_picture(tmp_path / "gray")
    assert picture.is_gray
    assert (picture.pixels[:, 0] - picture.pixels[:, 2]).abs().max() <= 1.001 / 255
    assert picture.bit_depth == (16 if mode == "I;16" else 8)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_palettes_become_colors(kind: str, tmp_path: Path) -> None:
    colors = [(255, 0, 0), (0, 128, 0), (0, 0, 255), (90, 80, 70)]
    image = Image.new("P", (4, 1))
    image.putpalette([value for color in colors for value in color])
    image.putdata([0, 1, 2, 3])
    (tmp_path / "palette").write_bytes(encoded(image, kind))
    picture = load_picture(tmp_path / "palette")
    assert not picture.is_gray
    assert np.array_equal(np.rint(picture.to_numpy()[0] * 255), colors)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("GIF", "animated: the first of 3 frames is used"),
        ("WEBP", "animated: the first of 3 frames is used"),
        ("TIFF", "several pictures: the first of 3 is used"),
    ],
)
def test_of_several_frames_the_first_is_used_and_said_so(kind: str, note: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "frames").write_bytes(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    picture = load_picture(tmp_path / "frames")
    assert picture.notes == (note,)
    assert np.rint(picture.to_numpy()[3, 3] * 255).tolist() == [200, 0, 0]
    assert picture.alpha is None


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_converted_and_said_so(kind: str, tmp_path: Path) -> None:
    image = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (8, 0, 16, 16))
    (tmp_path / "cmyk").write_bytes(encoded(image, kind, quality=95) if kind == "JPEG" else encoded(image, kind))
    picture = load_picture(tmp_path / "cmyk")
    assert picture.notes == ("CMYK: converted to sRGB",)
    assert picture.profile is None
    paper, red = picture.to_numpy()[4, 4], picture.to_numpy()[4, 12]
    assert (paper > 0.98).all()
    assert red[0] > 0.8
    assert (red[1:] < 0.25).all()


def test_cmyk_goes_through_its_own_profile(tmp_path: Path) -> None:
    profile = bytes(pyvips.Image.profile_load("cmyk"))
    image = (
        Image.fromarray(card(channels=4), "CMYK")
        if False
        else Image.merge("CMYK", Image.fromarray(card(channels=4)).split())
    )
    (tmp_path / "bare").write_bytes(encoded(image, "TIFF"))
    (tmp_path / "tagged").write_bytes(encoded(image, "TIFF", icc_profile=profile))
    bare, tagged = load_picture(tmp_path / "bare"), load_picture(tmp_path / "tagged")
    assert (bare.pixels - tagged.pixels).abs().max() * 255 <= 1


def test_floating_point_is_srgb_and_clamped(tmp_path: Path) -> None:
    values = np.array([[[0.25, 0.5, 0.75], [-1.0, 3.0, np.nan]]], np.float32)
    tifffile.imwrite(tmp_path / "float.tif", values, photometric="rgb")
    picture = load_picture(tmp_path / "float.tif")
    assert picture.to_numpy()[0].tolist() == [[0.25, 0.5, 0.75], [0.0, 1.0, 0.0]]
    assert picture.notes == ("floating point: taken as sRGB, values outside 0 to 1 are clamped",)
    assert picture.bit_depth == 16


def test_integers_of_32_bit_keep_their_range(tmp_path: Path) -> None:
    values = np.array([[[0, 2**31, 2**32 - 1]]], np.uint32)
    tifffile.imwrite(tmp_path / "wide.tif", values, photometric="rgb")
    assert load_picture(tmp_path / "wide.tif").to_numpy()[0, 0] == pytest.approx([0, 0.5, 1], abs=1e-6)


def test_ten_bit_avif_reaches_white(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8, 1).repeat(3, axis=2)
    image = pyvips.Image.new_from_array(ramp).copy(interpretation="rgb16")
    (tmp_path / "a.avif").write_bytes(image.heifsave_buffer(compression="av1", bitdepth=10, lossless=True))
    picture = load_picture(tmp_path / "a.avif")
    assert picture.bit_depth == 16
    assert picture.pixels.max() == 1
    assert np.abs(picture.to_numpy() - ramp / 65535).max() <= 1 / 1023


def test_colors_under_transparency_are_as_in_the_file(tmp_path: Path) -> None:
    array = np.dstack([card(channels=3), np.zeros((24, 40), np.uint8)])
    picture = load_picture(_save(tmp_path / "a.png", Image.fromarray(array)))
    assert picture.alpha is not None
    assert picture.alpha.max() == 0
    assert np.array_equal(np.rint(picture.to_numpy()[..., :3] * 255), array[..., :3])


def test_premultiplied_tiff_is_divided_by_its_alpha(tmp_path: Path) -> None:
    array = np.full((4, 4, 4), 60, np.uint8)
    array[..., 3] = 120
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["assocalpha"])
    assert load_picture(tmp_path / "a.tif").to_numpy()[0, 0] * 255 == pytest.approx([127.5, 127.5, 127.5, 120], abs=1)


@pytest.mark.parametrize("damage", ["noise", "cut", "header"])
def test_a_damaged_profile_is_ignored_and_said_so(damage: str, tmp_path: Path) -> None:
    profile = Space(ADOBE_RGB, GAMMA).profile()
    broken = {"noise": b"x" * 500, "cut": profile[:200], "header": profile[:132] + bytes(len(profile) - 132)}[damage]
    path = _save(tmp_path / "a.jpg", Image.new("RGB", (8, 8), (10, 200, 30)), icc_profile=broken, quality=100)
    picture = load_picture(path)
    assert len(picture.notes) == 1
    assert picture.notes[0].startswith("color profile: ignored")
    assert picture.profile is None
    assert np.abs(picture.to_numpy()[0, 0] * 255 - (10, 200, 30)).max() <= 3


def test_a_profile_for_other_channels_is_ignored_and_said_so(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.jpg", Image.new("L", (8, 8), 77), icc_profile=Space(ADOBE_RGB, GAMMA).profile())
    picture = load_picture(path)
    assert picture.notes == ("color profile: ignored, it is made for 3 channels, the picture has 1",)
    assert picture.is_gray


def test_missing_files_folders_and_odd_names_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases = {
        tmp_path / "missing.png": r"^There is no picture '.*missing\.png'\. Check the path\.$",
        tmp_path: r" is a folder, a picture file is needed\.$",
        tmp_path / "pipe": r" is no regular file, a picture file is needed\.$",
        tmp_path / "loop": r"^Cannot read the picture '.*loop': Too many levels of symbolic links\.$",
        tmp_path / ("x" * 300): r"^Cannot read the picture '.*xxx': File name too long\.$",
        "zero\0byte.png": r"^Cannot read the picture 'zero.byte\.png': .*null byte\.$",
    }
    for path, words in cases.items():
        with pytest.raises(ImageError, match=words):
            load_picture(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    path.chmod(0)
    with pytest.raises(ImageError, match=r"^Cannot read the picture '.*a\.png': Permission denied\.$"):
        load_picture(path)


def test_the_limit_of_pixels_holds_before_decoding_and_is_the_recipes(tmp_path: Path) -> None:
    limit = RunOptions().max_pixels
    (tmp_path / "bomb.png").write_bytes(png_bomb(limit // 1000 + 1, 1000))
    with pytest.raises(ImageError, match=f"has {limit // 1000 + 1}×1000 pixels; at most {limit} are allowed"):
        load_picture(tmp_path / "bomb.png")
    path = _save(tmp_path / "a.png", Image.new("RGB", (10, 10)))
    assert load_picture(path, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="has 10×10 pixels; at most 99 are allowed"):
        load_picture(path, max_pixels=99)


def test_a_file_larger_than_any_such_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.write(b"II*\0")
        file.truncate(2**34)
    with pytest.raises(ImageError, match=r"has 17179869184 bytes, more than a picture of \d+ pixels can need"):
        load_picture(path)


def test_heic_that_ends_after_its_first_box_is_refused(tmp_path: Path) -> None:
    box = struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"heic", 0, b"mif1", b"heic")
    (tmp_path / "cut.heic").write_bytes(box)
    with pytest.raises(ImageError, match="AVIF or HEIC file that is damaged"):
        load_picture(tmp_path / "cut.heic")


def test_heic_without_its_package_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(tmp_path / "a.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(ImageError, match=r"needs the package pillow-heif: pip install 'impasto\[heic\]'"):
        load_picture(tmp_path / "a.heic")


def test_bigtiff_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", card(channels=3), photometric="rgb", bigtiff=True)
    picture = load_picture(tmp_path / "a.tif")
    assert np.array_equal(np.rint(picture.to_numpy() * 255), card(channels=3))
    assert picture.notes == ()


def test_lab_is_converted(tmp_path: Path) -> None:
    image = pyvips.Image.black(8, 8, bands=3).linear(0, [60, 0, 0]).copy(interpretation="lab").colourspace("labs")
    (tmp_path / "lab.tif").write_bytes(image.tiffsave_buffer())
    expected = 0.5688  # sRGB gray of L* = 60: ((60 + 16) / 116)^3 = 0.2812 of linear light
    assert load_picture(tmp_path / "lab.tif").to_numpy() == pytest.approx(np.full((8, 8, 3), expected), abs=0.005)


def test_pnm_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 2 1 255\n" + bytes([255, 0, 0, 0, 0, 255]))
    assert load_picture(tmp_path / "a.ppm").to_numpy()[0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_decoders_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "TIFF", tiffinfo={65000: "unknown tag"})
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    load_picture(tmp_path / "a.tif")
    assert capfd.readouterr() == ("", "")


def test_gigabytes_that_are_no_picture_are_refused_by_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "video.jpg"
    with path.open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(ImageError, match=r"is not a readable image\. Readable formats: JPEG, PNG"):
        load_picture(path)


def test_a_jpeg_that_lacks_only_its_end_marker_is_read_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "whole.jpg"
    Image.radial_gradient("L").convert("RGB").save(path, quality=95)
    whole = path.read_bytes()
    assert whole.endswith(b"\xff\xd9")
    unended = tmp_path / "unended.jpg"
    unended.write_bytes(whole[:-2])
    picture = load_picture(unended)
    assert picture.notes == ("its end marker is missing, the picture is whole",)
    assert picture.samples.equal(load_picture(path).samples)
    unended.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="file that is damaged, truncated or of an unknown kind"):
        load_picture(unended)


def test_a_png_whose_colors_only_its_gamma_tells_says_so(tmp_path: Path) -> None:
    path = tmp_path / "linear.png"
    buffer = encoded(Image.new("RGB", (4, 4), "teal"), "PNG")
    chunk = b"gAMA" + (100_000).to_bytes(4, "big")
    gamma = (4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    path.write_bytes(buffer[:33] + gamma + buffer[33:])
    assert load_picture(path).notes == ("gamma and primaries (gAMA, cHRM): ignored, taken as sRGB",)


@pytest.mark.parametrize("is_first", [True, False])
def test_the_largest_resolution_of_a_tiff_is_taken(tmp_path: Path, is_first: bool) -> None:
    path = tmp_path / "scan.tif"
    small, large = np.zeros((16, 24, 3), np.uint8), np.full((64, 96, 3), 200, np.uint8)
    with tifffile.TiffWriter(path) as file:
        for samples, kind in ((large, 0), (small, 1)) if is_first else ((small, 1), (large, 0)):
            file.write(samples, photometric="rgb", subfiletype=kind, metadata=None)
    picture = load_picture(path)
    assert picture.size == (64, 96)
    assert picture.notes == ("several resolutions: the largest of 2, 96×64 pixels, is used",)


def test_a_picture_below_a_preview_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "developed.dng"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((16, 24, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(np.full((64, 96, 3), 200, np.uint8), photometric="rgb", metadata=None)
    assert load_picture(path).size == (64, 96)


def test_a_raw_file_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "camera.dng"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((16, 24, 3), np.uint8), photometric="rgb", subfiletype=1, subifds=1, metadata=None)
        file.write(np.zeros((64, 96), np.uint16), photometric=32803, metadata=None)
    with pytest.raises(ImageError, match=r"is a camera's raw file.*Develop it to TIFF or JPEG first\."):
        load_picture(path)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_place_without_fsync_can_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    replace_file(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"
