"""Impasto paints one picture in the style of another, by optimizing its pixels.

    import impasto

    result = impasto.stylize("photo.jpg", "painting.jpg", height=600)
    impasto.save_picture(result.image, "painted.png", source=result.content)

The public names are loaded when they are first used, so that help pages and the service's front never wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.encoders import build_encoder
    from impasto.encoders.base import Encoder
    from impasto.engine import Control, Progress
    from impasto.errors import (
        CheckpointError,
        EncoderError,
        ImageError,
        ImpastoError,
        LayerError,
        OutOfMemoryError,
        OutputError,
        RecipeError,
        UserError,
        WeightsError,
    )
    from impasto.images import Picture, load_picture, save_picture
    from impasto.pipeline import Execution, Masks, Result, stylize
    from impasto.recipe import Recipe, RunOptions, StopReason
    from impasto.runs.sweep_table import SweepTable, sweep

    __version__: str

__all__ = [
    "CheckpointError",
    "Control",
    "Encoder",
    "EncoderError",
    "Execution",
    "ImageError",
    "ImpastoError",
    "LayerError",
    "Masks",
    "OutOfMemoryError",
    "OutputError",
    "Picture",
    "Progress",
    "Recipe",
    "RecipeError",
    "Result",
    "RunOptions",
    "StopReason",
    "SweepTable",
    "UserError",
    "WeightsError",
    "__version__",
    "build_encoder",
    "load_picture",
    "save_picture",
    "stylize",
    "sweep",
]

_NAMES_BY_MODULE = {
    "encoders": ["build_encoder"],
    "encoders.base": ["Encoder"],
    "engine": ["Control", "Progress"],
    "errors": [name for name in __all__ if name.endswith("Error")],
    "images": ["Picture", "load_picture", "save_picture"],
    "recipe": ["Recipe", "RunOptions", "StopReason"],
    "pipeline": ["Execution", "Masks", "Result", "stylize"],
    "runs.sweep_table": ["SweepTable", "sweep"],
}
_HOME = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads a public name on first use (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("impasto")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"impasto.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'impasto' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
