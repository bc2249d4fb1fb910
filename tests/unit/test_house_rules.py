"""Tests mirror the package and reach into no private name of it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
MIRRORED = {"training": ROOT / "training"}
"""Folders of `tests/unit` that mirror another folder than the package's of the same name."""

PRIVATE_PATH = re.compile(r"(?<![./\w-])[A-Za-z]\w*(?:\.\w+)*\._[a-z]\w*")
"""An attribute path with a private name, as `monkeypatch.setattr` takes it and as scripts in strings have it."""

FILES = sorted(TESTS.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(TESTS))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names(tree: ast.AST) -> Iterator[str]:
    """Private names that a module imports, reads as attributes, or spells in a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            parts = [*module.split("."), *(part for alias in node.names for part in alias.name.split("."))]
            yield from (part for part in parts if is_private(part))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")).endswith("attr"):
            texts = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            yield from (text for text in texts if isinstance(text, str) and is_private(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from PRIVATE_PATH.findall(node.value)


@pytest.mark.parametrize(
    "line",
    [
        "from impasto.devices import _set_allocator",
        "from impasto._hidden import name",
        "import impasto._hidden",
        "optimizer._remember()",
        "getattr(optimizer, '_remember')",
        "monkeypatch.setattr(run, '_save', None)",
        "monkeypatch.setattr('impasto.runs.run._save', None)",
        "subprocess.run('from impasto import runs\\nruns.run._save()')",
    ],
)
def test_a_private_name_is_found_however_it_is_reached(line: str) -> None:
    assert list(private_names(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ["import __main__", "module.__dict__", "_save(path)", "'out/._photo.jpg'", "'a_b.c_d'"]
)
def test_other_names_are_not_taken_for_private_ones(line: str) -> None:
    assert not list(private_names(ast.parse(line)))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_test_reaches_into_a_private_name(path: Path) -> None:
    if path != Path(__file__):
        assert list(private_names(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", sorted((TESTS / "unit").rglob("*/test_*.py")), ids=name_of)
def test_a_unit_test_is_named_after_its_module(path: Path) -> None:
    """As `test_load.py`, or `test_load_from_memory.py` for a part of it; code of an `__init__.py` has the folder's."""
    room, *inner = path.parent.relative_to(TESTS / "unit").parts
    folder = MIRRORED.get(room, ROOT / "src" / "impasto" / room).joinpath(*inner)
    modules = {module.stem for module in folder.glob("*.py")} | {folder.name}
    subject = path.stem.removeprefix("test_")
    assert any(subject == module or subject.startswith(f"{module}_") for module in modules), sorted(modules)
