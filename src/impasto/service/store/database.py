"""The database: SQLite in WAL mode or PostgreSQL by URL, transactions, migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from impasto.errors import ImpastoError

__all__ = ["Database", "DatabaseError"]

BUSY_SECONDS = 30
"""How long a writer waits for another one on SQLite."""


class DatabaseError(ImpastoError):
    """The database cannot be reached or used."""


class Database:
    """An engine, its transactions and its schema.

    Args:
        url: As SQLAlchemy takes it.

    Attributes:
        engine: Connections; DBOS uses the same.
    """

    def __init__(self, url: str) -> None:
        try:
            self.engine = _sqlite_engine(url) if url.startswith("sqlite") else _server_engine(url)
        except (sa.exc.ArgumentError, ModuleNotFoundError):
            # The URL may hold a password, and so is not repeated.
            raise DatabaseError("The database URL is none of sqlite:///FILE and postgresql://USER@HOST/NAME.") from None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes; committed at its end, rolled back by an exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            if self.is_sqlite:
                # Taken at once: a reader that becomes a writer later could not go on if another one wrote meanwhile.
                session.execute(sa.text("BEGIN IMMEDIATE"))
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that reads."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def migrate(self) -> None:
        """Brings the schema up to date; several processes may try, and one does.

        Raises:
            DatabaseError: If the database cannot be reached, or was written by a newer version.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(files("impasto.service.store") / "migrations"))
        try:
            with self.engine.connect() as connection:
                if self.is_sqlite:
                    connection.execute(sa.text("PRAGMA journal_mode=WAL"))
                    connection.commit()
                    connection.execute(sa.text("BEGIN IMMEDIATE"))
                else:
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        except CommandError:
            raise DatabaseError(
                "The database was written by a newer version of Impasto; update Impasto, or choose another --data."
            ) from None
        except sa.exc.DBAPIError as error:
            raise DatabaseError(f"The database cannot be used: {error.orig}.") from None

    def check(self) -> None:
        """Raises `DatabaseError` if the database does not answer."""
        try:
            with self.engine.connect() as connection:
                connection.execute(sa.text("SELECT 1"))
        except sa.exc.DBAPIError as error:
            raise DatabaseError(f"The database does not answer: {error.orig}.") from None

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()


MIGRATION_LOCK = 4_204_201
"""Of PostgreSQL's advisory locks: one process migrates at a time."""

EVENTS_LOCK = 4_204_202
"""Likewise: one transaction adds events at a time, so that their ids become visible in order."""


def _sqlite_engine(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=10, max_overflow=20)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        for pragma in (f"busy_timeout={BUSY_SECONDS * 1000}", "foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _server_engine(url: str) -> sa.Engine:
    return sa.create_engine(url, pool_size=10, max_overflow=20, pool_pre_ping=True)
