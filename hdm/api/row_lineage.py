"""Finds out which chunks brought one row, from the ranges of keys on record; guesses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from hdm.errors import UsageError
from hdm.model.values import Chunk, Column, Condition, Kind, Table
from hdm.planning.sync_links import COMPARISON

YES, PERHAPS, WAIVED = "yes", "perhaps", "no: waived"
_NUMBERS = (Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.DECIMAL)
_DATES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Brought:
    """A chunk that brought a row, or may have, with the run and the files it came by.

    ``brought``: ``yes`` if the chunk holds every row with this key (so that the row came with it, if hdm
    brought it), ``perhaps`` if the state cannot know (``why`` says so), ``no: waived`` for a chunk whose
    missing rows somebody accepted. ``path`` are the chunks from the source to the target. ``transforms`` are
    the expressions on the way.
    """

    brought: str
    why: str
    chunk: str
    into: str
    rows_where: str
    epoch: int
    mode: str
    committed_at: str | None
    run: str
    manifest: str
    manifest_sha256: str
    commit: str | None
    by: str
    snapshot: str | None
    path: tuple[str, ...]
    files: tuple[str, ...]
    transforms: tuple[str, ...]


def key_of(text: str, key: Sequence[str]) -> dict[str, str | None]:
    """Return the values of a row's columns, by name, from ``VALUE`` or ``COLUMN=VALUE,COLUMN=VALUE``.

    The text NULL stands for NULL. ``key`` are the names of the table's key, for a value without a name.
    """
    parts = [part.partition("=") for part in text.split(",")]
    if len(parts) == 1 and not parts[0][1]:
        if len(key) != 1:
            raise UsageError(
                f"--row {text!r} names no column, and the table's key has {len(key)}",
                hint="write COLUMN=VALUE, several with commas between",
            )
        return {key[0]: None if text == "NULL" else text}
    names = [name for name, _, _ in parts]
    if len({*names}) < len(names):
        raise UsageError(f"--row {text!r} gives a column twice", hint="write each column once")
    if any(not name or not equals for name, equals, _ in parts):
        raise UsageError(f"--row {text!r} cannot be read", hint="write COLUMN=VALUE, with commas between")
    return {name: None if value == "NULL" else value for name, _, value in parts}


def key_names(found: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the key of the table into which these chunks lead; empty if none is known."""
    for one in reversed(found):
        key: tuple[str, ...] = one["job"]["target"].key or one["job"]["table"].key
        if key:
            return key
    return ()


def find(found: Sequence[Mapping[str, Any]], values: Mapping[str, str | None]) -> list[Brought]:
    """Return which of the chunks that were loaded into a table hold, or may hold, the row with these values.

    ``found`` are the chunks as the state database returns them. Raises ``UsageError`` for a column that the
    table does not have.
    """
    columns = {line["sink_column"] for one in found for line in one["job"]["columns"]} - {"*"}
    if columns and (wrong := sorted(set(values) - columns)):
        raise UsageError(
            f"the table has no column {wrong[0]!r}", hint=f"columns: {', '.join(sorted(columns))}"
        )
    held = [(one, *_holds(one, values)) for one in found]
    kept = [(one, sure, why) for one, sure, why in held if sure is not False]
    there = [one for one, _, _ in kept if one["status"] != "waived"]
    links = {one["job"]["pipeline_key"] for one in there}
    doubt = "several links fill the table" if len(links) > 1 else ""
    if not doubt and len(there) > 1 and there[0]["job"]["mode"] == "merge":
        doubt = "of several, the last that read the row wrote it"
    return [_brought(one, sure, why, doubt or _rewritten(one)) for one, sure, why in kept]


def _rewritten(one: Mapping[str, Any]) -> str:
    """Return what else may have written the row since; empty if nothing has."""
    since = str(one["committed_at"] or "")
    kinds = {each["kind"] for each in one["job"].get("rewritten", ()) if (each["until"] or "") >= since}
    return f"a {' and a '.join(sorted(kinds))} wrote rows of the table since" if kinds else ""


def _brought(one: Mapping[str, Any], sure: bool | None, why: str, doubt: str) -> Brought:
    path = _path(one)
    root, of = path[0], one["job"]
    if one["status"] == "waived":
        said, why = (WAIVED if sure else PERHAPS), "; ".join(filter(None, [why, f"waived {one['waived']}"]))
    else:
        said, why = (YES if sure and not doubt else PERHAPS), "; ".join(filter(None, [why, doubt]))
    chunk: Chunk = one["chunk"]
    return Brought(
        brought=said,
        why=why,
        chunk=chunk.chunk_id,
        into=f"{of['sink_name']}: {of['target'].dataset.name}",
        rows_where=_range(root["chunk"].conditions),
        epoch=of["epoch"],
        mode=of["mode"],
        committed_at=one["committed_at"],
        run=of["run_id"],
        manifest=of["manifest_name"],
        manifest_sha256=of["manifest_sha256"],
        commit=of["git_sha"] and f"{of['git_sha']}{' with changes' if of['git_dirty'] else ''}",
        by=of["started_by"],
        snapshot=root["job"]["snapshot_token"],
        path=tuple(each["chunk"].chunk_id for each in path),
        files=tuple(file["uri"] for each in path for file in each["files"]),
        transforms=tuple(
            f"{line['sink_column']}: {line['expression']}"
            for each in path
            for line in each["job"]["columns"]
            if line["expression"]
        ),
    )


def _path(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a chunk after all that it was made of, the one that was read from a source first."""
    path = [one]
    while (above := path[0]["from"]) is not None:
        path.insert(0, above)
    return path


def _range(conditions: Sequence[Condition]) -> str:
    said = [" ".join(filter(None, (one.column, one.op, one.value))) for one in conditions]
    return " and ".join(said) or "all"


def _holds(one: Mapping[str, Any], values: Mapping[str, str | None]) -> tuple[bool | None, str]:
    """Return whether a chunk holds a row, None with the reason if that cannot be known."""
    path = _path(one)
    root = path[0]["chunk"]
    if one["legacy"]:
        return None, "imported: hdm did not move it, and knows no range"
    if root.upstream is not None:
        return None, "the chunk it was made of is not on record any more"
    if root.files or root.first_row is not None:
        return None, "read from files: which rows a file holds is not on record"
    for above, below in pairwise(path):
        if below["chunk"].first_row is not None or len(above["files"]) > len(below["chunk"].files):
            return None, "a part of what was staged: which rows it holds is not on record"
    known = _at_the_source(path, values)
    table: Table = path[0]["job"]["table"]
    unknown: list[str] = []
    for condition in root.conditions:
        answer, why = _meets(condition, table, known)
        if answer is False:
            return False, ""
        if answer is None:
            unknown.append(why)
    if root.seen_key is not None:
        unknown.append("rows that were moved before are left out of it")
    return (None, "; ".join(dict.fromkeys(unknown))) if unknown else (True, "")


def _at_the_source(
    path: Sequence[Mapping[str, Any]], values: Mapping[str, str | None]
) -> dict[str, str | None]:
    """Return the values by the names of the first source's columns, where these went through unchanged."""
    known = dict(values)
    for each in reversed(path):
        known = {
            line["source_column"]: known[line["sink_column"]]
            for line in each["job"]["columns"]
            if line["sink_column"] in known
            and (line["transform_type"], line["transform_subtype"]) == ("DIRECT", "IDENTITY")
        }
    return known


def _meets(condition: Condition, table: Table, known: Mapping[str, str | None]) -> tuple[bool | None, str]:
    """Return whether a row meets a condition; None with the reason if that cannot be known."""
    if condition.column == COMPARISON:
        return None, "a sync writes the rows that differ: which these were is not on record"
    if condition.column.startswith("@"):
        return None, "cut by where rows lay in the source, not by values"
    column = next((one for one in table.columns if one.name == condition.column), None)
    if column is None or condition.column not in known:
        return None, f"cut by {condition.column}: give its value, too, if it is unchanged in the target"
    value = known[condition.column]
    if value is None:
        return condition.op in ("null", "beyond"), ""
    if condition.op == "null":
        return False, ""
    if condition.op == "in":
        return _in_ranges(value, str(condition.value)), f"{condition.column} is no whole number"
    mine, edge = (_comparable(text, column) for text in (value, str(condition.value)))
    if mine is None or edge is None:
        equal = condition.op in ("=", ">=", "<=") and value == condition.value
        return (True, "") if equal else (None, f"only the source knows the order of {condition.column}")
    answers = {
        ">=": mine >= edge, ">": mine > edge, "<=": mine <= edge, "<": mine < edge, "=": mine == edge,
        "beyond": mine > edge,
    }  # fmt: skip
    answer = answers.get(condition.op)
    return answer, "" if answer is not None else f"a condition that is not known: {condition.op}"


def _in_ranges(value: str, ranges: str) -> bool | None:
    """Return whether a whole number is in ``3,7..9``; None for a value that is none."""
    try:
        number = int(value)
        ends = [part.partition("..") for part in ranges.split(",")]
        return any(int(low) <= number <= int(high or low) for low, _, high in ends)
    except ValueError:
        return None


def _comparable(text: str, column: Column) -> Any:
    """Return a value of which Python knows the source's order: a number or a time; else None."""
    try:
        if column.kind in _NUMBERS:
            number = Decimal(text)
            return number if number.is_finite() else None
        if column.kind in _DATES:
            return _moment(text, zoned=column.kind is Kind.TIMESTAMPTZ)
    except (InvalidOperation, ValueError):
        return None
    return None


def _moment(text: str, *, zoned: bool) -> datetime | None:
    """Return a day or a moment to the microsecond, in UTC if it is ``zoned``.

    None for more digits, which Python cuts off, and for a moment that should have a zone and has none.
    """
    head, _, digits = text.partition(".")
    if len(digits.rstrip("Z").partition("+")[0]) > 6:
        return None
    found = (
        datetime.fromisoformat(text) if len(head) > 10 else datetime.combine(date.fromisoformat(text), time())
    )
    if found.tzinfo is None:
        return None if zoned else found.replace(tzinfo=UTC)
    return found.astimezone(UTC)
