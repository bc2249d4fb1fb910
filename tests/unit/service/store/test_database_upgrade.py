"""A database of the first release opens with every later one."""

import datetime

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from impasto.service.core import Core
from impasto.service.jobs.listing import list_jobs
from impasto.service.settings import Settings
from impasto.service.store import migrations
from impasto.service.store.database import Database
from impasto.service.store.tables import Job
from tests.postgres import postgres_server

FIRST = "0001"

ROW = {
    "id": "first", "owner": "ann", "kind": "picture", "name": "of the first release", "search": "of the first release",
    "state": "done", "priority": 5, "turn": 0, "run": 1, "attempt": 1, "failed_attempts": 0, "pending_changes": [],
    "inputs": {"content": "example:coffee", "styles": ["example:oil"]}, "recipe": {"height": 32},
    "resolved": {"height": 32}, "changes": [], "saving_interval": 0, "warnings": [], "plan": {}, "iteration": 4,
    "total_iterations": 4, "level": 1, "num_levels": 1, "losses": {"total": 0.5}, "seconds": 1.0, "pictures": [],
    "preview_version": 1, "artifacts": {"result": "jobs/first/1/result.png"}, "num_cells": 0, "num_done": 0,
    "num_failed": 0, "created_at": datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC),
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Of a service whose database is as the first release has left it."""
    if request.param == "sqlite":
        yield _as_first_released(Settings(data=tmp_path))
        return
    with postgres_server() as server:
        yield _as_first_released(Settings(data=tmp_path, database_url=server.url))


def _as_first_released(settings):
    database = Database(settings.database)
    config = Config()
    config.set_main_option("script_location", str(next(iter(migrations.__path__))))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST)
        jobs = sa.Table("jobs", sa.MetaData(), autoload_with=connection)
        connection.execute(sa.insert(jobs).values(ROW))
        connection.commit()
    database.close()
    return settings


def test_jobs_of_the_first_release_are_there_after_an_upgrade(settings):
    core = Core.open(settings)
    (job,) = list_jobs(core.database, "ann").items
    assert (job.name, job.artifacts) == ("of the first release", {"result": "jobs/first/1/result.png"})
    assert core.desk.again("ann", "first").recipe == {"height": 32}
    core.close()


def test_a_server_that_allows_no_extension_searches_without_an_index(tmp_path):
    with postgres_server() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE guest LOGIN")
            connection.execute("GRANT ALL ON SCHEMA public TO guest")
        database = Database(Settings(database_url=server.url.replace("impasto@", "guest@")).database)
        database.migrate()
        with database.writing() as session:
            assert not session.scalar(sa.text("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'"))
            session.execute(sa.insert(Job).values({**ROW, "search": "coffee"}))
        assert len(list_jobs(database, "ann", search="offe").items) == 1
        database.close()


def test_an_upgrade_indexes_the_words_of_older_jobs(settings):
    core = Core.open(settings)
    core.desk.rename("ann", core.desk.again("ann", "first").id, "Coffee in oil")
    for word, found in (("irst rel", ["of the first release"]), ("fee", ["Coffee in oil"]), ("nowhere", [])):
        assert [job.name for job in list_jobs(core.database, "ann", search=word).items] == found
    if not core.database.is_sqlite:
        with core.database.reading() as session:
            session.execute(sa.text("SET LOCAL enable_seqscan = off"))
            plan = session.execute(sa.text("EXPLAIN SELECT 1 FROM jobs WHERE search LIKE '%first%'")).scalars().all()
        assert "ix_jobs_search" in "".join(plan)
    core.close()
