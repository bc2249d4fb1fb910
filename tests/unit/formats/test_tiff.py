"""Of a TIFF's pictures the full one is taken, never a thumbnail unannounced; raw files are refused."""

import random
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from impasto.errors import ImageError
from impasto.formats import tiff
from impasto.images import load_picture

SMALL, LARGE = np.full((16, 24, 3), 10, np.uint8), np.full((64, 96, 3), 200, np.uint8)


def _write(path: Path, *pages: np.ndarray, types: tuple[int, ...], below: int = 0, **options: object) -> Path:
    """A TIFF of pages, the ``below`` that follow the first one as its SubIFDs."""
    with tifffile.TiffWriter(path, **options) as file:
        for index, (page, kind) in enumerate(zip(pages, types, strict=True)):
            sub_ifds = below if index == 0 else None
            file.write(page, photometric="rgb", subfiletype=kind, subifds=sub_ifds, metadata=None)
    return path


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("below", [0, 1], ids=["page", "SubIFD"])
@pytest.mark.parametrize("thumbnail_type", [0, 1])
def test_the_largest_picture_is_taken_wherever_it_lies(
    thumbnail_type: int, below: int, byteorder: str, bigtiff: bool, tmp_path: Path
) -> None:
    path = _write(
        tmp_path / "a.tif", SMALL, LARGE, types=(thumbnail_type, 0), below=below, bigtiff=bigtiff, byteorder=byteorder
    )
    picture = load_picture(path)
    assert picture.size == (64, 96)
    assert picture.samples.min() == 200
    what = "resolutions" if thumbnail_type else "pictures"
    assert picture.notes == (f"several {what}: the largest of 2, 96×64 pixels, is used",)


def test_a_pyramid_gives_its_base(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", LARGE, LARGE[::2, ::2], LARGE[::4, ::4], types=(0, 1, 1))
    picture = load_picture(path)
    assert picture.size == (64, 96)
    assert picture.notes == ("several resolutions: the largest of 3, 96×64 pixels, is used",)


def test_a_reduced_copy_is_not_taken_however_large(tmp_path: Path) -> None:
    picture = load_picture(_write(tmp_path / "a.tif", LARGE, SMALL, types=(1, 0)))
    assert picture.size == (16, 24)


def test_of_equal_pages_the_first_is_taken(tmp_path: Path) -> None:
    picture = load_picture(_write(tmp_path / "a.tif", LARGE, LARGE // 2, types=(2, 2)))
    assert picture.samples.min() == 200
    assert picture.notes == ("several pictures: the first of 2 is used",)


def test_a_lone_reduced_copy_is_read_and_said_to_be_one(tmp_path: Path) -> None:
    picture = load_picture(_write(tmp_path / "a.tif", SMALL, types=(1,)))
    assert picture.size == (16, 24)
    assert picture.notes == ("marked as a reduced copy of another picture, which the file does not hold",)


def test_a_picture_below_a_page_is_turned_as_that_page_is(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        turned = [(274, 3, 1, 6, True)]
        file.write(SMALL, photometric="rgb", subfiletype=1, subifds=1, metadata=None, extratags=turned)
        file.write(LARGE, photometric="rgb", metadata=None)
    assert load_picture(tmp_path / "a.tif").size == (96, 64)


def test_the_limit_of_pixels_holds_for_the_picture_that_is_taken(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.tif", SMALL, LARGE, types=(1, 0), below=1)
    with pytest.raises(ImageError, match="has 96×64 pixels; at most 1000 are allowed"):
        load_picture(path, max_pixels=1000)


@pytest.mark.parametrize("photometric", [32803, 34892], ids=["mosaic", "linear raw"])
@pytest.mark.parametrize("thumbnails", [0, 1, 2])
def test_camera_raw_files_are_refused_with_the_way_out(photometric: int, thumbnails: int, tmp_path: Path) -> None:
    path = tmp_path / "a.nef"
    with tifffile.TiffWriter(path) as file:
        for index in range(thumbnails):
            sub_ifds = thumbnails if index == 0 else None
            file.write(SMALL, photometric="rgb", subfiletype=1, subifds=sub_ifds, metadata=None)
        sensor = LARGE if photometric == 34892 else LARGE[..., 0]
        file.write(sensor.astype(np.uint16), photometric=photometric, metadata=None)
    with pytest.raises(ImageError, match=r"'\S+a\.nef' is a camera's raw file, .* Develop it to TIFF or JPEG first\.$"):
        load_picture(path)


def test_canon_raw_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    data = _write(tmp_path / "plain.tif", LARGE, types=(0,)).read_bytes()
    shifted = data[:4] + struct.pack("<I", len(data)) + b"CR\2\0" + data[12:]
    (first,) = struct.unpack_from("<I", data, 4)
    (tmp_path / "a.cr2").write_bytes(shifted + data[first:])
    with pytest.raises(ImageError, match="is a camera's raw file"):
        load_picture(tmp_path / "a.cr2")


def test_damaged_directories_never_fail_otherwise(tmp_path: Path) -> None:
    rng = random.Random(0)
    intact = _write(tmp_path / "a.tif", SMALL, LARGE, LARGE, types=(1, 0, 2), below=1).read_bytes()
    for _ in range(3000):
        damaged = bytearray(intact[: rng.randint(8, len(intact))] if rng.random() < 0.2 else intact)
        for _ in range(rng.randint(1, 6)):
            damaged[rng.randrange(min(len(damaged), 600))] = rng.randrange(256)
        try:
            tiff.choose(bytes(damaged), "a.tif")
        except ImageError as error:
            assert "is a camera's raw file" in str(error)


def test_directories_that_name_each_other_end(tmp_path: Path) -> None:
    data = bytearray(_write(tmp_path / "a.tif", SMALL, types=(0,)).read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    assert tiff.choose(bytes(data), "a.tif").page == 0
