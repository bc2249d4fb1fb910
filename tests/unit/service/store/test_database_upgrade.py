"""A database of the first release opens with every later one."""

import datetime

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from impasto.service.core import Core
from impasto.service.jobs.listing import list_jobs
from impasto.service.settings import Settings
from impasto.service.store import migrations
from impasto.service.store.database import Database

FIRST = "0001"

ROW = {
    "id": "first", "owner": "ann", "kind": "picture", "name": "of the first release", "search": "first",
    "state": "done", "priority": 5, "turn": 0, "run": 1, "attempt": 1, "failed_attempts": 0, "pending_changes": [],
    "inputs": {"content": "example:coffee", "styles": ["example:oil"]}, "recipe": {"height": 32},
    "resolved": {"height": 32}, "changes": [], "saving_interval": 0, "warnings": [], "plan": {}, "iteration": 4,
    "total_iterations": 4, "level": 1, "num_levels": 1, "losses": {"total": 0.5}, "seconds": 1.0, "pictures": [],
    "preview_version": 1, "artifacts": {"result": "jobs/first/1/result.png"}, "num_cells": 0, "num_done": 0,
    "num_failed": 0, "created_at": datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC),
}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    """A data folder as the first release has left it."""
    database = Database(f"sqlite:///{tmp_path / 'impasto.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(next(iter(migrations.__path__))))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
        jobs = sa.Table("jobs", sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(jobs).values(ROW))
        connection.commit()
    database.close()
    return tmp_path


def test_jobs_of_the_first_release_are_there_after_an_upgrade(data):
    core = Core.open(Settings(data=data))
    (job,) = list_jobs(core.database, "ann").items
    assert (job.name, job.artifacts) == ("of the first release", {"result": "jobs/first/1/result.png"})
    assert core.desk.again("ann", "first").recipe == {"height": 32}
    core.close()
