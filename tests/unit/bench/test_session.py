"""A comparison is kept row by row, goes on where it was cut off, and ends in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from impasto.bench import session
from impasto.bench.rows import ROWS, Measurement
from impasto.bench.session import PAIRS, Settings, run_bench, table
from impasto.errors import OutputError

SETTINGS = Settings(height=64, pairs=2, rows=("plain", "pyramid", "compact"), target_iterations=10)


def measured(seconds_to_target: float | None, objective: float = 0.2) -> Measurement:
    curve = [(1.0, 0.5), (10.0, objective)]
    return Measurement(0.1, seconds_to_target, 12.0, 20, objective, 10**8, curve)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was measured, each with the target that it was given."""
    found: list[tuple[Any, ...]] = []

    def measure(name: str, pair: tuple[str, str], height: int, iterations: int, target: float | None) -> Measurement:
        found.append((name, Path(pair[0]).stem, height, iterations, target))
        return measured({"plain": None, "pyramid": 2.5, "compact": None}[name])

    monkeypatch.setattr(session, "measure", measure)
    return found


def test_each_pair_is_measured_by_each_row_against_the_plain_methods_objective(
    calls: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    run_bench(SETTINGS, tmp_path / "b.json")
    contents = [content for content, _ in PAIRS[:2]]
    assert calls == [
        (name, content, 64, 10, None if name == "plain" else 0.2)
        for content in contents
        for name in ("plain", "pyramid", "compact")
    ]


def test_a_row_that_misses_the_target_stays_in_without_a_ratio(calls: list[Any], tmp_path: Path) -> None:
    rows = {row["name"]: row for row in run_bench(SETTINGS, tmp_path / "b.json")["rows"]}
    assert rows["pyramid"]["ratio_to_baseline"] == 4
    assert rows["compact"]["ratio_to_baseline"] is None
    assert (rows["compact"]["num_reached"], rows["compact"]["num_pairs"]) == (0, 2)
    assert set(rows["plain"]) >= {
        "name", "seconds_per_iteration", "seconds_to_target", "ratio_to_baseline", "peak_bytes", "objective",
    }  # fmt: skip


def test_what_a_file_holds_is_not_measured_again(calls: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    whole = run_bench(SETTINGS, file)
    report = json.loads(file.read_text())
    lost = sorted(report["measurements"])[-1]
    del report["measurements"][lost]
    file.write_text(json.dumps(report))
    calls.clear()
    assert run_bench(SETTINGS, file)["rows"] == whole["rows"]
    assert [f"{Path(call[1]).stem}" in lost and call[0] in lost for call in calls] == [True]


def test_a_file_of_other_settings_is_refused(calls: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    run_bench(SETTINGS, file)
    with pytest.raises(OutputError, match=r"holds measurements at height 64, not 128; name another file by --json\."):
        run_bench(Settings(height=128, pairs=2, target_iterations=10), file)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"settings": 3'])
def test_a_file_that_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "b.json"
    file.write_text(text)
    with pytest.raises(OutputError, match=r"is not a report of impasto bench"):
        run_bench(SETTINGS, file)


def test_the_table_ends_with_the_ratios_in_a_sentence(calls: list[Any], tmp_path: Path) -> None:
    lines = table(run_bench(SETTINGS, tmp_path / "b.json")).splitlines()
    assert len(lines) == 5
    assert "0 of 2 pairs" in lines[3]
    assert lines[-1] == (
        "To the objective that the plain method has after 10 iterations at 64 px, as fast as it: "
        "VGG19, pyramid 4.0 times (medians of the pairs)."
    )


def test_every_row_is_a_recipe() -> None:
    from impasto.recipe import Recipe

    for row in ROWS.values():
        Recipe(**row.values)
