"""DbApiDatabase, a database with a DB-API 2 driver (https://peps.python.org/pep-0249/) and a dialect.

A subclass opens a connection; the catalogue is read by the dialect's ``catalog_queries``, rows are fetched
in steps of bounded bytes and inserted by ``executemany``. ``docs/howto/write-a-database.md`` builds one.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.dialects.catalog_queries import CatalogueSql, catalogue_sql
from hdm.errors import UsageError
from hdm.model import Column, Dataset, Table
from hdm.sql import dbapi_codec
from hdm.sql.database import Database
from hdm.sql.describe import asked, described, relation_of

_FETCH_BYTES, _FETCH_ROWS, _FIRST_ROWS = 8 * 1024 * 1024, 50_000, 64
_INSERT_ROWS = 2000


class DbApiDatabase(Database):
    """A database behind a DB-API 2 driver.

    A subclass writes ``open``, the rest has defaults. Connections are in autocommit: a transaction begins
    with the statement in ``begin_write`` or ``begin_read``, and ends with the driver's own ``commit`` or
    ``rollback``.
    """

    begin_write: ClassVar[str | None] = "BEGIN"
    """Begins a transaction that writes; None: the driver begins one by itself."""
    begin_read: ClassVar[str | None] = "BEGIN"
    """Begins a transaction that only reads; None: each statement sees a snapshot of its own."""
    read_only: ClassVar[tuple[str, ...]] = ()
    """Statements that a database session for reading starts with, after those of the dialect."""
    counts_many: ClassVar[bool] = False
    """Whether ``rowcount`` counts all rows of an ``executemany``.

    False: the rows sent are counted instead, since an INSERT of VALUES stores its rows or raises.
    """

    @abstractmethod
    def open(self, label: str, *, write: bool) -> Any:
        """Open and return the driver's connection, in autocommit.

        The server shows it under the name ``label`` if it can. Import the driver inside this method; its
        errors may be raised as they are.
        """

    # -- sessions --------------------------------------------------------------

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a connection, apply the dialect's settings to it, and return it."""
        with self.connecting():
            connection = self.open(label, write=write)
        try:
            self.set_up(connection, write)
        except BaseException:
            connection.close()
            raise
        return connection

    def set_up(self, connection: Any, write: bool) -> None:
        """Apply the dialect's settings to a new database session; make it read-only unless ``write``."""
        for statement in self.settings(write):
            self.run(connection, statement)
        if not write:
            self.make_read_only(connection)

    def make_read_only(self, connection: Any) -> None:
        """Make a database session read-only, if the dialect has a statement for that."""
        for statement in self.dialect.read_only_session:
            self.run(connection, statement)

    def settings(self, write: bool) -> list[str]:
        """Return the SQL statements with which a new database session starts."""
        own = list(self.dialect.session)
        return own if write else [*own, *self.read_only]

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction with the statement in ``begin_write`` or ``begin_read``."""
        statement = self.begin_write if write else self.begin_read
        if statement:
            self.run(connection, statement)
        if not write and self.dialect.read_only_transaction:
            self.run(connection, self.dialect.read_only_transaction)

    # -- names and catalogue -----------------------------------------------------

    @property
    def questions(self) -> CatalogueSql:
        """The SQL that reads the system's catalogue."""
        return catalogue_sql(self.dialect.name)

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``<dialect>://host:port``, ``database.schema.table``."""
        place = f"{self.profile.host}:{self.profile.port}" if self.profile.port else self.profile.host
        parts = path if self.dialect.schemas_are_databases else (self.profile.database, *path)
        return Dataset(f"{self.dialect.name}://{place}", ".".join(part for part in parts if part))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name; a bare one gets the profile's schema, else the system's default."""
        if len(parts) > 1:
            return tuple(parts)
        named: str | None = getattr(self.profile, "schema_name", None) or self.default_schema()
        return (named, *parts) if named else tuple(parts)

    def default_schema(self) -> str | None:
        """Return the schema of tables that are named without one, if the profile names none.

        None if the system has no schemas.
        """
        return self.questions.schema

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as the dialect's catalogue SQL describes it; its name may differ in case.

        None if there is no such table.
        """
        return described(self, connection, path, self.questions)

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest that identifies the storage of a table's rows now; None for a view or a query.

        The digest differs once the table was replaced.
        """
        return relation_of(self, connection, path, self.questions)

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, found by an empty temporary table that is created from it."""
        name = f"hdm_query_{uuid.uuid4().hex}"
        stage, dialect = self.stage_path((), name), self.dialect
        empty = f"SELECT * FROM {dialect.derived(sql)} WHERE 1 = 0"
        self.run(connection, f"{dialect.temporary_table} {dialect.qualify(stage)} AS {empty}")
        try:
            found = self.find(connection, stage)
        finally:
            self.run(connection, dialect.drop_table(stage))
        if found is None:
            raise UsageError(
                f"{dialect.name} does not tell the columns of a query",
                hint="write table_name: of a table or view",
            )
        return found.columns

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``.

        Empty if the dialect has no SQL for it.
        """
        if self.questions.tables is None:
            return []
        schema = path[-2] if len(path) > 1 else (self.questions.schema or "")
        rows = asked(self, connection, self.questions.tables, (schema,))
        return [(*path[:-1], str(name)) for (name,) in rows if str(name).startswith(prefix)]

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches, fetched as many at a time as fit into about 8 MiB."""
        decoders = {column.name: self.decoder(column) for column in columns}
        with self.calling(connection):
            cursor = connection.cursor()
            cursor.execute(sql)
        step = _FIRST_ROWS
        try:
            while True:
                with self.calling(connection):
                    found = cursor.fetchmany(step)
                if not found:
                    return
                self.checked(found, columns)
                batch = row_codec.to_batch(found, columns, decoders)
                step = max(min(_FETCH_ROWS, _FETCH_BYTES // max(batch.nbytes // batch.num_rows, 1)), 1)
                yield batch
        finally:
            cursor.close()

    def decoder(self, column: Column) -> row_codec.Decoder:
        """Return the function that converts the driver's values of a column to an Arrow array."""
        return dbapi_codec.decoder(column)

    def checked(self, rows: Sequence[Sequence[Any]], columns: Sequence[Column]) -> None:
        """Raise ``UnrepresentableValue`` if the driver may have altered values of these fetched rows.

        By default none are suspected.
        """
        return

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert batches by ``executemany``, 2,000 rows at a time; return how many rows were stored."""
        sql, taken = self.insert_sql(path, columns), 0
        with self.calling(connection):
            cursor = connection.cursor()
        try:
            for batch in batches:
                values = [self.cells(*pair) for pair in zip(batch.columns, columns, strict=True)]
                rows = list(zip(*values, strict=True))
                for start in range(0, len(rows), _INSERT_ROWS):
                    with self.calling(connection):
                        taken += self.insert(cursor, sql, rows[start : start + _INSERT_ROWS])
        finally:
            cursor.close()
        return taken

    def insert_sql(self, path: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the INSERT statement for one row, with a placeholder for each value."""
        dialect = self.dialect
        marks = ", ".join(self.mark(column, number) for number, column in enumerate(columns, 1))
        names = dialect.names(column.name for column in columns)
        return f"INSERT INTO {dialect.qualify(path)} ({names}) {dialect.insert_override}VALUES ({marks})"

    def mark(self, column: Column, number: int) -> str:
        """Return the placeholder for one value of an INSERT; ``number`` counts from 1."""
        return self.dialect.placeholder(number)

    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows and return how many the database stored."""
        cursor.executemany(sql, rows)
        return int(cursor.rowcount) if self.counts_many else len(rows)

    def cells(self, array: pa.Array, column: Column) -> list[Any]:
        """Return a column's values as they are bound.

        Dates, times and decimals are texts, other values Python objects.
        """
        if self.dialect.zoneless and pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp(array.type.unit))
        return row_codec.cells(array)
