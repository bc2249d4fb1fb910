"""Recipes to start from."""

import pytest

from impasto.recipe import PRESETS, Recipe


def test_the_presets_are_those_that_people_are_shown():
    assert list(PRESETS) == ["sketch", "balanced", "fine", "poster"]


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_a_recipe_without_a_warning(name):
    recipe = Recipe(**PRESETS[name].values)
    assert recipe.warnings() == []
    assert recipe.replace(preserve_color="luminance").warnings() == []


def test_presets_grow_from_the_sketch():
    sizes = [preset.values["size"] for preset in PRESETS.values()]
    assert sizes == sorted(sizes)
