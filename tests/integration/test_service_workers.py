"""The service's worker processes: lost, replaced, ended in order."""

import os
import signal
import time

import pytest

from impasto.cli import main
from impasto.examples import example_path
from impasto.images import load_picture
from impasto.recipe import Recipe
from impasto.service.core import Core
from impasto.service.jobs.records import JobInputs, NewJob
from impasto.service.jobs.states import State
from impasto.service.supervisor import Supervisor
from tests.service import settings_for

LONG = 1_000_000
"""Iterations that no test waits for; L-BFGS would end by itself where nothing is left to gain."""

PATIENCE = 180


@pytest.fixture
def core(tmp_path):
    core = Core.open(settings_for(tmp_path / "data", threads=1, checkpoint_seconds=0.2))
    yield core
    core.close()


@pytest.fixture
def supervisor(core):
    supervisor = Supervisor(core)
    supervisor.start()
    yield supervisor
    supervisor.stop()


def order(core, iterations):
    recipe = Recipe(model="compact", height=32, total_iterations=iterations, optimizer="adam")
    inputs = JobInputs(content="example:coffee", styles=["example:oil"])
    return core.desk.create("ann", NewJob(inputs=inputs, recipe=recipe, saving_interval=0))[0].id


def wait(core, job_id, condition):
    until = time.monotonic() + PATIENCE
    while not condition(job := core.desk.get(None, job_id)):
        assert time.monotonic() < until, job
        time.sleep(0.05)
    return job


def changed(job):
    """What was changed on the way."""
    return {name for change in job.changes for name in change["values"]}


def test_jobs_outlive_their_worker_and_are_handed_back_in_order(core, supervisor):
    short, long = order(core, 4), order(core, LONG)
    assert wait(core, short, lambda job: job.is_ended).state is State.DONE
    before = wait(core, long, lambda job: "checkpoint" in job.artifacts)
    os.kill(supervisor.pids[0], signal.SIGKILL)
    after = wait(core, long, lambda job: job.attempt == 2 and job.iteration > before.iteration)
    assert after.state is State.RUNNING
    core.desk.pause("ann", long)
    paused = wait(core, long, lambda job: job.state is State.PAUSED)
    assert paused.worker is None
    core.desk.resume("ann", long)
    wait(core, long, lambda job: job.attempt == 3 and job.state is State.RUNNING)
    supervisor.stop()
    waiting = core.desk.get(None, long)
    assert (waiting.state, waiting.worker) == (State.QUEUED, None)
    assert core.artifacts.exists(waiting.artifacts["checkpoint"])
    assert supervisor.pids == []


@pytest.mark.slow
def test_a_job_that_was_changed_and_lost_its_worker_is_painted_again_to_the_same_pixels(core, supervisor, tmp_path):
    job_id = order(core, LONG)
    wait(core, job_id, lambda job: job.iteration > 2)
    core.desk.change("ann", job_id, {"strength": 80})
    wait(core, job_id, lambda job: "strength" in changed(job) and "checkpoint" in job.artifacts)
    os.kill(supervisor.pids[0], signal.SIGKILL)
    core.desk.change("ann", job_id, {"style_weight": 2, "tv_weight": 0})
    resumed = wait(core, job_id, lambda job: job.attempt == 2 and "tv_weight" in changed(job))
    core.desk.change("ann", job_id, {"total_iterations": resumed.iteration + 100})
    done = wait(core, job_id, lambda job: job.is_ended)
    assert (done.state, changed(done)) == (State.DONE, {"strength", "style_weight", "tv_weight", "total_iterations"})
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    core.artifacts.fetch(done.artifacts["result"], first)
    inputs = ["--content-image-path", example_path("coffee"), "--style-image-path", example_path("oil")]
    options = ["--threads", "1", "--quiet", "--saving-interval", "0", "-o", again]
    assert main(["rerun", str(first), *map(str, [*inputs, *options])]) == 0
    assert load_picture(again).pixels.equal(load_picture(first).pixels)
