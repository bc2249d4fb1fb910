"""Deep Zoom: what viewers find, what is replaced, and what never is."""

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.errors import OutputError
from impasto.formats import deep_zoom
from impasto.formats.embedded_recipe import read_recipe_json
from impasto.formats.frame import Frame
from tests.limits import largest_file
from tests.pictures import DISPLAY_P3, Space, card

NAMESPACE = "{http://schemas.microsoft.com/deepzoom/2008}"
RECIPE = '{"name": "<&\\"> ]]>", "seed": 7}'


def frame(height: int = 600, width: int = 900, channels: int = 3, **values: object) -> Frame:
    samples = card(channels=channels, height=height, width=width)
    return Frame(samples, **{"profile": None, "exif": None, "recipe": RECIPE, **values})


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_tiles_put_together_are_the_picture(channels: int, tmp_path: Path) -> None:
    given = frame(channels=channels)
    deep_zoom.save(given, tmp_path / "out.dzi")
    root = ET.fromstring((tmp_path / "out.dzi").read_text(encoding="utf-8"))
    assert root.tag == f"{NAMESPACE}Image"
    size = root.find(f"{NAMESPACE}Size")
    assert size is not None
    assert (size.get("Width"), size.get("Height")) == ("900", "600")
    step, overlap, suffix = int(root.attrib["TileSize"]), int(root.attrib["Overlap"]), root.attrib["Format"]
    assert suffix == ("png" if channels in (2, 4) else "jpg")
    levels = sorted((tmp_path / "out_files").iterdir(), key=lambda level: int(level.name))
    assert [level.name for level in levels] == [str(number) for number in range(11)]
    largest = np.zeros((600, 900, channels), np.uint8)
    for tile in levels[-1].iterdir():
        column, row = map(int, re.findall(r"\d+", tile.name))
        with Image.open(tile) as image:
            left, top = max(0, column * step - overlap), max(0, row * step - overlap)
            largest[top : top + image.height, left : left + image.width] = np.asarray(image).reshape(
                image.height, image.width, channels
            )
    assert np.abs(largest.astype(int) - given.samples).mean() < (0.01 if suffix == "png" else 3)
    with Image.open(levels[0] / f"0_0.{suffix}") as image:
        assert image.size == (1, 1)


def test_only_description_and_tiles_are_left(tmp_path: Path) -> None:
    deep_zoom.save(frame(), tmp_path / "new" / "out.dzi")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["out.dzi", "out_files"]
    files = [path for path in (tmp_path / "new" / "out_files").rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"\d+_\d+\.jpg", path.name) for path in files)
    assert not any(b"impasto" in path.read_bytes() for path in files)


def test_the_recipe_comes_back(tmp_path: Path) -> None:
    deep_zoom.save(frame(), tmp_path / "out.dzi")
    assert read_recipe_json(tmp_path / "out.dzi") == RECIPE


def test_tiles_keep_a_profile_that_browsers_would_not_take_for_granted(tmp_path: Path) -> None:
    profile = Space(DISPLAY_P3, 0).profile()
    deep_zoom.save(frame(profile=profile), tmp_path / "wide.dzi")
    deep_zoom.save(frame(), tmp_path / "plain.dzi")
    for name, wanted in (("wide", profile), ("plain", None)):
        with Image.open(tmp_path / f"{name}_files" / "10" / "1_1.jpg") as tile:
            assert tile.info.get("icc_profile") == wanted


def test_an_earlier_picture_is_replaced_with_all_its_tiles(tmp_path: Path) -> None:
    deep_zoom.save(frame(), tmp_path / "out.dzi")
    deep_zoom.save(frame(10, 10, recipe=None), tmp_path / "out.dzi")
    assert len(list((tmp_path / "out_files").iterdir())) == 5
    assert b"impasto" not in (tmp_path / "out.dzi").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.dzi", "out_files"]


@pytest.mark.parametrize("foreign", ["notes.txt", "10/notes.txt", "drafts/0_0.jpg"])
def test_a_folder_with_anything_else_in_it_is_never_replaced(foreign: str, tmp_path: Path) -> None:
    deep_zoom.save(frame(), tmp_path / "out.dzi")
    path = tmp_path / "out_files" / foreign
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"mine")
    before = everything(tmp_path)
    with pytest.raises(OutputError, match=r"out_files' is where the tiles of 'out\.dzi' go, and it is not a folder"):
        deep_zoom.save(frame(10, 10), tmp_path / "out.dzi")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_what_is_no_folder_is_never_replaced(kind: str, tmp_path: Path) -> None:
    place = tmp_path / "out_files"
    (tmp_path / "elsewhere").mkdir()
    if kind == "file":
        place.write_bytes(b"mine")
    else:
        place.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    with pytest.raises(OutputError, match="is not a folder of tiles alone"):
        deep_zoom.save(frame(10, 10), tmp_path / "out.dzi")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out_files"]


def test_a_disk_that_is_full_leaves_the_earlier_picture(tmp_path: Path) -> None:
    deep_zoom.save(frame(10, 10), tmp_path / "out.dzi")
    before = everything(tmp_path)
    with largest_file(2000), pytest.raises(OutputError, match=r"^Cannot write '.*out\.dzi': File too large\. What was"):
        deep_zoom.save(frame(), tmp_path / "out.dzi")
    assert everything(tmp_path) == before


def test_a_move_that_fails_half_way_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep_zoom.save(frame(10, 10), tmp_path / "out.dzi")
    before = everything(tmp_path)

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        deep_zoom.save(frame(), tmp_path / "out.dzi")
    assert everything(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on other systems only")
def test_names_that_are_not_utf_8_are_written(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    deep_zoom.save(frame(10, 10), folder / "out.dzi")
    assert read_recipe_json(folder / "out.dzi") == RECIPE
