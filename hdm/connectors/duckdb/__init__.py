"""Reads and writes DuckDB files; all sessions of this process share one open instance of a file.

DuckDB lets only one process write a file. If another process has locked it, connecting fails like a lost
connection and is tried again. Readers open the file read-only, which several processes may do at once, unless
this process also writes it. DuckDB reads 2,048 rows at a time, so memory grows with a row's width: cut tables
of huge values into small chunks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, model_validator

from hdm.arrow.batches import rebatch
from hdm.arrow.rows import decimal_texts, unrepresentable
from hdm.components.address import AtFile
from hdm.components.settings import DatabaseFile, PathText, Settings
from hdm.connectors.duckdb.instance import Session, driver, instance_of
from hdm.dialects.duckdb import PAGE_ROWS, DuckDBDialect
from hdm.errors import RejectedRows, UsageError
from hdm.files.atomic_file import has_room, is_there
from hdm.model import Column, Dataset, Kind, Table
from hdm.sql import Database, SqlSink, SqlSource
from hdm.sql.catalog import SqlCatalog

_BATCH_ROWS = 16_384

_COLUMNS = (
    "SELECT * FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = ? "
    "AND table_name = ? ORDER BY column_index"
)
_NAMES = (
    "SELECT * FROM (SELECT schema_name, table_name, estimated_size, database_name FROM duckdb_tables() "
    "UNION ALL SELECT schema_name, view_name, NULL, database_name FROM duckdb_views()) "
    "WHERE database_name = current_database() AND lower(schema_name) = lower(?) "
    "AND lower(table_name) = lower(?)"
)
_KEY = (
    "SELECT constraint_column_names FROM duckdb_constraints() WHERE database_name = current_database() "
    "AND schema_name = ? AND table_name = ? AND constraint_type = 'PRIMARY KEY'"
)

_REFERRING = (
    "SELECT table_name FROM duckdb_constraints() WHERE database_name = current_database() "
    "AND schema_name = ? AND referenced_table = ? ORDER BY table_name"
)


class DuckDBProfile(AtFile, Settings):
    """Profile entry of a DuckDB file: its ``path``, or a folder ``dbpath`` and a file name ``database``."""

    endings: ClassVar[tuple[str, ...]] = ("duckdb", "db", "ddb")
    path: DatabaseFile | None = None
    """The DuckDB file, with ``~`` and ``$NAME`` filled in; it is made if rows are written to it. Or give
    ``database``."""
    dbpath: PathText | None = None
    """Folder of the file that ``database`` names, as in older profiles; left out, the current folder."""
    database: DatabaseFile | None = None
    """Name of the file, where ``path`` is left out; without an ending, and unless such a file exists,
    ``.duckdb`` is added."""

    @model_validator(mode="after")
    def _one_file(self) -> DuckDBProfile:
        if self.path is None and self.database is None:
            raise ValueError("give path, or dbpath and database")
        return self

    @property
    def file(self) -> Path:
        """The path of the database file."""
        if self.path is not None:
            return Path(os.path.expandvars(self.path)).expanduser()
        folder = Path(os.path.expandvars(self.dbpath or ".")).expanduser()
        plain = folder / str(self.database)
        return plain if plain.suffix or is_there(plain) else folder / f"{self.database}.duckdb"


class DuckDBDatabase(Database):
    """Connects to one DuckDB file, reads and writes it."""

    dialect_name = "duckdb"
    sessions_stand_alone = False

    @cached_property
    def dialect(self) -> DuckDBDialect:
        """DuckDB's SQL dialect, with the file's name as its catalogue."""
        made = DuckDBDialect()
        made.catalog = self.file.name.partition(".")[0]
        return made

    @property
    def file(self) -> Path:
        """The path of the database file."""
        profile: DuckDBProfile = self.profile
        return profile.file

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``duckdb:///path`` and ``schema.table``."""
        return Dataset(self.file.absolute().as_uri().replace("file:", "duckdb:"), ".".join(path))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name, with schema ``main`` in front if it has none."""
        return tuple(parts) if len(parts) > 1 else ("main", *parts)

    def reach(self) -> None:
        """Do nothing: a file needs no network, and connecting reports what is wrong with the file."""

    def is_there(self) -> bool:
        """Return True if the database file exists."""
        return is_there(self.file)

    def can_be_made(self) -> None:
        """Raise ``UsageError`` unless the file can be created in its folder."""
        if not has_room(self.file):
            raise UsageError(f"cannot make the file {self.file}", hint="check path in the profile")

    def connect(self, label: str = "hdm", *, write: bool = False) -> Session:
        """Open a database session in autocommit, in UTC, without extensions from the network.

        With ``write``, a missing folder and file are created; without, ``UsageError`` is raised for a missing
        file.
        """
        if not write and not is_there(self.file):
            raise UsageError(f"there is no DuckDB file {self.file}", hint="check path in the profile")
        if os.path.isdir(self.file):
            raise UsageError(f"{self.file} is a folder, not a DuckDB file", hint="name a file in the profile")
        if write:
            try:
                self.file.absolute().parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                what = f"cannot make the folder of {self.file}: {error.strerror}"
                raise UsageError(what, hint="check path in the profile") from None
        with self.classified():
            session = Session(instance_of(self.file), write=write)
        for statement in self.dialect.session:
            self.run(session, statement)
        return session

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction, which reads one snapshot.

        With ``write``, first wait for the file's other writers in this process.
        """
        if write:
            connection.hold()
        self.run(connection, "BEGIN TRANSACTION" if write else "BEGIN TRANSACTION READ ONLY")

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table or view as DuckDB's catalogue functions describe it; None if there is none."""
        schema, name = path[-2:]
        found = self.run(connection, _NAMES, (schema, name))
        if not found:
            return None
        schema, name, rows, _ = next((row for row in found if row[1] == name), found[0])
        key = self.run(connection, _KEY, (schema, name))
        columns = tuple(self._column(row) for row in self._named(connection, _COLUMNS, (schema, name)))
        full = (*path[:-2], schema, name)
        return Table(self.dataset(full), full, columns, tuple(key[0][0]) if key else (), rows=rows)

    def _named(self, connection: Any, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Return rows as dictionaries by column name, since DuckDB's versions differ in their columns."""
        rows = self.run(connection, sql, values)
        names = [str(column[0]) for column in connection.cursor().description]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _column(self, row: dict[str, Any]) -> Column:
        generated = row.get("is_generated")
        return self.dialect.column_from_catalog(
            row["column_name"],
            row["data_type"],
            nullable=bool(row["is_nullable"]),
            default=None if generated else row["column_default"],
            generated=row.get("generation_expression") if generated else None,
            comment=row["comment"],
        )

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, found by DESCRIBE."""
        described = self.run(connection, f"SELECT column_name, column_type FROM (DESCRIBE {sql})")
        return tuple(self.dialect.column_from_catalog(name, native) for name, native in described)

    def merging(self, connection: Any, held: Table, stage: Sequence[str], **how: Any) -> list[str]:
        """Return the statements that merge the rows of ``stage`` into ``held``; zeros get their sign, too."""
        merge = super().merging(connection, held, stage, **how)
        columns, key = how.pop("columns"), how.pop("key")
        fold = self.dialect.folded
        known = {fold(c.name) for c in held.columns if c.kind in (Kind.FLOAT32, Kind.FLOAT64)}
        floats = [name for name in columns if fold(name) in known and name not in key]
        first = [self.dialect.turn_zeros(held.path, stage, floats, key, **how)] if floats else []
        return [*first, *merge]

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Replace the rows of table ``target`` by those of table ``new``.

        An existing table is refilled, never renamed: DuckDB cannot rename a table that has an index or a
        foreign key, and a new table would lack its defaults, checks and further columns. Raises
        ``RejectedRows`` if a foreign key keeps old rows from being deleted.
        """
        held = self.find(connection, target)
        if held is None:
            super().swap(connection, target, new, old)
            return
        referring = [
            str(name) for (name,) in self.run(connection, _REFERRING, (held.path[-2], held.path[-1]))
        ]
        try:
            self.refill(connection, held, new)
        except RejectedRows as error:
            if not referring:
                raise
            raise RejectedRows(
                f"{held.dataset.name}: DuckDB lets no row go that {', '.join(referring)} may refer to",
                hint="write mode: merge, or leave out that foreign key",
            ) from error

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        sql = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?"
        names = [str(row[0]) for row in self.run(connection, sql, (path[-2],))]
        return [(*path[:-1], name) for name in names if name.startswith(prefix)]

    def pages(self, connection: Any, table: Table) -> int:
        """Return how many ranges of ``PAGE_ROWS`` row ids the table has; 0 for a view or a query."""
        if len(table.path) < 2:
            return 0
        schema, name = table.path[-2:]
        sql = "SELECT 1 FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
        if not self.run(connection, sql, (schema, name)):
            return 0
        last = self.run(connection, f"SELECT max(rowid) FROM {self.dialect.qualify(table.path)}")[0][0]
        return 0 if last is None else int(last) // PAGE_ROWS + 1

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches of the columns' types, from DuckDB's own Arrow stream.

        Dates and times are never converted through text or Python objects.
        """
        schema = pa.schema([pa.field(c.name, c.type, c.nullable) for c in columns])
        with self.classified():
            relation = connection.inner.sql(sql)
            reader = (
                relation.to_arrow_reader(_BATCH_ROWS)
                if hasattr(relation, "to_arrow_reader")
                else relation.fetch_arrow_reader(_BATCH_ROWS)
            )
        while True:
            with self.classified():
                batch = next(reader, None)
            if batch is None:
                return
            arrays = [_carried(array, c) for array, c in zip(batch.columns, columns, strict=True)]
            yield from rebatch([pa.RecordBatch.from_arrays(arrays, schema=schema)])

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert each batch, cast to the table's types; return how many rows DuckDB stored.

        Columns are matched by name.
        """
        target, quote = self.dialect.qualify(path), self.dialect.quote
        described = self.run(connection, f"SELECT column_name, column_type FROM (DESCRIBE {target})")
        held = {str(name): str(native) for name, native in described}
        shown = ", ".join(
            f"CAST(c{number} AS {held[c.name]}) AS {quote(c.name)}"
            for number, c in enumerate(columns)
            if c.name in held
        )
        statement = f"INSERT INTO {target} BY NAME SELECT {shown} FROM hdm_batch"
        taken = 0
        for batch in batches:
            if not batch.num_rows:
                continue
            arrays = [_known(array) for array in batch.columns]
            with self.classified():
                names = [f"c{number}" for number in range(len(arrays))]
                connection.inner.register("hdm_batch", pa.Table.from_arrays(arrays, names=names))
                taken += int(self.run(connection, statement)[0][0])
                connection.inner.unregister("hdm_batch")
        return taken

    def change(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute a statement and return how many rows it changed; 0 if it is no change of rows.

        DuckDB gives the number as the statement's result.
        """
        rows = self.run(connection, sql, values)
        return int(rows[0][0]) if rows and isinstance(rows[0][0], int) else 0

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: about the file and, if it can be opened, DuckDB's version."""
        found = super().probe()
        return [*found, ("version", True, str(driver().__version__))] if found[0][1] else found


class DuckDBSource(SqlSource):
    """Reads a DuckDB table or query, by ranges of its key or of row ids."""

    Profile: ClassVar[type[BaseModel] | None] = DuckDBProfile
    Database: ClassVar[type[Database]] = DuckDBDatabase


class DuckDBSink(SqlSink):
    """Writes a DuckDB table; creates the file if it does not exist."""

    Profile: ClassVar[type[BaseModel] | None] = DuckDBProfile
    Database: ClassVar[type[Database]] = DuckDBDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        if profile is not None:
            instance_of(profile.file).written_here = True


class DuckDBCatalog(SqlCatalog):
    """Reads and creates tables, keys, indexes and views in a DuckDB file."""

    Profile: ClassVar[type[BaseModel] | None] = DuckDBProfile
    Database: ClassVar[type[Database]] = DuckDBDatabase


def _carried(array: pa.Array, column: Column) -> pa.Array:
    """Cast an array of DuckDB's to the column's carrier; ``UnrepresentableValue`` if a value does not fit."""
    kind = column.type
    if array.type == kind:
        return array
    try:
        if pa.types.is_dictionary(array.type):
            array = array.cast(pa.string())
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise unrepresentable(column.name, f"a value of {column.native} does not fit {kind}") from None


def _known(array: pa.Array) -> pa.Array:
    """Return 256-bit decimals, which DuckDB does not read from Arrow, as text; other arrays as they are."""
    return decimal_texts(array) if pa.types.is_decimal256(array.type) else array
