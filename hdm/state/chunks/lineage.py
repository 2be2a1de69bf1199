"""Records and finds lineage: from which chunk of which dataset each chunk was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, literal, or_, select

from hdm.model import Chunk, digest
from hdm.state.db.statements import Prepared, Query
from hdm.state.db.tables import chunk, column_lineage, dataset, job, lineage_edge, run
from hdm.state.records import Job
from hdm.state.tx.context import Base
from hdm.state.tx.transaction import Tx

_UPSTREAM = Prepared(
    select(job.c.sink_dataset_id)
    .join(chunk, chunk.c.job_id == job.c.job_id)
    .where(chunk.c.chunk_id == bindparam("id"))
)
_EDGE = Prepared(insert(lineage_edge))
_DEPTH = 20


def origin(upstream_chunk_id: str) -> Query:
    """Return the query for the dataset that an upstream chunk was written to, for ``add_edge``."""
    return _UPSTREAM, {"id": upstream_chunk_id}


def add_edge(tx: Tx, of: Job, part: Chunk, chunk_id: str, rows: int, origins: Sequence[Any] | None) -> None:
    """Record the lineage edge of a committed chunk: from its source to its target.

    For a chunk with an upstream chunk, the edge begins at the target of that chunk's job, in ``origins``.
    """
    tx.queue(
        _EDGE,
        {
            "edge_id": digest("edge", part.upstream or "", chunk_id),
            "job_id": of.job_id,
            "from_dataset_id": origins[0].sink_dataset_id if origins else of.info.source.dataset.dataset_id,
            "to_dataset_id": of.info.target.dataset.dataset_id,
            "from_chunk_id": part.upstream,
            "to_chunk_id": chunk_id,
            "row_count": rows,
        },
    )


def of_table(base: Base, name: str) -> list[dict[str, Any]]:
    """Return the lineage edges into and out of a dataset, over at most 20 hops, summed over chunks.

    ``name`` is the dataset's full name or its end after a dot; all datasets of that name count. ``hops`` is
    negative upstream.
    """

    def work(conn: Connection) -> list[dict[str, Any]]:
        start = conn.execute(select(dataset.c.dataset_id).where(or_(*_named(dataset, name)))).scalars()
        ids = sorted(set(start))
        return _walk(conn, ids, forward=False)[::-1] + _walk(conn, ids, forward=True)

    return base.db.read(work)


def _walk(conn: Connection, ids: list[str], *, forward: bool) -> list[dict[str, Any]]:
    seen: set[str] = set(ids)
    found: list[dict[str, Any]] = []
    for hop in range(1, _DEPTH + 1):
        if not ids:
            break
        ids = sorted(set(ids))
        rows = [dict(r) for r in conn.execute(_edges(ids, hop if forward else -hop, forward)).mappings()]
        found += rows
        far = "to_id" if forward else "from_id"
        ids = [row[far] for row in rows if row[far] not in seen]
        seen.update(ids)
    for row in found:
        del row["from_id"], row["to_id"]
    return found


def _edges(ids: list[str], hops: int, forward: bool) -> Any:
    source, target = dataset.alias(), dataset.alias()
    near = lineage_edge.c.from_dataset_id if forward else lineage_edge.c.to_dataset_id
    keys = (
        source.c.dataset_id, source.c.namespace, source.c.name, target.c.dataset_id, target.c.namespace,
        target.c.name, job.c.source_type, job.c.sink_type, job.c.pipeline_key,
    )  # fmt: skip
    return (
        select(
            literal(hops).label("hops"),
            source.c.dataset_id.label("from_id"),
            source.c.namespace.label("from_namespace"),
            source.c.name.label("from_name"),
            target.c.dataset_id.label("to_id"),
            target.c.namespace.label("to_namespace"),
            target.c.name.label("to_name"),
            job.c.source_type,
            job.c.sink_type,
            job.c.pipeline_key,
            func.count().label("chunks"),
            func.sum(lineage_edge.c.row_count).label("rows"),
            func.max(chunk.c.sinking_end_time).label("last_at"),
        )
        .select_from(lineage_edge)
        .join(source, source.c.dataset_id == lineage_edge.c.from_dataset_id)
        .join(target, target.c.dataset_id == lineage_edge.c.to_dataset_id)
        .join(job, job.c.job_id == lineage_edge.c.job_id)
        .join(chunk, chunk.c.chunk_id == lineage_edge.c.to_chunk_id)
        .where(near.in_(ids))
        .group_by(*keys)
        .order_by(source.c.name, target.c.name, job.c.pipeline_key)
    )


def of_columns(base: Base, name: str) -> list[dict[str, Any]]:
    """Return the lineage of each column of a dataset, upstream and downstream, with types and losses.

    ``name`` is the dataset's full name or its end after a dot; all datasets of that name count.
    """
    keys = sorted({row["pipeline_key"] for row in of_table(base, name)})
    source, target = dataset.alias(), dataset.alias()
    query = (
        select(
            source.c.name.label("source"),
            column_lineage.c.source_column,
            column_lineage.c.source_type,
            target.c.name.label("target"),
            column_lineage.c.sink_column,
            column_lineage.c.sink_type,
            column_lineage.c.transform_type,
            column_lineage.c.transform_subtype,
            column_lineage.c.expression,
            column_lineage.c.masking,
            column_lineage.c.lossy,
            run.c.run_id,
            job.c.epoch,
        )
        .join(job, job.c.job_id == column_lineage.c.job_id)
        .join(run, run.c.run_id == job.c.run_id)
        .join(source, source.c.dataset_id == job.c.source_dataset_id)
        .join(target, target.c.dataset_id == job.c.sink_dataset_id)
        .where(or_(job.c.pipeline_key.in_(keys), *_named(source, name), *_named(target, name)))
        .order_by(job.c.stage_no, target.c.name, job.c.epoch, column_lineage.c.sink_column)
    )
    return base.db.read(lambda conn: [dict(row) for row in conn.execute(query).mappings().all()])


def _named(table: Any, name: str) -> tuple[Any, Any]:
    return table.c.name == name, table.c.name.endswith(f".{name}", autoescape=True)


def of_chunk(base: Base, chunk_id: str) -> list[dict[str, Any]]:
    """Return a chunk and the chunks upstream from which its rows were made, nearest first, at most 20.

    The last one, if it is not the twentieth, was read from a source. Empty if the chunk does not exist.
    """

    def work(conn: Connection) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        step: str | None = chunk_id
        while step is not None and len(found) < _DEPTH:
            row = conn.execute(
                select(
                    chunk.c.chunk_id, chunk.c.corr_in, chunk.c.status, chunk.c.attempt,
                    chunk.c.source_filter, chunk.c.rows_loaded, chunk.c.content_sha256,
                    chunk.c.lease_owner, chunk.c.sinking_end_time, job.c.pipeline_key,
                    job.c.source_name, job.c.sink_name, job.c.snapshot_token, job.c.run_id,
                )
                .join(job, job.c.job_id == chunk.c.job_id)
                .where(chunk.c.chunk_id == step)
            ).mappings().first()  # fmt: skip
            if row is None:
                break
            found.append(dict(row))
            step = row["corr_in"]
        return found

    return base.db.read(work)
