"""Verifies the whole state database against its events: chains, tables, the order of runs, anchors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from hdm.state.db.tables import chain_head, event, run, schema_history, trail
from hdm.state.db.upgrade import REVISIONS
from hdm.state.queries import anchors, verify_chunks, verify_tables
from hdm.state.queries.anchors import Anchor
from hdm.state.queries.audit import chain_breaks
from hdm.state.queries.facts import Facts
from hdm.state.tx import seals
from hdm.state.tx.context import Base


@dataclass(slots=True)
class Verdict:
    """Result of a verification: what was verified, and what is wrong.

    ``older``: how many runs were recorded by an hdm before 0.2, whose tables can be compared only in part.
    ``breaks``: pairs of a run id ('' if it belongs to none) and a text.
    """

    chains: int = 0
    events: int = 0
    older: int = 0
    anchors: int = 0
    breaks: list[tuple[str, str]] = field(default_factory=list)


def verify(base: Base, known: Sequence[Anchor] = ()) -> Verdict:
    """Verify every event chain, and compare every table with the events, on one snapshot of the database.

    ``known`` are anchors, with which the chains are compared too.
    """
    return base.db.snapshot(lambda conn: verified(conn, list(known)))


def verified(conn: Connection, known: list[Anchor]) -> Verdict:
    """Verify everything on a snapshot that is open already; see ``verify``."""
    facts, verdict = Facts(), Verdict(anchors=len(known))
    ids = set(conn.execute(select(run.c.run_id)).scalars())
    ids |= set(conn.execute(select(chain_head.c.run_id)).scalars())
    ids |= set(conn.execute(select(event.c.run_id).distinct()).scalars())
    for run_id in sorted(ids):
        verdict.breaks += [(run_id, text) for text in chain_breaks(conn, run_id, facts.take)]
    verdict.chains, verdict.events = len(ids), facts.events
    verdict.older = sum(one.opened is None or "seal" not in one.opened for one in facts.runs.values())
    verdict.breaks += _order(conn, facts)
    verdict.breaks += anchors.compare(conn, known)
    verdict.breaks += _upgrades(conn)
    verdict.breaks += verify_tables.runs(conn, facts)
    jobs = verify_tables.all_jobs(conn)
    verdict.breaks += verify_tables.jobs(conn, facts, jobs)
    for job_id, text in verify_chunks.chunks(conn, facts, jobs):
        verdict.breaks.append((jobs[job_id]["run_id"] if job_id in jobs else "", text))
    return verdict


def _upgrades(conn: Connection) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the record of schema upgrades, which names each version once."""
    found = sorted(conn.execute(select(schema_history.c.version)).scalars())
    if found != sorted(REVISIONS):
        yield "", f"upgrades on record: {', '.join(found) or 'none'}; there were {', '.join(REVISIONS)}"


def _order(conn: Connection, facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the order of runs.

    Each run names the one opened before it, and the end of that run's chain at the time.
    """
    numbered: dict[int, str] = {}
    for run_id, told in facts.runs.items():
        if told.opened is not None and "number" in told.opened:
            if told.opened["number"] in numbered:
                yield run_id, f"it is number {told.opened['number']}, and so is another run"
            numbered[told.opened["number"]] = run_id
    place = conn.execute(select(trail.c.number, trail.c.run_id)).one_or_none()
    if place is None or (numbered.get(place.number) if place.number else None) != place.run_id:
        yield "", "the newest run is not the one that hdm_trail names"
    count = max([*numbered, place.number if place is not None else 0])
    for number in range(1, count + 1):
        run_id = numbered.get(number, "")
        if not run_id:
            yield "", f"run number {number} is gone"
            continue
        opened = facts.runs[run_id].opened or {}
        before = opened.get("before")
        if number == 1:
            yield from _older(run_id, opened.get("older"), facts)
        elif before is None or before["run"] != numbered.get(number - 1):
            yield run_id, f"the run before it is not the one that it names: {(before or {}).get('run')}"
        elif before["seq"] and anchors.hash_at(conn, before["run"], before["seq"]) != before["hash"]:
            yield before["run"], f"event {before['seq']} is not the one that the next run found"


def _older(run_id: str, told: list[object] | None, facts: Facts) -> Iterator[tuple[str, str]]:
    ids = sorted(key for key, one in facts.runs.items() if one.opened is None or "number" not in one.opened)
    if told is not None and told != [len(ids), seals.text_seal(" ".join(ids))]:
        yield run_id, f"it found {told[0]} runs of an older hdm, and there are {len(ids)}"
