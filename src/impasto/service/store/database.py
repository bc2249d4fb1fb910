"""The database: SQLite in WAL mode or PostgreSQL by URL, sessions, migrations."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.orm import Session


class Database:
    """An engine and its sessions.

    Args:
        url: As SQLAlchemy takes it.
    """

    engine: Engine

    def __init__(self, url: str) -> None: ...

    def migrate(self) -> None:
        """Brings the schema up to date, one process at a time."""

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes; committed at its end, rolled back by an exception."""

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that reads."""

    def close(self) -> None:
        """Closes all connections."""
