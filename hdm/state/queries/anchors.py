"""Anchors: the ends of all event chains, stored outside the database to reveal a rewritten chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

import hdm
from hdm.errors import UsageError
from hdm.state.db import clock
from hdm.state.db.tables import anchor, chain_head, event, trail
from hdm.state.tx.context import Base

_FORMAT = 1
_KEYS = {"hdm_anchor", "made_at", "hdm_version", "runs", "events", "number", "newest", "chains", "sha256"}


class Anchor(NamedTuple):
    """The ends of all event chains at one time.

    ``chains``: run id -> (number of events, last hash).
    """

    made_at: str
    number: int
    newest: str | None
    chains: dict[str, tuple[int, str]]


def make(base: Base) -> dict[str, Any]:
    """Return an anchor with the end of every event chain, for ``spell``."""

    def work(conn: Connection) -> dict[str, Any]:
        heads = conn.execute(select(chain_head).order_by(chain_head.c.run_id)).all()
        place = conn.execute(select(trail.c.number, trail.c.run_id)).one()
        return {
            "hdm_anchor": _FORMAT,
            "made_at": conn.execute(select(clock.now)).scalar_one(),
            "hdm_version": hdm.__version__,
            "runs": len(heads),
            "events": sum(int(head.seq) for head in heads),
            "number": int(place.number),
            "newest": place.run_id,
            "chains": [[head.run_id, int(head.seq), head.hash] for head in heads],
        }

    return base.db.snapshot(work)


def spell(made: Mapping[str, Any]) -> str:
    """Return an anchor as one line of JSON, with a digest of the line that shows accidental changes."""
    return _canonical({**made, "sha256": _digest(made)})


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(made: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(dict(made)).encode()).hexdigest()


def record(base: Base, made: Mapping[str, Any], location: str) -> None:
    """Record in the database that an anchor is stored at ``location``.

    ``made`` is the anchor, as ``make_anchor`` returned it.
    """

    def work(conn: Connection) -> None:
        known = {(row.run_id, row.seq) for row in conn.execute(select(anchor.c.run_id, anchor.c.seq)).all()}
        new = [
            {"run_id": run_id, "seq": seq, "hash": found, "anchored_at": made["made_at"],
             "location": base.mask(location)[:1024]}
            for run_id, seq, found in made["chains"]
            if (run_id, seq) not in known
        ]  # fmt: skip
        if new:
            conn.execute(insert(anchor), new)

    base.db.run(work)


def read(text: str, file: str) -> list[Anchor]:
    """Return the anchors in a text, one for each line that is not empty.

    ``file`` is the name of the text's file, for messages. Raises ``UsageError`` for a line that is no anchor,
    or was changed, and for a text without anchors.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            made = json.loads(line)
            told = made.pop("sha256")
            if made["hdm_anchor"] != _FORMAT or told != _digest(made) or made.keys() != _KEYS - {"sha256"}:
                raise ValueError
            chains = {run_id: (int(seq), str(head)) for run_id, seq, head in made["chains"]}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsageError(
                f"{file}:{number}: this is no anchor as hdm state anchor writes it, or it was changed",
                hint="give the file that hdm state anchor -o FILE wrote",
            ) from None
        found.append(Anchor(made["made_at"], made["number"], made["newest"], chains))
    if not found:
        raise UsageError(f"{file}: there is no anchor in it", hint="make one with: hdm state anchor -o FILE")
    return found


def compare(conn: Connection, anchors: list[Anchor]) -> Iterator[tuple[str, str]]:
    """Compare the event chains with anchors; yield a run id and a text for each difference.

    The run id is empty if the database has fewer runs than an anchor. An event added since is no difference.
    """
    heads = {row.run_id: int(row.seq) for row in conn.execute(select(chain_head)).all()}
    place = int(conn.execute(select(func.coalesce(func.max(trail.c.number), 0))).scalar_one())
    for one in anchors:
        if place < one.number:
            yield "", f"the anchor of {one.made_at} knows {one.number} runs, the database {place}"
        for run_id, (seq, told) in sorted(one.chains.items()):
            if run_id not in heads:
                yield run_id, f"the anchor of {one.made_at} knows this run with {seq} events; it is gone"
            elif heads[run_id] < seq:
                yield (
                    run_id,
                    f"its chain was cut: {heads[run_id]} events, the anchor of {one.made_at} knows {seq}",
                )
            elif seq and hash_at(conn, run_id, seq) != told:
                yield run_id, f"event {seq} is not the one that the anchor of {one.made_at} knows"


def hash_at(conn: Connection, run_id: str, seq: int) -> str | None:
    """Return the hash of one event; None if it does not exist."""
    found: str | None = conn.execute(
        select(event.c.hash).where(event.c.run_id == run_id, event.c.seq == seq)
    ).scalar()
    return found
