"""The cells of a sweep, from what varies: which pictures it will paint, by which recipes, under which names.

Neither torch nor numpy is loaded here, so that a process that only hands cells on to others stays small.
"""

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from impasto.errors import RecipeError, UserError
from impasto.recipe import Recipe
from impasto.recipe.messages import shortened

__all__ = ["MAX_CELLS", "Cell", "Variant", "as_typed", "parse_vary", "plan_cells", "variants_of"]

MAX_CELLS = 10_000
"""More cells than these have to be asked for twice."""

CONTENT, STYLE = "content", "style"
"""Names under which pictures vary, beside the recipe's parameters."""

_MAX_NAME = 80
"""Characters of a cell's name."""


@dataclass(frozen=True)
class Variant:
    """One way in which a sweep's recipe differs from its base.

    Attributes:
        values: What tells it from the others, by what varies, as people write it.
        changes: Of the recipe, by name.
    """

    values: Mapping[str, str]
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One picture of a sweep.

    Attributes:
        number: From 1, in the order of the sheet.
        values: What tells it from the others, by what varies, as people write it; in the same order in all cells.
        content: The content image.
        styles: One or several style images, mixed in this one picture.
        recipe: What decides the pixels.
        changes: What of the recipe varies over the sweep, by name.
        num_digits: Of the largest number of the sweep.
    """

    number: int
    values: Mapping[str, str]
    content: Path
    styles: tuple[Path, ...]
    recipe: Recipe
    changes: Mapping[str, Any] = field(default_factory=dict)
    num_digits: int = 3

    @property
    def name(self) -> str:
        """Of its files, without suffix: ``"003-strength-50-optimizer-adam"``; no two cells have the same."""
        words = "-".join(f"{name}-{value}" for name, value in self.values.items())
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.")[:_MAX_NAME].rstrip("-.")
        return f"{self.number:0{self.num_digits}d}-{slug}".rstrip("-")

    @property
    def label(self) -> str:
        """What tells it from the others, in words: ``"strength 50, optimizer adam"``."""
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.values.items()) or "the only cell"


def parse_vary(texts: Iterable[str]) -> dict[str, list[str]]:
    """Reads what ``--vary`` takes: ``strength=10,30,50``, and with semicolons where values hold commas themselves.

    Args:
        texts: As ``"strength=10,30"`` or ``"style_blend=0.7,0.3;0.5,0.5"``; hyphens in a name count as underscores.

    Raises:
        RecipeError: If one has no name or no value, or a parameter is given twice.
    """
    vary: dict[str, list[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not (equals and name):
            raise RecipeError(f"--vary is '{shortened(text)}'; write a parameter and its values, as strength=10,30,50.")
        if name in vary:
            raise RecipeError(f"{name} is varied twice; write all its values into one --vary {name}=….")
        vary[name] = [value.strip() for value in values.split(";" if ";" in values else ",") if value.strip()]
    return vary


def variants_of(vary: Mapping[str, Sequence[Any]], base: Recipe, *, allow_many: bool = False) -> list[Variant]:
    """Every combination of the values, the last parameter varying fastest; all of them are checked.

    Args:
        vary: Values of the recipe's parameters by name, as text or as Python has them.
        base: The recipe in which they are changed.
        allow_many: Whether there may be more than `MAX_CELLS`.

    Raises:
        RecipeError: If a parameter is unknown, has no value or one value twice, or a value is out of its range; by the
            sentences that a command line is refused by.
        UserError: If there are more than `MAX_CELLS` and that is not allowed.
    """
    read = {name: _read_values(name, values, base) for name, values in vary.items()}
    check_count(math.prod(map(len, read.values())), allow_many=allow_many)
    variants = []
    for combination in itertools.product(*read.values()):
        values = {name: shown for name, (shown, _) in zip(read, combination, strict=True)}
        changes = {name: value for name, (_, value) in zip(read, combination, strict=True)}
        base.replace(**changes)
        variants.append(Variant(values, changes))
    return variants


def plan_cells(
    contents: Sequence[Path],
    styles: Sequence[Sequence[Path]],
    recipe: Recipe,
    variants: Sequence[Variant],
    *,
    allow_many: bool = False,
) -> list[Cell]:
    """Every content in every style by every variant of the recipe.

    Args:
        contents: Content images; told apart by name where there are several.
        styles: For each row the style images that are mixed in it, mostly one.
        recipe: The base.
        variants: From `variants_of`, or a preset's; one without values for a single picture of each pair.
        allow_many: Whether there may be more than `MAX_CELLS`.

    Raises:
        RecipeError: If a value is out of its range.
        UserError: If there is no cell, or more than `MAX_CELLS` and that is not allowed.
    """
    num_cells = len(contents) * len(styles) * len(variants)
    check_count(num_cells, allow_many=allow_many)
    if not num_cells:
        raise UserError("There is nothing to sweep over: no content, no style or no value was given.")
    content_names = _names([(content,) for content in contents])
    style_names = _names(styles)
    cells: list[Cell] = []
    for (content, content_name), (style, style_name), variant in itertools.product(
        zip(contents, content_names, strict=True), zip(styles, style_names, strict=True), variants
    ):
        pictures = {CONTENT: content_name} if len(contents) > 1 else {}
        pictures |= {STYLE: style_name} if len(styles) > 1 else {}
        cells.append(
            Cell(
                len(cells) + 1, pictures | dict(variant.values), content, tuple(style),
                recipe.replace(**variant.changes).accelerated(), variant.changes, max(3, len(str(num_cells))),
            )
        )  # fmt: skip
    return cells


def check_count(num_cells: int, *, allow_many: bool) -> None:
    """Raises `UserError` if there are more cells than anybody asks for by accident."""
    if num_cells > MAX_CELLS and not allow_many:
        raise UserError(
            f"These are {num_cells:,} cells, more than {MAX_CELLS:,}; give --yes if you mean it, or vary less."
        )


def _read_values(name: str, values: Sequence[Any], base: Recipe) -> list[tuple[str, Any]]:
    """Each value as people write it, and as the recipe has it."""
    if name not in Recipe.model_fields:
        base.replace(**{name: None})  # which says so
    if name == "changes":
        raise RecipeError("changes cannot be varied; vary the parameters that they change.")
    if isinstance(values, str) or not values:
        raise RecipeError(f"{name} has no value to vary over; write for example --vary {name}={_example(name)}.")
    read: list[tuple[str, Any]] = []
    for value in values:
        parsed = getattr(base.replace(**{name: value}), name)
        if any(parsed == other for _, other in read):
            raise RecipeError(f"{name} has the value {as_typed(value)} twice; give each value once.")
        read.append((as_typed(value), parsed))
    return read


def as_typed(value: Any) -> str:
    """A recipe's value as people type it."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{as_typed(weight)}" for name, weight in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(as_typed, value))
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(name: str) -> str:
    default = Recipe.model_fields[name].default
    return "1,2" if default is None or isinstance(default, list | dict) else as_typed(default)


def _names(pictures: Sequence[Sequence[Path]]) -> list[str]:
    """A name for each, unique: stems; with a number where that alone is not enough."""
    stems = ["+".join(path.stem for path in paths) for paths in pictures]
    return [
        f"{stem} ({stems[: index + 1].count(stem)})" if stems.count(stem) > 1 else stem
        for index, stem in enumerate(stems)
    ]
