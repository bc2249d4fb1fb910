"""What a parameter is made of: types that read text as people type it, and the common base of the two models."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.config import JsonDict

from impasto.errors import RecipeError
from impasto.recipe.messages import sentence


def _parse_layers(value: object) -> object:
    """Turns ``"relu1_1:1,relu2_1:0.5"`` into a mapping; a name without a weight weighs 1."""
    if not isinstance(value, str):
        return value
    weights: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in value.split(","))):
        name, _, weight = entry.partition(":")
        try:
            weights[name.strip()] = float(weight) if weight.strip() else 1.0
        except ValueError:
            raise ValueError("not of the form layer:weight") from None
    return weights


def _parse_numbers(value: object) -> object:
    """Turns ``"0.7,0.3"`` into a list of numbers, and a single number into a list of one."""
    if isinstance(value, int | float):
        return [value]
    if not isinstance(value, str):
        return value
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError:
        raise ValueError("not a list of numbers") from None


_SIZE_UNITS: Mapping[str, int] = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def _parse_size(value: object) -> object:
    """Turns ``"2GB"``, ``"800 MB"`` or ``"512MiB"`` into bytes."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d{1,18}(?:\.\d{1,18})?)\s*([a-zA-Z]*)\s*", value, re.ASCII)
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError("not a size")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def _parse_path(value: object) -> object:
    """Refuses what names no file on any system: an empty path, and one with a NUL."""
    if isinstance(value, str | Path) and (value == "" or "\0" in str(value)):
        raise ValueError("not a path")
    return value


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("not printable")
    return name


def size_in_words(num_bytes: int) -> str:
    """``"1.4 GB"``, or ``"640 MB"`` below one; rounded up, so that what is said suffices."""
    return f"{math.ceil(num_bytes / 1e8) / 10:.1f} GB" if num_bytes >= 1e9 else f"{math.ceil(num_bytes / 1e6)} MB"


FilePath = Annotated[Path, BeforeValidator(_parse_path)]
MemorySize = Annotated[
    int, Field(ge=1, le=10**18), BeforeValidator(_parse_size), WithJsonSchema({"type": "string", "format": "size"})
]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Numbers = Annotated[list[Weight], BeforeValidator(_parse_numbers), Field(min_length=1)]
Scales = Annotated[list[Annotated[float, Field(ge=0.05, le=20)]], BeforeValidator(_parse_numbers), Field(min_length=1)]
LayerName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_printable)]
LayerWeights = Annotated[dict[LayerName, Weight], BeforeValidator(_parse_layers), Field(min_length=1)]


def parameter(
    default: Any,
    description: str,
    *,
    group: str,
    unit: str = "",
    is_option: bool = True,
    words: str = "",
    **limits: Any,
) -> Any:
    """A pydantic field with what help pages and forms show.

    Args:
        default: Its value where none is given.
        description: Its help.
        group: The heading that it is shown under.
        unit: Of its value.
        is_option: Whether it can be typed as an option; else it is set by other means, or only ever recorded.
        words: What is allowed, where the limits do not say it well.
        limits: What pydantic checks, as ``ge=0``.
    """
    extra: JsonDict = {"group": group, "unit": unit, "is_option": is_option}
    if words:
        extra["words"] = words
    return Field(default, description=description, json_schema_extra=extra, **limits)


class Parameters(BaseModel):
    """What recipe and run options share: immutable, no unknown keys, errors in one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(sentence(error, type(self))) from None

    def replace(self, /, **changes: Any) -> Self:
        """A copy with some values changed, validated like a new one.

        Raises:
            RecipeError: If a name is unknown or a value out of its range.
        """
        explicit = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**explicit | changes)
