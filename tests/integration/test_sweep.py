"""``impasto sweep`` and ``impasto compare`` as people call them; sweeps that are killed and go on."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto.cli.app import main

QUICK = ["--model=compact", "--look=classic", "--levels=1", "--height=16", "--total-iterations=2"]
"""The bundled encoder, so that these are the real thing, in next to no time."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_WEIGHTS_DIR", str(tmp_path))  # so that no large network judges
    noise = np.random.default_rng(0)
    for name in ("photo.png", "oil.png", "ink.png"):
        Image.fromarray(noise.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(name)
    return tmp_path


def listing() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*"))


def test_a_sweep_and_a_comparison_of_two_of_its_cells(capfd: pytest.CaptureFixture) -> None:
    assert main(["sweep", "photo.png", "oil.png", "--vary", "strength=20,80", *QUICK, "-o", "o"]) == 0
    out, err = capfd.readouterr()
    assert "Cell 2 of 2: strength 80; about " in out
    assert out.endswith("2 of 2 cells painted; see o/report.html.\n")
    assert not err
    cells = ["o/001-strength-20.png", "o/002-strength-80.png"]
    assert main(["compare", *cells, "-o", "c"]) == 0
    out = capfd.readouterr().out
    assert "strength" in out and "ssim to first" in out and "judge style" in out
    assert {path.name for path in Path("c").iterdir()} == {"sheet.png", "results.csv", "results.json", "report.html"}
    assert main(["compare", *cells, "-o", "c"]) == 2
    assert "'c' holds results already; add --overwrite" in capfd.readouterr().err
    assert main(["compare", *cells, "-o", "c", "--overwrite", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["rows"][0]["strength"] == 20


def test_a_cell_is_painted_again_by_rerun() -> None:
    assert main(["sweep", "photo.png", "oil.png", "--vary", "strength=20,80", *QUICK, "-o", "o"]) == 0
    assert main(["rerun", "o/002-strength-80.png", "-o", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("o/002-strength-80.png").read_bytes()


def test_every_content_in_every_style() -> None:
    for name in ("contents", "styles"):
        Path(name).mkdir()
    Path("photo.png").rename("contents/photo.png")
    for name in ("oil.png", "ink.png"):
        Path(name).rename(f"styles/{name}")
    assert main(["sweep", "--contents", "contents", "--styles", "styles", *QUICK, "-o", "o"]) == 0
    assert {path.name for path in Path("o").glob("0*.png")} == {"001-style-ink.png", "002-style-oil.png"}


def test_a_dry_run_states_cells_time_and_memory_and_writes_nothing(capfd: pytest.CaptureFixture) -> None:
    before = listing()
    command = ["sweep", "photo.png", "oil.png", "--vary", "strength=20,80", *QUICK, "--dry-run"]
    assert main(command) == 0
    out = capfd.readouterr().out
    assert out.startswith("sweep: 2 cells, strength; about ") and out.endswith(" of memory.\n")
    assert main([*command, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["num_cells"] == 2
    assert listing() == before


def test_a_failed_cell_makes_the_exit_code_1(capfd: pytest.CaptureFixture) -> None:
    Path("contents").mkdir()
    Path("photo.png").rename("contents/photo.png")
    Path("contents/broken.png").write_bytes(b"no picture")
    assert main(["sweep", "oil.png", "--contents", "contents", *QUICK, "-o", "o"]) == 1
    out, err = capfd.readouterr()
    assert "broken.png" in err
    assert "1 of 2 cells painted, 1 failed" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--vary", "strenght=1,2"], "Unknown option 'strenght'. Did you mean 'strength'?"),
        (["--vary", "strength=10,101"], "strength is '101'; it must be a finite number, at least 0 and at most 100."),
        (["--vary", "strength=10,10"], "strength has the value 10 twice; give each value once."),
        (["--vary", "strength="], "strength has no value to vary over; write for example --vary strength=40."),
        (
            ["--vary", "seed=" + ",".join(map(str, range(10001)))],
            "These are 10,001 cells, more than 10,000; give --yes",
        ),
        (["--vary", "strength=1,2", "--strength=3"], "strength is given and varied; leave one of them away."),
        (["--vary", "strength=1,2", "-o", "o.png"], "'o.png' is a picture's name, and a sweep fills a folder"),
        (["--preset", "tv", "--vary", "strength=1,2"], "--preset says what varies; it goes with neither --vary"),
        (["--contents", "nowhere"], "Cannot read the folder 'nowhere'"),
        (["--contents", ".", "--styles", "."], "'photo.png' is given as a style, and --styles too"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    options: list[str], sentence: str, capfd: pytest.CaptureFixture
) -> None:
    before = listing()
    assert main(["sweep", "photo.png", "oil.png", *QUICK[:-1], *options]) == 2
    out, err = capfd.readouterr()
    assert err.startswith("impasto: ") and sentence in err
    assert err.count("\n") == 1
    assert not out
    assert listing() == before


def test_cells_that_would_overwrite_inputs_and_another_sweep_are_refused(capfd: pytest.CaptureFixture) -> None:
    command = ["sweep", "photo.png", "oil.png", *QUICK, "-o", "o"]
    assert main([*command, "--vary", "strength=20,80"]) == 0
    before = listing()
    capfd.readouterr()
    assert main([*command, "--vary", "strength=20,70"]) == 2
    assert "'o' holds another sweep: strength was 20, 80 and is 20, 70 now." in capfd.readouterr().err
    content = "o/001-strength-20.png"
    assert main(["sweep", content, "oil.png", *QUICK, "-o", "o", "--overwrite", "--vary", "strength=20,80"]) == 2
    assert f"'{content}' is an input of this sweep" in capfd.readouterr().err
    assert listing() == before


def test_no_picture_is_one_sentence(capfd: pytest.CaptureFixture) -> None:
    assert main(["sweep", "--vary", "strength=1,2"]) == 2
    assert "No content picture is given; write: impasto sweep CONTENT STYLE" in capfd.readouterr().err
    assert main(["compare", "photo.png"]) == 2
    assert "give two pictures or more" in capfd.readouterr().err


PROGRAM = """
import sys, torch, impasto.runs.sweep
from tests.tiny import TinyEncoder
torch.set_num_threads(1)
impasto.runs.sweep.encoder_of = lambda *args, **kwargs: TinyEncoder()
from impasto.cli import main
sys.exit(main())
"""

TWELVE = ["--vary", "strength=20,50,80", "--vary", "optimizer=lbfgs,adam", "--vary", "total-iterations=20,40"]


def start(folder: Path, output: str, vary: list[str], *options: str) -> "subprocess.Popen[str]":
    arguments = [
        "sweep", "photo.png", "oil.png", "-o", output, "--height", "24", "--look", "classic", "--levels", "1",
        "--model", "compact", "--checkpoint-every", "0.01", "--json", *vary, *options,
    ]  # fmt: skip
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]") -> list[dict]:
    """Lets a process end, and gives its events."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("0*.png")}


@pytest.mark.slow
def test_a_sweep_that_is_killed_at_any_moment_ends_in_the_same_bytes(folder: Path) -> None:
    """Five times; no finished cell is painted again, and none is lost."""
    chance = random.Random(3)
    finish(start(folder, "whole", TWELVE))
    assert len(digests(folder / "whole")) == 12
    finished: dict[str, int] = {}
    for _ in range(5):
        process = start(folder, "out", TWELVE)
        assert process.stdout is not None
        for _ in range(chance.randrange(5, 120)):
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        there = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("0*.png")}
        assert finished.items() <= there.items()
        finished = there
    events = finish(start(folder, "out", TWELVE))
    there = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("0*.png")}
    assert finished.items() <= there.items()
    assert sum(event["event"] == "cell" for event in events) == 12 - len(finished)
    assert digests(folder / "out") == digests(folder / "whole")
    assert not list((folder / "out").rglob(".impasto-*"))
    assert not list((folder / "out").rglob("checkpoint"))


@pytest.mark.slow
def test_ctrl_c_ends_after_the_iteration_and_writes_the_sheet_of_what_is_there(folder: Path) -> None:
    finish(start(folder, "whole", TWELVE))
    process = start(folder, "out", TWELVE)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "done":
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "impasto: stopping after this iteration; once more ends at once.\n"
    states = [cell["state"] for cell in json.loads((folder / "out" / "results.json").read_text())["cells"]]
    assert "done" in states and "open" in states
    for name in ("sheet.png", "report.html"):
        assert (folder / "out" / name).is_file()
    finish(start(folder, "out", TWELVE))
    assert digests(folder / "out") == digests(folder / "whole")


MEMORY_PROGRAM = """
import json, sys
from pathlib import Path
import psutil, torch
from impasto.recipe import Recipe
from impasto.runs.events import Listener
from impasto.runs.sweep import plan_sweep, run_sweep
from impasto.runs.sweep_plan import variants_of
torch.set_num_threads(1)

class Memory(Listener):
    seen = []
    def cell(self, number, num_all, label, seconds_left):
        self.seen.append(psutil.Process().memory_info().rss)

base = Recipe(look="classic", model="compact", height=64, total_iterations=3)
vary = {"strength": list(range(10, 60, 5)), "seed": list(range(10))}
plan = plan_sweep([Path("photo.png")], [[Path("oil.png")]], base, variants_of(vary, base), Path("o"))
run_sweep(plan, listener=Memory())
seen = Memory.seen
assert len(seen) == 100
print(max(seen[10:]) - seen[10], psutil.Process().memory_info().rss - seen[10])
"""


@pytest.mark.slow
def test_a_hundred_cells_take_hardly_more_memory_than_ten(folder: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    growth, _ = map(int, done.stdout.split())
    assert growth <= 50e6
    with Image.open(folder / "o" / "sheet.png") as sheet:
        assert sheet.width > 1000
