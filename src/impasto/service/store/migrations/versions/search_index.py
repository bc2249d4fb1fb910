"""Indexes of words within names, of lists by state and kind, and of a caller's events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """To this version."""
    op.drop_index("ix_jobs_owner_state_number", "jobs")
    op.create_index("ix_jobs_owner_parent_id_state_number", "jobs", ["owner", "parent_id", "state", "number"])
    op.create_index("ix_jobs_owner_parent_id_kind_number", "jobs", ["owner", "parent_id", "kind", "number"])
    op.create_index("ix_events_owner_id", "events", ["owner", "id"])
    if op.get_bind().dialect.name == "sqlite":
        _index_words_on_sqlite()
    else:
        _index_words_on_postgresql()


WORDS = "INSERT INTO job_words(rowid, owner, state, kind, search)"
FORGET = "INSERT INTO job_words(job_words, rowid, owner, state, kind, search)"


def _index_words_on_sqlite() -> None:
    """A table of trigrams without a text of its own, which triggers keep. Whoever makes `jobs` anew makes them anew."""
    op.execute(
        "CREATE VIRTUAL TABLE job_words USING "
        "fts5(owner, state, kind, search, content='jobs', content_rowid='number', tokenize='trigram')"
    )
    op.execute(f"{WORDS} SELECT {_values('jobs')} FROM jobs WHERE parent_id IS NULL")  # noqa: S608 (of constants)
    add, drop = f"{WORDS} VALUES ({_values('new')});", f"{FORGET} VALUES ('delete', {_values('old')});"
    for name, moment, row, what in (
        ("added", "INSERT", "new", add),
        ("changed", "UPDATE OF owner, state, kind, search", "new", drop + add),
        ("removed", "DELETE", "old", drop),
    ):
        op.execute(
            f"CREATE TRIGGER job_words_{name} AFTER {moment} ON jobs WHEN {row}.parent_id IS NULL BEGIN {what} END"
        )


def _values(row: str) -> str:
    """One trigram narrows down by owner, state or kind; more would cost a search more than they spare."""
    return f"{row}.number, substr({row}.owner, -3), substr({row}.state, 1, 3), substr({row}.kind, 1, 3), {row}.search"


def _index_words_on_postgresql() -> None:
    """Trigrams by an extension of PostgreSQL's own; a server that does not allow it searches row by row."""
    try:
        with op.get_bind().begin_nested():
            op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError:
        return
    op.create_index("ix_jobs_search", "jobs", ["search"], postgresql_using="gin",
                    postgresql_ops={"search": "gin_trgm_ops"})  # fmt: skip
