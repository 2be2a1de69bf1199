"""A job keeps which target took its epoch: the identity that the target's ledger gives itself.

May be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0008
Revises: 0007
"""

from alembic import context, op
from sqlalchemy import Column, String, inspect
from sqlalchemy.dialects import mssql, mysql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if "target_id" in {column["name"] for column in inspect(op.get_bind()).get_columns("hdm_job")}:
        return
    text = (
        String(64)
        .with_variant(mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(64, collation="Latin1_General_100_BIN2"), "mssql")
    )
    op.add_column("hdm_job", Column("target_id", text, nullable=True))
    context.config.attributes["failpoint"]("M1")


def downgrade() -> None:
    op.drop_column("hdm_job", "target_id")
