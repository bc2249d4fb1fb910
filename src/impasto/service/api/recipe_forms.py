"""What a form for the recipe is built from: its JSON schema with groups, order, units and help; looks and presets."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from impasto.recipe import LIVE_TUNABLE, LOOKS, PRESETS, Recipe, allowed_values


@cache
def schema() -> dict[str, Any]:
    """The recipe's JSON schema; each property with its ``order``, and what is allowed in ``words``."""
    document = Recipe.model_json_schema()
    for order, (name, entry) in enumerate(document["properties"].items()):
        entry["order"] = order
        entry["allowed"] = allowed_values(Recipe, name)
        entry["live_tunable"] = name in LIVE_TUNABLE
    return document


@cache
def groups() -> Sequence[dict[str, Any]]:
    """The headings of a form in their order, each with its parameters."""
    found: dict[str, list[str]] = {}
    for name, entry in schema()["properties"].items():
        if entry["is_option"]:
            found.setdefault(entry["group"], []).append(name)
    return [{"name": name, "parameters": parameters} for name, parameters in found.items()]


@cache
def looks() -> Sequence[dict[str, Any]]:
    """The looks, with the default one marked."""
    default = Recipe().look
    return [
        {"name": name, "summary": look.summary, "values": dict(look.values), "is_default": name == default}
        for name, look in LOOKS.items()
    ]


@cache
def presets() -> Sequence[dict[str, Any]]:
    """The presets, by name."""
    return [
        {"name": name, "summary": preset.summary, "recipe": dict(preset.values)} for name, preset in PRESETS.items()
    ]
