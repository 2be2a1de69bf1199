"""The tables of the trail: lineage, checks, dead letters, events. Part of ``hdm.state.db.tables``."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from hdm.state.db.column_types import (
    HASH,
    ID,
    NAME,
    TIME,
    body,
    count,
    flag,
    ident,
    maybe,
    need,
    one_of,
    seq,
    table,
    to,
    whole,
)

lineage_edge = table(
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
column_lineage = table(
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
validation = table(
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
dead_letter = table(
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
event = table(
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
chain_head = table(
    "chain_head",
    ident("run_id", to("run", "run_id"), primary_key=True),
    count("seq", nullable=False),
    need("hash", HASH),
)
anchor = table(
    "anchor",
    ident("run_id", to("run", "run_id"), primary_key=True),
    seq(),
    need("hash", HASH),
    need("anchored_at", TIME),
    need("location", 1024),
)
schema_history = table(
    "schema_history",
    need("version", ID, primary_key=True),
    need("sha256", HASH),
    need("applied_at", TIME),
    need("applied_by", 128),
)
