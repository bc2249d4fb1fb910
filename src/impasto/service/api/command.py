"""The command line that paints what a job paints."""

import shlex
from collections.abc import Sequence

from impasto.recipe import Recipe, option_name


def command_of(recipe: Recipe, content: str, styles: Sequence[str], masks: Sequence[tuple[str, str]] = ()) -> str:
    """``"impasto stylize coffee.jpg oil.jpg --strength 60"``.

    Args:
        recipe: Only what was set is said.
        content: Name of the content picture.
        styles: Names of the style pictures.
        masks: Pairs of an option, as ``"content_mask"``, and a picture's name.
    """
    words = ["impasto", "stylize", _file(content), *map(_file, styles)]
    for option, name in masks:
        words += [_flag(option), _file(name)]
    values = recipe.model_dump(mode="json", include=set(recipe.model_fields_set))
    properties = Recipe.model_json_schema()["properties"]
    for field in Recipe.model_fields:  # in their order
        value = values.get(field)
        if value is None or not properties[option_name(field, Recipe)]["is_option"]:
            continue
        flag = _flag(option_name(field, Recipe))
        if isinstance(value, bool):
            words.append(flag if value else _flag(f"no_{field}"))
        else:
            words += [flag, _typed(value)]
    return shlex.join(words)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _file(name: str) -> str:
    return f"./{name}" if name.startswith("-") else name


def _typed(value: object) -> str:
    """A value as one types it."""
    if isinstance(value, dict):
        return ",".join(f"{name}:{weight:g}" for name, weight in value.items())
    if isinstance(value, list):
        return ",".join(f"{number:g}" for number in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
