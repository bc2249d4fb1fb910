"""Words within the names of jobs, found by an index of trigrams where there is one."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from impasto.service.store.tables import Job

__all__ = ["is_indexed", "with_words", "with_words_by_index", "words_of"]

MAX_WORDS = 10
TRIGRAM = 3
"""Letters of the shortest word that the index knows."""

_words = sa.table("job_words", sa.column("rowid", sa.Integer), sa.column("job_words", sa.Text))
"""Of SQLite; see the migration ``search_index``. PostgreSQL finds its index by itself."""


class _InOrder(sa.sql.expression.Join):
    """A join whose left side is walked first."""

    inherit_cache = True


@compiles(_InOrder)
def _compile_in_order(join: _InOrder, compiler: Any, **options: Any) -> str:
    # SQLite never turns a CROSS JOIN around; another join it would begin with all jobs of the caller.
    return str(compiler.visit_join(join, **options)).replace(" JOIN ", " CROSS JOIN ", 1)


def words_of(search: str | None) -> list[str]:
    """What is looked for; the words all have to occur, in any case."""
    text = (search or "").replace("\0", " ")  # which neither database takes in a text
    return text.lower().split()[:MAX_WORDS]


def with_words(query: sa.Select[Job], words: Sequence[str]) -> sa.Select[Job]:
    """Jobs in which all words occur; each row is looked at, unless the database has an index that helps."""
    return query.where(*(Job.search.contains(word, autoescape=True) for word in words))


def with_words_by_index(
    query: sa.Select[Job],
    words: Sequence[str],
    *,
    owner: str | None = None,
    state: str | None = None,
    kind: str | None = None,
) -> tuple[sa.Select[Job], sa.ColumnElement[int]]:
    """The same by SQLite's index of words, in which all jobs are but cells.

    Args:
        query: Of jobs, with its filters.
        words: Some of which the index knows; see `is_indexed`.
        owner: Those filters once more, by which the index narrows down: a caller of few jobs waits for nobody else's.
        state: Likewise.
        kind: Likewise.

    Returns:
        The query, and the number of the job, by which it is to be ordered.
    """
    wanted = [("search", word) for word in words]
    wanted += [
        ("owner", (owner or "")[-TRIGRAM:]),
        ("state", (state or "")[:TRIGRAM]),
        ("kind", (kind or "")[:TRIGRAM]),
    ]
    match = " AND ".join(f"{column} : {_quoted(text)}" for column, text in wanted if is_indexed(text))
    joined = _InOrder(_words, Job.__table__, Job.number == _words.c.rowid)
    query = query.select_from(joined).where(_words.c.job_words.op("MATCH")(match))
    return with_words(query, [word for word in words if not is_indexed(word)]), _words.c.rowid


def is_indexed(word: str) -> bool:
    """Whether the index knows words of this length."""
    return len(word) >= TRIGRAM


def _quoted(word: str) -> str:
    escaped = word.replace('"', '""')
    return f'"{escaped}"'
