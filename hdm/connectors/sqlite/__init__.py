"""Reads and writes SQLite files through Python's sqlite3: one file, one writer at a time.

Each chunk is read in its own transaction, since SQLite's connections cannot share a snapshot: a chunk holds
whatever was committed before it was read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, model_validator

from hdm.arrow import rows as row_codec
from hdm.components.address import AtFile
from hdm.components.settings import DatabaseFile, PathText, Settings
from hdm.connectors.sqlite.values import cells, decoder
from hdm.errors import UsageError
from hdm.files.atomic_file import has_room, is_there
from hdm.model import Column, Dataset, Table, digest
from hdm.sql import Database, SqlSink, SqlSource
from hdm.sql.catalog import SqlCatalog

_FETCH_ROWS, _FETCH_BYTES = 8192, 8 * 1024 * 1024
_BUSY_SECONDS = 300.0


class SQLiteProfile(AtFile, Settings):
    """Profile entry of a SQLite file: its ``path``, or a folder ``dbpath`` and a file name ``database``."""

    endings: ClassVar[tuple[str, ...]] = ("db", "sqlite", "sqlite3")
    path: DatabaseFile | None = None
    """The SQLite file, with ``~`` and ``$NAME`` filled in; it is made if rows are written to it. Or give
    ``database``."""
    dbpath: PathText | None = None
    """Folder of the file that ``database`` names, as in older profiles; left out, the current folder."""
    database: DatabaseFile | None = None
    """Name of the file, where ``path`` is left out; without an ending, and unless such a file exists, ``.db``
    is added."""

    @model_validator(mode="after")
    def _one_file(self) -> SQLiteProfile:
        if self.path is None and self.database is None:
            raise ValueError("give path, or dbpath and database")
        return self

    @property
    def file(self) -> Path:
        """The path of the database file."""
        if self.path is not None:
            return Path(os.path.expandvars(self.path)).expanduser()
        name = str(self.database)
        folder = Path(os.path.expandvars(self.dbpath or ".")).expanduser()
        plain = folder / name
        return plain if plain.suffix or is_there(plain) else folder / f"{name}.db"


class SQLiteDatabase(Database):
    """Connects to one SQLite file, reads and writes it."""

    dialect_name = "sqlite"
    keys_act = False  # PRAGMA foreign_keys is off unless asked for

    @property
    def file(self) -> Path:
        """The path of the database file."""
        profile: SQLiteProfile = self.profile
        return profile.file

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``sqlite:///path`` and the table's name."""
        return Dataset(self.file.absolute().as_uri().replace("file:", "sqlite:"), ".".join(path))

    def reach(self) -> None:
        """Do nothing: a file needs no network, and connecting reports what is wrong with the file."""

    def is_there(self) -> bool:
        """Return True if the database file exists."""
        return is_there(self.file)

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name unchanged, since names in SQLite need no schema.

        Raises ``UsageError`` for more than two parts (``main.table``).
        """
        if len(parts) > 2:
            raise UsageError(
                f"{'.'.join(parts)}: a SQLite table has one name",
                hint="write the table alone, or a list of one part if the name holds a dot",
            )
        return tuple(parts)

    def can_be_made(self) -> None:
        """Raise ``UsageError`` unless the file can be created in its folder."""
        if not has_room(self.file):
            raise UsageError(f"cannot make the file {self.file}", hint="check path in the profile")

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open the file in autocommit; ``begin`` starts transactions.

        With ``write``, a missing folder and file are created, and the file's journal is set to WAL. Without,
        the connection can only read, and ``UsageError`` is raised for a missing file.
        """
        import sqlite3

        mode = "rwc" if write else "rw"
        if not write and not is_there(self.file):
            raise UsageError(f"there is no SQLite file {self.file}", hint="check path in the profile")
        if os.path.isdir(self.file):
            raise UsageError(f"{self.file} is a folder, not a SQLite file", hint="name a file in the profile")
        if write:
            try:
                self.file.absolute().parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                what = f"cannot make the folder of {self.file}: {error.strerror}"
                raise UsageError(what, hint="check path in the profile") from None
        with self.classified():
            connection = sqlite3.connect(
                f"{self.file.absolute().as_uri()}?mode={mode}",
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            if write:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
                connection.execute("PRAGMA synchronous=FULL")
            else:
                connection.execute("PRAGMA query_only=ON")
        return connection

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction; with ``write``, take the file's write lock first (BEGIN IMMEDIATE).

        Taking the lock waits until another writer has finished, so that no later statement of the transaction
        can fail because of one.
        """
        self.run(connection, "BEGIN IMMEDIATE" if write else "BEGIN")

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table or view as ``table_xinfo`` describes it; None if there is none.

        Key columns are in the key's order.
        """
        schema = path[-2] if len(path) > 1 else "main"
        quoted = self.dialect.quote(schema)
        names = self.run(
            connection,
            f"SELECT name FROM {quoted}.sqlite_master WHERE type IN ('table', 'view') "
            "AND name = ? COLLATE NOCASE",
            (path[-1],),
        )
        if not names:
            return None
        name = str(names[0][0])
        info = self.run(
            connection,
            'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?, ?)',
            (name, schema),
        )
        keyed = sorted((pk, column) for column, _, _, _, pk, _ in info if pk)
        rowid = len(keyed) == 1 and any(pk and kind.upper() == "INTEGER" for _, kind, _, _, pk, _ in info)
        columns = tuple(
            self.dialect.column_from_catalog(
                column,
                kind,
                nullable=not notnull and not (pk and rowid),
                default=default,
                identity=bool(pk and rowid),
                generated="generated" if hidden in (2, 3) else None,
            )
            for column, kind, notnull, default, pk, hidden in info
            if hidden != 1
        )
        full = (*path[:-1], name)
        return Table(self.dataset(full), full, columns, tuple(column for _, column in keyed))

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest that identifies a table by its row in ``sqlite_master``; None for a query or view.

        The row has rowid, root page and definition. A table that takes this table's place has another digest.
        """
        if path is None:
            return None
        schema = self.dialect.quote(path[-2] if len(path) > 1 else "main")
        sql = f"SELECT rowid, rootpage, sql FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?"
        rows = self.run(connection, sql, (path[-1],))
        return digest("relation", *map(str, rows[0]))[:32] if rows else None

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, found by a temporary view, which keeps declared types."""
        name = "_hdm_query"
        self.run(connection, "PRAGMA query_only=OFF")  # only to create the temporary view below
        self.run(connection, f"CREATE TEMP VIEW {name} AS {sql}")
        info = self.run(connection, f"SELECT name, type FROM pragma_table_xinfo('{name}')")
        self.run(connection, f"DROP VIEW temp.{name}")
        self.run(connection, "PRAGMA query_only=ON")
        return tuple(self.dialect.column_from_catalog(column, kind or "") for column, kind in info)

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches; check each value, as SQLite does not enforce types."""
        decoders = {column.name: decoder(column) for column in columns}
        with self.classified():
            cursor = connection.execute(sql)
        unbounded = [n for n, column in enumerate(columns) if pa.types.is_string(column.type) or
                     pa.types.is_binary(column.type)]  # fmt: skip
        rows: list[Sequence[Any]] = []
        while True:
            with self.classified():
                full = _fetch(cursor, rows, unbounded)
            if rows:
                yield row_codec.to_batch(rows, columns, decoders)
                rows.clear()
            if not full:
                return

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert batches by one prepared INSERT and return how many rows SQLite stored."""
        names = [column.name for column in columns]
        sql = (
            f"INSERT INTO {self.dialect.qualify(path)} ({self.dialect.names(names)}) "
            f"VALUES ({self.dialect.placeholders(len(names))})"
        )
        taken = 0
        for batch in batches:
            values = [cells(array) for array in batch.columns]
            with self.classified():
                taken += connection.executemany(sql, zip(*values, strict=True)).rowcount
        return taken

    def watch_triggers(self, connection: Any, path: Sequence[str]) -> Callable[[], int] | None:
        """Return a function that counts the rows added to the table since this call.

        None if the table has no trigger. Two counts are compared, which is exact because nobody else writes
        meanwhile.
        """
        schema = self.dialect.quote(path[-2] if len(path) > 1 else "main")
        asked = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE"
        if not self.run(connection, asked, (path[-1],)):
            return None
        counted = f"SELECT COUNT(*) FROM {self.dialect.qualify(path)}"
        before = int(self.run(connection, counted)[0][0])
        return lambda: int(self.run(connection, counted)[0][0]) - before

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Replace the rows of ``target`` by those of ``new``; see ``Database.swap``.

        First turns on ``legacy_alter_table``: without it, SQLite refuses to rename a table while any view
        names a missing table (https://www.sqlite.org/lang_altertable.html).
        """
        self.run(connection, "PRAGMA legacy_alter_table=ON")
        super().swap(connection, target, new, old)

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables whose names start with ``prefix``."""
        rows = self.run(connection, "SELECT name FROM sqlite_master WHERE type = 'table'")
        return [(*path[:-1], name) for (name,) in rows if name.startswith(prefix)]

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor`` about the file and SQLite's version."""
        import sqlite3

        return [*super().probe(), ("version", True, sqlite3.sqlite_version)]


class SQLiteSource(SqlSource):
    """Reads a SQLite table or query, chunk after chunk."""

    Profile: ClassVar[type[BaseModel] | None] = SQLiteProfile
    Database: ClassVar[type[Database]] = SQLiteDatabase


class SQLiteSink(SqlSink):
    """Writes a SQLite table; creates the file if it does not exist."""

    Profile: ClassVar[type[BaseModel] | None] = SQLiteProfile
    Database: ClassVar[type[Database]] = SQLiteDatabase


class SQLiteCatalog(SqlCatalog):
    """Reads and creates tables, keys, indexes and views in a SQLite file."""

    Profile: ClassVar[type[BaseModel] | None] = SQLiteProfile
    Database: ClassVar[type[Database]] = SQLiteDatabase


def _fetch(cursor: Any, rows: list[Sequence[Any]], unbounded: Sequence[int]) -> bool:
    """Fill ``rows`` up to the bounds of a batch; False once there are no more."""
    size = 0
    for row in cursor:
        rows.append(row)
        for place in unbounded:
            value = row[place]
            if value.__class__ is str or value.__class__ is bytes:
                size += len(value)
        if size >= _FETCH_BYTES or len(rows) >= _FETCH_ROWS:
            return True
    return False
