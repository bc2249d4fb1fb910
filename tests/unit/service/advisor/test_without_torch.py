"""What the advisor says where torch is not installed."""

import asyncio

import pytest

from impasto.errors import OutOfMemoryError
from impasto.pipeline.build import complete, encoder_of
from impasto.pipeline.memory import Sizes
from impasto.pipeline.memory_plan import plan_memory
from impasto.recipe import Recipe
from impasto.service.advisor.without_torch import AdvisorWithoutTorch


def rough(recipe: Recipe, size: tuple[int, int], max_memory: int | None = None) -> dict[str, object]:
    return asyncio.run(AdvisorWithoutTorch().plan(recipe, size, [size], max_memory))


@pytest.mark.parametrize("look", ["painterly", "classic", "neighbors"])
@pytest.mark.parametrize("height", [400, 1600])
def test_the_rough_peak_is_near_what_is_counted_tensor_by_tensor(look: str, height: int) -> None:
    size = (height, height * 3 // 2)
    recipe = Recipe(model="compact", look=look, height=height)
    encoder = encoder_of(recipe, "cpu")
    exact = plan_memory([encoder], complete(recipe, encoder), Sizes(size, [size, size], [size])).peak_bytes
    assert 0.75 < rough(recipe, size)["peak_bytes"] / exact < 1.5


def test_the_size_follows_the_content() -> None:
    assert rough(Recipe(height=100), (200, 301))["size"] == [100, 150]
    assert rough(Recipe(size=100), (200, 400))["size"] == [50, 100]


def test_what_cannot_fit_by_far_is_refused() -> None:
    with pytest.raises(OutOfMemoryError, match=r"largest worker has 1.0 GB"):
        rough(Recipe(model="vgg19", height=3000), (3000, 4000), max_memory=10**9)
    assert rough(Recipe(model="vgg19", height=400), (400, 600), max_memory=10**9)["peak_bytes"] == 998_000_000
