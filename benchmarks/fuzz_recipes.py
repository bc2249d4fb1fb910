"""Recipes and options of any kind: ``python -m benchmarks.fuzz_recipes [--cases 10000] [--seed 0]``.

Each case is a recipe file, a command line or a picture with a recipe in it, of which most are wrong somewhere. It must
be taken, or refused by an error of Impasto in one line; whatever else comes of it is a failure. A command line is a dry
run, which paints nothing and downloads nothing, and must leave its folder as it was.

The first case has the seed given, and each next one the next seed: ``--cases 1 --seed 1234`` repeats a case. JSON goes
to ``benchmarks/results/fuzz_recipes.json``.
"""

import argparse
import io
import json
import logging
import os
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.harness import environment
from PIL import Image

from impasto.cli.app import main as impasto
from impasto.errors import ImpastoError, UserError
from impasto.formats.encode import CODECS
from impasto.formats.frame import Frame
from impasto.recipe import Recipe, RunOptions, choices
from impasto.runs.rerun import plan_rerun, read_provenance

MAX_SENTENCE = 2000
"""Characters that a refusal may have."""

ODD_WORDS = (
    "", " ", "-", "--", "~", "self", "cls", "__class__", "model_config", "values", "none", "null", "None", "true",
    "nan", "inf", "-inf", "-1", "0", "1e400", "-1e-400", "1_000", "0x10", "٣", "½", "9" * 25, "9" * 5000, "1,2,3", ",",
    ":", "relu1_1:1", "relu1_1:", ":1", "relu9_9:1", "relu1_1:nan", "*", "relu[", "(", "2GB", "1e9GB", "1 EiB",
    "compact", "9" * 18 + "TB", "vgg19:", "vgg19:0", "timm:", "timm:no", "torchvision:", "no.py:f", "no.py:",
    "c.png:f", "no.pt2", "c.png", "no.png", "s.png/x", "loop.png", "out.pgn", "x.png", "x.webp", "x.heic", "x.gif",
    ".png", "..", "/", "/dev/null", "/dev/zero", "pipe", "text.png", "cut.png", "empty.png", "folder", "folder/x.png",
    "painted.png", "odd.png", "r.toml", "a" * 300, "a" * 251 + ".png", "b" * 100_000, "\x1b[31m", "a\nb", "\ufeff",
    "\u202e", "🎨", "\udcff.png", "ü", "=", "'", '"',
)  # fmt: skip
"""Of options, keys and texts; some are values that fit somewhere."""

ODD_PARTS = (
    "\0", "\ufeff", "\r", "\r\n", '"', "'", '"""', "'''", "[", "]", "{", "}", "[[", "=", ":", ",", ".", "#", "//",
    "\\", "\\ud800", "\\u0000", "\\x", "null", "NaN", "-Infinity", "1e999", "0o777", "1979-05-27T07:32:00+99:99",
    "9999-12-31", "[" * 3000, '{"a":' * 3000, "a." * 3000, "9" * 5000, "\n[changes]\n", "\n[[changes]]\n",
    "\nself = 1\n", "\udc80",
)  # fmt: skip
"""That are put into a text somewhere."""

NUMBERS = ("0", "-1", "1", "16", "2.5", "1e308", "1e-320", "-0.0", "9" * 19, "9" * 400, "9" * 5000, "NaN", "inf")
ENCODINGS = (*["utf-8"] * 6, "utf-8-sig", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "latin-1")
SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".jp2")

RECIPE_FIELDS = Recipe.model_json_schema()["properties"]
OPTION_FIELDS = RECIPE_FIELDS | RunOptions.model_json_schema()["properties"]


def document(chance: random.Random, *, is_json: bool, is_sound: bool) -> str:
    """The text of a recipe; of one without odd names and values if it is to be sound."""
    equals = ": " if is_json else " = "
    values = {
        name: json.dumps(fitting(chance, name), separators=(", ", equals))
        for name in chance.sample(sorted(RECIPE_FIELDS), 3)
    }
    if not is_sound:
        values |= {_field(chance): _value(chance, equals) for _ in range(chance.randint(1, 2))}
    if is_json:
        return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in values.items()) + "}"
    keys = {name: name if name.isidentifier() and name.isascii() else json.dumps(name) for name in values}
    return "".join(f"{keys[name]} = {text}\n" for name, text in values.items())


def _field(chance: random.Random) -> str:
    """The name of a parameter, now and then with a slip, or an odd word."""
    name = chance.choice(list(RECIPE_FIELDS))
    slips = (name.upper(), name[1:], name.replace("_", "-"), f"{name}.{name}")
    return chance.choice([*[name] * 10, *slips, *chance.choices(ODD_WORDS, k=2)])


def _value(chance: random.Random, equals: str, depth: int = 0) -> str:
    """Some value as text, of any type."""
    kind = chance.choice(["number", "text", "word", "list", "table"] if depth < 3 else ["number", "text"])
    if kind == "number":
        return chance.choice(NUMBERS)
    if kind == "text":
        return json.dumps(chance.choice(ODD_WORDS))
    if kind == "word":
        return chance.choice(["true", "false", "null", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "''"])
    values = [_value(chance, equals, depth + 1) for _ in range(chance.randint(0, 3))]
    if kind == "list":
        return f"[{', '.join(values)}]"
    names = [json.dumps(chance.choice([*ODD_WORDS, "iteration", "values", "strength", "seed"])) for _ in values]
    return "{" + ", ".join(f"{name}{equals}{value}" for name, value in zip(names, values, strict=True)) + "}"


def fitting(chance: random.Random, name: str) -> Any:
    """A value that a parameter takes; of the models, only the one that ships with the package."""
    known = {
        "model": "compact", "finish": "compact:4", "device": "cpu", "threads": 1,
        "changes": [{"iteration": 1, "values": {"strength": 60.0}}],
    }  # fmt: skip
    if name in known:
        return known[name]
    schema = OPTION_FIELDS[name]
    branch = chance.choice([branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"])
    if "enum" in branch or "const" in branch:
        return chance.choice(branch.get("enum") or [branch["const"]])
    low, high = max(branch.get("minimum", 0), 1), min(branch.get("maximum", 1000), 1000)
    of_type = {
        "boolean": True, "integer": chance.randint(low, high), "number": chance.uniform(low, high) % 1,
        "object": {"relu1_1": 1.0}, "array": ["x.png"] if branch.get("items", {}).get("format") == "path" else [1.0],
    }  # fmt: skip
    return of_type.get(branch.get("type"), "x.png")


def mutated(chance: random.Random, text: str) -> str:
    """The text, now and then with some parts lost, doubled, or put in."""
    for _ in range(chance.choice([0, 0, 0, 1, 1, 3])):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.randrange(40))
        parts = ("", text[start:end] * 2, chance.choice(ODD_PARTS), chance.choice(ODD_WORDS))
        text = text[:start] + chance.choice(parts) + text[end:]
    return text


def flipped(chance: random.Random, data: bytes, start: int = 0) -> bytes:
    """The bytes, now and then with some changed from a place on, or cut."""
    changed = bytearray(data)
    for _ in range(chance.choice([0, 0, 0, 0, 1, 8]) if len(data) > start else 0):
        changed[chance.randrange(start, len(changed))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    return bytes(changed[: chance.randrange(len(data))] if data and chance.random() < 0.05 else changed)


def recipe_file(chance: random.Random, folder: Path) -> None:
    """Reads a recipe file, writes the recipe and reads that."""
    is_json = chance.random() < 0.5
    text = mutated(chance, document(chance, is_json=is_json, is_sound=chance.random() < 0.4))
    file = folder / chance.choice([*["r.json" if is_json else "r.toml"] * 6, "r.JSON", "r", "r.txt"])
    file.write_bytes(flipped(chance, text.encode(chance.choice(ENCODINGS), "backslashreplace")))
    recipe = Recipe.from_file(file)
    recipe.warnings()
    recipe.to_toml()
    if Recipe.from_json(recipe.to_json()) != recipe:
        raise AssertionError("the recipe reads otherwise than it was written")
    recipe.at(chance.randrange(100))


def provenance(chance: random.Random) -> str:
    """What a picture says of its making, sound in half of the cases."""
    is_sound = chance.random() < 0.5
    identity = {"name": chance.choice(["c.png", *chance.choices(ODD_WORDS, k=3)]), "sha256": "0" * 64}
    values: dict[str, Any] = {
        "impasto": "0.1.0", "recipe": "RECIPE", "content": identity, "styles": [identity], "weights_sha256": "",
        "iterations": 2, "stop_reason": "budget",
    }  # fmt: skip
    if chance.random() < 0.3:
        values[chance.choice(["content_masks", "style_masks", "lock_mask"])] = chance.choice([identity, [identity], 1])
    if not is_sound:
        odd = (None, 1, -1e400, "x", [], [[]], {}, {"self": 1}, [identity] * 3, {"name": 1, "sha256": []})
        values[chance.choice([*values, "self"])] = chance.choice(odd)
    recipe = document(chance, is_json=True, is_sound=is_sound or chance.random() < 0.5)
    text = json.dumps(values).replace('"RECIPE"', recipe)
    return text if is_sound else mutated(chance, text)


def picture(chance: random.Random, folder: Path) -> Path:
    """Writes a picture with such a text in it."""
    suffix = chance.choice(SUFFIXES)
    text = provenance(chance).encode("ascii", "backslashreplace").decode().replace("\0", "\\0")[:60_000]
    frame = Frame(np.zeros((2, 2, 3), np.uint8), profile=None, exif=None, recipe=text)
    file = folder / f"odd{suffix}"
    CODECS[suffix].save(frame, file)
    file.write_bytes(flipped(chance, file.read_bytes(), start=8))
    return file


def embedded_recipe(chance: random.Random, folder: Path) -> None:
    """Reads what a picture says of its making, and plans to paint it again."""
    file = picture(chance, folder)
    names = chance.sample(sorted(RECIPE_FIELDS), chance.choice([0, 0, 1, 2]))
    changes = {name: chance.choice([*[fitting(chance, name)] * 6, *ODD_WORDS[:3]]) for name in names}
    read_provenance(file)
    is_given = chance.random() < 0.7
    plan_rerun(
        file, content=folder / "c.png" if is_given else None, styles=[folder / "s.png"] * is_given, changes=changes
    )


def command_line(chance: random.Random, folder: Path) -> None:
    """Runs a command, which must end as it is said that commands end."""
    picture(chance, folder).replace(folder / "odd.png")
    text = document(chance, is_json=False, is_sound=chance.random() < 0.7)
    (folder / "r.toml").write_bytes(text.encode(errors="backslashreplace"))
    arguments = _arguments(chance)
    before = sorted(folder.rglob("*"))
    out, error_out = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    try:
        with chdir(folder), redirect_stdout(out), redirect_stderr(error_out):
            code = impasto(arguments)
    finally:
        torch.set_num_threads(1)
    lines = error_out.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    refusals = [line for line in lines if not line.startswith("impasto: warning: ")]
    is_batch = any(os.path.isdir(folder / (word or "?")) for word in arguments)  # noqa: PTH112 (also too long a name)
    complaints = {
        f"exit code {code}": code not in (0, 2),
        "it is not Impasto who speaks": any(not line.startswith("impasto: ") for line in lines),
        "nothing is said, or too much": len(refusals) != bool(code) and not (is_batch and code and refusals),
        "files are left behind": sorted(folder.rglob("*")) != before,
    }
    if any(complaints.values()):
        told = [text for text, is_so in complaints.items() if is_so]
        raise AssertionError(f"{told}: {[line[:500] for line in lines]}, {[word[:500] for word in arguments]}")
    if refusals:
        raise UserError(refusals[0])


def _arguments(chance: random.Random) -> list[str]:
    """A command line, a dry run from its first words on."""
    words = [word for word in ODD_WORDS if len(word) < 6000]
    command = chance.choice([*["stylize"] * 6, "rerun", "rerun", "models", "other"])
    if command == "other":
        return [chance.choice([*words, "--help", "stylise", "--version"]), chance.choice(words)]
    if command == "models":
        task = chance.choice(["list", "verify", "inspect", "lst"])
        names = [word for word in words if word not in choices("model")]
        return ["models", task, *(chance.choice(names) for _ in range(chance.randint(task != "list", 2)))]
    sound = ["c.png", "s.png"] if command == "stylize" else [chance.choice(["painted.png", "odd.png"])]
    pictures = [name if chance.random() < 0.8 else chance.choice(words) for name in sound]
    arguments = [command, "--dry-run", "--max-pixels=1000000", "--model=compact", *pictures]
    if command == "rerun":
        arguments += ["--content-image-path=c.png", "--style-image-path=s.png"]
    elif chance.random() < 0.3:
        arguments += ["--recipe", "r.toml"]
    names = sorted(set(OPTION_FIELDS) - {"dry_run", "model", "max_pixels", "changes", "recipe_file"})
    for name in chance.sample(names, chance.choice([0, 1, 1, 2, 4])):
        flag, value = f"--{name.replace('_', '-')}", fitting(chance, name)
        text = "relu1_1:1" if isinstance(value, dict) else str(value).strip("[']")
        text = chance.choice([*[text] * 3, *chance.choices(words, k=2)])
        if value is True:
            arguments += chance.choice([*[[flag]] * 4, [f"{flag}={text}"], [f"--no-{flag[2:]}"]])
        else:
            arguments += chance.choice([*[[flag, text], [f"{flag}={text}"]] * 4, [flag], [f"{flag}x", text]])
    return arguments


KINDS: Mapping[str, Callable[[random.Random, Path], None]] = {
    "recipe file": recipe_file, "command line": command_line, "picture": embedded_recipe,
}  # fmt: skip


def failure(seed: int, folder: Path) -> tuple[str, str, str]:
    """Runs one case in a folder that `furnish` has prepared.

    Returns:
        Its kind, what came of it, and what is wrong with that; the last one is empty if all is well.
    """
    chance = random.Random(seed)
    kind = chance.choice(list(KINDS))
    try:
        KINDS[kind](chance, folder)
    except ImpastoError as error:
        sentence = str(error)
        is_line = sentence.isprintable() and sentence.endswith((".", "?")) and len(sentence) <= MAX_SENTENCE
        return kind, "refused", "" if is_line else f"not a sentence: {sentence!r}"
    except (Exception, SystemExit):
        return kind, "failed", traceback.format_exc()
    return kind, "taken", ""


def furnish(folder: Path) -> None:
    """Puts the files into a folder that the cases name: pictures, damaged ones, a loop of links, a pipe."""
    gradient = Image.linear_gradient("L").resize((24, 16)).convert("RGB")
    gradient.save(folder / "c.png")
    gradient.rotate(180).save(folder / "s.png")
    (folder / "cut.png").write_bytes((folder / "c.png").read_bytes()[:60])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    (folder / "loop.png").symlink_to("loop.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    gradient.save(folder / "folder" / "x.png")
    (folder / "folder" / "y.png").write_text("no picture either", encoding="utf-8")
    identity = {"name": "c.png", "sha256": "0" * 64}
    values = {
        "recipe": Recipe(model="compact").model_dump(mode="json"), "content": identity, "styles": [identity],
        "weights_sha256": "",
    }  # fmt: skip
    frame = Frame(np.zeros((16, 24, 3), np.uint8), profile=None, exif=None, recipe=json.dumps(values))
    CODECS[".png"].save(frame, folder / "painted.png")


def main() -> None:
    """Runs the cases and keeps what came of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/fuzz_recipes.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    logging.lastResort = None  # the library's warnings are for reporters, and only command lines have one
    start, failed, count = time.perf_counter(), [], Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        furnish(folder)
        for number, seed in enumerate(range(arguments.seed, arguments.seed + arguments.cases), start=1):
            kind, outcome, wrong = failure(seed, folder)
            count.update([kind, f"{kind} {outcome}"])
            if wrong:
                failed.append({"seed": seed, "kind": kind, "failure": wrong})
                print(f"seed {seed}, {kind}: {wrong.splitlines()[-1]}", flush=True)
            if number % 1000 == 0:
                print(f"{number} cases, {len(failed)} failures", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figures = {
        "environment": environment(), "cases": arguments.cases, "seed": arguments.seed, "failures": failed,
        "by_kind": dict(sorted(count.items())), "seconds": round(time.perf_counter() - start),
    }  # fmt: skip
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
