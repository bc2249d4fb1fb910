"""The documents say what is so: generated pages are fresh, links lead somewhere, commands and figures exist."""

import ast
import importlib
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageChops

import impasto
from impasto.cli.app import app
from impasto.recipe import Recipe, RunOptions, option_name

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "src" / "impasto" / "examples" / "README.md"]
)
GENERATED = ROOT / "docs" / "reference"
WRITTEN = [page for page in PAGES if page.parent != GENERATED]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return importlib.import_module("tools.make_docs")


@pytest.mark.parametrize("page", ["recipe", "cli", "python"])
def test_reference_pages_are_fresh(script: ModuleType, page: str) -> None:
    text = getattr(script, f"{page}_page")()
    assert (GENERATED / f"{page}.md").read_text(encoding="utf-8") == text, "run: make docs"


def test_the_openapi_document_is_fresh(script: ModuleType) -> None:
    assert (GENERATED / "openapi.json").read_text(encoding="utf-8") == script.openapi_document(), "run: make docs"


@pytest.mark.parametrize("name", [name for name in impasto.__all__ if not name.startswith("__")])
def test_every_public_name_is_documented(name: str) -> None:
    page = (GENERATED / "python.md").read_text(encoding="utf-8")
    assert f"# `impasto.{name}`\n" in page
    assert getattr(impasto, name).__doc__


def test_every_parameter_is_documented() -> None:
    page = (GENERATED / "recipe.md").read_text(encoding="utf-8")
    for model in (Recipe, RunOptions):
        for field, info in model.model_fields.items():
            assert f"| `{option_name(field, model)}` |" in page
            assert info.description in page.replace("\\|", "|")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = prose_of(page)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} does not exist"
        if heading and linked.suffix == ".md":
            assert heading in headings_of(linked), f"{target} has no such heading"


def headings_of(page: Path) -> set[str]:
    """Anchors of a page's headings, as the usual forges make them."""
    titles = re.findall(r"(?m)^#+ (.+)$", prose_of(page))
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#:]+\.md)", prose_of(page))
        waiting += {(page.parent / link).resolve() for link in links} - reached
    assert {name_of(page) for page in PAGES if ROOT / "docs" in page.parents} <= {name_of(page) for page in reached}


def test_every_room_is_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "src" / "impasto").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            assert f"      {path.name}{'/' * path.is_dir()}  " in page or f"`{path.name}`" in page, path.name


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_paths_that_are_named_exist(page: Path) -> None:
    """Words in code type that look like files of this repository are such files."""
    top = "src|tests|docs|tools|benchmarks|training"
    for path in re.findall(rf"`((?:{top})/[\w./-]+)`", page.read_text(encoding="utf-8")):
        is_made_by_command = path.startswith("benchmarks/results/")
        assert is_made_by_command or (ROOT / path).exists(), f"{path} does not exist"


def commands_in(page: Path) -> list[str]:
    """Whole commands on a page: those in blocks, and those in a paragraph's code type that take no break."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    lines = re.findall(r"(?m)^(?: {4}|`)?((?:impasto|make|python) [^\n`]*)", text)
    inline = re.findall(r"`((?:impasto|make|python) [^`\n]+)`", prose_of(page))
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in [*lines, *inline]]


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_commands_exist(page: Path) -> None:
    for command in commands_in(page):
        program, *words = shlex.split(command)
        if program == "make":
            assert re.search(rf"(?m)^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8")), command
        elif program == "python":
            check_script(words, command)
        else:
            check_impasto(words, command)


def check_script(words: list[str], command: str) -> None:
    if words[0] == "-m":
        module = ROOT.joinpath(*words[1].split("."))
        assert words[1] == "impasto" or module.with_suffix(".py").exists() or module.is_dir(), command
    elif not words[0].startswith("-"):
        assert (ROOT / words[0]).is_file(), command


def check_impasto(words: list[str], command: str) -> None:
    parent, known = app, {"--help", "--version"}
    while words and words[0] in list(parent) and not words[0].startswith("-"):
        parent, words = parent[words[0]], words[1:]
        known |= options_of(parent)
    assert parent is not app or (words and words[0] in known), f"no such command: {command}"
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in known, f"no option {word}: {command}"


def options_of(command: object) -> set[str]:
    """Every option that a command takes, as it is typed."""
    try:
        arguments = command.assemble_argument_collection()  # type: ignore[attr-defined]
    except ValueError:  # a group of commands, which takes none itself
        return set()
    return {name for argument in arguments for name in argument.names}


def test_options_named_in_prose_exist() -> None:
    commands = (
        "stylize",
        "rerun",
        "bench",
        "sweep",
        "compare",
        "serve",
        "worker",
        "submit",
        "jobs",
        "watch",
        "fetch",
        "doctor",
    )
    known = {"--help", "--version", "--scale"}.union(*(options_of(app[command]) for command in commands))
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for option in re.findall(r"`(--[a-z][a-z-]+)", prose_of(page)):
            assert option in known, f"{page.name}: no option {option}"


def test_python_in_the_readme_uses_public_names_only() -> None:
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "impasto":
                assert node.attr in impasto.__all__


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs" / "howto").glob("*.md"))], ids=name_of)
def test_pictures_are_shown_with_the_commands_that_paint_them(script: ModuleType, page: Path) -> None:
    shown, commands = script.shown_pictures(page), script.picture_commands(page)
    assert commands or not shown
    assert not shown - commands.keys(), "each needs a command with -o demo/NAME.png"
    for path, words in commands.items():
        assert all((ROOT / word).is_file() for word in words if re.search(r"^(src|docs)/.*\.\w+$", word))
        assert path.stat().st_size <= script.MAX_PICTURE_BYTES[path.parent.name]


def test_masks_are_drawn_by_the_lines_on_their_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "howto" / "masks.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"(?ms)^```python\n(.*?)^```", page)
    monkeypatch.chdir(tmp_path)
    exec(compile(lines, "masks.md", "exec"), {})
    kept = ROOT / "docs" / "images" / "howto" / "masks"
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept.iterdir()}
    for path in tmp_path.iterdir():
        with Image.open(path) as drawn, Image.open(kept / path.name) as mask:
            assert ImageChops.difference(drawn, mask).getextrema()[1] <= 2, path.name


def test_the_recipe_of_the_steered_run_is_the_one_shown() -> None:
    folder = ROOT / "docs" / "howto"
    assert (folder / "steered.toml").read_text(encoding="utf-8") in (folder / "steering.md").read_text(encoding="utf-8")
    assert Recipe.from_file(folder / "steered.toml").changes
