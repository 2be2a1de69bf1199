"""Reads every chunk that was loaded into a table, with the chunks that it was made of and its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from hdm.model.json import chunk_from_json, table_from_json
from hdm.state.db.tables import artifact, chunk, column_lineage, dataset, dead_letter, job, run
from hdm.state.queries.rewritten import rewritten
from hdm.state.records import COMMITTED, VERIFIED, WAIVED
from hdm.state.tx.context import Base

_PAGE = 500
_DEPTH = 20
Row = dict[str, Any]


def chunks_into(base: Base, dataset_names: Sequence[str]) -> list[Row]:
    """Return the committed and waived chunks that lead into datasets of these full names, oldest first.

    A chunk that was passed on, from one of these datasets into another, stands only in ``from``.
    Each is a dictionary: the chunk's ``chunk`` (as planned), ``status``, ``committed_at``, ``job`` (its row,
    with ``run``, ``table``, ``columns``, the column lineage, and ``rewritten``, what has written to the
    target beside it), ``files``, ``waived`` (by whom and why), and ``from``, the chunk upstream in the same
    form, None for one that was read from a source.
    """
    return base.db.snapshot(lambda conn: _chunks_into(conn, dataset_names))


def _chunks_into(conn: Connection, names: Sequence[str]) -> list[Row]:
    target = dataset.alias()
    last = select(job.c.job_id).join(target, target.c.dataset_id == job.c.sink_dataset_id)
    found = _rows(conn, _query().where(chunk.c.job_id.in_(last.where(target.c.name.in_(list(names))))))
    known = {one["chunk_id"]: one for one in found}
    wanted = {one["corr_in"] for one in found} - {None, *known}
    for _ in range(_DEPTH):
        if not wanted:
            break
        above = [
            row
            for ids in _pages(sorted(wanted))
            for row in _rows(conn, _query().where(chunk.c.chunk_id.in_(ids)))
        ]
        known |= {one["chunk_id"]: one for one in above}
        wanted = {one["corr_in"] for one in above} - {None, *known}
    jobs = _jobs(conn, {one["job_id"] for one in known.values()})
    files = _files(conn, known)
    made = {
        key: {
            "chunk": chunk_from_json(one["body"]),
            "status": one["status"],
            "committed_at": one["sinking_end_time"],
            "rows": one["rows_loaded"],
            "sha256": one["content_sha256"],
            "job": jobs[one["job_id"]],
            "files": files.get(key, []),
            "waived": one["resolved_by"] and f"by {one['resolved_by']}: {one['reason']}",
            "legacy": one["bound_kind"] == "legacy",
        }
        for key, one in known.items()
    }
    for key, one in known.items():
        made[key]["from"] = made.get(one["corr_in"] or "")
    passed_on = {one["corr_in"] for one in found}
    return [made[one["chunk_id"]] for one in found if one["chunk_id"] not in passed_on]


def _query() -> Any:
    return (
        select(
            chunk.c.chunk_id, chunk.c.job_id, chunk.c.corr_in, chunk.c.body, chunk.c.status,
            chunk.c.bound_kind, chunk.c.sinking_end_time, chunk.c.rows_loaded, chunk.c.content_sha256,
            dead_letter.c.resolved_by, dead_letter.c.reason,
        )
        .join(job, job.c.job_id == chunk.c.job_id)
        .outerjoin(dead_letter, (dead_letter.c.chunk_id == chunk.c.chunk_id) & (dead_letter.c.row_no == -1))
        .where(chunk.c.status.in_((COMMITTED, VERIFIED, WAIVED)))
        .order_by(job.c.stage_no, job.c.pipeline_key, job.c.epoch, chunk.c.chunk_no)
    )  # fmt: skip


def _jobs(conn: Connection, ids: Iterable[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    columns = (
        job.c.job_id, job.c.pipeline_key, job.c.epoch, job.c.mode, job.c.status, job.c.source_name,
        job.c.sink_name, job.c.source_table, job.c.target_table, job.c.snapshot_token,
        dataset.c.namespace, dataset.c.name, run.c.run_id,
        run.c.manifest_name, run.c.manifest_sha256, run.c.git_sha, run.c.git_dirty, run.c.started_by,
    )  # fmt: skip
    for page in _pages(sorted(ids)):
        query = (
            select(*columns)
            .join(run, run.c.run_id == job.c.run_id)
            .join(dataset, dataset.c.dataset_id == job.c.sink_dataset_id)
            .where(job.c.job_id.in_(page))
        )
        for one in _rows(conn, query):
            sides = [table_from_json(one.pop(f"{side}_table")) for side in ("source", "target")]
            found[one["job_id"]] = {**one, "table": sides[0], "target": sides[1], "columns": []}
        lines = select(column_lineage).where(column_lineage.c.job_id.in_(page))
        for one in _rows(conn, lines.order_by(column_lineage.c.job_id, column_lineage.c.sink_column)):
            found[one["job_id"]]["columns"].append(one)
    others = rewritten(conn, {(one["namespace"], one["name"]) for one in found.values()})
    for one in found.values():
        one["rewritten"] = others[one["namespace"], one["name"]]
    return found


def _files(conn: Connection, known: dict[str, Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for page in _pages(sorted(known)):
        query = select(artifact.c.chunk_id, artifact.c.uri, artifact.c.sha256, artifact.c.state).where(
            artifact.c.chunk_id.in_(page), artifact.c.state != "TMP"
        )
        for one in _rows(conn, query.order_by(artifact.c.uri)):
            found.setdefault(one.pop("chunk_id"), []).append(one)
    return found


def _pages(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))


def _rows(conn: Connection, query: Any) -> list[Row]:
    return [dict(row) for row in conn.execute(query).mappings().all()]


def newest_of_replaced(found: Sequence[Row]) -> list[Row]:
    """Return the chunks without those of earlier readings of a table in mode ``replace``.

    A reading counts once its job is closed with success.
    """
    newest: dict[str, int] = {}
    for one in found:
        of = one["job"]
        if of["mode"] == "replace" and of["status"] == "success":
            newest[of["pipeline_key"]] = max(of["epoch"], newest.get(of["pipeline_key"], 0))
    return [
        one
        for one in found
        if one["job"]["mode"] != "replace" or one["job"]["epoch"] == newest.get(one["job"]["pipeline_key"])
    ]
