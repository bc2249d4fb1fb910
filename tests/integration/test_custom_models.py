"""Custom models as people use them: inspected, trusted, painted with, painted with again."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import impasto
from impasto.cli import main
from impasto.encoders import build_encoder
from impasto.images import load_picture, read_recipe_json, resize
from impasto.losses import gram_matrix

EXAMPLES = Path(impasto.__file__).parent / "examples"
SQUEEZENET = f"{EXAMPLES / 'squeezenet.py'}:squeezenet1_1"

FACTORY = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
    )
    net.impasto = {"mean": (0.5, 0.5, 0.5)}
    return net
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with two pictures, and a network in a folder of its own."""
    for index, name in enumerate(("photo.png", "oil.png")):
        noise = torch.rand((36, 48, 3), generator=torch.Generator().manual_seed(index))
        Image.fromarray((noise * 255).byte().numpy()).save(tmp_path / name)
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "mine.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stylize(*options: str) -> int:
    common = ["photo.png", "oil.png", "--height", "24", "--total-iterations", "4", "-o", "out.png"]
    return main(["stylize", *common, "--model", "nets/mine.py:make", *options])


def test_an_untrusted_file_ends_in_one_line(folder, capsys):
    assert stylize() == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert "'nets/mine.py'" in line
    assert "allow it by --trust" in line
    assert not (folder / "out.png").exists()


def test_a_picture_remembers_name_and_hash_of_the_file_and_no_folder(folder):
    assert stylize("--trust", "--quiet") == 0
    text = read_recipe_json(folder / "out.png")
    assert "nets" not in text
    origin = json.loads(text)
    assert origin["recipe"]["model"] == "mine.py:make"
    assert origin["recipe"]["style_layers"] == {"1": 2.0, "4": 1.0}
    assert len(origin["weights_sha256"]) == 64


def test_patterns_become_the_layers_they_match(folder):
    assert stylize("--trust", "--quiet", "--style-layers", "*:0.5", "--content-layers", "4") == 0
    recipe = json.loads(read_recipe_json(folder / "out.png"))["recipe"]
    assert recipe["style_layers"] == dict.fromkeys("01234", 0.5)


def test_dry_run_and_smoothing_take_custom_models_too(folder, capsys):
    assert stylize("--trust", "--smoothing", "3", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "smoothing = 3.0" in out
    assert 'model = "nets/mine.py:make"' in out


class TestRerun:
    def rerun(self, *options: str) -> int:
        return main(["rerun", "out.png", "-o", "again.png", "--trust", *options])

    def test_the_file_is_found_beside_the_picture(self, folder):
        assert stylize("--trust", "--quiet") == 0
        shutil.copy("nets/mine.py", "mine.py")
        assert self.rerun("--quiet") == 0
        assert torch.equal(load_picture("out.png").pixels, load_picture("again.png").pixels)

    def test_it_asks_for_trust_again(self, folder, capsys):
        assert stylize("--trust", "--quiet") == 0
        shutil.copy("nets/mine.py", "mine.py")
        assert main(["rerun", "out.png", "-o", "again.png"]) == 2
        assert "allow it by --trust" in capsys.readouterr().err

    def test_a_file_that_is_not_found_is_asked_for(self, folder, capsys):
        assert stylize("--trust", "--quiet") == 0
        assert self.rerun() == 2
        error = capsys.readouterr().err
        assert "was painted from 'mine.py'" in error
        assert "give it by --model" in error

    def test_a_given_file_keeps_the_recorded_layers_and_a_changed_one_is_noted(self, folder, capsys):
        assert stylize("--trust", "--quiet", "--style-layers", "3") == 0
        assert self.rerun("--model", "nets/mine.py:make") == 0
        assert json.loads(read_recipe_json(folder / "again.png"))["recipe"]["style_layers"] == {"3": 1.0}
        assert "the picture will differ" not in capsys.readouterr().err
        with Path("nets/mine.py").open("a") as file:
            file.write("# changed\n")
        assert self.rerun("--model", "nets/mine.py:make", "--overwrite") == 0
        assert "is not the mine.py of out.png; the picture will differ" in capsys.readouterr().err

    def test_another_model_takes_its_own_layers(self, folder):
        assert stylize("--trust", "--quiet") == 0
        assert self.rerun("--model", "compact", "--quiet") == 0
        assert "relu1_1" in json.loads(read_recipe_json(folder / "again.png"))["recipe"]["style_layers"]


class TestInspect:
    def test_it_lists_layers_and_a_recipe_that_works(self, folder, capsys):
        assert main(["models", "inspect", "nets/mine.py:make", "--trust"]) == 0
        listing, _, recipe = capsys.readouterr().out.partition("# A recipe to start from")
        assert [line.split() for line in listing.splitlines()[1:4]] == [
            ["1", "8", "0"],
            ["1", "8", "1"],
            ["2", "8", "2"],
        ]
        assert "RGB in 0–1, minus (0.5, 0.5, 0.5)" in listing
        (folder / "recipe.toml").write_text(recipe.partition("\n")[2], encoding="utf-8")
        assert stylize("--trust", "--quiet", "--recipe", "recipe.toml") == 0

    def test_it_shows_impastos_own_encoders_too(self, capsys):
        assert main(["models", "inspect", "compact"]) == 0
        assert "relu5_1" in capsys.readouterr().out

    def test_it_asks_for_trust(self, folder, capsys):
        assert main(["models", "inspect", "nets/mine.py:make"]) == 2
        assert "allow it by --trust" in capsys.readouterr().err


@pytest.fixture
def squeezenet(weights_dir):
    if not (weights_dir / "squeezenet1_1.safetensors").is_file():
        pytest.skip("squeezenet1_1.safetensors is not there")
    return build_encoder(SQUEEZENET, trust=True, pooling="average")


def test_squeezenet_declares_its_layers_and_answers_to_patterns(squeezenet):
    assert squeezenet.style_layers.keys() == {f"features.{index}" for index in (1, 3, 4, 6, 7)}
    assert list(squeezenet.expand_layers({"features.*.expand3x3": 1}))[:2] == [
        "features.3.expand3x3", "features.4.expand3x3",
    ]  # fmt: skip


@pytest.mark.slow
def test_squeezenet_paints_in_the_style_from_one_command(squeezenet, tmp_path):
    content, style, out = EXAMPLES / "content" / "chelsea.jpg", EXAMPLES / "style" / "oil.jpg", tmp_path / "out.png"
    command = ["stylize", str(content), str(style), "--model", SQUEEZENET, "--trust", "--pooling", "average"]
    command += ["--look", "classic"]
    assert main([*command, "--height", "160", "--total-iterations", "90", "-o", str(out), "--quiet"]) == 0
    painted = load_picture(out)
    judge = build_encoder("compact")

    def grams(pixels: torch.Tensor) -> list[torch.Tensor]:
        with torch.no_grad():
            return [gram_matrix(f) for f in judge(pixels, list(judge.style_layers)).values()]

    aims = grams(resize(load_picture(style).pixels, (160, 213)))

    def distance(pixels: torch.Tensor) -> float:
        pairs = zip(grams(pixels), aims, strict=True)
        return sum(((a - b).square().sum() / b.square().sum()).item() for a, b in pairs)

    start = resize(load_picture(content).pixels, painted.size)
    assert distance(painted.pixels) < 0.25 * distance(start)
    assert (painted.pixels - start).abs().mean() < 0.25


def test_a_model_file_imports_its_neighbors_and_those_of_two_folders_do_not_mix(tmp_path: Path) -> None:
    widths = []
    for name, width in (("one", 4), ("two", 6)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "block.py").write_text(f"WIDTH = {width}\n")
        (folder / "net.py").write_text(
            "from torch import nn\nfrom block import WIDTH\n"
            "def make():\n    print('made')\n    return nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.ReLU())\n"
        )
        encoder = build_encoder(f"{folder / 'net.py'}:make", trust=True)
        widths.append(next(iter(encoder.layers.values())).channels)
    assert widths == [4, 6]


def test_what_a_model_file_prints_stays_out_of_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\nprint('loading')\n"
        "def make():\n    print('made')\n    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())\n"
    )
    build_encoder(f"{tmp_path / 'net.py'}:make", trust=True)
    assert capsys.readouterr().out == ""
