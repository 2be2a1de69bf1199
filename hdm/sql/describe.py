"""Describes tables by the SQL of a system's catalogue, through any driver."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.errors import UsageError
from hdm.model import Column, Table, digest
from hdm.sql.database import Database


def described(
    database: Database, connection: Any, path: Sequence[str], questions: CatalogueSql
) -> Table | None:
    """Return a table with its key and size estimates, by catalogue SQL; None if there is none.

    The table's name may differ in case from ``path``. Raises ``UsageError`` if several names differ so, and
    none is equal.
    """
    dialect = database.dialect

    def ask(sql: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        return asked(database, connection, sql, values)

    schema = path[-2] if len(path) > 1 else (questions.schema or "")
    place = _one_name(ask(questions.names, (schema, path[-1])), schema, path[-1])
    if place is None:
        return None
    columns = tuple(
        dialect.column_from_catalog(
            str(name),
            str(native),
            nullable=bool(int(nullable)),
            length=_number(length),
            precision=_number(precision),
            scale=_number(scale),
            default=_text(default),
            identity=bool(identity),
            generated=_text(generated),
            comment=_text(comment),
        )
        for name, native, nullable, length, precision, scale, default, identity, generated, comment
        in ask(questions.columns, place)
    )  # fmt: skip
    key = tuple(str(row[0]) for row in ask(questions.key, place))
    size = ask(questions.size, place)
    rows, octets = (_number(size[0][0]), _number(size[0][1])) if size else (None, None)
    full = (*path[:-2], *place) if len(path) > 1 else (place[1],)
    return Table(database.dataset(full), full, columns, key, rows=rows, bytes=octets)


def chosen(columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """Return the named columns in the order of ``names``.

    Raises ``UsageError`` unless each exists and is named once.
    """
    if not names:
        raise UsageError("columns is empty", hint="leave columns out to read all of them")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageError(f"columns names twice: {', '.join(twice)}", hint="name each column once")
    known = {column.name: column for column in columns}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no such columns: {', '.join(unknown)}", hint=f"known: {', '.join(known)}")
    return tuple(known[name] for name in names)


def sees_all(database: Database, connection: Any, table: Table, origin: str) -> None:
    """Raise ``UsageError`` if the table has columns that the user has no privilege to see.

    ``origin`` is the SQL expression for the table.
    """
    try:
        database.run(connection, f"SELECT * FROM {origin} WHERE 1 = 0")
    except UsageError as error:
        shown = ", ".join(column.name for column in table.columns)
        raise UsageError(
            f"{table.dataset.name}: the profile's user is not shown all of its columns ({error.message})",
            hint=f"grant it SELECT on the table, or write those to read, of columns: [{shown}]",
        ) from None


def relation_of(
    database: Database, connection: Any, path: Sequence[str] | None, questions: CatalogueSql
) -> str | None:
    """Return a digest that identifies the storage of a table's rows now; None for a view or a query.

    The digest differs once the table was replaced.
    """
    if path is None:
        return None
    schema = path[-2] if len(path) > 1 else (questions.schema or "")
    rows = asked(database, connection, questions.relation, (schema, path[-1]))
    return digest("relation", *(str(value) for row in rows for value in row))[:32] if rows else None


def asked(database: Database, connection: Any, sql: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
    """Run catalogue SQL with bound values and return all rows.

    Each ``?`` is replaced by the driver's own placeholder.
    """
    numbers = itertools.count(1)
    parts = sql.split("?")
    marked = parts[0] + "".join(database.dialect.placeholder(next(numbers)) + part for part in parts[1:])
    return database.run(connection, marked, tuple(values))


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's error text.

    Only for statements that read no rows: such a text contains no row's values.
    """
    return (str(error.__context__ or error).strip().splitlines() or [type(error).__name__])[0]


def _one_name(rows: Sequence[Sequence[Any]], schema: str, name: str) -> tuple[str, str] | None:
    """Return the exact match, or the only name that differs in case; None if there is none."""
    found = [(str(a), str(b)) for a, b in rows]
    if (schema, name) in found:
        return schema, name
    if len(found) > 1:
        raise UsageError(
            f"{name} could be any of {', '.join(b for _, b in found)}",
            hint="write the name in its exact case",
        )
    return found[0] if found else None


def _number(value: Any) -> int | None:
    return None if value is None else int(float(value))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
