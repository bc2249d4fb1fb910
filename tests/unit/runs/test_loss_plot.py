import pytest
from PIL import Image

from impasto.errors import OutputError
from impasto.runs.loss_plot import plot_losses

HEADER = "iteration,level,total,content,style,tv,seconds\n"


def test_the_plot_of_two_levels_is_a_picture_with_colored_lines(tmp_path):
    rows = [f"{i},{1 + i // 20},{5 / i},{0 if i == 1 else 0.1},{4 / i},,{i}\n" for i in range(1, 40)]
    (tmp_path / "losses.csv").write_text(HEADER + "".join(rows))
    plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    with Image.open(tmp_path / "losses.png") as plot:
        colors = plot.convert("RGB").getcolors(plot.width * plot.height)
    assert {path.name for path in tmp_path.iterdir()} == {"losses.csv", "losses.png"}
    drawn = {color for _, color in colors}
    assert (0xC8, 0x55, 0x3D) in drawn, "style"
    assert (0x2F, 0x6F, 0x9F) in drawn, "content"
    assert (0x6A, 0x99, 0x4E) not in drawn, "total variation has no value"


@pytest.mark.parametrize("body", ["", "1,1,nan,inf,0,0,1\n", "1,1,0,0,0,0,1\n"])
def test_a_table_with_nothing_to_draw_gives_an_empty_plot(body, tmp_path):
    (tmp_path / "losses.csv").write_text(HEADER + body)
    plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert (tmp_path / "losses.png").stat().st_size > 0


def test_a_damaged_table_is_one_sentence(tmp_path):
    (tmp_path / "losses.csv").write_text(HEADER + "one,two\n")
    with pytest.raises(OutputError, match=r"^Cannot plot the losses in '.*losses\.csv': "):
        plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")


def test_an_unwritable_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "losses.csv").write_text(HEADER)
    (tmp_path / "losses.png").mkdir()
    with pytest.raises(OutputError, match=r"Cannot write '.*losses\.png': Is a directory"):
        plot_losses(tmp_path / "losses.csv", tmp_path / "losses.png")
    assert {path.name for path in tmp_path.iterdir()} == {"losses.csv", "losses.png"}
