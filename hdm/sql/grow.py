"""A target table gains the columns that its source has gained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hdm.model import Table
from hdm.sql.database import Database


def grow(database: Database, target: Table, find: Callable[[Any, Sequence[str]], Table | None]) -> None:
    """Add each column of ``target`` that its table lacks, by ALTER TABLE, NULL in the rows that are there.

    ``find(connection, path)`` gives the table as it is; one that is not there is left alone.
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
