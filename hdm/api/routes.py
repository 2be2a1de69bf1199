"""Finds the way from one end to another: which links carry the rows, of which types, and why.

The components are asked what they can; no system is named here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdm.api.ends import LOCAL, End, component
from hdm.components import registry
from hdm.components.source import Source
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles, home
from hdm.errors import UsageError
from hdm.files.formats import format_of
from hdm.files.source import FileSource
from hdm.model import Column, ComponentSpec, Kind, Mode, Table, digest
from hdm.sql.sink import SqlSink

Words = dict[str, Any]
_TEMPORAL = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_WHOLE = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64})


@dataclass(frozen=True, slots=True)
class Wishes:
    """Options of a copy; hdm decides about each that is empty or None."""

    append: bool = False
    """Adds the snapshot's rows to the target's, instead of replacing them."""
    keys: Sequence[str] = ()
    """Columns by which a delta is merged; empty: the source's primary key."""
    watermark: str = ""
    """Column that grows, by which a delta finds what is new."""
    file_format: str = ""
    chunk_rows: int | None = None
    file_rows: int | None = None
    file_bytes: int | None = None
    stage: str = ""
    """Name of the target's stage over the bucket ``bucket``."""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    stage_connection: str = ""
    """The connection that reaches the bucket; empty: the store's driver looks for credentials itself."""
    stage_store: str = "s3"
    """The word for the store that ``bucket`` is in."""


@dataclass(slots=True)
class Route:
    """The links from one end to the other, as a manifest has them, with the reason for each choice."""

    links: list[Words]
    why: list[str]
    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Connections that no profile file declares, by name."""


def route(source: End, target: End, wishes: Wishes, known: Profiles, *, delta: bool) -> Route:
    """Return the route from ``source`` to ``target``: the links between them.

    With ``delta``, only new rows are moved; the source is then asked for its key and its columns. Raises
    ``UsageError`` for ends between which there is no route, and where a column must be named.
    """
    reader = component("source", source)
    if reader is None:
        raise UsageError(
            f"{source.system} can only be written to", hint="hdm components lists each source and sink"
        )
    writer = component("sink", target, wishes.stage_store if wishes.bucket else "")
    if writer is None or (wishes.bucket and not _reads_files(component("sink", target))):
        plain = component("sink", target)
        raise UsageError(
            f"{target.system} loads nothing from {wishes.stage_store}"
            if plain
            else f"no sink of {target.system}",
            hint="leave --s3-bucket out: its rows need no stage" if plain else "see: hdm components",
        )
    found = Route(
        [], [], {one.connection: one.entry for one in (source, target) if one.connection and one.entry}
    )
    first = _reading(source, reader, wishes, target)
    mode = Mode.APPEND if wishes.append else Mode.REPLACE
    last = _writing(target, writer, wishes)
    if delta:
        mode = next((one for one in writer.modes if one.rules.merges_by_key), Mode.APPEND)
        _by_what(first, last, mode, reader, wishes, known, found)
    elif mode not in writer.modes:
        raise UsageError(f"{target.system} cannot {mode}", hint="it can " + ", ".join(sorted(writer.modes)))
    if _reads_files(writer) and not issubclass(reader, FileSource):
        _staged(first, last, mode, wishes, found, target)
    else:
        found.links.append({"source": first, "sink": last, "mode": mode.value})
        kind = "the target takes rows by SQL" if issubclass(writer, SqlSink) else "files are the target"
        found.why.insert(
            0, f"route: {reader.__name__} -> {writer.__name__}, directly: {kind}, so no stage is needed"
        )
    said = {
        Mode.REPLACE: "the new rows take the place of all others once all of them are there",
        Mode.APPEND: "rows are only added",
        Mode.MERGE: "a row takes the place of the one with its key",
    }
    found.why.append(f"mode {mode}: {said[mode]}")
    return found


def _reads_files(writer: type[Any] | None) -> bool:
    """Whether a sink is a database that takes files as they are: a warehouse."""
    return writer is not None and issubclass(writer, SqlSink) and bool(writer.accepts_files)


def _reading(source: End, reader: type[Any], wishes: Wishes, target: End) -> Words:
    conf: Words = {"env": source.connection} if source.connection and reader.Profile else {}
    if not source.is_files:
        if not source.object:
            raise UsageError(f"which table of {source.label}?", hint=f"write {source.system}:...TABLE")
        conf["table_name"] = _table(source.object)
        if wishes.chunk_rows:
            conf["chunk"] = {"rows": wishes.chunk_rows}
    else:
        conf |= _files_to_read(source, reader)
    return {"name": f"from_{source.label}", "type": reader.__name__, "conf": conf}


def _files_to_read(source: End, reader: type[Any]) -> Words:
    """Name one file by its folder and its own name; a folder as it is."""
    folder, _, name = source.object.rstrip("/").rpartition("/")
    alone = Path(source.object).is_file() if source.system == LOCAL else format_of(name) is not None
    if not alone:
        return dict(reader.Config.of_place(source.object))
    return {**reader.Config.of_place(folder or "."), "pattern": name, "table_name": name.partition(".")[0]}


def _writing(target: End, writer: type[Any], wishes: Wishes) -> Words:
    conf: Words = {"env": target.connection} if target.connection and writer.Profile else {}
    if issubclass(writer, SqlSink):
        if target.object:
            conf["table_name"] = _table(target.object)
        if wishes.stage:
            conf["stage_name"] = wishes.stage
    else:
        conf |= _files_to_write(target.object, writer, wishes)
    return {"name": f"to_{target.label}", "type": writer.__name__, "conf": conf}


def _files_to_write(place: str, writer: type[Any], wishes: Wishes) -> Words:
    ended = format_of(place.rstrip("/"))
    conf = dict(writer.Config.of_place(place))
    conf["file_format"] = wishes.file_format or (ended[0] if ended else "parquet")
    if ended is not None and ended[1] != "none":
        conf["compression"] = ended[1]
    split = {"rows": wishes.file_rows, "bytes": wishes.file_bytes}
    if any(split.values()):
        conf["split"] = {name: value for name, value in split.items() if value}
    return conf


def _staged(first: Words, last: Words, mode: Mode, wishes: Wishes, found: Route, target: End) -> None:
    """Put a stage of files between a source and a warehouse."""
    store = End(wishes.stage_store if wishes.bucket else LOCAL, None)
    reads, writes = component("source", store), component("sink", store)
    assert reads is not None and writes is not None
    if wishes.bucket:
        place = f"{wishes.bucket}/{wishes.prefix}"
    else:
        place = str(home() / "staging" / digest(repr(first), repr(last))[:16])
    conf = _files_to_write(place, writes, wishes)
    if wishes.stage_connection:
        conf["env"] = wishes.stage_connection
    elif wishes.region:
        conf["env"] = "stage"
        found.entries["stage"] = {"region": wishes.region}
    where = {name: conf[name] for name in conf if name in (*reads.Config.of_place(place), "env")}
    onto = Mode.REPLACE if mode.rules.reads_everything else Mode.APPEND
    staged = {
        "name": f"stage_{digest(place)[:8]}",
        "type": writes.__name__,
        "conf": {**conf, "keep": "verified"},
    }
    found.links += [
        {"source": first, "sink": staged, "mode": onto.value},
        {"source": {**staged, "type": reads.__name__, "conf": where}, "sink": last, "mode": mode.value},
    ]
    found.why.insert(
        0,
        f"route: {first['type']} -> {staged['type']} -> {last['type']}: {target.system} loads files, so "
        f"the rows are staged as {conf['file_format']} in {place}; a load that fails reads nothing anew",
    )


def _by_what(
    first: Words, last: Words, mode: Mode, reader: type[Any], wishes: Wishes, known: Profiles, found: Route
) -> None:
    """Name the watermark and the key of a delta, from the wishes or else from the source's catalogue."""
    if issubclass(reader, FileSource):
        found.why.append("new files are what is new: each is read once")
        if mode.rules.merges_by_key and wishes.keys:
            last["conf"]["key"] = list(wishes.keys)
        elif mode.rules.merges_by_key:
            raise UsageError("by which columns are rows of files merged?", hint="write --primary-keys A,B")
        return
    spec = ComponentSpec(first["name"], first["type"], LocatedDict(first["conf"]))
    source: Source = registry.create("source", spec, known.beside(found.entries))
    table = source.describe()
    column = _watermark(table, wishes.watermark)
    first["conf"]["watermark"] = {"column": column}
    asked = "as asked" if wishes.watermark else "the only column that can tell"
    found.why.append(f"what is new: rows with a greater {column} than the last call has moved ({asked})")
    if not mode.rules.merges_by_key:
        return
    key = [_spelled(table, name, "--primary-keys") for name in wishes.keys] or list(table.key)
    if not key:
        raise UsageError(
            f"{table.dataset.name} has no primary key to tell a changed row from a new one",
            hint="write --primary-keys A,B: columns whose values no two rows share",
        )
    last["conf"]["key"] = key
    found.why.append(
        f"key: {', '.join(key)} ({'as asked' if wishes.keys else 'the primary key of the source'})"
    )
    if key == [column]:
        found.why.append(f"rows that change and keep their {column} are not seen: only new ones are")


def _watermark(table: Table, asked: str) -> str:
    """Return the column by which a delta finds what is new; ``UsageError`` if several could."""
    if asked:
        return _spelled(table, asked, "--delta-driver")
    could = [one.name for one in table.columns if _grows(one, table)]
    if len(could) == 1:
        return could[0]
    which = (
        f"several columns could tell: {', '.join(could)}"
        if could
        else "no column shows by its type that it grows"
    )
    raise UsageError(
        f"{table.dataset.name}: which column tells what is new? {which}",
        hint=f"write --delta-driver {(could or ['COLUMN'])[-1]}: new and changed rows must be greater there",
    )


def _grows(column: Column, table: Table) -> bool:
    whole = column.kind in _WHOLE or (column.kind is Kind.DECIMAL and column.scale == 0)
    return column.kind in _TEMPORAL or (table.key == (column.name,) and whole)


def _spelled(table: Table, name: str, flag: str) -> str:
    names = [one.name for one in table.columns]
    found = [one for one in names if one == name] or [one for one in names if one.lower() == name.lower()]
    if len(found) != 1:
        raise UsageError(
            f"{table.dataset.name} has no column {name!r}", hint=f"{flag} names one of: {', '.join(names)}"
        )
    return found[0]


def _table(text: str) -> str | list[str]:
    """Return a table's name as a manifest has it; a name in double quotes may hold a dot."""
    if '"' not in text:
        return text
    return [part for part in _quoted(text) if part]


def _quoted(text: str) -> list[str]:
    parts, quoted = [""], False
    for mark in text:
        if mark == '"':
            quoted = not quoted
        elif mark == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += mark
    return parts
