"""Alembic's entry: runs on the connection, and in the transaction, that hdm hands over."""

from alembic import context

from hdm.state.models import metadata
from hdm.state.schema import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
