"""Parameters in words: what is allowed, and what was wrong."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from impasto.errors import did_you_mean


def option_name(field: str, model: type[BaseModel]) -> str:
    """The public name of a field: ``"json"`` for ``json_events``, else the field's own."""
    return model.model_fields[field].alias or field


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Turns pydantic's first complaint into: what was wrong, what was got, what is allowed."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name, got = path[0] if path else "recipe", first.get("input")
    if first["type"] == "extra_forbidden":
        known = [option_name(field, model) for field in model.model_fields]
        return f"Unknown option '{name}'. {did_you_mean(name, known)}"
    close = difflib.get_close_matches(str(got), _named_values(model, name), n=1)
    suggestion = f" Did you mean '{close[0]}'?" if close else ""
    return f"{name} is {_shown(got)}; it must be {allowed_values(model, name)}.{suggestion}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def allowed_values(model: type[BaseModel], name: str) -> str:
    """The range of a parameter in words, as in ``"a number, at least 0"`` or ``"one of lbfgs, adam"``.

    Args:
        model: `Recipe` or `RunOptions`.
        name: The field's public name.
    """
    branches = _branches(model, name)
    return " or ".join(_branch_in_words(branch) for branch in branches) if branches else "a known option"


def _branches(model: type[BaseModel], name: str) -> list[dict[str, Any]]:
    """What a parameter may be, one JSON schema each; empty if the name is unknown."""
    schema = model.model_json_schema(by_alias=True)["properties"].get(name, {"type": "null"})
    return [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]


def _named_values(model: type[BaseModel], name: str) -> list[str]:
    """The values of a parameter that have a name, as those of a choice."""
    return [str(value) for branch in _branches(model, name) for value in branch.get("enum", [])]


def _branch_in_words(branch: Mapping[str, Any]) -> str:
    if "words" in branch:
        return str(branch["words"])
    if "enum" in branch:
        return "one of " + ", ".join(map(str, branch["enum"]))
    if "const" in branch:
        return str(branch["const"])
    if branch.get("type") == "object":
        return "layers with weights of at least 0, as relu1_1:1,relu2_1:0.5"
    if branch.get("type") == "array" and "$ref" in branch["items"]:
        return "a list of changes, each an iteration and values by name"
    if branch.get("type") == "array" and branch["items"].get("format") == "path":
        return "paths of pictures"
    if branch.get("type") == "array":
        return "numbers separated by commas, each " + _branch_in_words(branch["items"])
    kinds = {"number": "a finite number", "integer": "a whole number", "boolean": "true or false", "string": "text"}
    words = kinds.get(branch.get("type", ""), "a value")
    if branch.get("format") == "size":
        return "a size in bytes, as 2GB, 800MB or 512MiB"
    if "pattern" in branch:
        words += f" of the form {branch['pattern'].strip('^$')}"
    limits = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ]
    bounds = [f"{phrase} {branch[key]:,}" for key, phrase in limits if key in branch and math.isfinite(branch[key])]
    return words + (", " + " and ".join(bounds) if bounds else "")
