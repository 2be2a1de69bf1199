"""Finds target tables into which several links would write, and refuses those whose rows would mix.

Two links share a table if the target takes their two names for one: ``"Orders"`` and ``orders`` are two
tables in PostgreSQL and one in SQLite. The links may share it only if both say ``union:``, and a column tells
their rows apart.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hdm.components.registry import misplaced
from hdm.errors import HdmError, ManifestError, Recovery

if TYPE_CHECKING:
    from hdm.planning.preflight import Pipeline
    from hdm.runtime.link import DataLink

_TOLD_APART = (
    "write table_name: on one of the sinks; or union: true on both links, and on each a transform: with a "
    "constant of its own, e.g. SELECT 'north' AS origin, * FROM batch"
)


def refuse_shared_targets(links: Mapping[str, DataLink], pipelines: Sequence[Pipeline]) -> None:
    """Raise ``ManifestError``, with both places, if two links write to one target table without ``union:``.

    Also if a link with ``union:`` replaces the table, if no column tells the links' rows apart, or if no such
    column is in the key of a merge. Links whose sinks publish files are not compared.
    """
    for group in _sharing(links, pipelines):
        first, *others = group
        for other in others:
            if not (first.link.union and other.link.union):
                raise _refusal(first, other, "", _TOLD_APART)
            if first.link.mode.rules.compares or other.link.mode.rules.compares:
                hint = "write mode: merge on both links, or table_name: on one of the sinks"
                raise _refusal(first, other, ": mode sync would delete the rows of the other one", hint)
            if first.link.mode.rules.swaps_at_end or other.link.mode.rules.swaps_at_end:
                hint = "write mode: append or merge on both links, or table_name: on one of the sinks"
                raise _refusal(first, other, ": mode replace keeps the rows of the last one only", hint)
        _are_told_apart(links, group)


def _sharing(links: Mapping[str, DataLink], pipelines: Sequence[Pipeline]) -> Iterator[list[Pipeline]]:
    """Yield groups of pipelines that share a table; ask a target how it compares names only if it matters."""
    near: dict[tuple[str, str], list[Pipeline]] = {}
    for one in pipelines:
        if not links[one.link.key].sink.publishes_files:
            written = one.target.dataset
            name = unicodedata.normalize("NFKC", written.name).casefold()
            near.setdefault((written.namespace.casefold(), name), []).append(one)
    for some in near.values():
        if len(some) < 2:
            continue
        same: dict[tuple[str, ...], list[Pipeline]] = {}
        for one in some:
            same.setdefault(_landing(links[one.link.key], one), []).append(one)
        yield from (group for group in same.values() if len(group) > 1)


def _landing(link: DataLink, one: Pipeline) -> tuple[str, ...]:
    try:
        return link.sink.landing(link.outgoing(one.source))
    except HdmError as error:
        if error.recovery is not Recovery.RETRY:
            raise
        return (one.target.dataset.namespace, one.target.dataset.name)


def _refusal(first: Pipeline, other: Pipeline, why: str, hint: str) -> ManifestError:
    names = [first.target.dataset.name, other.target.dataset.name]
    table = names[0] if names[0] == names[1] else f"{names[0]} and {names[1]}, which are one name there"
    return misplaced(
        other.link.sink,
        f"{_read(first)} and {_read(other)} would both be written to {table}{why}",
        hint,
    )


def _read(one: Pipeline) -> str:
    line = one.link.source.place[0]
    return one.source.dataset.name + (f" (line {line})" if line else "")


def _are_told_apart(links: Mapping[str, DataLink], group: Sequence[Pipeline]) -> None:
    """Raise ``ManifestError`` unless some column tells the rows of each pipeline from those of all others."""
    first, other = group[:2]
    telling = _telling(links, group)
    if not telling:
        what = ", and no column tells their rows apart"
        hint = (
            "give each link a transform: with a constant of its own, e.g. SELECT 'north' AS origin, * FROM "
            "batch, or write union: [column] with columns whose values no two of them share"
        )
        raise _refusal(first, other, what, hint)
    for one in group:
        if one.link.mode.rules.merges_by_key and not telling & set(one.target.key):
            what = f", and the key of the merge, {', '.join(one.target.key)}, does not tell their rows apart"
            raise _refusal(
                first, one, what, f"write key: with {', '.join(sorted(telling))} in it on each sink"
            )


def _telling(links: Mapping[str, DataLink], group: Sequence[Pipeline]) -> set[str]:
    """Return the columns that tell rows apart: those of ``union:``, else constants that differ."""
    said = [set(one.link.union) for one in group if isinstance(one.link.union, tuple)]
    if said:
        named = set.union(*said)
        for one in group:
            if one.link.union is not True and set(one.link.union or ()) != named:
                raise _refusal(group[0], one, ", with different columns in union:", "write the same in both")
            lacking = named - {column.name for column in one.target.columns}
            if lacking:
                raise misplaced(
                    one.link.sink,
                    f"union: {one.target.dataset.name} has no column {', '.join(sorted(lacking))}",
                    "name columns of: " + ", ".join(column.name for column in one.target.columns),
                )
        return named
    constants = [_constants(links[one.link.key], one) for one in group]
    shared = set.intersection(*(set(one) for one in constants))
    return {name for name in shared if len({one[name] for one in constants}) == len(constants)}


def _constants(link: DataLink, one: Pipeline) -> dict[str, str]:
    """Return the constants that the link's transform writes, by the target's column names."""
    found = constant_columns(one.link.transform) if one.link.transform else {}
    pairs = zip(link.outgoing(one.source).columns, one.target.columns, strict=False)
    return {written.name: found[read.name] for read, written in pairs if read.name in found}


def constant_columns(sql: str) -> dict[str, str]:
    """Return the columns that a SELECT sets to one value for all rows, each with the value as text.

    Empty for more than one statement.
    """
    import duckdb

    with duckdb.connect(":memory:") as engine:
        found = engine.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    statements = json.loads(found[0]).get("statements") or [] if found else []
    if len(statements) != 1:
        return {}
    node = statements[0]["node"]
    named = [(one.get("alias"), one) for one in node.get("select_list") or []]
    stars = [one for _, one in named if one["class"] == "STAR"]
    named += [(one["key"], one["value"]) for star in stars for one in star.get("replace_list") or []]
    return {name: value for name, one in named if name and (value := _constant(one)) is not None}


def _constant(one: dict[str, Any]) -> str | None:
    while one["class"] == "CAST":
        one = one["child"]
    if one["class"] != "CONSTANT":
        return None
    literal = one.get("literal") or one.get("value") or {}
    text = literal.get("text", literal.get("value"))
    return None if text is None else str(text)
