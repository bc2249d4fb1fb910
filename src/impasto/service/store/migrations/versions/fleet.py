"""What workers declare, which queue jobs wait in, and why they failed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """To this version."""
    op.add_column("jobs", sa.Column("queue", sa.String(length=200), server_default="impasto-jobs", nullable=False))
    op.add_column("jobs", sa.Column("traceparent", sa.String(length=200), nullable=True))
    op.add_column("jobs", sa.Column("cause", sa.String(length=20), nullable=True))
    unfinished = sa.text("finished_at IS NULL")
    for name, first in (("ix_jobs_waiting", "state"), ("ix_jobs_turns", "owner")):
        columns = [first, "priority", "turn"]
        op.create_index(name, "jobs", columns, sqlite_where=unfinished, postgresql_where=unfinished)
    op.add_column("workers", sa.Column("queue", sa.String(length=200), server_default="impasto-jobs", nullable=False))
    op.add_column("workers", sa.Column("device", sa.String(length=200), server_default="", nullable=False))
    op.add_column("workers", sa.Column("memory_bytes", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("models", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("workers", sa.Column("taken_bytes", sa.BigInteger(), nullable=True))
