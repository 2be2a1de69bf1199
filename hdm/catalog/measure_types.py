"""Measures what the catalogue leaves open: the digits of numbers without precision.

One query per table, run in the source, gives the largest number of digits before and after the point.
The measured type fits what is there now; a later value that does not is refused by the target, aloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hdm.catalog.model import Path, Relation, Schema
from hdm.dialects import dialect
from hdm.dialects.base import Dialect
from hdm.dialects.types import carrier
from hdm.model import Column, Kind

Query = Callable[[str], list[tuple[Any, ...]]]
HEADROOM = 2
"""Digits before the point that are added to what was found."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Digits before and after the point, over ``rows`` values. ``odd``: values such as NaN."""

    whole: int
    scale: int
    rows: int
    odd: int = 0


def open_columns(relation: Relation) -> list[Column]:
    """Decimals without precision."""
    return [c for c in relation.table.columns if c.kind is Kind.DECIMAL and c.precision is None]


def measuring_sql(system: str, path: Path, columns: list[Column]) -> str | None:
    """For each column four numbers: digits before, digits after, values, values that are no number;
    None where the system's numbers always have a precision."""
    form = _FORMS.get(system)
    if form is None or not columns:
        return None
    known: Dialect = dialect(system)
    parts = []
    for column in columns:
        name = known.quote(column.name)
        parts.append(", ".join(part.replace("{c}", name) for part in form))
    return f"SELECT {', '.join(parts)} FROM {known.qualify(path)}"


def measure(schema: Schema, query: Query) -> dict[Path, dict[str, Measure]]:
    """What the open columns hold, by table and column; columns without a value are left out."""
    found: dict[Path, dict[str, Measure]] = {}
    for relation in schema.relations:
        columns = open_columns(relation)
        sql = measuring_sql(schema.system, relation.path, columns)
        if sql is None:
            continue
        row = query(sql)[0]
        for number, column in enumerate(columns):
            whole, scale, rows, odd = (int(value or 0) for value in row[4 * number : 4 * number + 4])
            if rows:
                found.setdefault(relation.path, {})[column.name] = Measure(whole, scale, rows, odd)
    return found


def measured(schema: Schema, measures: Mapping[Path, Mapping[str, Measure]]) -> Schema:
    """``schema`` with the measured digits. Columns that hold NaN or infinity stay as they are: no
    decimal of another system has such a value."""
    return replace(
        schema, relations=tuple(_measured(one, measures.get(one.path, {})) for one in schema.relations)
    )


def declared(before: Relation, after: Relation, system: str) -> dict[str, str]:
    """Column -> its measured type in the source's words, for the columns that were measured: digits of
    decimals, and the storage class where SQLite's declaration says none."""
    word = {"oracle": "NUMBER", "sqlite": "DECIMAL"}.get(system, "numeric")
    old = {column.name: column for column in before.table.columns}
    digits = {
        column.name: f"{word}({column.precision},{column.scale})"
        for column in after.table.columns
        if column.precision is not None and old[column.name].precision is None and column.kind is Kind.DECIMAL
    }
    other = {c.name: c.native for c in after.table.columns if c.kind is not old[c.name].kind}
    return {**digits, **other}


def _measured(relation: Relation, measures: Mapping[str, Measure]) -> Relation:
    columns = tuple(_fitted(column, measures.get(column.name)) for column in relation.table.columns)
    return relation.with_columns(columns)


def _fitted(column: Column, found: Measure | None) -> Column:
    if found is None or found.odd:
        return column
    precision = max(found.whole + HEADROOM + found.scale, 1)
    return replace(
        column, precision=precision, scale=found.scale, type=carrier(Kind.DECIMAL, precision, found.scale)
    )


_FORMS: dict[str, tuple[str, str, str, str]] = {
    # https://www.postgresql.org/docs/current/functions-math.html: min_scale drops trailing zeros
    "postgres": (
        "MAX(CASE WHEN {c}::text ~ '^-?[0-9]' THEN LENGTH(TRUNC(ABS({c}))::text) END)",
        "MAX(CASE WHEN {c}::text ~ '^-?[0-9]' THEN MIN_SCALE({c}) END)",
        "COUNT({c})",
        "COUNT(CASE WHEN {c}::text !~ '^-?[0-9]' THEN 1 END)",
    ),
    # https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/TO_CHAR-number.html: TM9 is exact
    "oracle": (
        "MAX(LENGTH(TO_CHAR(TRUNC(ABS({c})), 'TM9', 'NLS_NUMERIC_CHARACTERS=''. ''')))",
        "MAX(LENGTH(REGEXP_SUBSTR(TO_CHAR({c}, 'TM9', 'NLS_NUMERIC_CHARACTERS=''. '''),"
        " '\\.(.*)', 1, 1, '', 1)))",
        "COUNT({c})",
        "COUNT(CASE WHEN TO_CHAR({c}, 'TM9') LIKE '%E%' THEN 1 END)",
    ),
    # https://sqlite.org/datatype3.html: a value has its own storage class; reals have no exact digits
    "sqlite": (
        "MAX(LENGTH(CAST(ABS(CAST({c} AS INTEGER)) AS TEXT)))",
        "MAX(CASE WHEN INSTR(CAST({c} AS TEXT), '.') > 0"
        " THEN LENGTH(RTRIM(SUBSTR(CAST({c} AS TEXT), INSTR(CAST({c} AS TEXT), '.') + 1), '0')) ELSE 0 END)",
        "COUNT({c})",
        "COUNT(CASE WHEN TYPEOF({c}) NOT IN ('integer', 'real') AND CAST({c} AS TEXT) GLOB '*[^0-9.-]*'"
        " OR TYPEOF({c}) = 'real' AND CAST({c} AS TEXT) LIKE '%e%' THEN 1 END)",
    ),
}
