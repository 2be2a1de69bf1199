"""Converts chunks and receipts to database rows: some values as columns, the whole as one JSON text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hdm.model import Chunk, Condition, Receipt
from hdm.model.json import chunk_to_json, receipt_to_json
from hdm.model.values import UNPLACED


def pending_row(chunk: Chunk, job_id: str, now: str) -> dict[str, Any]:
    """Return a row for ``hdm_chunk``, the table of chunks, in status 'pending'."""
    low = next((c.value for c in chunk.conditions if c.op in (">=", ">", "=")), None)
    high = next((c.value for c in chunk.conditions if c.op in ("<", "<=", "=")), None)
    return {
        "chunk_id": chunk.chunk_id,
        "job_id": job_id,
        "chunk_no": chunk.number,
        "generation": chunk.generation,
        "corr_in": chunk.upstream,
        "corr_out": chunk.chunk_id,
        "lo": low,
        "hi": high,
        "bound_kind": bound_kind(chunk),
        "source_filter": source_filter(chunk),
        "upto": chunk.upto,
        "body": chunk_to_json(chunk),
        "status": "pending",
        "first_key": low,
        "last_key": high,
        "created_on": now,
        "updated_on": now,
    }


def bound_kind(chunk: Chunk) -> str:
    """Return in a word how the chunk selects its rows: null, file, all, point or range.

    'null' are rows without a place in the cursor's order, 'point' those of one value.
    """
    ops = {condition.op for condition in chunk.conditions}
    if ops & set(UNPLACED):
        return "null"
    if chunk.files:
        return "file"
    if not ops:
        return "all"
    return "point" if ops == {"="} else "range"


def source_filter(chunk: Chunk) -> str | None:
    """Return the chunk's conditions and the names of its staged files as readable text; None for all rows."""
    parts = [_shown(condition) for condition in chunk.conditions]
    parts += [file.uri for file in chunk.files]
    if chunk.first_row is not None:
        parts.append(f"rows from {chunk.first_row}, {chunk.row_count}")
    return " AND ".join(parts) or None


def _shown(condition: Condition) -> str:
    if condition.op == "null":
        return f"{condition.column} IS NULL"
    if condition.op == "beyond":
        return f"({condition.column} IS NULL OR {condition.column} > {condition.value})"
    return f"{condition.column} {condition.op} {condition.value}"


_receipt_text = lru_cache(maxsize=64)(receipt_to_json)


def receipt_values(receipt: Receipt) -> dict[str, Any]:
    """Return the columns of a chunk's database row that a receipt fills, with their values."""
    extracted = receipt.extracted
    if extracted is None:
        extracted = receipt.rows + receipt.filtered + receipt.rejected
    return {
        "receipt": _receipt_text(receipt),
        "written_attempt": receipt.attempt,
        "rows_extracted": extracted,
        "rows_loaded": receipt.rows,
        "rows_rejected": receipt.rejected,
        "rows_filtered": receipt.filtered,
        "bytes": receipt.bytes,
        "content_sha256": receipt.sha256,
        "sink_filter": receipt.location or None,
    }
