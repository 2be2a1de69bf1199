"""Compares each chunk, its files, dead letter and lineage with the events about them."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from hdm.model import digest
from hdm.model.json import receipt_from_json
from hdm.state.chunks.artifacts import artifact_key
from hdm.state.db.tables import artifact, chunk, dead_letter, event, lineage_edge
from hdm.state.queries.facts import Facts
from hdm.state.records import COMMITTED, DEAD, PENDING, SUPERSEDED, VERIFIED, WAIVED
from hdm.state.tx.chunk_rows import receipt_values
from hdm.state.tx.seals import IMPORTED, LETTER, PLANNED, Sum, seal, text_seal

_PAGE = 500
_WHOLE = -1
"""``row_no`` of a dead letter that is of a whole chunk, as all are."""
_FROM_RECEIPT = (
    "rows_extracted", "rows_loaded", "rows_filtered", "bytes", "content_sha256", "sink_filter",
    "written_attempt",
)  # fmt: skip
_FILE = (
    ("bytes", "bytes"), ("row_count", "rows"), ("sha256", "sha256"), ("etag", "etag"), ("format", "format"),
)  # fmt: skip

Row = Mapping[str, Any]
Found = Iterator[tuple[str, str]]
"""Pairs of a job's id and a text that says what is wrong."""


def chunks(conn: Connection, facts: Facts, jobs: Mapping[str, Row]) -> Found:
    """Compare every chunk in the database with its events, page by page; yield the differences."""
    plans: dict[str, Sum] = defaultdict(Sum)
    imported: dict[str, Sum] = defaultdict(Sum)
    last, edges = "", 0
    while True:
        query = select(chunk).where(chunk.c.chunk_id > last).order_by(chunk.c.chunk_id).limit(_PAGE)
        page = [dict(row) for row in conn.execute(query).mappings()]
        if not page:
            break
        last = page[-1]["chunk_id"]
        around = _Around(conn, page, jobs)
        for row in page:
            old = row["bound_kind"] == "legacy"
            (imported if old else plans)[row["job_id"]].add("chunk", IMPORTED if old else PLANNED, row)
            if old and not around.events[row["chunk_id"]]:
                continue
            edges += _was_made(row, around.events[row["chunk_id"]])
            for text in _of_chunk(row, around, sealed=facts.job(row["job_id"]).sealed):
                yield row["job_id"], f"chunk {row['chunk_id'][:12]}: {text}"
    yield from _sums(facts, plans, imported)
    yield from _strays(conn, edges)


def _sums(facts: Facts, plans: Mapping[str, Sum], imported: Mapping[str, Sum]) -> Found:
    for job_id in sorted(facts.jobs.keys() | plans.keys() | imported.keys()):
        job = facts.job(job_id)
        if job.sealed:
            yield from _differs(job_id, "planned chunks", plans.get(job_id, Sum()), job.plan)
        if job.imported is not None:
            yield from _differs(job_id, "imported chunks", imported.get(job_id, Sum()), job.imported)


def _differs(job_id: str, what: str, there: Sum, told: Sum) -> Found:
    if there != told:
        yield job_id, differs(what, there, told)


def differs(what: str, there: Sum, told: Sum) -> str:
    """Return a text that says how a table's rows differ from what events recorded of them.

    ``what`` names the rows. ``there`` is the sum over the rows of the table, ``told`` the sum that the events
    carry.
    """
    if there.number != told.number:
        return f"{what}: {there.number} on record, its events say {told.number}"
    return f"{what}: not as its events sealed them"


def _strays(conn: Connection, committed: int) -> Found:
    lost = (
        select(event.c.job_id, event.c.chunk_id)
        .outerjoin(chunk, chunk.c.chunk_id == event.c.chunk_id)
        .where(event.c.chunk_id.is_not(None), chunk.c.chunk_id.is_(None))
        .distinct()
    )
    for row in conn.execute(lost).all():
        yield row.job_id or "", f"chunk {row.chunk_id[:12]}: told of by events, and gone"
    edges = conn.execute(select(func.count()).select_from(lineage_edge)).scalar_one()
    if edges != committed:
        yield "", f"lineage: {edges} edges on record for {committed} committed chunks"


class _Around:
    """The events, files, dead letters and edges of a page of chunks."""

    def __init__(self, conn: Connection, page: Sequence[Row], jobs: Mapping[str, Row]) -> None:
        ids = [row["chunk_id"] for row in page]
        self.jobs = jobs
        self.events = _grouped(conn, event, ids)
        for found in self.events.values():
            found.sort(key=lambda one: (one["at_db"], one["seq"]))
        self.files = _grouped(conn, artifact, ids)
        self.letters = _grouped(conn, dead_letter, ids)
        keys = [edge_key(row) for row in page]
        edges = conn.execute(select(lineage_edge).where(lineage_edge.c.edge_id.in_(keys))).mappings()
        self.edges: dict[str, Row] = {one["edge_id"]: dict(one) for one in edges}
        above = sorted({row["corr_in"] for row in page if row["corr_in"]})
        owners = select(chunk.c.chunk_id, chunk.c.job_id).where(chunk.c.chunk_id.in_(above))
        self.owners: dict[str, str] = {one[0]: one[1] for one in conn.execute(owners).all()}


def _grouped(conn: Connection, table: Any, ids: Sequence[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in conn.execute(select(table).where(table.c.chunk_id.in_(ids))).mappings():
        found[row["chunk_id"]].append({**row, **_payload(dict(row))})
    return found


def _payload(row: Row) -> dict[str, Any]:
    if "payload" not in row:
        return {}
    try:
        return {"payload": json.loads(row["payload"])}
    except ValueError:
        return {"payload": {}}


def edge_key(row: Row) -> str:
    """Return the id of the lineage edge of a committed chunk's row."""
    return digest("edge", row["corr_in"] or "", row["chunk_id"])


def _of_chunk(row: Row, around: _Around, *, sealed: bool) -> Iterator[str]:
    events = around.events[row["chunk_id"]]
    if {one["job_id"] for one in events} - {None, row["job_id"]}:
        yield "its events name another job"
    if not _is_readable(row["receipt"]):
        yield "its receipt cannot be read"
        return
    yield from _status(row, events)
    yield from _attempts(row, events)
    yield from _failures(row, events)
    yield from _content(row, events, sealed=sealed)
    yield from _letter(row, events, around.letters[row["chunk_id"]])
    if row["status"] in (COMMITTED, VERIFIED):
        yield from _files(row, around.files[row["chunk_id"]], events, sealed=sealed)
        yield from _edge(row, around)


def _is_readable(receipt: str | None) -> bool:
    try:
        return receipt is None or bool(receipt_from_json(receipt))
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _status(row: Row, events: Sequence[Row]) -> Iterator[str]:
    """Yield a text if the status is not the sum of all changes, in whatever order two runs made them."""
    balance: Counter[str] = Counter()
    begun = [one["to_status"] for one in events if one["event_type"] == "chunk.adopted"
             and one["from_status"] is None]  # fmt: skip
    balance[begun[0] if begun else PENDING] += 1
    for one in events:
        was, now = one["from_status"], one["to_status"]
        if was and now and was != now:
            balance[was] -= 1
            balance[now] += 1
    left = {status: number for status, number in balance.items() if number}
    if left != {row["status"]: 1}:
        told = " or ".join(sorted(status for status, number in left.items() if number > 0))
        yield f"status is {row['status']}, its events say {told or 'nothing'}"


def _was_made(row: Row, events: Sequence[Row]) -> bool:
    """Return whether its rows were ever committed, even if it was superseded since."""
    if row["status"] != SUPERSEDED:
        return row["status"] in (COMMITTED, VERIFIED)
    return any(one["event_type"] in _MADE for one in events)


def _failures(row: Row, events: Sequence[Row]) -> Iterator[str]:
    """Yield a text unless ``failures`` is the number of counted failures since the last retry."""
    told = 0
    for one in events:
        told += one["event_type"] == "chunk.failed" and bool(one["payload"].get("counts"))
        told = 0 if one["event_type"] == "chunk.retried" else told
    if row["failures"] != told:
        yield f"failures is {row['failures']}, its events say {told}"


def _attempts(row: Row, events: Sequence[Row]) -> Iterator[str]:
    told = max((one["attempt"] or 0 for one in events), default=0)
    if row["attempt"] != told:
        yield f"attempt is {row['attempt']}, its events say {told}"
    last: Row | None = None
    for one in events:
        if one["event_type"] == "chunk.claimed" and (last is None or one["attempt"] >= last["attempt"]):
            last = one
    owner = last["worker_id"] if last is not None else None
    if any(one["event_type"] in ("chunk.adopted", "chunk.superseded") for one in events):
        if row["lease_owner"] not in (None, owner):
            yield "lease_owner is not who its events say"
    elif row["lease_owner"] != owner:
        yield "lease_owner is not who its events say"
    claims = [one for one in events if one["event_type"] == "chunk.claimed"]
    written = [one for one in events if one["event_type"] == "chunk.written"]
    for column, kinds in (
        ("sourcing_start_time", [one for one in claims if one["from_status"] != "written"]),
        ("sourcing_end_time", written),
        ("sinking_start_time", written),
        ("sinking_end_time", [one for one in events if one["event_type"] in _MADE]),
    ):
        if row[column] != (kinds[-1]["at_db"] if kinds else None):
            yield f"{column} is not when its events say"


_MADE = ("chunk.committed", "chunk.adopted")


def _content(row: Row, events: Sequence[Row], *, sealed: bool) -> Iterator[str]:
    made = [one for one in events if one["event_type"] in _MADE]
    told = made[-1]["payload"] if made and row["status"] in (COMMITTED, VERIFIED) else {}
    for name, column in (("rows", "rows_loaded"), ("bytes", "bytes"), ("filtered", "rows_filtered"),
                         ("rejected", "rows_rejected"), ("sha256", "content_sha256")):  # fmt: skip
        if name in told and row[column] != told[name]:
            yield f"{column} is {row[column]}, its events say {told[name]}"
    if row["receipt"] is None:
        if told:
            yield "the receipt is gone"
        for column in (*_FROM_RECEIPT, "rows_rejected"):
            if row[column] and row["bound_kind"] != "legacy":
                yield f"{column} is {row[column]}, and there is no receipt"
        return
    known = {one["payload"].get("receipt") for one in events} - {None}
    wanted = {told["receipt"]} if "receipt" in told else known
    if (wanted or sealed) and text_seal(row["receipt"]) not in wanted:
        yield "the receipt is not the one that its events sealed"
        return
    values = receipt_values(receipt_from_json(row["receipt"]))
    for column in (*_FROM_RECEIPT, "rows_rejected"):
        if row[column] != values[column]:
            yield f"{column} is {row[column]}, its receipt says {values[column]}"


def _files(row: Row, files: Sequence[Row], events: Sequence[Row], *, sealed: bool) -> Iterator[str]:
    if row["receipt"] is None:
        return
    there = {one["artifact_id"]: one for one in files}
    deleted = {one["payload"].get("file") for one in events if one["event_type"] == "file.deleted"}
    named, receipt = set(), receipt_from_json(row["receipt"])
    for file in receipt.files:
        key = artifact_key(row["chunk_id"], file.uri)
        named.add(key)
        found = there.get(key)
        if found is None or found["uri"] != file.uri:
            yield f"the file {key[:12]} of its receipt is not on record"
            continue
        if found["attempt"] != receipt.attempt:
            yield f"the file {key[:12]}: attempt is not what its receipt says"
        for column, name in _FILE:
            if found[column] != getattr(file, name):
                yield f"the file {key[:12]}: {column} is not what its receipt says"
        if found["state"] == "TMP" or (sealed and found["state"] == "DELETED" and key not in deleted):
            yield f"the file {key[:12]} is {found['state']}, and no event says so"
    for key, found in there.items():
        if key not in named and found["state"] in ("PUBLISHED", "CONSUMED"):
            yield f"the file {key[:12]} is on record, and its receipt does not name it"


def _edge(row: Row, around: _Around) -> Iterator[str]:
    found, job = around.edges.get(edge_key(row)), around.jobs.get(row["job_id"])
    if found is None:
        yield "its lineage edge is gone"
        return
    if job is None:
        return
    above = around.jobs.get(around.owners.get(row["corr_in"] or "", ""))
    told = {
        "job_id": row["job_id"],
        "from_dataset_id": (above or {}).get("sink_dataset_id") or job["source_dataset_id"],
        "to_dataset_id": job["sink_dataset_id"],
        "from_chunk_id": row["corr_in"],
        "to_chunk_id": row["chunk_id"],
        "row_count": row["rows_loaded"],
    }
    for column, value in told.items():
        if found[column] != value:
            yield f"its lineage edge: {column} is not what chunk and job say"


def _letter(row: Row, events: Sequence[Row], letters: Sequence[Row]) -> Iterator[str]:
    deaths = sorted(
        (one for one in events if one["event_type"] == "chunk.dead"), key=lambda one: one["attempt"]
    )
    if not deaths:
        if letters:
            yield "a dead letter, and no event says that it died"
        return
    last = deaths[-1]
    if row["status"] == DEAD and row["error_class"] != last["payload"].get("error"):
        yield "error_class is not what its events say"
    if len(letters) != 1:
        yield f"{len(letters)} dead letters, its events say 1"
        return
    letter = letters[0]
    if letter["row_no"] != _WHOLE:
        yield "its dead letter: row_no is not that of a whole chunk"
    if letter["error_class"] != last["payload"].get("error") or (
        "letter" in last["payload"] and seal("dead_letter", LETTER, letter) != last["payload"]["letter"]
    ):
        yield "its dead letter is not what its events sealed"
    told = _resolution(row, events)
    for column, value in told.items():
        if letter[column] != value:
            yield f"its dead letter: {column} is not what its events say"


def _resolution(row: Row, events: Sequence[Row]) -> dict[str, Any]:
    """Return the state of the dead letter, by the last event that left the status ``dead``."""
    ends = [one for one in events if one["from_status"] == DEAD and one["to_status"] != DEAD]
    if row["status"] == DEAD or not ends:
        return {"state": "open", "resolved_by": None, "resolved_at": None, "reason": None}
    end = ends[-1]
    reasons = {SUPERSEDED: "superseded", COMMITTED: "found in the target"}
    told = end["payload"]
    return {
        "state": WAIVED if end["to_status"] == WAIVED else "replayed",
        "resolved_by": told.get("by"),
        "resolved_at": end["at_db"],
        "reason": told.get("reason") or reasons.get(end["to_status"]),
    }
