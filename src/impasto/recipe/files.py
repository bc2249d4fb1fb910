"""Recipe files: from bytes to values by name. Whatever the file holds, a refusal is one sentence."""

import codecs
import json
import os
import re
import select
import stat
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from impasto.errors import RecipeError
from impasto.recipe.messages import one_line, shown

MAX_FILE_BYTES = 256 * 1024
"""Size above which a file is refused unread; a recipe takes about two kilobytes."""

_MAX_DIGITS = 400
"""Of a whole number in JSON: the largest float has 309."""

_MAX_KEY_PARTS = 100
"""Of a dotted TOML key; the time that tomllib takes grows with their square."""

_STREAM = re.compile(r"/dev/(stdin|fd/\d+)|/proc/self/fd/\d+")
"""Paths of what this program was given open, as by ``--recipe <(command)`` or ``--recipe /dev/stdin``."""

PATIENCE_SECONDS = 10
"""How long such a stream may be silent."""

_BYTE_ORDER_MARKS: Mapping[bytes, str] = {  # those of UTF-32 first, as one of them begins like one of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def read_values(path: str | Path) -> dict[str, Any]:
    """Reads a recipe file: TOML, or JSON if its name ends in ``.json``.

    Args:
        path: A regular file of at most `MAX_FILE_BYTES`, in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; or a
            pipe that this program was given open, as ``/dev/stdin``, which is JSON if it begins with a brace.

    Returns:
        What the file holds, by name and not checked.

    Raises:
        RecipeError: If the file cannot be read or is malformed.
    """
    if not str(path):
        raise RecipeError("the path is empty.")
    text = _decode(_read_bytes(Path(path)))
    is_json = Path(path).suffix.lower() == ".json" or (_is_stream(Path(path)) and text.lstrip().startswith("{"))
    return parse_json(text) if is_json else parse_toml(text)


def parse_json(text: str) -> dict[str, Any]:
    """The members of a JSON object.

    Raises:
        RecipeError: If the text is not a JSON object, names something twice, or nests or counts too far.
    """
    try:
        values = json.loads(text, parse_int=_parse_int, object_pairs_hook=_unique)
    except RecursionError:
        raise RecipeError("it nests values too deeply.") from None
    except ValueError as error:
        raise RecipeError(f"it is not valid JSON: {one_line(str(error))}.") from None
    if not isinstance(values, dict):
        raise RecipeError(f'a recipe is a JSON object, as {{"height": 400}}, and this is {shown(values)}.')
    return values


def parse_toml(text: str) -> dict[str, Any]:
    """The keys of a TOML document.

    Raises:
        RecipeError: If the text is not TOML, or nests or counts too far.
    """
    if any(run.count(".") > _MAX_KEY_PARTS for run in re.findall(r"[\w\"' \t.-]+", text)):
        raise RecipeError(f"a key has more than {_MAX_KEY_PARTS} parts.")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise RecipeError("it nests values too deeply.") from None
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"it is not valid TOML: {one_line(str(error))}.") from None
    except ValueError:  # a number of thousands of digits, a time zone of a hundred hours
        raise RecipeError("it is not valid TOML: a number or a time is out of range.") from None


def _read_bytes(path: Path) -> bytes:
    """The bytes of a regular file, or of a pipe given open; waits for no other pipe, and reads no device."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise RecipeError("it is a folder; name a .toml or .json file.")
        is_stream = stat.S_ISFIFO(mode) and _is_stream(path)
        if not stat.S_ISREG(mode) and not is_stream:
            raise RecipeError("it is a pipe or a device; write the recipe into a file.")
        # Should a pipe have taken the file's place by now, nobody waits for its other end.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            data = _read_stream(file.fileno()) if is_stream else file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise RecipeError(f"{error.strerror or type(error).__name__}.") from None
    except ValueError:  # a NUL, or characters that no file name has
        raise RecipeError("the path holds characters that no file name can have.") from None
    if len(data) > MAX_FILE_BYTES:
        raise RecipeError(f"it is larger than {MAX_FILE_BYTES // 1024} KiB, which no recipe is.")
    return data


def _is_stream(path: Path) -> bool:
    return _STREAM.fullmatch(str(path)) is not None


def _read_stream(descriptor: int) -> bytes:
    data = b""
    while len(data) <= MAX_FILE_BYTES:
        if not select.select([descriptor], [], [], PATIENCE_SECONDS)[0]:
            raise RecipeError(f"nothing came for {PATIENCE_SECONDS} seconds; end the pipe, or write a file.")
        part = os.read(descriptor, MAX_FILE_BYTES + 1 - len(data))
        if not part:
            break
        data += part
    return data


def _decode(data: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise RecipeError(f"it is not text in UTF-8 (byte {error.start + 1}); save it as UTF-8.") from None
    if not text.strip():
        raise RecipeError("it is empty.")
    if "\0" in text:
        raise RecipeError("it is a binary file, or UTF-16 without a byte order mark; save it as UTF-8.")
    return text


def _parse_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; where a key comes twice, nobody knows which is meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in values if names.count(name) > 1)
        raise ValueError(f"{shown(twice)} is given twice")
    return values
