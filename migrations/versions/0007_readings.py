"""A job keeps what its plan found at the source, for the plan of the next epoch to compare with.

May be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0007
Revises: 0006
"""

from alembic import context, op
from sqlalchemy import Column, Text, inspect
from sqlalchemy.dialects import mssql, mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if "reading" in {column["name"] for column in inspect(op.get_bind()).get_columns("hdm_job")}:
        return
    text = (
        Text()
        .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(None, collation="Latin1_General_100_BIN2"), "mssql")
    )
    op.add_column("hdm_job", Column("reading", text, nullable=True))
    context.config.attributes["failpoint"]("M1")


def downgrade() -> None:
    op.drop_column("hdm_job", "reading")
