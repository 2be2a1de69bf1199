"""The state store: runs, jobs, chunks, watermarks, events, and the view of the original's table.

A frozen copy of the tables as they were when this revision was written: never edited later.
Every step may be run again, because MySQL commits each DDL statement by itself.

Revision ID: 0001
Revises:
"""

from functools import partial
from typing import Any

from alembic import context, op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    inspect,
)
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

metadata = MetaData()
ID, NAME, KEY, HASH, TIME = 64, 256, 256, 64, 32


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


def ident(name: str, *extra: Any, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """An id, hex."""
    return Column(name, text(ID), *extra, nullable=nullable, primary_key=primary_key)


def need(name: str, length: int, *extra: Any, **kw: Any) -> Column[str]:
    """Text that must be there."""
    return Column(name, text(length), *extra, nullable=False, **kw)


def maybe(name: str, length: int, *extra: Any) -> Column[str]:
    """Text that may be NULL."""
    return Column(name, text(length), *extra, nullable=True)


def body(name: str, nullable: bool = True) -> Column[str]:
    """Text without a bound."""
    return Column(name, long(), nullable=nullable)


def count(name: str, nullable: bool = True, default: str | None = None) -> Column[int]:
    """A 64-bit number."""
    return Column(name, BigInteger(), nullable=nullable, server_default=default)


def whole(name: str, nullable: bool = False, default: str | None = None, **kw: Any) -> Column[int]:
    """A 32-bit number."""
    return Column(name, Integer(), nullable=nullable, server_default=default, autoincrement=False, **kw)


def flag(name: str) -> Column[int]:
    """0 or 1."""
    return Column(name, SmallInteger(), nullable=False, server_default="0")


def seq(name: str = "seq") -> Column[int]:
    """A number that is part of the key."""
    return Column(name, BigInteger(), primary_key=True, autoincrement=False)


def one_of(column: str, table: str, *values: str) -> CheckConstraint:
    """A check that ``column`` holds one of ``values``."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"ck_{table}_{column}")


def table(metadata: MetaData, name: str, *parts: Any) -> Table:
    """A table ``hdm_<name>`` of ``metadata``."""
    return Table(
        f"hdm_{name}", metadata, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin", mariadb_engine="InnoDB", mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )  # fmt: skip


def to(table: str, column: str) -> ForeignKey:
    """A foreign key."""
    return ForeignKey(f"hdm_{table}.{column}")


_table = partial(table, metadata)

run = _table(
    "run",
    ident("run_id", primary_key=True),
    ident("resumed_from", nullable=True),
    need("manifest_name", NAME),
    need("manifest_sha256", HASH),
    maybe("git_sha", 64),
    flag("git_dirty"),
    need("hdm_version", 32),
    need("env", 64),
    need("started_by", 128),
    need("host", NAME),
    need("status", 12),
    need("started_at", TIME),
    maybe("ended_at", TIME),
    maybe("error_class", 128),
    body("error_msg"),
    one_of("status", "run", "in_progress", "success", "failure", "aborted"),
    Index("ix_run_manifest", "manifest_name", "env", "started_at"),
)
dataset = _table(
    "dataset",
    ident("dataset_id", primary_key=True),
    need("namespace", NAME),
    need("name", 512),
    need("kind", 16),
    UniqueConstraint("namespace", "name", name="uq_dataset_name"),
)
dataset_schema = _table(
    "dataset_schema",
    ident("dataset_id", to("dataset", "dataset_id"), primary_key=True),
    whole("version", primary_key=True),
    need("schema_sha256", HASH),
    body("columns_json", nullable=False),
    need("captured_at", TIME),
    ident("run_id", to("run", "run_id")),
    need("change_kind", 16),
    body("change_detail"),
)
job = _table(
    "job",
    ident("job_id", primary_key=True),
    ident("run_id", to("run", "run_id")),
    need("pipeline_key", KEY),
    whole("epoch"),
    need("link_key", KEY),
    whole("stage_no"),
    need("source_name", 128),
    need("source_type", 64),
    need("sink_name", 128),
    need("sink_type", 64),
    ident("source_dataset_id", to("dataset", "dataset_id")),
    ident("sink_dataset_id", to("dataset", "dataset_id")),
    whole("source_schema_version", nullable=True),
    whole("sink_schema_version", nullable=True),
    need("mode", 16),
    maybe("site", 128),
    whole("max_parallel", nullable=True),
    body("source_table", nullable=False),
    body("target_table", nullable=False),
    body("losses", nullable=False),
    flag("planned"),
    body("snapshot_token"),
    body("wm_low"),
    body("wm_high_frozen"),
    need("status", 12),
    need("started_at", TIME),
    maybe("ended_at", TIME),
    one_of("status", "job", "planning", "in_progress", "success", "failure"),
    UniqueConstraint("pipeline_key", "epoch", name="uq_job_epoch"),
)
run_job = _table(
    "run_job",
    ident("run_id", to("run", "run_id"), primary_key=True),
    ident("job_id", to("job", "job_id"), primary_key=True),
    need("joined_at", TIME),
    Index("ix_run_job_job", "job_id"),
)
job_upstream = _table(
    "job_upstream",
    ident("job_id", to("job", "job_id"), primary_key=True),
    need("upstream_key", KEY, primary_key=True),
    Index("ix_job_upstream_key", "upstream_key"),
)
worker = _table(
    "worker",
    ident("worker_id", primary_key=True),
    ident("run_id", to("run", "run_id")),
    need("host", NAME),
    whole("pid"),
    need("start_token", 128),
    need("hdm_version", 32),
    maybe("site", 128),
    need("started_at", TIME),
    need("heartbeat_at", TIME),
    count("clock_skew_ms"),
    need("state", 12),
    one_of("state", "worker", "alive", "retired", "dead"),
    Index("ix_worker_host", "host", "state"),
    Index("ix_worker_run", "run_id"),
)
lease = _table(
    "lease",
    need("resource", 320, primary_key=True),
    maybe("owner", 80),
    count("token", nullable=False, default="0"),
    maybe("expires_at", TIME),
)
chunk = _table(
    "chunk",
    ident("chunk_id", primary_key=True),
    ident("job_id", to("job", "job_id")),
    whole("chunk_no"),
    whole("generation", default="0"),
    ident("corr_in", nullable=True),
    ident("corr_out"),
    body("lo"),
    body("hi"),
    need("bound_kind", 16),
    body("source_filter"),
    body("sink_filter"),
    body("upto"),
    body("body", nullable=False),
    need("status", 12),
    whole("attempt", default="0"),
    ident("lease_owner", nullable=True),
    maybe("lease_expires_at", TIME),
    maybe("not_before", TIME),
    whole("written_attempt", nullable=True),
    body("receipt"),
    count("progress_rows"),
    count("progress_bytes"),
    count("rows_extracted"),
    count("rows_loaded"),
    count("rows_rejected", nullable=False, default="0"),
    count("rows_filtered", nullable=False, default="0"),
    count("bytes"),
    maybe("content_sha256", 64),
    maybe("rowhash_sum", 80),
    body("first_key"),
    body("last_key"),
    maybe("sourcing_start_time", TIME),
    maybe("sourcing_end_time", TIME),
    maybe("sinking_start_time", TIME),
    maybe("sinking_end_time", TIME),
    maybe("error_class", 128),
    body("error_msg"),
    need("created_on", TIME),
    need("updated_on", TIME),
    one_of("status", "chunk", "pending", "leased", "written", "committed", "verified", "dead", "waived",
            "superseded"),
    Index("ix_chunk_claim", "job_id", "status", "chunk_no"),
    Index("ix_chunk_order", "job_id", "chunk_no"),
    Index("ix_chunk_expiry", "status", "lease_expires_at"),
    Index("ix_chunk_owner", "lease_owner", "status"),
    Index("ix_chunk_upstream", "corr_in"),
)  # fmt: skip
follow = _table(
    "follow",
    need("pipeline_key", KEY, primary_key=True),
    ident("upstream_chunk_id", to("chunk", "chunk_id"), primary_key=True),
    ident("job_id", to("job", "job_id")),
    whole("chunks"),
    need("followed_at", TIME),
    Index("ix_follow_upstream", "upstream_chunk_id"),
)
artifact = _table(
    "artifact",
    ident("artifact_id", primary_key=True),
    ident("chunk_id", to("chunk", "chunk_id")),
    whole("attempt"),
    need("uri", 1024),
    need("state", 10),
    need("format", 32),
    count("bytes"),
    count("row_count"),
    maybe("sha256", 64),
    maybe("etag", 128),
    need("created_on", TIME),
    maybe("deleted_on", TIME),
    one_of("state", "artifact", "TMP", "PUBLISHED", "CONSUMED", "DELETED"),
    Index("ix_artifact_chunk", "chunk_id"),
    Index("ix_artifact_state", "state"),
)
watermark = _table(
    "watermark",
    need("pipeline_key", KEY, primary_key=True),
    ident("dataset_id", to("dataset", "dataset_id"), primary_key=True),
    seq(),
    need("column_name", NAME),
    need("value_type", 64),
    body("value", nullable=False),
    body("snapshot_token"),
    ident("job_id", to("job", "job_id")),
    whole("chunk_no"),
    need("committed_at", TIME),
)
boundary = _table(
    "boundary",
    need("pipeline_key", KEY, primary_key=True),
    need("kind", 8, primary_key=True),
    ident("chunk_id", to("chunk", "chunk_id"), primary_key=True),
    body("value"),
    body("digests", nullable=False),
    count("row_count", nullable=False),
    one_of("kind", "boundary", "point", "null"),
)
lineage_edge = _table(
    "lineage_edge",
    ident("edge_id", primary_key=True),
    ident("job_id", to("job", "job_id")),
    ident("from_dataset_id", to("dataset", "dataset_id")),
    ident("to_dataset_id", to("dataset", "dataset_id")),
    ident("from_chunk_id", nullable=True),
    ident("to_chunk_id", to("chunk", "chunk_id")),
    count("row_count"),
    Index("ix_edge_from", "from_dataset_id", "to_dataset_id"),
    Index("ix_edge_to", "to_dataset_id", "from_dataset_id"),
)
column_lineage = _table(
    "column_lineage",
    ident("job_id", to("job", "job_id"), primary_key=True),
    need("sink_column", NAME, primary_key=True),
    need("source_column", NAME, primary_key=True),
    need("source_type", 128),
    need("sink_type", 128),
    need("transform_type", 8),
    need("transform_subtype", 32),
    body("expression"),
    flag("masking"),
    flag("lossy"),
)
validation = _table(
    "validation",
    ident("validation_id", primary_key=True),
    ident("job_id", to("job", "job_id")),
    ident("chunk_id", nullable=True),
    need("kind", 32),
    maybe("column_name", NAME),
    body("predicate"),
    body("source_value"),
    body("target_value"),
    need("status", 8),
    need("severity", 8),
    body("normalisation"),
    need("executed_at", TIME),
    one_of("status", "validation", "pass", "fail", "error", "skip"),
    Index("ix_validation_job", "job_id"),
)
dead_letter = _table(
    "dead_letter",
    ident("dl_id", primary_key=True),
    ident("chunk_id", to("chunk", "chunk_id")),
    count("row_no", nullable=False),
    need("error_class", 128),
    body("error_msg", nullable=False),
    body("context"),
    maybe("payload_uri", 1024),
    maybe("payload_sha256", 64),
    need("state", 10),
    maybe("resolved_by", 128),
    maybe("resolved_at", TIME),
    body("reason"),
    need("created_on", TIME),
    one_of("state", "dead_letter", "open", "replayed", "waived"),
    UniqueConstraint("chunk_id", "row_no", name="uq_dead_letter_row"),
)
event = _table(
    "event",
    ident("run_id", to("run", "run_id"), primary_key=True),
    seq(),
    ident("job_id", nullable=True),
    ident("chunk_id", nullable=True),
    ident("worker_id", nullable=True),
    whole("attempt", nullable=True),
    need("event_type", 48),
    maybe("from_status", 12),
    maybe("to_status", 12),
    need("at_db", TIME),
    maybe("at_worker", TIME),
    body("payload", nullable=False),
    need("prev_hash", HASH),
    need("hash", HASH),
    Index("ix_event_chunk", "chunk_id"),
)
chain_head = _table(
    "chain_head",
    ident("run_id", to("run", "run_id"), primary_key=True),
    count("seq", nullable=False),
    need("hash", HASH),
)
anchor = _table(
    "anchor",
    ident("run_id", to("run", "run_id"), primary_key=True),
    seq(),
    need("hash", HASH),
    need("anchored_at", TIME),
    need("location", 1024),
)
schema_history = _table(
    "schema_history",
    need("version", ID, primary_key=True),
    need("sha256", HASH),
    need("applied_at", TIME),
    need("applied_by", 128),
)

VIEW = """SELECT c.chunk_id AS state_id, j.run_id AS run_id, c.job_id AS job_id,
  c.corr_in AS correlation_id_in, c.corr_out AS correlation_id_out,
  CASE WHEN c.sinking_end_time IS NOT NULL THEN 'sinking post-push'
       WHEN c.sinking_start_time IS NOT NULL THEN 'sinking pre-push'
       WHEN c.sourcing_end_time IS NOT NULL THEN 'sourcing post-pull'
       ELSE 'sourcing pre-pull' END AS action,
  CASE WHEN c.status IN ('committed', 'verified') THEN 'success'
       WHEN c.status IN ('dead', 'waived') THEN 'failure'
       ELSE 'in_progress' END AS status,
  j.source_name AS source_name, j.source_type AS source_type,
  j.sink_name AS sink_name, j.sink_type AS sink_type,
  ds.name AS source_entity, c.source_filter AS source_filter,
  dt.name AS sink_entity, c.sink_filter AS sink_filter,
  c.first_key AS first_record_pulled, c.last_key AS last_record_pulled, r.git_sha AS git_sha,
  c.sourcing_start_time AS sourcing_start_time, c.sourcing_end_time AS sourcing_end_time,
  c.sinking_start_time AS sinking_start_time, c.sinking_end_time AS sinking_end_time,
  c.updated_on AS updated_on, COALESCE(c.rows_loaded, c.rows_extracted) AS row_count,
  c.created_on AS created_on, r.manifest_name AS manifest_name
FROM hdm_chunk c
JOIN hdm_job j ON j.job_id = c.job_id
JOIN hdm_run r ON r.run_id = j.run_id
JOIN hdm_dataset ds ON ds.dataset_id = j.source_dataset_id
JOIN hdm_dataset dt ON dt.dataset_id = j.sink_dataset_id
WHERE c.attempt > 0 AND c.status <> 'superseded'"""
VIEW_HEAD = {
    "sqlite": "CREATE VIEW IF NOT EXISTS",
    "postgresql": "CREATE OR REPLACE VIEW",
    "mysql": "CREATE OR REPLACE VIEW",
    "mssql": "CREATE OR ALTER VIEW",
}


def upgrade() -> None:
    bind = op.get_bind()
    for place, one in enumerate(metadata.sorted_tables):
        one.create(bind, checkfirst=True)
        for index in one.indexes:
            index.create(bind, checkfirst=True)
        if place == len(metadata.tables) // 2:
            context.config.attributes["failpoint"]("M1")
    if "state_manager" not in inspect(bind).get_table_names():
        bind.exec_driver_sql(f"{VIEW_HEAD[bind.dialect.name]} state_manager AS\n{VIEW}")
