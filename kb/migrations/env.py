"""Alembic's entry: runs the versions on the connection that kb.store passes in."""

from alembic import context

from kb.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=False
)
context.run_migrations()
