"""The database and its schema."""

import sqlite3

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from impasto.service.store.database import Database, DatabaseError
from impasto.service.store.tables import Base


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    yield database
    database.close()


def is_ours(_, name, *__):
    return not name.startswith("job_words")  # SQLite's index of words, which looks like tables


def test_migrations_lead_to_the_tables_as_they_are_declared(database):
    database.migrate()
    with database.engine.connect() as connection:
        options = {"version_table": "impasto_schema", "include_object": is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_migrating_twice_changes_nothing(database):
    database.migrate()
    database.migrate()
    with database.reading() as session:
        assert session.execute(sa.text("SELECT count(*) FROM impasto_schema")).scalar() == 1


def test_a_database_of_a_newer_version_is_left_alone(database):
    database.migrate()
    with database.writing() as session:
        session.execute(sa.text("UPDATE impasto_schema SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match="newer version"):
        database.migrate()


def test_an_exception_rolls_back(database):
    database.migrate()
    with pytest.raises(ZeroDivisionError), database.writing() as session:
        session.execute(sa.text("UPDATE impasto_schema SET version_num = 'x'"))
        raise ZeroDivisionError
    with database.reading() as session:
        assert session.execute(sa.text("SELECT version_num FROM impasto_schema")).scalar() != "x"


def test_readers_do_not_wait_for_a_writer(database, tmp_path):
    database.migrate()
    with database.writing() as session:
        session.execute(sa.text("UPDATE impasto_schema SET version_num = version_num"))
        with sqlite3.connect(tmp_path / "a.sqlite", timeout=0) as reader:
            assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        reader.close()


def test_a_url_of_another_kind_is_refused_without_repeating_it():
    with pytest.raises(DatabaseError) as caught:
        Database("oops://user:secret@host/name")
    assert "secret" not in str(caught.value)
