"""The adapter from the models of `impasto.recipe` to command line options: names, groups, ranges, defaults.

Values stay text until the model reads them, so that a command line, a recipe file and the service are refused
by the same sentences, and only what was really given is passed on (`model_fields_set` stays honest).
"""

import functools
import inspect
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Group, Parameter, Token
from pydantic import BaseModel

from impasto.errors import RecipeError, UserError
from impasto.formats.files import names_a_picture
from impasto.recipe import Recipe, allowed_values, option_name

Model = TypeVar("Model", bound=BaseModel)

INPUT = Group.create_ordered("Pictures")
"""The group of a command's own parameters, above the models'."""


def _as_paths(_: Any, tokens: Sequence[Token]) -> list[Path]:
    """Paths that were typed; pathlib would take an empty one for the current folder."""
    if not all(token.value for token in tokens):
        raise UserError("A path is empty; give the path of a file or a folder.")
    return [Path(token.value) for token in tokens]


TypedPaths = Annotated[list[Path], Parameter(converter=_as_paths)]
TypedPath = Annotated[Path, Parameter(converter=lambda kind, tokens: _as_paths(kind, tokens)[0])]
"""Paths among a command's own parameters."""

_METAVARS = {"number": "FLOAT", "integer": "INT", "string": "TEXT", "path": "PATH", "object": "LAYERS", "size": "SIZE"}
_SHORT_NAMES = {"output_file": ("-o",)}


def with_options(
    *models: type[BaseModel], leave_out: Collection[str] = ()
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Replaces a command's ``**values`` by one option for each field of the models.

    Args:
        models: `Recipe`, `RunOptions`, or both.
        leave_out: Fields that mean nothing to this command, or that it declares itself.

    Returns:
        A decorator. The command then receives in ``values`` what was given, by the fields' names; see `build`.
    """

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        groups: dict[str, Group] = {}
        options = [
            _option(model, field, groups)
            for model in models
            for field in option_fields(model)
            if field not in leave_out
        ]
        own = [p for p in inspect.signature(command).parameters.values() if p.kind is not p.VAR_KEYWORD]

        @functools.wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> int:
            return command(*map(_expanded, args), **{name: _expanded(value) for name, value in kwargs.items()})

        signature = inspect.Signature([*own, *options], return_annotation=int)
        wrapper.__signature__ = signature  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        del wrapper.__wrapped__  # else the signature above would be looked past
        return wrapper

    return decorate


def option_fields(model: type[BaseModel]) -> list[str]:
    """The fields of a model that are options; the others are set by other means, or only ever recorded."""
    properties = model.model_json_schema()["properties"]
    return [field for field in model.model_fields if properties[option_name(field, model)]["is_option"]]


def build(model: type[Model], values: Mapping[str, Any], base: Model | None = None) -> Model:
    """A recipe or run options out of what the command line gave, over a base.

    Args:
        model: `Recipe` or `RunOptions`.
        values: What `with_options` collected; the other model's fields are passed over.
        base: Values that hold where the command line gave none, as of a recipe file.

    Raises:
        RecipeError: If a value is out of its range; it names the option as it is typed.
    """
    given = given_values(model, values)
    explicit = {} if base is None else {name: getattr(base, name) for name in base.model_fields_set}
    with named_as_typed(model, given):
        return model(**explicit | given)


def given_values(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line gave for one model, out of what `with_options` collected."""
    return {name: value for name, value in values.items() if name in model.model_fields and value is not None}


@contextmanager
def named_as_typed(model: type[BaseModel], given: Mapping[str, Any]) -> Iterator[None]:
    """Lets a `RecipeError` about a value that was given name the option as it is typed."""
    try:
        yield
    except RecipeError as error:
        name, _, rest = str(error).partition(" ")
        is_option = any(name == option_name(field, model) for field in given)
        raise RecipeError(f"{flag(name)} {rest}" if is_option else str(error)) from None


def flag(name: str) -> str:
    """The option as it is typed: ``"--content-weight"`` for ``content_weight``."""
    return "--" + name.replace("_", "-")


def way_out(arguments: Sequence[str]) -> str:
    """A sentence for pictures whose names begin like options, as ``-photo.png``; empty if there are none."""
    files = [word for word in arguments if word.startswith("-") and names_a_picture(Path(word)) and "=" not in word]
    return f" If '{files[0]}' is a file, write ./{files[0]}." if files else ""


def _expanded(value: Any) -> Any:
    """A value with the home folder in the place of a leading ``~``, which shells leave in ``--output-file=~/x``."""
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    if isinstance(value, str | Path) and str(value).startswith("~"):
        return type(value)(os.path.expanduser(value))  # noqa: PTH111 (unlike pathlib's, it lets an unknown ~name be)
    return value


def _option(model: type[BaseModel], field: str, groups: dict[str, Group]) -> inspect.Parameter:
    """One keyword of a command's signature; None stands for "not given"."""
    info, name = model.model_fields[field], option_name(field, model)
    schema = model.model_json_schema()["properties"][name]
    is_flag, is_choice = info.annotation is bool, "enum" in schema
    description = info.description or ""
    parameter = Parameter(
        name=[flag(name), *_SHORT_NAMES.get(field, ())],
        group=groups.setdefault(schema["group"], Group.create_ordered(schema["group"])),
        help=description if is_flag or is_choice else description + _range(model, name, schema),
        # Only a recipe file can have switched a flag on before the command line has its say.
        negative=flag(f"no_{name}") if is_flag and model is Recipe else (),
        choices=schema.get("enum"),
        metavar=None if is_flag or is_choice else _metavar(schema),
        show_default=False if is_flag or info.default in (None, []) else lambda _: _shown(info.default),
        allow_leading_hyphen=not is_flag,
    )
    kind: Any = bool if is_flag else list[str] if _is_repeated(schema) else str
    hint: Any = Annotated[kind | None, parameter]
    return inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _shown(default: object) -> str:
    """A default as it would be typed."""
    return ",".join(map(str, default)) if isinstance(default, list) else str(default)


def _is_repeated(schema: Mapping[str, Any]) -> bool:
    """Whether the option is given once for each value, as paths are; numbers are one list with commas."""
    return schema.get("type") == "array" and schema["items"].get("format") == "path"


def _branches(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]


def _metavar(schema: Mapping[str, Any]) -> str:
    kinds = [branch.get("const") or branch.get("format") or branch["type"] for branch in _branches(schema)]
    if kinds == ["array"]:
        (branch,) = _branches(schema)
        return _metavar(branch["items"]) + ("" if _is_repeated(schema) else ",…")
    return "|".join(dict.fromkeys(_METAVARS.get(kind, kind) for kind in kinds))


def _range(model: type[BaseModel], name: str, schema: Mapping[str, Any]) -> str:
    """``" [a whole number, at least 1; pixels]"`` where the parameter is a number."""
    if not any(branch.get("type") in ("number", "integer") for branch in _branches(schema)):
        return ""
    unit = schema["unit"]
    return f" [{allowed_values(model, name)}{'; ' * bool(unit)}{unit}]"
