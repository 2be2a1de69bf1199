"""MySQL's limits on keys and rows: https://mariadb.com/kb/en/innodb-limitations/.

Text without bound cannot be a key column, and the VARCHARs of a row must fit into 65,535 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from hdm.catalogs.model import Index, IndexPart, Path, Relation, dotted
from hdm.catalogs.report import Report
from hdm.dialects.base import Dialect
from hdm.model import Column

_LONG = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json")
_KEY_BYTES, _ROW_BYTES, _PREFIX = 3072, 60_000, 191
_SIZED = re.compile(r"(?P<name>varchar|char|varbinary|binary)\((?P<size>\d+)\)", re.IGNORECASE)


def fit_mysql(relations: Iterable[Relation], dialect: Dialect, report: Report) -> list[Relation]:
    """The same tables with key columns bounded, indexes on prefixes, and rows that fit."""
    known = list(relations)
    keyed: dict[Path, dict[str, int]] = {one.path: _keyed(one) for one in known}
    for one in known:  # both sides of a foreign key alike
        for key in one.foreign_keys:
            mine, theirs = keyed[one.path], keyed.get(key.target, {})
            for column, other in zip(key.columns, key.target_columns, strict=True):
                width = max(mine.get(column, 1), theirs.get(other, 1))
                mine[column] = theirs[other] = width
    return [_fitted(one, keyed[one.path], dialect, report) for one in known]


def _keyed(relation: Relation) -> dict[str, int]:
    """Column -> how many columns its widest key has."""
    keys = [relation.primary_key, *relation.uniques]
    found: dict[str, int] = {}
    for columns in [key.columns for key in keys if key] + [key.columns for key in relation.foreign_keys]:
        for column in columns:
            found[column] = max(found.get(column, 1), len(columns))
    for index in relation.indexes:
        if index.unique:
            for part in index.parts:
                if part.column:
                    found[part.column] = max(found.get(part.column, 1), len(index.parts))
    return found


def _fitted(relation: Relation, keyed: dict[str, int], dialect: Dialect, report: Report) -> Relation:
    columns, room = [], _ROW_BYTES
    for column in relation.table.columns:
        made = column
        if column.name in keyed and _is_long(column):
            made = _bounded(column, keyed[column.name], dialect)
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


def _bounded(column: Column, width: int, dialect: Dialect) -> Column:
    binary = "blob" in column.native.lower()
    size = _KEY_BYTES // width // (1 if binary else 4)
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
    return int(found["size"]) * (1 if "binary" in found["name"].lower() else 4) + 2


def _prefixed(index: Index, columns: dict[str, Column]) -> Index:
    """Indexes for finding, not for uniqueness, may look at a column's beginning."""
    if index.unique:
        return index
    share = _KEY_BYTES // max(len(index.parts), 1)
    parts: list[IndexPart] = []
    for part in index.parts:
        column = columns.get(part.column or "")
        if column is None:
            parts.append(part)
        elif _is_long(column) or _bytes(column) > share:
            binary = "blob" in column.native.lower() or "binary" in column.native.lower()
            parts.append(replace(part, length=min(_PREFIX, share // (1 if binary else 4))))
        else:
            parts.append(part)
    return replace(index, parts=tuple(parts))
