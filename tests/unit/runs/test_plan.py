"""What a run refuses, a plan refuses: before anything is computed, by the same sentence."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.cli.app import main
from impasto.errors import UserError
from impasto.images import resize
from impasto.objective.masks import resize_mask
from impasto.pipeline.level_images import largest_sizes, style_sizes
from impasto.recipe import Recipe, RunOptions
from impasto.runs.plan import plan_run
from impasto.runs.run import run

REFUSALS = {
    "no such mask": ["--lock-mask", "no.png"],
    "black mask": ["--lock-mask", "black.png"],
    "too many masks": ["--content-mask", "c.png", "--content-mask", "c.png"],
    "too many style masks": ["--style-mask", "c.png", "--style-mask", "c.png"],
    "shares for other styles": ["--style-blend", "1,1"],
    "no share at all": ["--style-blend", "0"],
    "scales for other styles": ["--style-scale", "1,2"],
    "regions and masks": ["--auto-mask", "2", "--content-mask", "c.png"],
    "16 bit in a JPEG": ["--bit-depth", "16", "-o", "x.jpg"],
    "too wide for WebP": ["--height", "16400", "-o", "x.webp"],
    "too wide for AVIF": ["--height", "16400", "-o", "x.avif"],
    "too wide for JPEG": ["--height", "43700", "-o", "x.jpg"],
    "smaller copies in a PNG": ["--pyramid", "-o", "x.png"],
    "tiles in the way": ["-o", "taken.dzi"],
    "more than tiles in the way": ["-o", "taken.dzi", "--overwrite"],
    "a format that is not written": ["-o", "x.gif"],
    "a slip in the suffix": ["-o", "x.pgn"],
    "an input in the way": ["-o", "c.png", "--overwrite"],
    "nothing to resume": ["--resume", "-o", "x"],
    "unknown layer": ["--style-layers", "relu9_9"],
    "an empty place": ["-o", ""],
    "a dash": ["-o=-"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").convert("RGB").resize((24, 16)).save("c.png")
    Image.radial_gradient("L").convert("RGB").resize((16, 16)).save("s.png")
    Image.new("L", (8, 8)).save("black.png")
    (tmp_path / "taken_files" / "notes").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("options", REFUSALS.values(), ids=REFUSALS)
def test_a_dry_run_refuses_what_a_run_refuses(options: list[str], folder: Path, capfd: pytest.CaptureFixture) -> None:
    command = ["stylize", "c.png", "s.png", "--model=compact", "--total-iterations=1", "--height=16", "--quiet"]
    command = [word for word in command if not (word == "--height=16" and "--height" in options)]
    before = sorted(folder.iterdir())
    sentences = []
    for how in ([], ["--dry-run"]):
        assert main([*command, *options, *how]) == 2
        sentences.append(capfd.readouterr().err)
    assert sentences[0] == sentences[1]
    assert sentences[0].count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_recipe_that_no_picture_holds_is_refused_before_the_run(folder: Path) -> None:
    changes = [{"iteration": k, "values": {"strength": k % 100 + 0.5, "tv_weight": 1.5}} for k in range(1, 1500)]
    recipe, options = Recipe(model="compact", changes=changes), RunOptions(output_file="x.png")
    sentences = []
    for act in (plan_run, run):
        with pytest.raises(UserError, match=r"^The recipe to embed has \d+ bytes;") as refusal:
            act(Path("c.png"), [Path("s.png")], recipe, options)
        sentences.append(str(refusal.value))
    assert sentences[0] == sentences[1]


@pytest.mark.parametrize("name", ["x/00000.png", "x/losses.csv", "x/final.png", "x/checkpoint"])
@pytest.mark.parametrize("how", [["--overwrite"], []], ids=["overwrite", "beside"])
def test_the_recipes_file_is_never_replaced(name: str, how: list[str], capfd: pytest.CaptureFixture) -> None:
    recipe = Path(name)
    recipe.parent.mkdir()
    recipe.write_text("total_iterations = 1\nheight = 16\nmodel = 'compact'")
    code = main(["stylize", "c.png", "s.png", "--recipe", name, "-o", "x", *how, "--quiet"])
    assert recipe.read_text().startswith("total_iterations = 1")
    if how:
        assert (code, capfd.readouterr().err) == (
            2, f"impasto: '{name}' is an input of this run; choose another name with --output-file.\n",
        )  # fmt: skip
    else:
        assert code == 0


def test_a_small_white_spot_is_a_mask() -> None:
    spot = Image.new("L", (1000, 1000))
    spot.paste(255, (500, 500, 503, 503))
    spot.save("spot.png")
    options = RunOptions(output_file="x.png", lock_mask="spot.png")
    assert plan_run(Path("c.png"), [Path("s.png")], Recipe(), options).inputs.lock_mask is not None


@pytest.mark.parametrize(("width", "is_warned"), [(2000, True), (40, False)])
def test_a_size_far_beyond_the_contents_is_warned_of(
    width: int, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (width, 1), "teal").save("strip.png")
    plan_run(Path("strip.png"), [Path("s.png")], Recipe(height=48), RunOptions(output_file="x.png"))
    sentence = "The output has 96000×48 pixels, an edge 48 times the content's; --size sets its longest edge instead."
    assert (sentence in caplog.messages) is is_warned


@pytest.mark.parametrize(("scale", "is_warned"), [(1, True), (0.5, False)])
def test_a_small_style_image_is_said_to_give_soft_strokes(
    scale: float, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    Image.new("RGB", (30, 20), "teal").save("small.png")
    recipe = Recipe(height=80, style_scale=[scale])
    plan_run(Path("c.png"), [Path("small.png")], recipe, RunOptions(output_file="x.png"))
    assert any("small.png has 30×20 pixels and is used at 4.0 times" in line for line in caplog.messages) is is_warned


class TestLargePictures:
    @pytest.fixture(autouse=True)
    def every_picture_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("impasto.images.load.LARGE_PIXELS", 100)
        Image.linear_gradient("L").convert("RGB").resize((240, 161)).save("c.png")
        Image.radial_gradient("L").convert("RGB").resize((170, 160)).save("s.png")

    @pytest.mark.parametrize("values", [
        {"height": 16}, {"height": 33}, {"size": 50}, {"height": 33, "tileable": True}, {"height": 161},
        {"height": 400}, {"height": 20, "auto_mask": 2}, {"height": 20, "init_method": "style"},
        {"height": 20, "style_scale": [0.5]}, {"height": 20, "style_scale": [2.0]},
    ], ids=str)  # fmt: skip
    def test_they_are_read_at_the_size_that_the_run_needs(
        self, values: dict[str, object], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe, options = Recipe(model="compact", **values), RunOptions(output_file=Path("out.png"))
        small = plan_run(Path("c.png"), [Path("s.png")], recipe, options)
        monkeypatch.setattr("impasto.images.load.LARGE_PIXELS", 10**9)
        whole = plan_run(Path("c.png"), [Path("s.png")], recipe, options)
        assert small.size == whole.size
        sizes = [[plan.inputs.styles[0].size] for plan in (small, whole)]
        assert style_sizes(sizes[0], small.size, recipe) == style_sizes(sizes[1], small.size, recipe)
        content, styles = largest_sizes(whole.inputs.content.size, sizes[1], whole.size, recipe)
        for picture, own, needed in (
            (small.inputs.content, whole.inputs.content, content),
            (small.inputs.styles[0], whole.inputs.styles[0], styles[0]),
        ):
            if math.prod(needed) < math.prod(own.size):
                assert (picture.pixels - resize(own.pixels, picture.size)).abs().max() < 1e-5
                assert math.prod(needed) <= math.prod(picture.size) < math.prod(own.size)
            else:
                assert picture.size == own.size
            assert picture.sha256 == own.sha256

    def test_masks_are_read_at_the_size_of_their_pictures(self) -> None:
        Image.linear_gradient("L").resize((300, 200)).save("m.png")
        options = RunOptions(
            output_file=Path("out.png"), content_mask=[Path("m.png")], style_mask=[Path("m.png")],
            lock_mask=Path("m.png"),
        )  # fmt: skip
        plan = plan_run(Path("c.png"), [Path("s.png")], Recipe(model="compact", height=16), options)
        inputs = plan.inputs
        mask = torch.from_numpy(np.asarray(Image.open("m.png")) / np.float32(255))[None, None]
        for small, size in (
            (inputs.content_masks[0], inputs.content.size),
            (inputs.style_masks[0], inputs.styles[0].size),
            (inputs.lock_mask, inputs.content.size),
        ):
            assert small is not None
            assert small.size == size
            assert (small.pixels[:, :1] - resize_mask(mask, size)).abs().max() < 1e-5
