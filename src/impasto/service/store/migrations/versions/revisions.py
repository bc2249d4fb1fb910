"""Which of two answers about a job is the newer one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """To this version."""
    op.add_column("jobs", sa.Column("revision", sa.BigInteger(), server_default="0", nullable=False))
