"""The plot of a comparison."""

from pathlib import Path

from PIL import Image

from impasto.bench.plot import plot_curves


def test_curves_are_drawn_a_panel_for_each_pair(tmp_path: Path) -> None:
    curve = [[1.0, 0.5], [10.0, 0.2]]
    measurements = {
        f"{pair}/{name}": {"curve": curve, "objective": 0.2}
        for pair in ("coffee-oil", "chelsea-munch")
        for name in ("plain", "compact")
    }
    plot_curves({"measurements": measurements}, tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as picture:
        assert picture.width > 2 * picture.height
