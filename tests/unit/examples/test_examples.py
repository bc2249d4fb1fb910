"""The bundled pictures and the script that makes them."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from impasto.errors import UserError
from impasto.examples import content_names, example_path, style_names

TOOLS = Path(__file__).parents[3] / "tools"
QUICKEST = "woodcut"
PAINTINGS = {"ducks", "hokusai", "kandinsky", "munch"}
"""Works of painters, which no script makes."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("paint_examples")


@pytest.mark.parametrize("name", content_names() + style_names())
def test_bundled_pictures_open_as_small_rgb(name: str) -> None:
    with Image.open(example_path(name)) as picture:
        picture.load()
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        assert max(picture.size) <= (800 if name in PAINTINGS else 640)
        assert not picture.getexif()


def test_bundled_pictures_stay_small() -> None:
    sizes = {name: example_path(name).stat().st_size for name in content_names() + style_names()}
    assert max(sizes[name] for name in content_names()) <= 120_000
    assert max(sizes[name] for name in style_names()) <= 250_000
    assert sum(sizes.values()) <= 2_750_000


def test_script_names_every_bundled_picture(script: ModuleType) -> None:
    assert sorted(script.PHOTOGRAPHS) == content_names()
    assert sorted([*script.PAINTERS, *PAINTINGS]) == style_names()


def test_readme_tells_the_origin_of_every_picture() -> None:
    readme = (example_path("chelsea").parents[1] / "README.md").read_text(encoding="utf-8")
    for name in content_names() + style_names():
        assert f"| `{name}` |" in readme


def test_own_style_pictures_are_nowhere_flat() -> None:
    for name in set(style_names()) - PAINTINGS:
        with Image.open(example_path(name)) as picture:
            gray = np.asarray(picture.convert("L"), np.float64)
        blocks = gray[:480, :640].reshape(15, 32, 20, 32).std(axis=(1, 3))
        assert blocks.min() > 2, name


def test_notice_names_the_painter_of_every_painting() -> None:
    notice = (TOOLS.parent / "NOTICE").read_text(encoding="utf-8")
    for name in PAINTINGS:
        assert f"  {name}.jpg " in notice


def test_unknown_name_suggests_a_known_one() -> None:
    with pytest.raises(UserError, match=r"Unknown example picture 'mosaik'\. Did you mean 'mosaic'\?"):
        example_path("mosaik")


def test_unlike_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="Known: astronaut, chelsea"):
        example_path("../../etc/passwd")


def test_examples_import_without_torch_or_numpy() -> None:
    code = "import sys, impasto.examples as e; e.example_path('chelsea'); print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_painter_repeats_itself_and_the_bundled_picture(script: ModuleType) -> None:
    first, second = script.painting(QUICKEST), script.painting(QUICKEST)
    assert first.tobytes() == second.tobytes()
    # Compared coarsely and in gray: JPEG keeps fine color least.
    with Image.open(example_path(QUICKEST)) as bundled:
        pair = [np.asarray(picture.convert("L").reduce(4), np.float64) for picture in (first, bundled)]
    assert np.abs(pair[0] - pair[1]).mean() < 1


def test_script_rebuilds_one_picture_where_asked(script: ModuleType, tmp_path: Path) -> None:
    script.main(["--only", "chelsea", "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["chelsea.jpg"]
    assert (tmp_path / "content" / "chelsea.jpg").read_bytes() == example_path("chelsea").read_bytes()
