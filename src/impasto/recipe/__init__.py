"""The recipe: every parameter that decides pixels, declared once; and the options of one run, which do not.

The command line's options and help, the JSON schema, the studio's controls and the reference pages are derived from
the two models below; nothing else states a default or a range. Nothing here imports torch.

Rooms: `recipe`, `looks`, `presets`, `run_options`, `parameters` (types and the common base), `messages` (ranges and
errors in words).
"""

from impasto.recipe.looks import LOOKS, Look
from impasto.recipe.messages import allowed_values, option_name
from impasto.recipe.parameters import LayerWeights, size_in_words
from impasto.recipe.presets import PRESETS, Preset
from impasto.recipe.recipe import (
    DEFAULT_ITERATIONS,
    DEFAULT_PLATEAU,
    LARGEST_FINISH,
    LIVE_TUNABLE,
    MAX_RECIPE_BYTES,
    TEACHERS,
    Change,
    Finish,
    Recipe,
    choices,
)
from impasto.recipe.run_options import RunOptions
from impasto.recipe.stop_reason import StopReason

__all__ = [
    "DEFAULT_ITERATIONS",
    "DEFAULT_PLATEAU",
    "LARGEST_FINISH",
    "LIVE_TUNABLE",
    "LOOKS",
    "MAX_RECIPE_BYTES",
    "PRESETS",
    "TEACHERS",
    "Change",
    "Finish",
    "LayerWeights",
    "Look",
    "Preset",
    "Recipe",
    "RunOptions",
    "StopReason",
    "allowed_values",
    "choices",
    "option_name",
    "size_in_words",
]
