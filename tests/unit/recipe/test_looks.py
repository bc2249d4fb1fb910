"""Looks: bundles of values that any named option goes before."""

import pytest

from impasto.errors import RecipeError
from impasto.recipe import LOOKS, Recipe
from impasto.recipe.looks import LookName

ALL = list(LOOKS)


def test_the_looks_are_those_that_the_recipe_takes() -> None:
    assert tuple(LOOKS) == LookName.__args__


def test_every_look_names_the_same_values() -> None:
    assert len({tuple(sorted(look.values)) for look in LOOKS.values()}) == 1


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_of_a_look_has_its_values(name: str) -> None:
    recipe = Recipe(look=name)
    assert {key: getattr(recipe, key) for key in LOOKS[name].values} == LOOKS[name].values
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("name", ALL)
def test_what_is_named_goes_before_the_look(name: str) -> None:
    recipe = Recipe(look=name, strength=61, style_loss="moments")
    assert (recipe.strength, recipe.style_loss) == (61, "moments")
    assert recipe.padding == LOOKS[name].values["padding"]


def test_another_look_replaces_what_nobody_has_set() -> None:
    recipe = Recipe(look="faithful", min_size=33).replace(look="classic")
    assert recipe == Recipe(look="classic", min_size=33)


def test_the_defaults_of_the_recipe_are_the_default_look() -> None:
    recipe = Recipe()
    assert recipe == Recipe(look=recipe.look)
    assert recipe.model_fields_set == set()


def test_a_value_of_a_look_never_warns_of_having_no_effect() -> None:
    assert [Recipe(look=name).warnings() for name in ALL] == [[]] * len(ALL)
    assert "texture has no effect: style_loss is gram." in Recipe(look="painterly", texture=2).warnings()


def test_an_unknown_look_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"^look is 'painterley'; it must be one of .*painterly.*Did you mean"):
        Recipe(look="painterley")
    with pytest.raises(RecipeError, match=r"^look is \[\]; it must be"):
        Recipe(look=[])
