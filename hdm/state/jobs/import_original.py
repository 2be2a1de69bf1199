"""Imports the rows of an old ``state_manager`` table as chunks, for ``hdm state import``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import URL, Connection, MetaData, Table, func, insert, inspect, select

from hdm._version import __version__
from hdm.errors import UsageError
from hdm.model import Dataset, digest
from hdm.state.db.database import Database
from hdm.state.db.legacy_view import COLUMNS
from hdm.state.db.tables import chunk, dead_letter, job, run, run_job
from hdm.state.jobs import opening
from hdm.state.records import COMMITTED, WAIVED
from hdm.state.tx import datasets, job_rows
from hdm.state.tx.context import Base
from hdm.state.tx.seals import IMPORTED, Sum
from hdm.state.tx.transaction import Tx

_NAMESPACE = "hashmap-data-migrator"


def import_old(base: Base, source: str | URL, table: str = "state_manager") -> dict[str, int]:
    """Copy the rows of an old ``state_manager`` table into the state as chunks; skip those already imported.

    The chunks get generation 0. A row counts as 'success' only if its ``sinking_end_time`` is set:
    hashmap_data_migrator recorded success when extraction ended. Its columns ``first_record_pulled`` and
    ``last_record_pulled`` are row data and are not copied. Raises ``UsageError`` if there is no such table.
    Returns how many rows were ``read``, ``imported`` and of these ``success``.
    """
    old = Database(source)
    try:
        rows = old.read(lambda conn: _rows(conn, table))
    finally:
        old.close()
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_text(row.get("run_id")) or "unknown", []).append(row)
    total = {"read": len(rows), "imported": 0, "success": 0}
    for old_run, members in sorted(groups.items()):
        run_id = digest("legacy run", old_run)[:32]
        base.db.run(partial(_ensure_run, base, run_id, members))

        def work(tx: Tx, part: list[dict[str, Any]] = members) -> tuple[int, int]:
            return _import_run(tx, part)

        imported, good = base.change(run_id, work)
        total["imported"] += imported
        total["success"] += good
    return total


def _rows(conn: Connection, table: str) -> list[dict[str, Any]]:
    names = {name.lower(): name for name in inspect(conn).get_table_names()}
    if table.lower() not in names:
        raise UsageError(
            f"there is no table {table} to import from",
            hint=f"name the database in which the old state manager kept its {table}",
        )
    found = Table(names[table.lower()], MetaData(), autoload_with=conn)
    return [
        {str(name).lower(): value for name, value in row.items()}
        for row in conn.execute(select(found)).mappings()
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _time(value: Any) -> str | None:
    """Return an old time, text or native, in this database's format as far as it can be read."""
    if value is None or value == "":
        return None
    iso = value.isoformat(timespec="microseconds") if hasattr(value, "isoformat") else str(value)
    return f"{iso.replace(' ', 'T').removesuffix('Z')}Z"[:32]


def _ensure_run(base: Base, run_id: str, rows: list[dict[str, Any]], conn: Connection) -> None:
    if conn.execute(select(run.c.run_id).where(run.c.run_id == run_id)).first() is not None:
        return
    first = rows[0]
    times = sorted(filter(None, (_time(r.get("created_on")) for r in rows)))
    ends = sorted(filter(None, (_time(r.get("updated_on")) for r in rows)))
    good = all(r.get("sinking_end_time") for r in rows)
    opening.begin(
        base,
        conn,
        {
            "run_id": run_id,
            "manifest_name": (_text(first.get("manifest_name")) or "unknown")[:256],
            "manifest_sha256": "0" * 64,
            "git_sha": (_text(first.get("git_sha")) or "")[:64] or None,
            "git_dirty": 0,
            "hdm_version": __version__,
            "env": _NAMESPACE,
            "started_by": "hdm state import",
            "host": "unknown",
            "status": "success" if good else "failure",
            "started_at": times[0] if times else "",
            "ended_at": ends[-1] if ends else None,
        },
    )


def _import_run(tx: Tx, rows: list[dict[str, Any]]) -> tuple[int, int]:
    imported = good = 0
    numbers: dict[str, int] = {}
    made: dict[str, str] = {}
    plans: dict[str, Sum] = {}
    for row in rows:
        whole = json.dumps(row, default=str, sort_keys=True)
        key = digest("legacy chunk", tx.run_id, _text(row.get("state_id")) or whole)
        if tx.conn.execute(select(chunk.c.chunk_id).where(chunk.c.chunk_id == key)).first() is not None:
            continue
        job_id = _ensure_job(tx, row, made)
        if job_id not in numbers:
            highest = select(func.max(chunk.c.chunk_no)).where(chunk.c.job_id == job_id)
            found = tx.conn.execute(highest).scalar()
            numbers[job_id] = -1 if found is None else found
        numbers[job_id] += 1
        done = bool(row.get("sinking_end_time"))
        values = _chunk(row, key, job_id, numbers[job_id], tx.now)
        tx.conn.execute(insert(chunk), values)
        plans.setdefault(job_id, Sum()).add("chunk", IMPORTED, values)
        if not done:
            tx.conn.execute(insert(dead_letter), _letter(key, tx.now))
        imported += 1
        good += done
    for job_id, plan in plans.items():
        sealed: dict[str, Any] = {"seal": made[job_id]} if job_id in made else {}
        tx.event("job.imported", job=job_id, imported=plan.told(), **sealed)
    if imported:
        tx.event("run.imported", rows=imported, success=good)
    return imported, good


def _ensure_job(tx: Tx, row: Mapping[str, Any], made: dict[str, str]) -> str:
    """Insert one closed job per old job id and pair of source and sink; add a new one's seal to ``made``."""
    named = {
        name: (_text(row.get(name)) or "unknown")
        for name in ("source_name", "source_type", "sink_name", "sink_type", "source_entity", "sink_entity")
    }
    parts = (tx.run_id, _text(row.get("job_id")) or "", *named.values())
    job_id = digest("legacy job", *parts)[:32]
    if tx.conn.execute(select(job.c.job_id).where(job.c.job_id == job_id)).first() is not None:
        return job_id
    source = Dataset(_NAMESPACE, named["source_entity"][:512])
    sink = Dataset(_NAMESPACE, named["sink_entity"][:512])
    values = {
        "job_id": job_id,
        "run_id": tx.run_id,
        "pipeline_key": f"legacy:{job_id}",
        "epoch": 1,
        "link_key": "legacy",
        "stage_no": 0,
        "source_name": named["source_name"][:128],
        "source_type": named["source_type"][:64],
        "sink_name": named["sink_name"][:128],
        "sink_type": named["sink_type"][:64],
        "source_dataset_id": datasets.ensure(tx, source),
        "sink_dataset_id": datasets.ensure(tx, sink),
        "mode": "append",
        "source_table": "{}",
        "target_table": "{}",
        "losses": "[]",
        "planned": 1,
        "status": "success",
        "started_at": tx.now,
        "ended_at": tx.now,
    }
    tx.conn.execute(insert(job), values)
    made[job_id] = job_rows.seal(values)
    tx.conn.execute(insert(run_job), {"run_id": tx.run_id, "job_id": job_id, "joined_at": tx.now})
    return job_id


def _letter(key: str, now: str) -> dict[str, Any]:
    return {
        "dl_id": digest("legacy letter", key)[:32],
        "chunk_id": key,
        "row_no": -1,
        "error_class": "Unfinished",
        "error_msg": "the old state manager has no end of loading for this row",
        "state": "waived",
        "resolved_by": "hdm state import",
        "resolved_at": now,
        "reason": "imported as history",
        "created_on": now,
    }


def _chunk(row: Mapping[str, Any], key: str, job_id: str, number: int, now: str) -> dict[str, Any]:
    done = bool(row.get("sinking_end_time"))
    told = str(row.get("row_count") or "")
    count = int(told) if told.isdigit() else None
    return {
        "chunk_id": key,
        "job_id": job_id,
        "chunk_no": number,
        "generation": 0,
        "corr_in": (_text(row.get("correlation_id_in")) or "")[:64] or None,
        "corr_out": (_text(row.get("correlation_id_out")) or key)[:64],
        "bound_kind": "legacy",
        "source_filter": _text(row.get("source_filter")),
        "sink_filter": _text(row.get("sink_filter")),
        "body": "{}",
        "status": COMMITTED if done else WAIVED,
        "attempt": 1,
        "rows_extracted": count,
        "rows_loaded": count if done else None,
        **{name: _time(row.get(name)) for name in COLUMNS if name.endswith("_time")},
        "created_on": _time(row.get("created_on")) or now,
        "updated_on": _time(row.get("updated_on")) or now,
    }
