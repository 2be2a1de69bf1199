"""A chunk counts its own failures: the number of its attempt also grows when a lease runs out, when a
worker is told to stop, and while a system is away.

May be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    there = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("hdm_chunk")}
    if "failures" not in there:
        op.add_column("hdm_chunk", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("hdm_chunk") as batch:
        batch.drop_column("failures")
