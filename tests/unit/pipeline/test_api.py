"""The library's one function: runs in tiles, resumed and repeated."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.engine import Control, Progress
from impasto.engine.checkpoint import Checkpoints
from impasto.pipeline import Execution, Result, stylize
from tests.tiny import TinyEncoder


def picture(seed: int, height: int, width: int) -> Tensor:
    return torch.rand((3, height, width), generator=torch.Generator().manual_seed(seed))


def paint(folder: Path | None = None, *, resume: bool = False, stop_after: int | None = None, **values: Any) -> Result:
    """A small run of two levels, of which the finer one is larger than a tile."""
    control = Control()

    def on_progress(progress: Progress) -> None:
        if progress.iteration == stop_after:
            control.stop()

    places = None if folder is None else Checkpoints(folder / "checkpoint", 1000, resume=resume)
    options = {"look": "classic", "levels": 2, "height": 80, "total_iterations": 12, **values}
    return stylize(
        picture(0, 80, 110), picture(1, 70, 80), encoder=TinyEncoder(), control=control, on_progress=on_progress,
        execution=Execution(checkpoints=places), **options,
    )  # fmt: skip


@pytest.mark.parametrize("look", ["classic", "neighbors"])
def test_a_run_in_tiles_paints_the_picture_of_the_whole(look: str) -> None:
    whole, tiled = (paint(look=look, optimizer="adam", tile_edge=edge) for edge in (None, 64))
    assert (whole.image - tiled.image).square().mean().sqrt() < 0.01
    assert tiled.recipe.tile_edge == 64


@pytest.mark.parametrize("kept", ["float16", "none"])
def test_a_run_that_was_stopped_on_the_fine_level_goes_on_to_the_same_bits_in_the_same_tiles(
    tmp_path: Path, kept: str
) -> None:
    tiles = {"tile_edge": 64, "kept_targets": kept}
    through = paint(**tiles)
    stopped = paint(tmp_path, stop_after=9, **tiles)
    assert stopped.iterations == 9
    resumed = paint(tmp_path, resume=True)  # what was planned then holds now, whatever memory is free
    assert resumed.image.equal(through.image)
    assert (resumed.recipe.tile_edge, resumed.recipe.kept_targets) == (64, kept)


def test_the_recorded_recipe_paints_the_same_bits_again() -> None:
    first = paint(tile_edge=64)
    again = stylize(picture(0, 80, 110), picture(1, 70, 80), first.recipe, encoder=TinyEncoder())
    assert again.image.equal(first.image)


def test_a_finish_paints_in_tiles_as_on_the_whole() -> None:
    whole, tiled = (
        stylize(
            picture(0, 80, 110), picture(1, 70, 80), look="classic", model="compact", finish="compact:2", levels=1,
            height=80, total_iterations=6, tile_edge=edge,
        )
        for edge in (None, 64)
    )  # fmt: skip
    assert (whole.image - tiled.image).square().mean().sqrt() < 0.05
