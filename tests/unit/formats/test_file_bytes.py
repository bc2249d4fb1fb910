"""Bytes of a large file behave as bytes do."""

import hashlib
import os
from pathlib import Path

import pytest

from impasto.formats.file_bytes import FileBytes


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


def test_the_file_is_opened_again_with_a_position_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with path.open("rb", buffering=0) as file:
        data = FileBytes(file, path)
        with data.reopened() as descriptor:
            assert os.read(descriptor, 3) == b"012"
            assert data[7:] == b"789"
            assert os.read(descriptor, 3) == b"345"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.read(descriptor, 1)


def test_another_file_in_its_place_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    with path.open("rb", buffering=0) as file:
        (tmp_path / "b").write_bytes(b"second")
        (tmp_path / "b").replace(path)
        with pytest.raises(OSError, match="another file has taken its place"), FileBytes(file, path).reopened():
            pass
