"""Runs that are killed, as by a power cut, and go on: real processes, real signals."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOTAL = 120

PROGRAM = """
import sys, torch, impasto.encoders
from tests.tiny import TinyEncoder
torch.set_num_threads(1)
impasto.encoders.build_encoder = lambda *args, **kwargs: TinyEncoder()
from impasto.cli import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def hangup_is_not_ignored() -> Iterator[None]:
    """As in a terminal, whatever started the tests: under nohup, processes ignore SIGHUP and pass that on."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def folder(tmp_path) -> Path:
    noise = np.random.default_rng(0)
    for name in ("photo.png", "oil.png"):
        Image.fromarray(noise.integers(0, 256, (36, 48, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def start(folder: Path, output: str, *options: str) -> "subprocess.Popen[str]":
    arguments = [
        "stylize", "photo.png", "oil.png", "-o", output, "--height", "32", "--levels", "2", "--json",
        "--total-iterations", str(TOTAL), "--checkpoint-every", "0.01", *options,
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: "subprocess.Popen[str]", folder: Path) -> bytes:
    """Lets a process end and gives the picture that it says it saved."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return (folder / json.loads(out.splitlines()[-1])["path"]).read_bytes()


def kill(process: "subprocess.Popen[str]", chance: random.Random) -> None:
    """Ends a process at a random moment of its run, in the middle of whatever it does."""
    assert process.stdout is not None
    last = chance.randrange(TOTAL)
    for line in process.stdout:
        if json.loads(line).get("iteration", -1) >= last:
            break
    time.sleep(chance.uniform(0, 0.02))
    process.send_signal(signal.SIGKILL)
    process.communicate()


def resume(folder: Path, output: str) -> "subprocess.Popen[str]":
    """What a person does: resumes, or starts anew if the run died before its first checkpoint."""
    return start(folder, output, *(["--resume"] if (folder / output / "checkpoint").exists() else []))


def losses(folder: Path, output: str) -> list[list[str]]:
    with (folder / output / "losses.csv").open(newline="") as stream:
        return [row[:-1] for row in csv.reader(stream)]  # without the seconds


@pytest.mark.parametrize(
    "options",
    [
        ("--look", "classic"),
        ("--look", "neighbors", "--min-size", "16"),
        pytest.param(("--look", "classic", "--optimizer", "adam"), marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_killed_again_and_again_ends_in_the_same_bytes(options, folder):
    chance = random.Random(1)
    whole = finish(start(folder, "whole", *options), folder)
    kill(start(folder, "out", *options), chance)
    for _ in range(2):
        kill(start(folder, "out", *options, "--resume"), chance)
    assert finish(start(folder, "out", *options, "--resume"), folder) == whole
    assert losses(folder, "out") == losses(folder, "whole")
    assert not list((folder / "out").glob(".*"))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow)]
)
def test_a_run_that_is_asked_to_end_keeps_its_picture_and_goes_on_later(number, code, folder):
    process = start(folder, "out")
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("iteration", -1) >= 30:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (code, "impasto: stopping after this iteration; once more ends at once.\n")
    done = json.loads(out.splitlines()[-1])
    assert done["stop_reason"] == "stopped"
    assert (folder / done["path"]).is_file()
    assert finish(start(folder, "out", "--resume"), folder) == finish(start(folder, "whole"), folder)


@pytest.mark.slow
def test_a_disk_that_is_full_costs_neither_the_run_nor_the_picture(folder):
    """A disk of 40 kB takes the first pictures in between, but no checkpoint and not the result."""
    disk = folder / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", disk], capture_output=True, check=False
    )  # fmt: skip
    if mount.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        process = start(folder, "disk/out.png", "--saving-interval", "1")
        _, err = process.communicate(timeout=120)
    finally:
        subprocess.run(["umount", disk], check=True)
    assert process.returncode == 1
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert "No space left on device" in last and "The finished picture is in '" in last
    refuge = Path(last.partition("picture is in '")[2].partition("'")[0])
    with Image.open(refuge) as picture:
        assert picture.height == 32
    refuge.unlink()


@pytest.mark.slow
def test_runs_killed_at_twenty_random_moments_end_in_the_same_bytes(folder):
    chance = random.Random(2)
    whole = finish(start(folder, "whole"), folder)
    for number in range(20):
        kill(start(folder, f"out{number}"), chance)
        assert finish(resume(folder, f"out{number}"), folder) == whole
        assert losses(folder, f"out{number}") == losses(folder, "whole")
