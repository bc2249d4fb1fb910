"""A sweep from Python: any form of picture, and a table that shows itself."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto import SweepTable
from impasto.errors import RecipeError
from impasto.runs import sweep as sweep_module
from tests.tiny import TinyEncoder


@pytest.fixture(scope="module")
def table() -> SweepTable:
    """Two pictures from memory, by an encoder that costs nothing."""
    noise = np.random.default_rng(0)
    content, style = (noise.integers(0, 256, (24, 36, 3), dtype=np.uint8) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_module, "encoder_of", lambda *_, **__: TinyEncoder())
        return impasto.sweep(
            content, Image.fromarray(style), {"strength": [20, 80]}, model="compact", height=24, total_iterations=2
        )


def test_a_table_gives_rows_as_dicts(table: SweepTable) -> None:
    assert len(table) == 2
    assert [row["strength"] for row in table] == [20, 80]
    assert table.rows()[0]["state"] == "done"
    assert all((table.folder / str(row["picture"])).is_file() for row in table)
    assert "2 of 2 cells done" in repr(table)


def test_a_table_gives_a_frame(table: SweepTable) -> None:
    pytest.importorskip("pandas", reason="pip install pandas")
    assert list(table.to_pandas()["strength"]) == [20, 80]


def test_a_table_shows_itself_in_a_notebook(table: SweepTable) -> None:
    formatters = pytest.importorskip("IPython.core.formatters", reason="pip install ipykernel")
    shown, _ = formatters.DisplayFormatter().format(table)
    assert shown["text/html"].count("<tr>") == 3
    assert 'src="data:image/webp;base64,' in shown["text/html"]
    assert "2 of 2 cells done" in shown["text/plain"]
    assert table.sheet().width > 300


def test_a_result_shows_its_picture_in_a_notebook() -> None:
    formatters = pytest.importorskip("IPython.core.formatters", reason="pip install ipykernel")
    noise = np.random.default_rng(0)
    content, style = (noise.integers(0, 256, (24, 36, 3), dtype=np.uint8) for _ in range(2))
    result = impasto.stylize(content, style, height=24, total_iterations=1, encoder=TinyEncoder())
    shown, _ = formatters.DisplayFormatter().format(result)
    assert "36×24, 1 iterations" in shown["text/html"]
    assert "image/png" in shown


def test_what_cannot_vary_is_refused_before_a_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="strength has the value 20 twice"):
        impasto.sweep(np.zeros((8, 8, 3)), np.zeros((8, 8, 3)), {"strength": [20, 20]}, folder=tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_lists_are_painted_each_and_tuples_are_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "encoder_of", lambda *_, **__: TinyEncoder())
    noise = np.random.default_rng(1)
    paths = []
    for name in ("a", "b", "c"):
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(noise.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(paths[-1])
    a, b, c = paths
    table = impasto.sweep(
        [a, b], [c, (a, c)], {}, height=24, model="compact", total_iterations=1, folder=tmp_path / "o"
    )
    assert [(row["content"], row["style"]) for row in table] == [("a", "c"), ("a", "a+c"), ("b", "c"), ("b", "a+c")]
