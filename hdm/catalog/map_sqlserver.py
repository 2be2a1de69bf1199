"""Changes tables to fit SQL Server's limits on keys.

An index entry has at most 1,700 bytes (900 in a clustered index), and no column without a limit of length:
see "Maximum capacity specifications for SQL Server" in Microsoft's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hdm.catalog.model import Index, Relation, dotted
from hdm.catalog.report import Report
from hdm.dialects.base import Dialect
from hdm.model import Column

_CLUSTERED, _OTHER = 900, 1700


def fit_sqlserver(relations: Iterable[Relation], dialect: Dialect, report: Report) -> list[Relation]:
    """Return the tables with a length limit on key columns.

    An index that cannot be made, on a column without a limit, becomes manual in ``report``: a person must
    act.
    """
    return [_fitted(one, dialect, report) for one in relations]


def _fitted(relation: Relation, dialect: Dialect, report: Report) -> Relation:
    room: dict[str, int] = {}
    keys = [(key.columns, _OTHER) for key in relation.uniques]
    keys += [(key.columns, _OTHER) for key in relation.foreign_keys]
    if relation.primary_key:
        keys.append((relation.primary_key.columns, _CLUSTERED))
    for columns, limit in keys:
        for name in columns:
            room[name] = min(room.get(name, _OTHER), limit // len(columns))
    made = tuple(_bounded(relation, column, room, dialect, report) for column in relation.table.columns)
    open_ones = {column.name for column in made if column.native.endswith("(max)")}
    kept = []
    for index in relation.indexes:
        if _columns(index) & open_ones:
            report.demote(
                "index", f"{dotted(relation.path)}.{index.name}", "it has a column without a bound",
                "bound the column by a rule, or use a full-text index",
            )  # fmt: skip
        else:
            kept.append(index)
    return replace(relation.with_columns(made), indexes=tuple(kept))


def _bounded(
    relation: Relation, column: Column, room: dict[str, int], dialect: Dialect, report: Report
) -> Column:
    if column.name not in room or not column.native.endswith("(max)"):
        return column
    wide = column.native.startswith("n")
    native = f"{column.native.partition('(')[0]}({room[column.name] // (2 if wide else 1)})"
    report.approximated(
        "column", f"{dotted(relation.path)}.{column.name}", f"it is part of a key, hence {native}",
        "longer values are refused: check them",
    )  # fmt: skip
    made = dialect.column_from_catalog(column.name, native, nullable=column.nullable)
    return replace(made, default=column.default, generated=column.generated, comment=column.comment)


def _columns(index: Index) -> set[str]:
    return {part.column for part in index.parts if part.column}
