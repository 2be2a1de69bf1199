"""Alembic's entry: runs on the connection, and in the transaction, that hdm hands over."""

from alembic import context

from hdm import failpoints
from hdm.state.db.tables import metadata
from hdm.state.db.upgrade import VERSION_TABLE

connection = context.config.attributes["connection"]
context.config.attributes["failpoint"] = failpoints.point
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
