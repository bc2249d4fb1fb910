"""The parsers of EXIF, of JPEG 2000's boxes and of profiles, against what is damaged and what is rare."""

import random
import struct

import numpy as np
import pytest
import pyvips
from PIL import Image

from impasto.formats import exif, icc, icc_matrix, jp2
from tests.pictures import ADOBE_RGB, GAMMA, SRGB, Space, card, encoded, exif_block, srgb_to_linear


def _motorola(block: bytes) -> bool:
    return block.removeprefix(b"Exif\0\0").startswith(b"MM")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_gives_its_orientation_and_keeps_the_rest(orientation: int) -> None:
    block = exif_block(orientation=orientation).tobytes()
    assert _motorola(block)
    cleaned, found = exif.clean(block)
    assert found == orientation
    assert cleaned is not None
    kept = Image.Exif()
    kept.load(exif.for_output(cleaned, keep_gps=True, is_srgb=True))
    assert dict(kept) == {
        0x010F: "Camera Works",
        0x0112: 1,
        0x013B: "A. Painter",
        0x8769: kept[0x8769],
        0x8825: kept[0x8825],
    }
    assert dict(kept.get_ifd(0x8769)) == {0x9003: "2021:06:05 04:03:02", 0x829A: 1 / 250, 0xA001: 1}
    assert dict(kept.get_ifd(0x8825)) == {1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)}


def test_exif_loses_its_place_by_default() -> None:
    cleaned, _ = exif.clean(exif_block().tobytes())
    assert cleaned is not None
    kept = Image.Exif()
    kept.load(exif.for_output(cleaned, keep_gps=False, is_srgb=False))
    assert 0x8825 not in kept
    assert kept.get_ifd(0x8769)[0xA001] == 0xFFFF


def test_exif_without_anything_to_keep_is_none() -> None:
    block = Image.Exif()
    block[0x0112] = 3
    assert exif.clean(block.tobytes()) == (None, 3)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_orientations_out_of_range_are_upright(orientation: int) -> None:
    assert exif.clean(exif_block(orientation=orientation).tobytes())[1] == 1


def test_damaged_exif_is_refused_or_read_in_part_but_never_fails_otherwise() -> None:
    block = exif_block(orientation=6).tobytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(block[: rng.randint(0, len(block))] if rng.random() < 0.3 else block)
        for _ in range(rng.randint(0, 6)):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            cleaned, orientation = exif.clean(bytes(damaged))
        except exif.ExifError:
            refused += 1
            continue
        assert 1 <= orientation <= 8
        if cleaned is not None:
            exif.for_output(cleaned, keep_gps=True, is_srgb=True)
    assert 0 < refused < 3000


def test_exif_enters_a_tiff_without_moving_its_picture() -> None:
    cleaned, _ = exif.clean(exif_block().tobytes())
    assert cleaned is not None
    file = pyvips.Image.new_from_array(card(channels=3)).tiffsave_buffer(compression="deflate")
    longer = exif.into_tiff(file, exif.for_output(cleaned, keep_gps=True, is_srgb=True))
    assert longer[8 : len(file)] == file[8:]
    assert np.array_equal(pyvips.Image.tiffload_buffer(longer, fail_on="warning").numpy(), card(channels=3))


def test_boxes_of_jpeg_2000_are_read_and_written() -> None:
    file = encoded(Image.fromarray(card(channels=3)), "JPEG2000")
    assert jp2.uuid_box(file, jp2.XMP) is None
    assert jp2.profile(file) is None
    marked = jp2.with_uuid_box(jp2.with_profile(file, b"profile" * 99), jp2.XMP, b"packet")
    assert jp2.uuid_box(marked, jp2.XMP) == b"packet"
    assert jp2.uuid_box(marked, jp2.EXIF) is None
    assert jp2.profile(marked) == b"profile" * 99


def test_boxes_of_any_length_end_the_search_quietly() -> None:
    file = encoded(Image.fromarray(card(channels=3)), "JPEG2000")
    for length in (0, 1, 2, 7, 2**32 - 1):
        assert jp2.uuid_box(struct.pack(">I", length) + file[4:], jp2.XMP) is None
    large = struct.pack(">I4sQ", 1, b"uuid", 16 + 16 + 3) + jp2.XMP + b"abc"
    assert jp2.uuid_box(large, jp2.XMP) == b"abc"
    assert jp2.uuid_box(b"\xff\x4f\xff\x51" + bytes(50), jp2.XMP) is None


def test_profiles_are_known_as_srgb_by_what_they_do() -> None:
    assert icc.is_srgb(icc.srgb_profile())
    assert icc.is_srgb(Space(SRGB, 0).profile())
    assert not icc.is_srgb(Space(SRGB, GAMMA).profile())
    assert not icc.is_srgb(Space(ADOBE_RGB, GAMMA).profile())
    assert icc.is_srgb(Space(None, 0).profile())
    assert not icc.is_srgb(Space(None, GAMMA).profile())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profiles_with_a_matrix_agree_with_little_cms(dtype: type) -> None:
    samples = card(channels=3, dtype=dtype, height=80, width=80)
    ours = icc.to_srgb(samples, Space(ADOBE_RGB, GAMMA).profile())
    tagged = pyvips.Image.new_from_array((samples // (257 if dtype == np.uint16 else 1)).astype(np.uint8)).copy()
    tagged.set_type(pyvips.GValue.blob_type, "icc-profile-data", Space(ADOBE_RGB, GAMMA).profile())
    theirs = tagged.icc_transform("srgb", embedded=True, depth=16, intent="relative").numpy()
    assert np.abs(ours / 257 - theirs / 257.0).max() <= (1.2 if dtype == np.uint8 else 2.5)


@pytest.mark.parametrize(
    ("kind", "parameters", "reference"),
    [
        (0, (2.2,), lambda x: x**2.2),
        (1, (2.0, 1.1, -0.1), lambda x: np.maximum(1.1 * x - 0.1, 0) ** 2),
        (2, (2.0, 0.9, 0.0, 0.1), lambda x: (0.9 * x) ** 2 + 0.1),
        (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), srgb_to_linear),
        (4, (2.0, 0.9, 0.0, 0.5, 0.1, 0.12, 0.05), lambda x: np.where(x >= 0.1, (0.9 * x) ** 2 + 0.12, 0.5 * x + 0.05)),
    ],
)
def test_parametric_curves_follow_their_formulas(kind: int, parameters: tuple[float, ...], reference: object) -> None:
    fixed = [round(value * 65536) for value in parameters]
    tag = b"para\0\0\0\0" + struct.pack(f">HH{len(fixed)}i", kind, 0, *fixed)
    profile = _with_curve(tag)
    known = icc_matrix.parse(profile)
    assert known is not None
    x = np.linspace(0, 1, 65536)
    assert np.abs(known.curves[0] - reference(x)).max() < 1e-4  # type: ignore[operator]


@pytest.mark.parametrize(
    "tag",
    [
        b"none" + bytes(20),
        b"curv\0\0\0\0" + struct.pack(">I3H", 3, 65535, 100, 0),  # falls
        b"curv\0\0\0\0" + struct.pack(">I3H", 3, 9, 9, 9),  # is flat
        b"curv\0\0\0\0" + struct.pack(">IH", 4000, 9),  # ends early
        b"para\0\0\0\0" + struct.pack(">HHi", 9, 0, 65536),  # of no kind
        b"para\0\0\0\0" + struct.pack(">HHi", 0, 0, -65536),  # infinite
    ],
)
def test_curves_that_cannot_be_inverted_are_left_to_little_cms(tag: bytes) -> None:
    assert icc_matrix.parse(_with_curve(tag)) is None


def _with_curve(tag: bytes) -> bytes:
    """A grey profile with a curve given as its bytes."""
    plain = Space(None, GAMMA).profile()
    padded = tag + bytes(-len(tag) % 4)
    entry = plain.index(b"kTRC")
    return plain[: entry + 4] + struct.pack(">II", len(plain), len(tag)) + plain[entry + 12 :] + padded


def test_profiles_with_tables_go_by_little_cms_both_ways() -> None:
    cmyk = bytes(pyvips.Image.profile_load("cmyk"))
    assert icc_matrix.parse(cmyk) is None
    ink = np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]], np.uint8)
    srgb = icc.to_srgb(ink, cmyk)
    assert srgb[0, 0].min() > 0.95 * 65535
    assert srgb[0, 1].max() < 0.25 * 65535
    assert np.abs(icc.from_srgb(srgb, cmyk, 8)[0, 0].astype(int)).max() <= 10


def test_damaged_profiles_never_fail_otherwise() -> None:
    rng = random.Random(0)
    block = Space(ADOBE_RGB, GAMMA).profile()
    samples = card(channels=3)
    for _ in range(300):
        damaged = bytearray(block)
        for _ in range(rng.randint(1, 12)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            converted = icc.to_srgb(samples, bytes(damaged))
        except icc.ProfileError:
            continue
        assert converted.shape == (24, 40, 3)
