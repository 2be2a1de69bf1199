"""Changes tables to fit MySQL's limits on keys and rows: https://mariadb.com/kb/en/innodb-limitations/.

A sorted key has 3,072 bytes at most, so it cannot hold text without a limit of length, and the VARCHARs of a
row must fit into 65,535 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hdm.catalog.model import Index, IndexPart, Path, Relation, dotted
from hdm.catalog.report import Report
from hdm.dialects.base import Dialect
from hdm.model import Column

_LONG = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json")
_KEY_BYTES, _ROW_BYTES, _PREFIX = 3072, 60_000, 191
_SIZED = re.compile(r"(?P<name>varchar|char|varbinary|binary)\((?P<size>\d+)\)", re.IGNORECASE)


def fit_mysql(relations: Iterable[Relation], dialect: Dialect, report: Report) -> list[Relation]:
    """Return the tables with short enough keys, indexes on prefixes, and rows that fit.

    A key column that gets a shorter type is reported in ``report``; a VARCHAR that becomes LONGTEXT, and a
    prefix in an index, are not.
    """
    known = {one.path: one for one in relations}
    keys = _sorted_keys(known, dialect.flavour)
    room = {path: _room(known[path], columns) for path, columns in keys.items()}
    pairs = [
        (path, mine, key.target, theirs)
        for path, one in known.items()
        for key in one.foreign_keys
        for mine, theirs in zip(key.columns, key.target_columns, strict=True)
        if key.target in known
    ]
    changed = True
    while changed:  # until both sides of each foreign key have one limit
        changed = False
        for path, mine, target, theirs in pairs:
            least = min(room[path].get(mine, _KEY_BYTES), room[target].get(theirs, _KEY_BYTES))
            for place, name in ((path, mine), (target, theirs)):
                if room[place].get(name, _KEY_BYTES) > least:
                    room[place][name], changed = least, True
    return [_fitted(one, keys[path], room[path], dialect, report) for path, one in known.items()]


def _sorted_keys(known: Mapping[Path, Relation], flavour: str) -> dict[Path, list[tuple[str, ...]]]:
    """Return each table's keys that need a sorted index, since the limit is one of sorted indexes.

    MariaDB hashes UNIQUE keys that are too long:
    https://mariadb.com/kb/en/getting-started-with-indexes/#unique-index.
    """
    keys: dict[Path, list[tuple[str, ...]]] = {path: [] for path in known}
    for path, one in known.items():
        unique = [key.columns for key in one.uniques]
        unique += [tuple(p.column for p in index.parts if p.column) for index in one.indexes if index.unique]
        by_name = {column.name: column for column in one.table.columns}
        keys[path] += [one.primary_key.columns] if one.primary_key else []
        keys[path] += [
            columns
            for columns in unique
            if flavour != "mariadb" or any(_is_long(by_name[name]) for name in columns)
        ]
        for key in one.foreign_keys:
            keys[path].append(key.columns)
            if key.target in keys:
                keys[key.target].append(key.target_columns)
    return keys


def _room(relation: Relation, keys: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """Return column -> how many bytes it may have, for the columns of keys that are too long."""
    found: dict[str, int] = {}
    by_name = {column.name: column for column in relation.table.columns}
    for columns in keys:
        sizes = sorted((_key_bytes(by_name[name]), name) for name in columns)
        left = _KEY_BYTES
        for place, (size, name) in enumerate(sizes):
            share = left // (len(sizes) - place)
            if size > share:
                found[name] = min(found.get(name, share), share)
            left -= min(size, share)
    return found


def _fitted(
    relation: Relation,
    keys: Iterable[tuple[str, ...]],
    limits: Mapping[str, int],
    dialect: Dialect,
    report: Report,
) -> Relation:
    keyed = {name for columns in keys for name in columns}
    columns, room = [], _ROW_BYTES
    for column in relation.table.columns:
        made = column
        limit = limits.get(column.name, _KEY_BYTES)
        if column.name in keyed and _key_bytes(column) > limit:
            made = _bounded(column, limit, dialect)
            name = f"{dotted(relation.path)}.{column.name}"
            report.approximated(
                "column",
                name,
                f"it is part of a key, hence {made.native}",
                "longer values are refused: check them",
            )
        size = _bytes(made)
        if size > room and column.name not in keyed:
            blob = "longblob" if "binary" in made.native.lower() else "longtext"
            made = replace(
                dialect.column_from_catalog(column.name, blob, nullable=column.nullable),
                comment=column.comment, default=column.default, generated=column.generated,
            )  # fmt: skip
            size = 12
        room -= size
        columns.append(made)
    by_name = {column.name: column for column in columns}
    indexes = tuple(_prefixed(index, by_name) for index in relation.indexes)
    return replace(relation.with_columns(tuple(columns)), indexes=indexes)


def _is_long(column: Column) -> bool:
    return column.native.lower().split("(")[0] in _LONG


def _is_binary(column: Column) -> bool:
    return "blob" in column.native.lower() or "binary" in column.native.lower()


def _key_bytes(column: Column) -> int:
    """Return how many bytes of a key the column takes at most."""
    if _is_long(column):
        return 2**32
    found = _SIZED.match(column.native)
    return int(found["size"]) * (1 if _is_binary(column) else 4) if found else 32


def _bounded(column: Column, limit: int, dialect: Dialect) -> Column:
    binary = _is_binary(column)
    size = limit // (1 if binary else 4)
    made = dialect.column_from_catalog(
        column.name, f"{'varbinary' if binary else 'varchar'}({size})", nullable=column.nullable
    )
    default = column.default
    if default and default.startswith("('") and default.endswith("')"):
        default = default[1:-1]
    return replace(made, comment=column.comment, default=default, generated=column.generated)


def _bytes(column: Column) -> int:
    found = _SIZED.match(column.native)
    if not found:
        return 12
    return _key_bytes(column) + 2


def _prefixed(index: Index, columns: dict[str, Column]) -> Index:
    """Return an index with prefixes of its long columns; a unique index stays as it is."""
    if index.unique:
        return index
    share = _KEY_BYTES // max(len(index.parts), 1)
    parts: list[IndexPart] = []
    for part in index.parts:
        column = columns.get(part.column or "")
        if column is None:
            parts.append(part)
        elif _is_long(column) or _bytes(column) > share:
            parts.append(replace(part, length=min(_PREFIX, share // (1 if _is_binary(column) else 4))))
        else:
            parts.append(part)
    return replace(index, parts=tuple(parts))
