"""Which files an earlier run of Impasto has left: of all files in a folder, these alone are replaced or removed.

They are known by what they hold, never by their name alone: a result by the recipe that is embedded in it, a picture in
between and a plot by a marker in the recipe's place, a table of losses by its first line, a checkpoint by its format.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from impasto.errors import ImageError
from impasto.formats.files import utf8_path
from impasto.images import read_recipe_json

__all__ = ["LOSS_COLUMNS", "is_own", "marker"]

LOSS_COLUMNS = ("iteration", "level", "total", "content", "style", "tv", "seconds")
"""Of ``losses.csv``: weighted, normalized losses of the candidate that this iteration evaluated."""


def marker(**values: Any) -> str:
    """What is embedded into a picture that holds no recipe: ``iteration`` in one in between, ``table`` in a plot."""
    return json.dumps({"impasto": version("impasto"), **values})


def is_own(path: Path) -> bool:
    """Whether a file is what its name says of a file of a run, and was left by Impasto; a link never is.

    Args:
        path: With the name of one of a run's files, as ``00100.png``, ``losses.csv`` or ``checkpoint-2``.
    """
    try:
        if path.is_symlink() or not path.is_file():
            return False
        if path.suffix == ".csv":
            return _is_table(path)
        return _is_picture(path) if path.suffix == ".png" else _is_checkpoint(path)
    except (OSError, ImageError, SafetensorError, ValueError, RecursionError):
        return False


def _is_table(path: Path) -> bool:
    head = ",".join(LOSS_COLUMNS).encode("ascii")
    with path.open("rb") as stream:
        return stream.read(len(head) + 2).split(b"\n")[0].rstrip(b"\r") == head


def _is_picture(path: Path) -> bool:
    key = {"final": "recipe", "losses": "table"}.get(path.stem.partition("-")[0], "iteration")
    values = json.loads(read_recipe_json(path))
    return isinstance(values, dict) and "impasto" in values and key in values


def _is_checkpoint(path: Path) -> bool:
    with utf8_path(path) as readable, safe_open(readable, framework="np") as file:
        return "impasto" in (file.metadata() or {})
