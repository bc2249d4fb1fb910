"""Several processes for one picture, as torchrun starts them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from impasto.examples import example_path

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]

COMPARED = """
import json
import torch
from impasto.objective import Objective
from impasto.objective.ranks import sharing_tiles
from impasto.pipeline.ranks import joined_ranks
from impasto.recipe import Recipe
from tests.tiny import TinyEncoder
from tests.unit.objective.test_tiles import picture

with joined_ranks("cpu", {}) as ranks:
    found = {}
    for loss in ("gram", "moments", "histogram", "sliced", "neighbors"):
        recipe = Recipe(look="classic", style_loss=loss, tile_edge=64)
        given = TinyEncoder(), picture(0), [picture(1, (100, 100))], recipe
        with sharing_tiles(ranks):
            shared = Objective(*given, begin=picture(6))
        image = picture(5)
        if ranks.is_leader:
            one, alone = shared.evaluate(image), Objective(*given, begin=picture(6)).evaluate(image)
            gradients = (one.gradient - alone.gradient).norm() / alone.gradient.norm()
            found[loss] = [abs(one.total / alone.total - 1).item(), gradients.item()]
        else:
            kind, shape = ranks.tell(None)
            shared.evaluate(ranks.hand_out(torch.empty(shape)))
    if ranks.is_leader:
        print(json.dumps(found))
    else:
        assert ranks.tell(None) is None
"""


def started(*command: str, cwd: Path, **more: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1", **more}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **pipes)


def stylize(output: Path, *options: str) -> list[str]:
    return [
        "-m", "impasto", "stylize", str(example_path("coffee")), str(example_path("oil")), "--model=compact",
        "--look=classic", "--height=160", "--levels=1", "--saving-interval=0", "-o", str(output), *options,
    ]  # fmt: skip


def test_processes_that_share_tiles_find_the_objective_and_gradient_of_one(tmp_path: Path) -> None:
    script = tmp_path / "compared.py"
    script.write_text(COMPARED, encoding="utf-8")
    process = started(*TORCHRUN, str(script), cwd=tmp_path, PYTHONPATH=str(Path(__file__).parents[2]))
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    found = json.loads(output.splitlines()[-1])
    assert len(found) == 5
    assert all(difference < 1e-5 for differences in found.values() for difference in differences), found


def test_torchrun_paints_one_picture_and_one_process_speaks(tmp_path: Path) -> None:
    process = started(*TORCHRUN, *stylize(tmp_path / "out.png", "--total-iterations=8", "--json"), cwd=tmp_path)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["event"] for event in events].count("done") == 1
    assert events[-1]["iterations"] == 8
    assert (tmp_path / "out.png").is_file()


def test_processes_with_different_recipes_say_so(tmp_path: Path) -> None:
    command = " ".join([sys.executable, *stylize(tmp_path / "out.png")])
    process = started(*TORCHRUN, "--no-python", "bash", "-c", f"{command} --strength=$((40 + RANK))", cwd=tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "impasto: The processes were given different recipes; start all of them by one command." in errors
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_a_process_that_dies_leaves_the_best_picture(tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    options = ("--total-iterations=4000", "--json")
    command = " ".join([sys.executable, *stylize(output, *options)])
    script = tmp_path / "script.sh"
    script.write_text(f"echo $RANK $$ >> pids\n[ $RANK = 0 ] && exec {command} > events\nexec {command}\n")
    process = started(*TORCHRUN, "--no-python", "bash", str(script), cwd=tmp_path)
    events = tmp_path / "events"
    until = time.monotonic() + 120
    while '"iteration": 3,' not in (events.read_text() if events.exists() else "") and time.monotonic() < until:
        time.sleep(0.2)
    pids = dict(line.split() for line in (tmp_path / "pids").read_text().splitlines())
    os.kill(int(pids["1"]), signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert output.is_file(), errors
    assert "Another process of this run was lost. The best picture after" in events.read_text() + errors
