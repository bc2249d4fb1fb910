"""The notebooks run from top to bottom, and show what they say."""

from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="pip install nbclient")
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient")
    pytest.importorskip("ipykernel", reason="pip install ipykernel")
    kept = nbformat.read(path, as_version=4)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for before, now in zip(kept.cells, notebook.cells, strict=True):
        assert kinds_of(before) == kinds_of(now), f"execute {path.name} anew: its outputs are not those of its code"


def kinds_of(cell: dict) -> list[list[str]]:
    """What a cell shows, by kind: a picture, a table, text."""
    return [sorted(output.get("data", {"stream": ""})) for output in cell.get("outputs", [])]
