"""Finds staged files that may be removed, because everything made of them is verified."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exists, or_, select

from hdm.state.db import clock
from hdm.state.db.database import among
from hdm.state.db.tables import artifact, chunk, follow, job, job_upstream
from hdm.state.records import SUPERSEDED, VERIFIED, WAIVED, StaleArtifact
from hdm.state.tx.context import Base

_DAY_MS = 24 * 60 * 60 * 1000


def expendable(base: Base, link_key: str, readers: frozenset[str], days: float) -> list[StaleArtifact]:
    """Return the staged files of a link that every reader has loaded, at least ``days`` days old.

    Readers are the links with the keys ``readers`` and all other pipelines downstream. The files' chunks must
    be verified, and all that was made of them verified, waived or superseded. Empty if ``readers`` is empty.
    """
    if not readers:
        return []
    part, below, taker = chunk.alias(), job.alias(), job.alias()
    unsettled = exists().where(
        part.c.corr_in == chunk.c.chunk_id, part.c.status.not_in((VERIFIED, WAIVED, SUPERSEDED))
    )
    followed = exists().where(
        follow.c.pipeline_key == below.c.pipeline_key, follow.c.upstream_chunk_id == chunk.c.chunk_id
    )
    unread = (
        exists()
        .where(
            job_upstream.c.upstream_key == job.c.pipeline_key,
            below.c.job_id == job_upstream.c.job_id,
            ~followed,
        )
        .correlate(job, chunk)
    )
    taken = [
        exists()
        .where(
            follow.c.upstream_chunk_id == chunk.c.chunk_id,
            taker.c.job_id == follow.c.job_id,
            taker.c.link_key == key,
        )
        .correlate(chunk)
        for key in sorted(readers)
    ]
    query = (
        select(
            artifact.c.artifact_id,
            artifact.c.uri,
            artifact.c.format,
            chunk.c.job_id,
            artifact.c.chunk_id,
            artifact.c.attempt,
        )
        .join(chunk, chunk.c.chunk_id == artifact.c.chunk_id)
        .join(job, job.c.job_id == chunk.c.job_id)
        .where(
            job.c.link_key == link_key,
            among(chunk.c.status, (VERIFIED,)),
            or_(artifact.c.state == "PUBLISHED", artifact.c.state == "CONSUMED"),
            artifact.c.created_on <= clock.later,
            ~unsettled,
            ~unread,
            *taken,
        )
        .order_by(artifact.c.chunk_id, artifact.c.uri)
    )
    past: dict[str, Any] = {"later_ms": -int(days * _DAY_MS)}
    rows = base.db.read(lambda conn: conn.execute(query, past).all())
    return [
        StaleArtifact(artifact_id=r[0], uri=r[1], format=r[2], job_id=r[3], chunk_id=r[4], attempt=r[5])
        for r in rows
    ]
