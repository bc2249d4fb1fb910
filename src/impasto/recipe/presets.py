"""Presets: recipes to start from, by how large and how carefully a picture is to be painted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PRESETS", "Preset"]


@dataclass(frozen=True)
class Preset:
    """One preset.

    Attributes:
        summary: When to take it, in one sentence.
        values: Of the recipe, by name; all else has its default.
    """

    summary: str
    values: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = {
    "sketch": Preset(
        "A first look in seconds: small, few iterations, the bundled encoder.",
        {"model": "compact", "size": 384, "total_iterations": 120},
    ),
    "balanced": Preset(
        "A picture for the screen, without a download.",
        {"model": "compact", "size": 900, "total_iterations": 400},
    ),
    "fine": Preset(
        "Large, and the full network has the last word: for the picture that is kept.",
        {"model": "compact", "size": 1500, "total_iterations": 500, "finish": "vgg19:8"},
    ),
    "poster": Preset(
        "Large strokes, bold forms, to be seen from afar.",
        {"look": "bold", "model": "compact", "size": 1500, "total_iterations": 400},
    ),
}
"""By name. Whether the photo keeps its colors is a choice beside them: the parameter ``preserve_color``."""
