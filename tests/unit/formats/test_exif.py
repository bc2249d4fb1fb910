"""EXIF: what is kept, what is left out, and blocks that are damaged."""

import io
import random

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from impasto.formats import exif
from tests.pictures import card, exif_block


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


@pytest.mark.parametrize("is_big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("is_pyramid", [False, True], ids=["flat", "pyramid"])
def test_exif_enters_a_tiff_without_moving_its_picture(is_big: bool, is_pyramid: bool) -> None:
    cleaned, _ = exif.clean(exif_block().tobytes())
    assert cleaned is not None
    pages = {"pyramid": True, "tile": True, "tile_width": 16, "tile_height": 16} if is_pyramid else {}
    before = pyvips.Image.new_from_array(card(channels=3)).tiffsave_buffer(
        compression="deflate", bigtiff=is_big, **pages
    )
    file = io.BytesIO(before)
    block = exif.for_output(cleaned, keep_gps=True, is_srgb=True)
    exif.into_tiff(file, block)
    longer = file.getvalue()
    header = 16 if is_big else 8
    assert longer[header : len(before)] == before[header:]
    assert np.array_equal(pyvips.Image.tiffload_buffer(longer, fail_on="warning").numpy(), card(channels=3))
    assert exif.clean(longer) == exif.clean(block)
    with tifffile.TiffFile(io.BytesIO(longer)) as opened, tifffile.TiffFile(io.BytesIO(before)) as opened_before:
        assert opened.is_bigtiff == is_big
        assert len(opened.pages) == len(opened_before.pages) >= 1 + is_pyramid
    if not is_big:  # Pillow reads no EXIF of BigTIFF
        with Image.open(io.BytesIO(longer)) as image:
            assert image.getexif().get_ifd(0x8825)[2] == (48.0, 51.0, 30.0)
