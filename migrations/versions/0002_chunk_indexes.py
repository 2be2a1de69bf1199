"""Three indexes of the chunks go: chunks are found by job and status, in their order.

A chunk's row is changed four times, and each change writes every index anew. Without statistics
PostgreSQL took the index without the status as often as the one with it, and read all chunks of a job.
May be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0002
Revises: 0001
"""

from alembic import context, op
from sqlalchemy import inspect

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GONE = ("ix_chunk_expiry", "ix_chunk_owner", "ix_chunk_order")


def upgrade() -> None:
    there = {index["name"] for index in inspect(op.get_bind()).get_indexes("hdm_chunk")}
    for name in GONE:
        if name in there:
            op.drop_index(name, table_name="hdm_chunk")
            context.config.attributes["failpoint"]("M1")


def downgrade() -> None:
    op.create_index(GONE[0], "hdm_chunk", ["status", "lease_expires_at"])
    op.create_index(GONE[1], "hdm_chunk", ["lease_owner", "status"])
    op.create_index(GONE[2], "hdm_chunk", ["job_id", "chunk_no"])
