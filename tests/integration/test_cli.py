"""The command line as people and scripts use it, with a tiny encoder in the real one's place."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import impasto.encoders
from impasto.cli import main
from impasto.images import WRITABLE_SUFFIXES, load_picture
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder

SMALL = ["--height", "24", "--total-iterations", "4"]

WEIGHTS_SHA256 = "89ab"

PROGRAM = """
import sys, impasto.encoders
from tests.tiny import TinyEncoder
impasto.encoders.build_encoder = lambda *args, **kwargs: TinyEncoder()
from impasto.cli import main
sys.exit(main())
"""
"""The command line in a process of its own, where signals and closed streams are real."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with two contents and two styles."""
    noise = np.random.default_rng(0)
    for name in ("photo.png", "photo2.jpg", "oil.png", "ink.png"):
        Image.fromarray(noise.integers(0, 256, (36, 48, 3), dtype=np.uint8)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def builds(monkeypatch) -> list[str]:
    """Puts the tiny encoder in place of all others; the list of models that were asked for."""
    asked: list[str] = []

    def build(name: str, **_: object) -> TinyEncoder:
        asked.append(name)
        encoder = TinyEncoder()
        encoder.weights_sha256 = WEIGHTS_SHA256
        return encoder

    monkeypatch.setattr(impasto.encoders, "build_encoder", build)
    monkeypatch.setattr("impasto.encoders.weights.store.describe", lambda _: SimpleNamespace(sha256=WEIGHTS_SHA256))
    # Not by the module's dotted name, under which the package shows its function.
    monkeypatch.setattr(importlib.import_module("impasto.pipeline.build"), "build_encoder", build)
    monkeypatch.setattr(importlib.import_module("impasto.pipeline.estimate"), "outline_encoder", lambda *_, **__: None)
    return asked


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they give where pictures are this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def start(*arguments: str, **options: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


class TestStylize:
    def test_pictures_by_position(self, folder, capsys):
        assert main(["stylize", "photo.png", "oil.png", "ink.png", "-o", "out.png", *SMALL]) == 0
        out = capsys.readouterr().out
        assert out.startswith(
            "Painting photo.png in the style of oil.png, ink.png: compact, finished by vgg19, lbfgs, 4 iterations, "
        )
        assert out.splitlines()[-1].startswith("Saved out.png (32×24) after 4 iterations in ")
        assert load_picture("out.png").size == (24, 32)

    @pytest.mark.parametrize(
        "pictures",
        [
            ["--content-image-path", "photo.png", "--style-image-path", "oil.png", "--style-image-path", "ink.png"],
            ["--content-image-path", "photo.png", "--style-image-path", "oil.png", "ink.png"],
            ["--content-image-path", "photo.png", "oil.png", "ink.png"],
            ["photo.png", "--style-image-path", "oil.png", "--style-image-path", "ink.png"],
        ],
    )
    def test_pictures_by_name_give_the_same(self, pictures, folder):
        assert main(["stylize", "photo.png", "oil.png", "ink.png", "-o", "a.png", *SMALL]) == 0
        assert main(["stylize", *pictures, "-o", "b.png", *SMALL]) == 0
        assert torch.equal(load_picture("a.png").pixels, load_picture("b.png").pixels)

    def test_the_default_output_is_a_folder_that_takes_many_runs(self, folder):
        for _ in range(2):
            assert main(["stylize", "photo.png", "oil.png", *SMALL]) == 0
        assert {path.name for path in (folder / "output_image").iterdir()} == {
            "00000.png", "losses.csv", "checkpoint", "final.png",
            "00000-2.png", "losses-2.csv", "checkpoint-2", "final-2.png",
        }  # fmt: skip

    def test_options_override_the_recipe_file(self, folder):
        (folder / "recipe.toml").write_text(Recipe(height=24, total_iterations=9, tv_weight=0).to_toml())
        arguments = ["stylize", "photo.png", "oil.png", "--recipe", "recipe.toml", "--total-iterations", "2"]
        assert main([*arguments, "-o", "out.png", "--quiet"]) == 0
        lines = (folder / "out" / "losses.csv").read_text().splitlines()
        assert len(lines) == 3

    def test_a_script_reads_events(self, folder, capsys):
        assert main(["stylize", "photo.png", "oil.png", "-o", "out.png", "--seed", "3", "--json", *SMALL]) == 0
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        names = [event["event"] for event in events]
        assert names == ["warning", "start", "saved", *["progress"] * 5, "done"]
        assert events[-1]["path"] == "out.png"

    def test_quiet_is_quiet(self, folder, capsys):
        assert main(["stylize", "photo.png", "oil.png", "-o", "out.png", "--seed", "3", "--quiet", *SMALL]) == 0
        assert capsys.readouterr() == ("", "")

    def test_an_option_without_effect_warns_once(self, folder, capsys):
        assert main(["stylize", "photo.png", "oil.png", "-o", "out.png", "--seed", "3", *SMALL]) == 0
        err = capsys.readouterr().err
        assert err == "impasto: warning: seed has no effect: init_method is content, which draws no noise.\n"

    def test_a_plot_lies_beside_the_losses(self, folder):
        assert main(["stylize", "photo.png", "oil.png", "-o", "out.png", "--plot", *SMALL]) == 0
        assert (folder / "out" / "losses.png").exists()


class TestDryRun:
    ARGUMENTS = ("stylize", "photo.png", "oil.png", "--dry-run", "--height", "300", "--total-iterations", "9")

    def test_it_prints_levels_time_memory_and_a_recipe_and_writes_nothing(self, folder, capsys):
        before = sorted(folder.rglob("*"))
        assert main([*self.ARGUMENTS, "--look", "classic", "--levels", "2", "--tv-weight", "0.5"]) == 0
        assert sorted(folder.rglob("*")) == before
        out = capsys.readouterr().out
        lines = out.splitlines()
        assert lines[0] == "# photo.png in the style of oil.png, to output_image/final.png"
        assert lines[1:3] == ["# level 1: 200×150, 4 iterations", "# level 2: 400×300, 5 iterations"]
        assert re.fullmatch(r"# about .+ and \d+ MB of memory", lines[3])
        (folder / "recipe.toml").write_text(out, encoding="utf-8")
        recipe = Recipe.from_file("recipe.toml")
        assert (recipe.height, recipe.tv_weight, recipe.total_iterations) == (300, 0.5, 9)
        assert recipe.content_layers == {"relu2_2": 1.0}

    def test_for_scripts_it_is_json_line_by_line(self, folder, capsys):
        assert main([*self.ARGUMENTS, "--json"]) == 0
        warning, plan = map(json.loads, capsys.readouterr().out.splitlines())
        assert (warning["event"], "soft" in warning["message"]) == ("warning", True)
        assert (plan["event"], plan["path"]) == ("plan", "output_image/final.png")
        assert plan["levels"][-1]["size"] == [300, 400]
        assert plan["peak_bytes"] > 300 * 400 * 12 and plan["seconds"] >= 0

    def test_what_a_run_would_refuse_is_refused(self, folder, capsys):
        (folder / "out.png").touch()
        assert main([*self.ARGUMENTS, "-o", "out.png"]) == 2
        assert "'out.png' exists; add --overwrite to replace it" in capsys.readouterr().err


class TestModels:
    def test_each_encoder_is_listed(self, folder, capsys, monkeypatch):
        from impasto.encoders.weights.store import WeightsInfo

        def describe(name: str) -> WeightsInfo:
            if name == "vgg16":
                return WeightsInfo(name, "network", None, "https://example.org/vgg16.pth", None, None)
            return WeightsInfo(name, "cache", folder / f"{name}.safetensors", "", 1_500_000, "0123")

        monkeypatch.setattr("impasto.encoders.weights.store.describe", describe)
        assert main(["models", "list"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"vgg19: {folder}/vgg19.safetensors (cache, 1.5 MB, SHA-256 0123)",
            "vgg16: not on this machine; comes from https://example.org/vgg16.pth",
            f"compact: {folder}/compact.safetensors (cache, 1.5 MB, SHA-256 0123)",
        ]

    def test_the_bundled_encoder_is_whole(self, capsys, monkeypatch):
        monkeypatch.undo()
        assert main(["models", "verify", "compact"]) == 0
        assert "compact: whole" in capsys.readouterr().out

    def test_weights_that_are_nowhere_fail_the_check(self, folder, capsys, monkeypatch):
        monkeypatch.undo()
        monkeypatch.setenv("IMPASTO_CACHE_DIR", str(folder))
        monkeypatch.delenv("IMPASTO_WEIGHTS_DIR", raising=False)
        assert main(["models", "verify", "vgg16"]) == 1
        assert "The weights of vgg16 are not on this machine: " in capsys.readouterr().err

    def test_without_a_network_a_download_fails_in_one_sentence(self, folder, capsys, monkeypatch):
        monkeypatch.undo()
        monkeypatch.setenv("IMPASTO_CACHE_DIR", str(folder))
        monkeypatch.delenv("IMPASTO_WEIGHTS_DIR", raising=False)
        monkeypatch.setenv("IMPASTO_WEIGHTS_URL", (folder / "none").as_uri())
        assert main(["models", "download", "vgg16"]) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "use --model compact" in err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["stylise"], 'Unknown command "stylise". Did you mean "stylize"?'),
            (["stylize"], "No content picture is given"),
            (["stylize", "photo.png"], "No style picture is given"),
            (["stylize", "--style-image-path", "oil.png"], "No content picture is given"),
            (["stylize", "", "oil.png"], "A path is empty;"),
            (["stylize", "photo.png", "oil.png", "--style-image-path="], "A path is empty;"),
            (["stylize", "photo.png", "oil.png", "--recipe", ""], "A path is empty;"),
            (["rerun", ""], "A path is empty;"),
            (["stylize", "a" * 300, "oil.png"], "Cannot read the picture"),
            (["stylize", "photo.png", "a" * 300], "Cannot read the picture"),
            (["stylize", "photo.png", "oil.png", "-o", f"{'a' * 300}.pgn"], "Did you mean '.png'?"),
            (["stylize", "none.png", "oil.png"], "There is no picture 'none.png'. Check the path."),
            (["stylize", "photo.png", "none.png"], "There is no picture 'none.png'. Check the path."),
            (["stylize", "photo.png", "text.png"], "'text.png' is not a readable image. Readable formats: JPEG, PNG"),
            (["stylize", "photo.png", "empty.png"], "'empty.png' is empty (0 bytes), a picture file is needed."),
            (
                ["stylize", "photo.png", "cut.png"],
                "'cut.png' is a PNG file that is damaged, truncated or of an unknown kind",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--content-weight", "-1"],
                "--content-weight is '-1'; it must be a finite number, at least 0.",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--style-weight", "nan"],
                "--style-weight is 'nan'; it must be a finite number, at least 0.",
            ),
            (["stylize", "photo.png", "oil.png", "--stile-weight", "1"], "Did you mean --style-weight?"),
            (
                ["stylize", "photo.png", "oil.png", "--model", "vgg20"],
                "--model is 'vgg20'; it must be one of vgg19, vgg16, compact",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--style-layers", "relu9_9"],
                "Unknown layer 'relu9_9' of tiny. Did you mean 'relu",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--recipe", "none.toml"],
                "Cannot read the recipe 'none.toml': No such file or directory.",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--device", "cuda:99"],
                "Device 'cuda:99' is not available here; use --device",
            ),
            (
                ["stylize", "photo.png", "oil.png", "--device", "gpu"],
                "--device is 'gpu'; it must be auto, cpu, mps, cuda or xpu",
            ),
            (
                ["stylize", "photo.png", "oil.png", "-o", "out.xcf.gif"],
                "'out.xcf.gif' has the suffix '.gif', which names no format",
            ),
            (
                ["stylize", "photo.png", "oil.png", "-o", "oil.png"],
                "'oil.png' is an input of this run; choose another name",
            ),
            (["stylize", "photo.png", "oil.png", "-o", "text.png/out.png"], "Cannot write 'text.png/out.png': "),
            (
                ["stylize", "photo.png", "oil.png", "--max-pixels", "10"],
                "'photo.png' has 48×36 pixels; at most 10 are allowed.",
            ),
            (["rerun", "photo.png"], "'photo.png' holds no recipe: it is not a picture that Impasto wrote"),
            (["rerun"], "PICTURE requires an argument"),
            (["stylize", "-photo.png", "oil.png"], "If '-photo.png' is a file, write ./-photo.png."),
            (["models", "verfy"], 'Did you mean "verify"?'),
        ],
    )
    def test_each_is_one_sentence_and_exit_code_2(self, arguments, sentence, folder, capsys):
        (folder / "text.png").write_text("no picture")
        (folder / "empty.png").touch()
        (folder / "cut.png").write_bytes((folder / "photo.png").read_bytes()[:2000])
        before = sorted(folder.rglob("*"))
        assert main([*arguments, *(SMALL if arguments[0] == "stylize" else [])]) == 2
        out, err = capsys.readouterr()
        assert sentence in err
        assert err.count("\n") == 1 and out == ""
        assert "Traceback" not in err
        assert sorted(folder.rglob("*")) == before, "nothing is left behind"

    def test_an_unwritable_folder(self, folder, capsys):
        (folder / "locked").mkdir(mode=0o500)
        if os.access(folder / "locked", os.W_OK):
            pytest.skip("this user may write anywhere")
        assert main(["stylize", "photo.png", "oil.png", "-o", "locked/out.png", *SMALL]) == 2
        assert "Cannot write 'locked/out.png': Permission denied in " in capsys.readouterr().err

    def test_an_earlier_picture_is_replaced_only_when_asked(self, folder, capsys):
        arguments = ["stylize", "photo.png", "oil.png", "-o", "out.png", *SMALL]
        (folder / "out.png").write_bytes(b"dear")
        assert main(arguments) == 2
        assert "'out.png' exists; add --overwrite to replace it" in capsys.readouterr().err
        assert (folder / "out.png").read_bytes() == b"dear"
        assert main([*arguments, "--overwrite"]) == 0
        assert load_picture("out.png").size == (24, 32)

    def test_weights_that_are_nowhere_are_a_failure(self, folder, capsys, monkeypatch):
        from impasto.errors import WeightsError

        def build(*_: object, **__: object) -> TinyEncoder:
            raise WeightsError("No weights. Use --model compact.")

        monkeypatch.setattr(importlib.import_module("impasto.pipeline.build"), "build_encoder", build)
        assert main(["stylize", "photo.png", "oil.png", "-o", "out.png", *SMALL]) == 1
        assert capsys.readouterr().err == "impasto: No weights. Use --model compact.\n"
        assert not (folder / "out").exists()


class TestBatch:
    @pytest.fixture
    def photos(self, folder) -> Path:
        (folder / "photos").mkdir()
        for name in ("photo.png", "photo2.jpg", "ink.png"):
            (folder / name).rename(folder / "photos" / name)
        (folder / "photos" / "notes.txt").touch()
        return folder / "photos"

    def test_every_picture_of_a_folder_with_one_encoder(self, photos, folder, capsys, builds):
        options = ["--saving-interval", "0", "--accelerate", "off", *SMALL]
        assert main(["stylize", "photos", "oil.png", "-o", "out", *options]) == 0
        assert {path.name for path in (folder / "out").iterdir()} == {"photo.png", "photo2.png", "ink.png"}
        assert capsys.readouterr().out.splitlines()[-1] == "3 of 3 pictures painted."
        assert builds == ["vgg19"]

    def test_it_goes_on_after_a_bad_file(self, photos, folder, capsys):
        (photos / "photo.png").write_bytes(b"bad")
        assert main(["stylize", "photos", "oil.png", "-o", "out", "--saving-interval", "0", *SMALL]) == 2
        assert {path.name for path in (folder / "out").iterdir()} == {"photo2.png", "ink.png"}
        out, err = capsys.readouterr()
        assert "'photos/photo.png' is not a readable image." in err and err.count("\n") == 2
        assert out.splitlines()[-1] == "2 of 3 pictures painted."

    def test_a_failure_that_is_not_the_users_is_exit_code_1(self, photos, folder, monkeypatch):
        from impasto.errors import OutOfMemoryError

        (photos / "ink.png").write_bytes(b"bad")

        def fail(*_: object, **__: object) -> None:
            raise OutOfMemoryError("Too large.")

        monkeypatch.setattr("impasto.runs.run.save_picture", fail)
        assert main(["stylize", "photos", "oil.png", "-o", "out", "--saving-interval", "0", *SMALL]) == 1

    def test_a_second_batch_keeps_the_first(self, photos, folder):
        for _ in range(2):
            assert main(["stylize", "photos", "oil.png", "-o", "out", "--saving-interval", "0", *SMALL]) == 0
        assert {"ink.png", "ink-2.png"} < {path.name for path in (folder / "out").iterdir()}

    def test_pictures_that_differ_in_their_suffix_alone_stay_apart(self, photos, folder):
        Image.open(photos / "photo.png").save(photos / "photo.bmp")
        assert main(["stylize", "photos", "oil.png", "-o", "out", "--saving-interval", "0", *SMALL]) == 0
        assert {"photo-png.png", "photo-bmp.png"} < {path.name for path in (folder / "out").iterdir()}

    @pytest.mark.parametrize(("content", "output"), [("photos", "out.png"), ("nothing", "out")])
    def test_what_cannot_be_a_batch(self, content, output, photos, folder, capsys):
        (folder / "nothing").mkdir()
        assert main(["stylize", content, "oil.png", "-o", output, *SMALL]) == 2
        assert capsys.readouterr().err.count("\n") == 1


class TestRerun:
    @pytest.fixture
    def painted(self, folder) -> Path:
        assert (
            main(["stylize", "photo.png", "oil.png", "-o", "out/painted.png", "--init-method", "random", *SMALL]) == 0
        )
        return folder / "out" / "painted.png"

    def assert_same(self, one: Path, other: Path) -> None:
        assert torch.equal(load_picture(one).pixels, load_picture(other).pixels)

    def test_it_gives_the_same_picture(self, painted, folder, capsys):
        assert main(["rerun", "out/painted.png", "-o", "again.png"]) == 0
        self.assert_same(painted, folder / "again.png")
        assert capsys.readouterr().err == ""

    @pytest.mark.parametrize("suffix", sorted(WRITABLE_SUFFIXES))
    def test_it_gives_the_same_pixels_in_every_format(self, suffix, folder):
        """The recipe is read back from each format; the second file's pixels are the first one's, byte for byte."""
        first, second = f"first{suffix}", f"second{suffix}"
        assert main(["stylize", "photo.png", "oil.png", "-o", first, "--bit-depth", "auto", *SMALL]) == 0
        assert main(["rerun", first, "-o", second]) == 0
        if suffix == ".dzi":  # which is many files
            tiles, others = (sorted((folder / f"{name}_files").rglob("*.*")) for name in ("first", "second"))
            assert [tile.read_bytes() for tile in tiles] == [tile.read_bytes() for tile in others]
        else:
            self.assert_same(folder / first, folder / second)

    def test_renamed_inputs_beside_the_picture_are_known_by_their_hash(self, painted, folder):
        (folder / "photo.png").rename(folder / "out" / "renamed.png")
        assert main(["rerun", "out/painted.png", "-o", "again.png"]) == 0
        self.assert_same(painted, folder / "again.png")

    def test_a_missing_input_is_named(self, painted, folder, capsys):
        (folder / "oil.png").unlink()
        assert main(["rerun", "out/painted.png", "-o", "again.png"]) == 2
        err = capsys.readouterr().err
        assert "'oil.png', and it is not there" in err and "--style-image-path" in err

    def test_an_input_that_has_changed_is_told_from_the_recorded_one(self, painted, folder, capsys):
        (folder / "ink.png").replace(folder / "oil.png")
        assert main(["rerun", "out/painted.png", "-o", "again.png"]) == 2
        assert "'oil.png' has other content" in capsys.readouterr().err

    def test_another_input_may_be_given_and_warns(self, painted, folder, capsys):
        assert main(["rerun", "out/painted.png", "-o", "again.png", "--style-image-path", "ink.png"]) == 0
        assert "ink.png is not the oil.png" in capsys.readouterr().err

    def test_options_override_the_recorded_recipe(self, painted, folder):
        assert main(["rerun", "out/painted.png", "-o", "again.png", "--height", "12"]) == 0
        assert load_picture("again.png").size == (12, 16)

    def test_other_weights_warn(self, painted, folder, capsys, monkeypatch):
        monkeypatch.setattr("impasto.encoders.weights.store.describe", lambda _: SimpleNamespace(sha256="0123"))
        assert main(["rerun", "out/painted.png", "-o", "again.png"]) == 0
        assert capsys.readouterr().err.startswith("impasto: warning: the weights of compact differ")


class TestProcess:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_stops_the_run_and_keeps_the_best_picture(self, number, code, folder):
        run = start("stylize", "photo.png", "oil.png", "-o", "out.png", "--json", "--total-iterations", "1000000")
        assert run.stdout is not None
        for line in run.stdout:
            if json.loads(line).get("iteration", 0) >= 3:
                break
        run.send_signal(number)
        out, err = run.communicate(timeout=60)
        assert run.returncode == code
        assert json.loads(out.splitlines()[-1])["stop_reason"] == "stopped"
        assert err.count("\n") == 1 and "Traceback" not in err
        assert load_picture("out.png").size == (400, 533)
        assert {path.name for path in (folder / "out").iterdir()} == {"00000.png", "checkpoint", "losses.csv"}

    def test_a_closed_pipe_does_not_cost_the_picture(self, folder):
        run = start("stylize", "photo.png", "oil.png", "-o", "out.png", *SMALL)
        assert run.stdout is not None and run.stderr is not None
        run.stdout.close()
        assert run.wait(60) == 0
        assert run.stderr.read() == ""
        assert load_picture("out.png").size == (24, 32)
        run.stderr.close()

    @pytest.mark.parametrize("options", [(), ("--dry-run",)])
    def test_what_a_model_prints_never_enters_the_events(self, options, folder):
        (folder / "net.py").write_text(
            "import os, subprocess, sys\nfrom torch import nn\n"
            "def net():\n    print('by Python'); os.write(1, b'by the system\\n')\n"
            "    subprocess.run([sys.executable, '-c', 'print(\"by a child\")'])\n"
            "    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())\n"
        )
        arguments = ("photo.png", "oil.png", "--model", "net.py:net", "--trust", "--json", "-o", "out.png")
        run = self.module("stylize", *arguments, *SMALL, *options)
        assert run.returncode == 0
        last = json.loads(run.stdout.splitlines()[-1])
        assert last["event"] == ("plan" if options else "done")
        assert all("event" in json.loads(line) for line in run.stdout.splitlines())
        assert {"by Python", "by the system", "by a child"} <= set(run.stderr.splitlines())

    def test_help_into_a_closed_pipe_is_no_traceback(self):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing) as pipe:
            run = self.module("stylize", "--help", stdout=pipe)
        assert run.stderr == ""

    def test_a_terminal_without_the_characters_shows_escapes(self):
        run = self.module("stylize", "--help", PYTHONIOENCODING="ascii")
        assert run.returncode == 0
        assert "\\u2026" in run.stdout

    def test_the_package_runs_as_a_module(self):
        assert self.module("--version").stdout.strip() == impasto.__version__

    def module(self, *arguments: str, stdout: object = subprocess.PIPE, **variables: str):
        return subprocess.run(
            [sys.executable, "-m", "impasto", *arguments], env=environment() | variables,
            stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
