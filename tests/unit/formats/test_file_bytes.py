"""Bytes of a large file behave as bytes do."""

import hashlib
from pathlib import Path

import pytest
import pyvips

from impasto.formats.file_bytes import FileBytes
from tests.pictures import card


@pytest.mark.parametrize(
    "part", [slice(0, 5), slice(3, None), slice(-7, None), slice(90, 200), slice(50, 40), slice(None)]
)
def test_slices_are_those_of_bytes(part: slice, tmp_path: Path) -> None:
    content = bytes(range(100))
    (tmp_path / "a").write_bytes(content)
    with (tmp_path / "a").open("rb", buffering=0) as file:
        data = FileBytes(file)
        assert len(data) == 100
        assert data[part] == content[part]
        assert data.sha256() == hashlib.sha256(content).hexdigest()


def test_libvips_reads_the_same_file_while_slices_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pyvips.Image.new_from_array(card(channels=3)).tiffsave(str(path))
    with path.open("rb", buffering=0) as file:
        data = FileBytes(file, path)
        image = pyvips.Image.tiffload_source(data.source())
        assert data[:2] == b"II"
        assert (image.numpy() == card(channels=3)).all()


def test_another_file_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    with path.open("rb", buffering=0) as file:
        (tmp_path / "b").write_bytes(b"second")
        (tmp_path / "b").replace(path)
        with pytest.raises(OSError, match="another file has taken its place"):
            FileBytes(file, path).source()
