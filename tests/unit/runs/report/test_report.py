"""The report as text; how it behaves in a browser is in `tests/acceptance/test_sweep_report.py`."""

import re
from pathlib import Path

from PIL import Image

from impasto.runs.report import report_parts
from impasto.runs.sweep_results import CellResult, CellState, Results


def report(folder: Path, title: str = "t", num_cells: int = 2) -> str:
    Image.new("RGB", (64, 48), "teal").save(folder / "a b.png")
    cells = [
        CellResult(f"{n}", {"seed": f"{n}"}, CellState.DONE, picture=folder / "a b.png", facts={"ssim": float("nan")})
        for n in range(num_cells)
    ]
    return b"".join(report_parts(Results(title, cells), folder)).decode()


def test_a_report_names_no_address_that_is_not_in_it(tmp_path: Path) -> None:
    text = report(tmp_path)
    addresses = set(re.findall(r"\b(?:https?|file|ftp|wss?):[^\s\"'<)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a vocabulary, which nobody asks for
    assert "default-src 'none'" in text
    assert "./a%20b.png" in text


def test_no_name_ends_an_element_of_the_page(tmp_path: Path) -> None:
    text = report(tmp_path, title="</script><script>alert(1)</script>")
    assert "<script>alert" not in text
    assert text.count("</script>") == 2


def test_pictures_become_smaller_where_there_are_many(tmp_path: Path) -> None:
    Image.effect_noise((640, 480), 50).convert("RGB").save(tmp_path / "n.png")

    def bytes_a_cell(count: int) -> float:
        cells = [CellResult(f"{n}", {}, CellState.DONE, picture=tmp_path / "n.png") for n in range(count)]
        return len(b"".join(report_parts(Results("t", cells), tmp_path))) / count

    assert bytes_a_cell(61) < bytes_a_cell(2) / 2
