"""Mode ``merge``: a chunk's rows lie in a temporary table first, then come in by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdm.errors import RejectedRows
from hdm.model import Attempt, Chunk, Table
from hdm.sql.database import Database
from hdm.sql.target import CHUNK_ID, ROW_NO


def make_stage(
    database: Database, connection: Any, target: Table, chunk: Chunk, attempt: Attempt
) -> tuple[str, ...]:
    """Create the temporary table, in a transaction of its own: DDL may commit."""
    path = database.stage_path(target.path, f"_hdm_stage_{chunk.chunk_id[:12]}_{attempt.number}")
    database.begin(connection, write=True)
    database.change(connection, database.dialect.create_stage(path, target.path, target.columns))
    database.commit(connection)
    return path


def merge_stage(database: Database, connection: Any, target: Table, stage: Sequence[str]) -> None:
    """Rows that are the same twice count once; two versions of a key are refused."""
    dialect, key = database.dialect, target.key
    names = [column.name for column in target.columns]
    content = [name for name in names if name not in (CHUNK_ID, ROW_NO)]
    of = dialect.qualify(stage)
    doubled = f"SELECT 1 FROM {of} GROUP BY {dialect.names(key)} HAVING COUNT(*) > 1"
    if database.run(connection, dialect.first(doubled)):
        if database.run(connection, dialect.conflicting(stage, content, key)):
            raise RejectedRows(
                f"{target.dataset.name}: one chunk holds different rows with one key ({', '.join(key)})",
                hint="give a key that is unique in the source",
            )
        rest = [name for name in names if name not in content]
        for statement in dialect.keep_one(stage, content, rest, key):
            database.change(connection, statement)
    statements = dialect.merge(target.path, stage, names, key)
    some_null = " OR ".join(f"{dialect.quote(name)} IS NULL" for name in key)
    if database.run(connection, dialect.first(f"SELECT 1 FROM {of} WHERE {some_null}")):
        statements += dialect.merge(target.path, stage, names, key, null_keys=True)
    for statement in statements:
        database.change(connection, statement)
