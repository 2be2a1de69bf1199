"""A table as a system's catalogue SQL describes it, whatever driver asks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hdm.dialects.catalog_queries import CatalogueSql
from hdm.errors import UsageError
from hdm.model import Table
from hdm.sql.database import Database


def described(
    database: Database, connection: Any, path: Sequence[str], questions: CatalogueSql
) -> Table | None:
    """The table, its key and estimates; None if there is none of that name in any case."""
    dialect = database.dialect

    def ask(sql: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        numbers = itertools.count(1)
        parts = sql.split("?")
        marked = parts[0] + "".join(dialect.placeholder(next(numbers)) + part for part in parts[1:])
        return database.run(connection, marked, tuple(values))

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


def _one_name(rows: Sequence[Sequence[Any]], schema: str, name: str) -> tuple[str, str] | None:
    """The exact match, or the only one in another case."""
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
