"""Deep Zoom pictures and their tiles are one output: refused together, replaced together, numbered together."""

from pathlib import Path

import pytest
import torch

from impasto.errors import OutputError
from impasto.images import save_picture
from impasto.runs.outputs import next_free, plan_outputs


def leave(path: Path) -> None:
    save_picture(torch.zeros(1, 3, 4, 4), path, recipe_json='{"impasto": "1.0", "recipe": {}}')


def test_the_rest_of_a_run_goes_beside_the_tiles(tmp_path: Path) -> None:
    outputs = plan_outputs(tmp_path / "out.dzi")
    assert outputs.final == tmp_path / "out.dzi"
    assert outputs.folder == tmp_path / "out"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", ["out.dzi", "out_files"])
def test_what_is_there_is_refused_without_overwrite(left: str, tmp_path: Path) -> None:
    leave(tmp_path / "out.dzi")
    if left == "out_files":
        (tmp_path / "out.dzi").unlink()
    with pytest.raises(OutputError, match=rf"{left}' exists; add --overwrite to replace it"):
        plan_outputs(tmp_path / "out.dzi")
    outputs = plan_outputs(tmp_path / "out.dzi", overwrite=True)
    assert outputs.final_now() == tmp_path / "out.dzi"


def test_other_files_among_the_tiles_are_refused_even_with_overwrite(tmp_path: Path) -> None:
    leave(tmp_path / "out.dzi")
    (tmp_path / "out_files" / "notes.txt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="it is not a folder of tiles alone"):
        plan_outputs(tmp_path / "out.dzi", overwrite=True)


def test_a_name_whose_tiles_are_taken_is_not_free(tmp_path: Path) -> None:
    (tmp_path / "out_files").mkdir()
    (tmp_path / "out-2.dzi").write_bytes(b"")
    assert next_free(tmp_path / "out.dzi") == tmp_path / "out-3.dzi"


def test_a_tile_that_is_an_input_is_not_replaced(tmp_path: Path) -> None:
    leave(tmp_path / "out.dzi")
    tile = next((tmp_path / "out_files").glob("*/0_0.jpg"))
    with pytest.raises(OutputError, match=r"0_0\.jpg', an input of this run, is a tile of '.*out\.dzi'"):
        plan_outputs(tmp_path / "out.dzi", overwrite=True, inputs=[tile])


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out", "out.webp"])
def test_a_pyramid_is_refused_where_the_format_has_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"holds no smaller copies beside the picture\. Write \.tif or \.dzi\.$"):
        plan_outputs(tmp_path / name, is_pyramid=True)
    for able in ("out.tif", "out.dzi"):
        assert plan_outputs(tmp_path / able, is_pyramid=True).final == tmp_path / able
