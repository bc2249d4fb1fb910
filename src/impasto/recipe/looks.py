"""Looks: named bundles of a recipe's values, for what a person wants to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LookName = Literal["classic", "painterly", "faithful", "bold", "neighbors"]

_CLASSIC: Mapping[str, Any] = {
    "style_loss": "gram",
    "strength": 50.0,
    "tv_weight": 1.0,
    "layer_falloff": 1.0,
    "padding": "zero",
    "min_size": 80,
    "texture": 1.0,
    "accelerate": "off",
}
_NEIGHBORS: Mapping[str, Any] = {
    **_CLASSIC,
    "accelerate": "auto",
    "style_loss": "neighbors",
    "layer_falloff": 2.0,
    "tv_weight": 5.0,  # places of the grid say little of single pixels, which would be grain
    "padding": "reflect",
    "min_size": 40,
}


@dataclass(frozen=True)
class Look:
    """One look.

    Attributes:
        summary: When to take it, in one sentence.
        values: Of the recipe, by name; every look has the same names.
    """

    summary: str
    values: Mapping[str, Any]


LOOKS: Mapping[str, Look] = {
    "classic": Look(
        "The literature's recipe (Gatys et al. 2016), for experiments and comparisons: the palette and the texture of "
        "the painting over the whole picture, motifs included.",
        _CLASSIC,
    ),
    "painterly": Look(
        "Fine brushwork and the painting's palette, with fewer of its motifs. A good first try for any pair.",
        {**_CLASSIC, "accelerate": "auto", "layer_falloff": 2.0, "strength": 40.0},
    ),
    "faithful": Look(
        "Every form stays where it was, in paint of the painting: portraits and architecture.",
        {**_NEIGHBORS, "strength": 30.0},
    ),
    "bold": Look(
        "Large strokes and whole motifs of the painting, and less of the photo: posters, abstract paintings.",
        {**_NEIGHBORS, "strength": 75.0},
    ),
    "neighbors": Look(
        "Each place is painted as the place of the painting that fits it: strokes follow forms, and "
        "nothing appears from nowhere.",
        _NEIGHBORS,
    ),
}
"""By name."""

DEFAULT_LOOK: LookName = "painterly"
"""The look where none is named."""


def look_default(name: str) -> Any:
    """The value of the default look, which is the recipe's default."""
    return LOOKS[DEFAULT_LOOK].values[name]
