"""The trail holds more: the order of the runs and the manifests' text; what nothing ever filled goes.

``hdm_trail`` is one row: how many runs were opened, and which is the newest, so that a missing run is
found. ``hdm_manifest`` keeps each manifest's text once. ``hdm_chunk.rowhash_sum`` and
``hdm_dead_letter.payload_uri`` and ``payload_sha256`` go: they were always NULL.
May be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0005
Revises: 0002
"""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, inspect, select
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None

GONE = (
    ("hdm_chunk", "rowhash_sum"),
    ("hdm_dead_letter", "payload_uri"),
    ("hdm_dead_letter", "payload_sha256"),
)


def text(length: int) -> TypeEngine[str]:
    """Text compared byte by byte in every database."""
    return (
        String(length)
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(length, collation="Latin1_General_100_BIN2"), "mssql")
    )


def long() -> TypeEngine[str]:
    """Text without a bound."""
    return (
        Text()
        .with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
        .with_variant(mssql.NVARCHAR(None, collation="Latin1_General_100_BIN2"), "mssql")
    )


OPTIONS = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_bin",
}  # fmt: skip
metadata = MetaData()
trail = Table(
    "hdm_trail",
    metadata,
    Column("id", Integer(), primary_key=True, autoincrement=False),
    Column("number", BigInteger(), nullable=False),
    Column("run_id", text(64), nullable=True),
    **OPTIONS,
)
manifest = Table(
    "hdm_manifest",
    metadata,
    Column("text_sha256", text(64), primary_key=True),
    Column("body", long(), nullable=False),
    Column("kept_at", text(32), nullable=False),
    **OPTIONS,
)


def upgrade() -> None:
    bind = op.get_bind()
    metadata.create_all(bind, checkfirst=True)
    if bind.execute(select(trail.c.id)).first() is None:
        bind.execute(trail.insert().values(id=1, number=0))
    for table, column in GONE:
        if column in {one["name"] for one in inspect(bind).get_columns(table)}:
            op.drop_column(table, column)


def downgrade() -> None:
    op.add_column("hdm_chunk", Column("rowhash_sum", text(80), nullable=True))
    op.add_column("hdm_dead_letter", Column("payload_uri", text(1024), nullable=True))
    op.add_column("hdm_dead_letter", Column("payload_sha256", text(64), nullable=True))
    op.drop_table("hdm_manifest")
    op.drop_table("hdm_trail")
