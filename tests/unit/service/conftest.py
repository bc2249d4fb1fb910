"""A core in a folder of its own, and jobs to fill it with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from impasto.recipe import Recipe
from impasto.service.core import Core
from impasto.service.jobs.records import JobInputs, NewJob
from tests.service import settings_for


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    core = Core.open(settings_for(tmp_path / "data", max_queued=50, max_attempts=3))
    yield core
    core.close()


def new_job(priority: int = 5, name: str = "", **recipe: object) -> NewJob:
    """A small picture of bundled ones."""
    values = {"model": "compact", "height": 32, "total_iterations": 4} | recipe
    inputs = JobInputs(content="example:coffee", styles=["example:oil"])
    return NewJob(inputs=inputs, recipe=Recipe(**values), priority=priority, name=name, saving_interval=0)
