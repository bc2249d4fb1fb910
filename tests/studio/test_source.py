"""What can be said of the studio's source without a browser."""

import re
from pathlib import Path

import pytest

from impasto.recipe import LOOKS, Recipe

SOURCE = Path(__file__).parents[2] / "studio" / "src"
FIELDS = (SOURCE / "lib" / "i18n" / "fields.ts").read_text(encoding="utf-8")
OPTIONS = [
    name
    for name, info in Recipe.model_fields.items()
    if isinstance(info.json_schema_extra, dict) and info.json_schema_extra["is_option"]
]


def entry_of(name: str) -> str:
    match = re.search(rf"^  {name}: \{{(.*?)\}},$", FIELDS, re.DOTALL | re.MULTILINE)
    return match[1] if match else ""


@pytest.mark.parametrize("name", OPTIONS)
def test_every_parameter_has_its_words_in_both_languages(name: str) -> None:
    for key in ("en", "pl", "helpPl"):
        assert re.search(rf"\b{key}:\s*'[^']+'", entry_of(name)), key


def test_no_words_are_left_of_parameters_that_are_gone() -> None:
    named = re.findall(r"^  (\w+): \{", FIELDS, re.MULTILINE)
    assert sorted(named) == sorted(OPTIONS)


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_is_explained_in_polish(look: str) -> None:
    assert re.search(rf"^  {look}:\s*'", FIELDS, re.MULTILINE)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.svelte")), ids=lambda path: path.name)
def test_no_markup_needs_inline_styles_or_scripts(path: Path) -> None:
    """The page's policy forbids both; `style:` directives go another way."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=[\"']", re.sub(r"<(Popover|Icon)\b[^>]*>", "", text, flags=re.DOTALL))
    assert "{@html" not in text
