"""Imports go downward only, and help pages never wait for torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import impasto

PACKAGE = Path(impasto.__file__).parent

ROOMS = [
    "errors", "free_memory", "recipe", "formats", "devices", "images", "losses", "encoders", "objective", "optimizers",
    "engine", "pipeline", "examples", "bench", "runs", "service", "cli", "__main__",
]  # fmt: skip
"""From the ground up: a room may import those before it."""

HEAVY = ("torch", "numpy", "pyvips", "PIL", "matplotlib")


def modules() -> list[tuple[str, Path]]:
    """Each module's room with its file; the package's front door, which loads lazily, is no room."""
    paths = sorted(PACKAGE.rglob("*.py"))
    rooms = [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in paths]
    return [(room, path) for room, path in rooms if room != "__init__"]


def imported_rooms(path: Path) -> set[str]:
    """Rooms of this package that a module imports anywhere in it, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("impasto.")}


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value).removeprefix(f"{PACKAGE}/"))
def test_imports_go_downward_only(room, path):
    assert room in ROOMS, f"give {room} its place in ROOMS"
    below = ROOMS[: ROOMS.index(room) + 1]
    assert imported_rooms(path) <= set(below)


def test_losses_know_no_encoder():
    for room, path in modules():
        if room == "losses":
            assert "encoders" not in imported_rooms(path)


@pytest.mark.parametrize(
    "statement",
    [
        "import impasto.recipe",
        "import impasto.runs.sweep_plan, impasto.runs.sweep_results, impasto.runs.presets",
        "import impasto; impasto.Recipe(); impasto.__version__; dir(impasto)",
        "from impasto.cli import main; main([])",
        *(
            f"from impasto.cli import main; assert main({command.split()}) == 0"
            for command in (
                "--help",
                "--version",
                "stylize --help",
                "rerun --help",
                "sweep --help",
                "compare --help",
                "models --help",
                "models list --help",
                "models download --help",
                "models verify --help",
                "models inspect --help",
                "submit --help",
                "jobs --help",
                "watch --help",
                "fetch --help",
                "keys --help",
                "doctor --help",
            )
        ),
        "from impasto.cli import main; assert main(['stylize', 'a', 'b', '--no-such-option']) == 2",
    ],
)
def test_nothing_heavy_is_loaded_for(statement):
    assert loaded(statement, HEAVY) == ""


def test_formats_load_neither_torch_nor_numpy():
    names = {f"impasto.formats.{path.stem}".removesuffix(".__init__") for room, path in modules() if room == "formats"}
    assert "impasto.formats.decode" in names
    assert loaded(f"import {', '.join(sorted(names))}", ("torch", "numpy")) == ""


def test_the_process_of_the_api_loads_neither_torch_nor_numpy():
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for room, path in modules()
        if room == "service" and path.relative_to(PACKAGE).parts[1] in ("api", "client")
    ]
    assert "impasto.service.api.app" in names
    statement = f"import {', '.join(names)}; impasto.service.api.app.bare_app().openapi()"
    assert loaded(statement, ("torch", "numpy", "pyvips", "matplotlib")) == ""


def loaded(statement: str, packages: tuple[str, ...]) -> str:
    """Which of these packages a statement loads in an interpreter of its own; or how it fails there."""
    code = f"{statement}\nimport sys; sys.exit(' '.join(set({packages}) & sys.modules.keys()) or 0)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return outcome.stderr if outcome.returncode else ""


class TestPublicNames:
    def test_they_are_sorted_and_listed(self):
        assert sorted(impasto.__all__) == impasto.__all__
        assert set(impasto.__all__) <= set(dir(impasto))

    @pytest.mark.parametrize("name", impasto.__all__)
    def test_each_can_be_had(self, name):
        assert getattr(impasto, name) is not None

    def test_an_unknown_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="no attribute 'stylise'"):
            impasto.stylise  # noqa: B018

    def test_every_error_of_the_tree_is_public(self):
        from impasto import errors

        tree = [
            name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
        ]
        assert set(tree) <= set(impasto.__all__)
