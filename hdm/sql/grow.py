"""Adds columns that the source table has gained to the target table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hdm.model import Table
from hdm.sql.database import Database


def grow(database: Database, target: Table, find: Callable[[Any, Sequence[str]], Table | None]) -> None:
    """Add the columns of ``target`` that the target's existing table lacks; existing rows get NULL there.

    ``find(connection, path)`` describes the existing table. Does nothing if there is none.
    """
    fold = database.dialect.folded
    connection = database.connect("hdm:grow", write=True)
    try:
        database.begin(connection)
        existing = find(connection, target.path)
        database.rollback(connection)
        held = {fold(column.name) for column in existing.columns} if existing else set()
        for column in target.columns if existing else ():
            if fold(column.name) not in held:
                database.begin(connection, write=True)
                added = database.dialect.add_column(target.path, replace(column, nullable=True))
                database.change(connection, added)
                database.commit(connection)
    finally:
        connection.close()
