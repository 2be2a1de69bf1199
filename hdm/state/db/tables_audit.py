"""Defines the tables for lineage, checks, dead letters and events; part of ``hdm.state.db.tables``."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from hdm.state.db.column_types import (
    HASH,
    ID,
    NAME,
    TIME,
    flag,
    ident,
    int32,
    int64,
    long_text,
    not_null_text,
    nullable_text,
    one_of,
    references,
    seq,
    table,
)

lineage_edge = table(
    "lineage_edge",
    ident("edge_id", primary_key=True),
    ident("job_id", references("job", "job_id")),
    ident("from_dataset_id", references("dataset", "dataset_id")),
    ident("to_dataset_id", references("dataset", "dataset_id")),
    ident("from_chunk_id", nullable=True),
    ident("to_chunk_id", references("chunk", "chunk_id")),
    int64("row_count"),
    Index("ix_edge_from", "from_dataset_id", "to_dataset_id"),
    Index("ix_edge_to", "to_dataset_id", "from_dataset_id"),
)
column_lineage = table(
    "column_lineage",
    ident("job_id", references("job", "job_id"), primary_key=True),
    not_null_text("sink_column", NAME, primary_key=True),
    not_null_text("source_column", NAME, primary_key=True),
    not_null_text("source_type", 128),
    not_null_text("sink_type", 128),
    not_null_text("transform_type", 8),
    not_null_text("transform_subtype", 32),
    long_text("expression"),
    flag("masking"),
    flag("lossy"),
)
validation = table(
    "validation",
    ident("validation_id", primary_key=True),
    ident("job_id", references("job", "job_id")),
    ident("chunk_id", nullable=True),
    not_null_text("kind", 32),
    nullable_text("column_name", NAME),
    long_text("predicate"),
    long_text("source_value"),
    long_text("target_value"),
    not_null_text("status", 8),
    not_null_text("severity", 8),
    long_text("normalisation"),
    not_null_text("executed_at", TIME),
    one_of("status", "validation", "pass", "fail", "error", "skip"),
    Index("ix_validation_job", "job_id"),
)
dead_letter = table(
    "dead_letter",
    ident("dl_id", primary_key=True),
    ident("chunk_id", references("chunk", "chunk_id")),
    int64("row_no", nullable=False),
    not_null_text("error_class", 128),
    long_text("error_msg", nullable=False),
    long_text("context"),
    not_null_text("state", 10),
    nullable_text("resolved_by", 128),
    nullable_text("resolved_at", TIME),
    long_text("reason"),
    not_null_text("created_on", TIME),
    one_of("state", "dead_letter", "open", "replayed", "waived"),
    UniqueConstraint("chunk_id", "row_no", name="uq_dead_letter_row"),
)
event = table(
    "event",
    ident("run_id", references("run", "run_id"), primary_key=True),
    seq(),
    ident("job_id", nullable=True),
    ident("chunk_id", nullable=True),
    ident("worker_id", nullable=True),
    int32("attempt", nullable=True),
    not_null_text("event_type", 48),
    nullable_text("from_status", 12),
    nullable_text("to_status", 12),
    not_null_text("at_db", TIME),
    nullable_text("at_worker", TIME),
    long_text("payload", nullable=False),
    not_null_text("prev_hash", HASH),
    not_null_text("hash", HASH),
    Index("ix_event_chunk", "chunk_id"),
)
chain_head = table(
    "chain_head",
    ident("run_id", references("run", "run_id"), primary_key=True),
    int64("seq", nullable=False),
    not_null_text("hash", HASH),
)
anchor = table(
    "anchor",
    ident("run_id", references("run", "run_id"), primary_key=True),
    seq(),
    not_null_text("hash", HASH),
    not_null_text("anchored_at", TIME),
    not_null_text("location", 1024),
)
trail = table(
    "trail",
    int32("id", primary_key=True),
    int64("number", nullable=False),
    ident("run_id", nullable=True),
)
manifest = table(
    "manifest",
    not_null_text("text_sha256", HASH, primary_key=True),
    long_text("body", nullable=False),
    not_null_text("kept_at", TIME),
)
schema_history = table(
    "schema_history",
    not_null_text("version", ID, primary_key=True),
    not_null_text("sha256", HASH),
    not_null_text("applied_at", TIME),
    not_null_text("applied_by", 128),
)
