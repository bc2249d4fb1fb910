"""Parameters in words: what is allowed, and what was wrong."""

import difflib
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from impasto.errors import did_you_mean


def option_name(field: str, model: type[BaseModel]) -> str:
    """The public name of a field: ``"json"`` for ``json_events``, else the field's own."""
    return model.model_fields[field].alias or field


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Turns pydantic's first complaint into: what was wrong, what was got, what is allowed."""
    first = error.errors(include_url=False, include_context=False)[0]
    got = first.get("input")
    name = str(first["loc"][0] if first["loc"] else got)  # a name that is no text has no place
    if first["type"] == "extra_forbidden" or not first["loc"]:
        known = [option_name(field, model) for field in model.model_fields]
        return (
            f"Unknown option {shown(name)}. {_closest(name, known) or 'impasto stylize --help lists the known ones.'}"
        )
    allowed = f"{name} is {shown(got)}; it must be {allowed_values(model, name)}."
    return f"{allowed} {_closest(got, _named_values(model, name))}".rstrip()


def shown(value: object) -> str:
    """A value of any size and depth as Python writes it, on one line and cut to 60 characters."""
    return shortened(_SHORT_FORM.repr(value))


def shortened(text: str, max_length: int = 60) -> str:
    """Text on one line, without characters that terminals obey; the middle of what is longer becomes ``...``."""
    if len(text) > max_length:
        half = (max_length - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    return printable(text)


def printable(text: str) -> str:
    """Text with escapes in the place of characters that a terminal obeys or cannot show, line breaks among them."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def one_line(text: str) -> str:
    """A library's complaint, to be quoted within a sentence: on one line, not longer than 150 characters."""
    return shortened(" ".join(text.split()), 150).rstrip(".")


class _ShortForm(reprlib.Repr):
    """`repr` that neither follows a value to any depth nor fails on a whole number of thousands of digits."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 60

    def repr_int(self, value: int, level: int) -> str:
        bits = value.bit_length()
        return repr(value) if bits <= 200 else f"a number of about {round(bits * math.log10(2)):,} digits"


_SHORT_FORM = _ShortForm()


def _closest(word: object, known: Sequence[str]) -> str:
    """``"Did you mean 'adam'?"``, or nothing if no known word is close."""
    is_close = isinstance(word, str) and difflib.get_close_matches(word[:100], known, n=1)
    return did_you_mean(str(word)[:100], known) if is_close else ""


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
    if branch.get("format") == "path":
        return "the path of a file or folder"
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
