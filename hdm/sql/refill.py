"""Replaces the rows of an existing table, whose grants, keys, views and other definitions stay.

The new rows are copied from another table in the caller's transaction: if anything fails, the old rows stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hdm.errors import RejectedRows
from hdm.model import Table

if TYPE_CHECKING:
    from hdm.sql.database import Database


@dataclass(frozen=True, slots=True)
class Referring:
    """A foreign key of another table: ``columns`` of ``table`` refer to the columns ``target``."""

    name: str
    table: tuple[str, ...]
    columns: tuple[str, ...]
    target: tuple[str, ...]


def grouped(rows: Iterable[Sequence[Any]]) -> list[Referring]:
    """Return foreign keys made of catalogue rows ``(key, schema, table, column, referred column)``.

    The rows of one key must be in the order of the key's columns.
    """
    found: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for name, schema, table, column, target in rows:
        path = (str(schema), str(table)) if schema else (str(table),)
        found.setdefault((str(name), *path), []).append((str(column), str(target)))
    return [
        Referring(name, tuple(path), tuple(c for c, _ in pairs), tuple(t for _, t in pairs))
        for (name, *path), pairs in found.items()
    ]


def refill(database: Database, connection: Any, held: Table, new: Sequence[str]) -> None:
    """Make the existing table ``held`` contain exactly the rows of the table named ``new``.

    If foreign keys of other tables refer to ``held``, its rows are matched by the key that they refer to and
    updated, so that no delete cascades. Raises ``RejectedRows`` if the table's rows cannot be replaced, if a
    row that has to go is still referred to, or if another number of rows is there afterwards; the caller then
    rolls back.
    """
    fresh = database.find(connection, new)
    assert fresh is not None
    if why := database.unreplaceable(connection, held.path):
        raise RejectedRows(
            f"{held.dataset.name} cannot be replaced: {'; '.join(why)}", hint="write mode: append or merge"
        )
    keys = database.referring(connection, held.path)
    for key in keys if keys and keys[0].table else ():
        _refuse_orphans(database, connection, held, new, key)
    dialect = database.dialect
    target, stage = dialect.qualify(held.path), dialect.qualify(new)
    made = {column.name for table in (held, fresh) for column in table.columns if column.generated}
    columns = [column.name for column in fresh.columns if column.name not in made]
    if keys and database.keys_act:
        by = keys[0].target
        same = _same(database, "s", by, target, by)
        gone = f"DELETE FROM {target} WHERE NOT EXISTS (SELECT 1 FROM {stage} s WHERE {same})"
        statements = [gone, *dialect.merge(held.path, new, columns, by)]
        if any(held.column(name).nullable for name in by):
            statements += dialect.merge(held.path, new, columns, by, null_keys=True)
    else:
        names = dialect.names(columns)
        content = f"INSERT INTO {target} ({names}) {dialect.insert_override}SELECT {names} FROM {stage}"
        statements = [f"DELETE FROM {target}{dialect.every_row}", content]
    database.take_identities(connection, held, columns)
    for statement in statements:
        database.change(connection, statement)
    held_now, wanted = (_count(database, connection, name) for name in (target, stage))
    if held_now != wanted:
        raise RejectedRows(
            f"{held.dataset.name} holds {held_now:,} rows after it was given {wanted:,}",
            hint="look for triggers, rules or policies on the table that drop or add rows",
        )


def _refuse_orphans(
    database: Database, connection: Any, held: Table, new: Sequence[str], key: Referring
) -> None:
    dialect = database.dialect
    target, stage, child = (dialect.qualify(path) for path in (held.path, new, key.table))
    given = " AND ".join(f"c.{dialect.quote(name)} IS NOT NULL" for name in key.columns)
    there, stays = (_same(database, alias, key.target, "c", key.columns) for alias in ("t", "s"))
    (count,) = database.run(
        connection,
        f"SELECT COUNT(*) FROM {child} c WHERE {given} AND EXISTS (SELECT 1 FROM {target} t WHERE {there}) "
        f"AND NOT EXISTS (SELECT 1 FROM {stage} s WHERE {stays})",
    )[0]
    if count:
        raise RejectedRows(
            f"{held.dataset.name} keeps its rows: {int(count):,} rows of {'.'.join(key.table)} refer to rows "
            f"that are not among the new ones ({key.name})",
            hint="remove or change those rows first, or write mode: merge, which lets no row go",
        )


def _same(database: Database, a: str, left: Sequence[str], b: str, right: Sequence[str]) -> str:
    quote = database.dialect.quote
    return " AND ".join(f"{a}.{quote(x)} = {b}.{quote(y)}" for x, y in zip(left, right, strict=True))


def _count(database: Database, connection: Any, name: str) -> int:
    return int(database.run(connection, f"SELECT COUNT(*) FROM {name}")[0][0])
