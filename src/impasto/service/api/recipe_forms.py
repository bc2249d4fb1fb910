"""What a form for the recipe is built from: its JSON schema with groups, order, units and help; looks and presets."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from impasto.recipe import LIVE_TUNABLE, LOOKS, Recipe, allowed_values

PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "draft": (
        "A first look in seconds: small, few iterations, the bundled encoder.",
        {"model": "compact", "height": 256, "total_iterations": 120},
    ),
    "everyday": (
        "A picture for the screen, without a download.",
        {"model": "compact", "height": 600, "total_iterations": 400},
    ),
    "fine": (
        "The full network has the last word: for the picture that is kept.",
        {"model": "compact", "height": 1000, "total_iterations": 500, "finish": "vgg19:8"},
    ),
    "classic": ("The literature's recipe, for comparisons.", {"look": "classic", "model": "vgg19"}),
    "portrait": (
        "Every form stays where it was; the colors of the photo, too.",
        {"look": "faithful", "model": "compact", "height": 800, "preserve_color": "luminance"},
    ),
    "poster": (
        "Large strokes, bold forms.",
        {"look": "bold", "model": "compact", "height": 1000, "style_scale": [2.0]},
    ),
}
"""Recipes to start from: when to take each, and its values."""


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
    return [{"name": name, "summary": summary, "recipe": dict(values)} for name, (summary, values) in PRESETS.items()]
