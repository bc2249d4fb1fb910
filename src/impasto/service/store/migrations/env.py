"""How Alembic finds the connection, which `impasto.service.store.database` hands over."""

from alembic import context

from impasto.service.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True,
    version_table="impasto_schema", transactional_ddl=True,
)  # fmt: skip
context.run_migrations()
