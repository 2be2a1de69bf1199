"""Jobs are found by their status, and by their link.

A worker looks for its next chunk among the few open jobs of a run. Without the index it looked through all
jobs of the run, of which there are as many as tables. May be run again, because MySQL commits each DDL
statement by itself.

Revision ID: 0009
Revises: 0008
"""

from alembic import context, op
from sqlalchemy import inspect

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MADE = {"ix_job_status": "status", "ix_job_link": "link_key"}


def upgrade() -> None:
    there = {index["name"] for index in inspect(op.get_bind()).get_indexes("hdm_job")}
    for name, column in MADE.items():
        if name not in there:
            op.create_index(name, "hdm_job", [column])
            context.config.attributes["failpoint"]("M1")


def downgrade() -> None:
    for name in MADE:
        op.drop_index(name, table_name="hdm_job")
