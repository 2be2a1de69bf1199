"""OdbcDatabase, a database with an ODBC driver: reads in bulk as Arrow, inserts arrays of rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from hdm.dialects.base import Dialect
from hdm.dialects.catalog_queries import CatalogueSql, catalogue_sql
from hdm.dialects.odbc import octets, through_odbc
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.dialects.types import carrier
from hdm.errors import HdmError, PermanentError, TransientError, UsageError
from hdm.model import Column, Dataset, Kind
from hdm.sql import odbc_codec as codec
from hdm.sql.dbapi import DbApiDatabase

_LOG = logging.getLogger("hdm.sql")
_TOO_WIDE = "too large to be written into the allocated buffer"
_INSERT_BYTES = 16 * 1024 * 1024
_KINDS = {
    "int": Kind.INT64, "float": Kind.FLOAT64, "str": Kind.TEXT, "bool": Kind.BOOLEAN,
    "bytearray": Kind.BINARY, "bytes": Kind.BINARY, "date": Kind.DATE, "time": Kind.TIME,
    "datetime": Kind.TIMESTAMP, "Decimal": Kind.DECIMAL, "UUID": Kind.UUID,
}  # fmt: skip


class OdbcDatabase(DbApiDatabase):
    """A database behind an ODBC driver; a subclass gives the dialect and the connection string."""

    streams_in_session = False

    def __init__(self, profile: Any = None, dialect_name: str = "") -> None:
        super().__init__(profile)
        self._base = dialect_name or self.dialect_name

    @property
    def dialect(self) -> Dialect:
        """The system's dialect, adapted to ODBC."""
        return through_odbc(self._base)

    @property
    def facts(self) -> OdbcFacts:
        """Facts about the system's ODBC driver, such as which values it damages."""
        return self.dialect.odbc

    def connection_string(self, label: str) -> str:
        """Return the connection string.

        The string contains the password, so it must never be shown.
        """
        raise UsageError("no connection string", hint="name dsn:, driver: or odbc: in the profile")

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name, which is the same whether ODBC is used or not."""
        place = f"{self.profile.host}:{self.profile.port}" if self.profile.port else self.profile.host
        parts = path if self.dialect.schemas_are_databases else (self.profile.database, *path)
        return Dataset(f"{self._base}://{place}", ".".join(part for part in parts if part))

    def open(self, label: str, *, write: bool) -> Any:
        """Open and return a pyodbc connection in autocommit."""
        pyodbc, _ = codec.modules()
        return pyodbc.connect(self.connection_string(label), autocommit=True, timeout=60)

    def set_up(self, connection: Any, write: bool) -> None:
        """Apply the dialect's settings to a new database session; make it read-only unless ``write``."""
        if self.facts.one_write:
            connection.maxwrite = 1 << 30
        if not write:
            codec.only_reads(connection)
        super().set_up(connection, write)

    def make_read_only(self, connection: Any) -> None:
        """Make a database session read-only, if the server has a statement for that."""
        self._guard(lambda statement: self.run(connection, statement))

    def settings(self, write: bool) -> list[str]:
        """Return the first SQL statements of a session, except SET NAMES.

        The connection string sets the character set.
        """
        return [one for one in super().settings(write) if not one.startswith("SET NAMES")]

    def _guard(self, execute: Callable[[str], Any]) -> None:
        """Make a database session read-only, by ``execute``.

        A server that does not know the statement is read nevertheless: hdm rolls its transactions back.
        """
        for statement in self.dialect.read_only_session:
            try:
                with self.classified():
                    execute(statement)
            except (PermanentError, UsageError) as error:
                _LOG.info("%s takes no %s: %s", self.dialect.name, statement, error.message)

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Turn autocommit off, so that the driver begins a transaction with the next statement."""
        with self.classified():
            connection.autocommit = False
        if not write and self.dialect.read_only_transaction:
            self.run(connection, self.dialect.read_only_transaction)

    def commit(self, connection: Any) -> None:
        """Commit the open transaction and turn autocommit on."""
        with self.classified():
            connection.commit()
            connection.autocommit = True

    def rollback(self, connection: Any) -> None:
        """Roll the open transaction back and turn autocommit on."""
        with self.classified():
            connection.rollback()
            connection.autocommit = True

    # -- catalogue -------------------------------------------------------------

    @property
    def questions(self) -> CatalogueSql:
        """The SQL that reads the system's own catalogue, since ODBC does not tell declared precisions."""
        return catalogue_sql(self._base)

    def default_schema(self) -> str | None:
        """Return the schema of tables that are named without one, if the profile names none.

        None if the system has no schemas.
        """
        if self.facts.bare_names == "database":
            return self.profile.database  # type: ignore[no-any-return]
        return None if self.facts.bare_names == "none" else super().default_schema()

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query as the driver describes them, by running it for no rows."""
        with self.classified():
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {self.dialect.derived(sql)} WHERE 1 = 0")
            described = cursor.description
            cursor.close()
        columns = []
        for name, python, _, size, _, scale, nullable in described:
            kind = _KINDS.get(python.__name__, Kind.OTHER)
            digits = scale if kind in (Kind.TIME, Kind.TIMESTAMP) else None
            length = size if kind in (Kind.TEXT, Kind.BINARY) and 0 < size <= 4000 else None
            made = Column(
                str(name), kind, carrier(kind, digits), bool(nullable), length=length, precision=digits
            )
            columns.append(made)
        return tuple(columns)

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield rows in bulk, or row by row if a value is wider than ``WIDEST`` or bulk reads would fail."""
        widest = self._widest(connection, sql, columns)
        if widest <= codec.WIDEST and not self._bulk_breaks(columns):
            batches = self._bulk(sql, columns, widest)
            try:
                first = next(batches, None)
            except _TooWideError:
                first = None
            else:
                yield from chain([] if first is None else [first], batches)
                return
        yield from self._row_by_row(sql, columns, widest)

    def _row_by_row(self, sql: str, columns: Sequence[Column], widest: int) -> Iterator[pa.RecordBatch]:
        pyodbc, _ = codec.modules()
        with self.connecting():
            connection = pyodbc.connect(self._reading("hdm:read", widest), autocommit=True, timeout=60)
        try:
            self.set_up(connection, write=False)
            with self.classified():
                cursor = connection.cursor()
                cursor.execute(sql)
            yield from self._classifying(codec.one_by_one(cursor, columns, self.facts, widest))
        finally:
            connection.close()

    def _bulk_breaks(self, columns: Sequence[Column]) -> bool:
        return self.facts.bulk_breaks_on_binary and any(c.kind is Kind.BINARY for c in columns)

    def _widest(self, connection: Any, sql: str, columns: Sequence[Column]) -> int:
        wide = codec.unbounded(self.facts, columns)
        if not wide:
            return 0
        each = ", ".join(f"MAX({octets(self.facts, self.dialect.quote(c.name), c)})" for c in wide)
        found = self.run(connection, f"SELECT {each} FROM {self.dialect.derived(sql)}")
        return max((int(size) for size in found[0] if size is not None), default=0)

    def _bulk(self, sql: str, columns: Sequence[Column], widest: int) -> Iterator[pa.RecordBatch]:
        _, arrow_odbc = codec.modules()
        text = self._reading("hdm:read", widest)
        with self.classified():
            connection = arrow_odbc.connect(text, login_timeout_sec=60)
            for statement in self.settings(write=False):
                connection.execute(statement)
        self._guard(connection.execute)
        yield from self._classifying(codec.bulk(connection, sql, columns, self.facts, widest))

    def _reading(self, label: str, widest: int) -> str:
        """Return the connection string for reading values up to ``widest`` bytes.

        psqlODBC is told this width, and to fetch only as many rows at once as fit into memory.
        """
        text = self.connection_string(label)
        if not self.facts.told_width:
            return text
        rows = codec.rows_within(codec.BATCH_BYTES, widest)
        return re.sub(r"\bFetch=\d+", f"Fetch={rows}", text) + f";MaxLongVarcharSize={max(widest, 8190)}"

    def _classifying(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yielded = False
        while True:
            try:
                batch = next(batches, None)
            except HdmError:
                raise
            except Exception as error:  # noqa: BLE001 -- drivers share no base class
                if _TOO_WIDE in str(error):
                    if not yielded:
                        raise _TooWideError from None
                    raise TransientError("a value grew while its chunk was read") from None
                raise self.dialect.classify(error) from None
            if batch is None:
                return
            yielded = True
            yield batch

    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows and return their number; sends arrays of up to 16 MiB if the driver supports that.

        The rows need not be counted: an INSERT of VALUES stores its rows or raises.
        """
        cursor.fast_executemany = fast = self.facts.fast_inserts and self.takes_arrays(cursor)
        if not fast and not self.facts.types_every_mark:
            return super().insert(cursor, sql, rows)
        sizes, width = codec.input_sizes(list(zip(*rows, strict=True)), every=self.facts.types_every_mark)
        step = max(_INSERT_BYTES // width, 1)
        for start in range(0, len(rows), step):
            cursor.setinputsizes(sizes)
            cursor.executemany(sql, rows[start : start + step])
        return len(rows)

    def takes_arrays(self, cursor: Any) -> bool:
        """Return True if the driver that is in use takes arrays of rows; by default it does."""
        return True

    def mark(self, column: Column, number: int) -> str:
        """Return the placeholder for one value of an INSERT, with a cast if the system needs one."""
        if not self.facts.casts or column.kind in (Kind.TEXT, Kind.BINARY):
            return "?"
        return f"CAST(? AS {self.dialect.stored(column).native})"

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables whose names start with ``prefix``, by ODBC's own catalogue function."""
        with self.classified():
            cursor = connection.cursor()
            found = [str(row.table_name) for row in cursor.tables(tableType="TABLE").fetchall()]
            cursor.close()
        return [(*path[:-1], name) for name in found if name.startswith(prefix)]

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of connection tests for ``hdm doctor``, with driver and server version."""
        found = super().probe()
        if not all(ok for _, ok, _ in found):
            return found
        pyodbc, _ = codec.modules()
        connection = self.connect("hdm:doctor")
        try:
            for what, item in (("driver", pyodbc.SQL_DRIVER_VER), ("server", pyodbc.SQL_DBMS_VER)):
                found.append((what, True, str(connection.getinfo(item))))
        finally:
            connection.close()
        return found


class _TooWideError(Exception):
    """Raised if the first batch has a value wider than the driver's buffers."""


def valued(value: str) -> str:
    """Return a value as it must stand in an ODBC connection string.

    Braces are put around the value only if needed: not every driver removes those around a number.
    """
    plain = re.fullmatch(r"[A-Za-z0-9_.:,/\\ @~-]*", value) and value == value.strip()
    return value if plain else braced(value)


def braced(value: str) -> str:
    """Return a value in braces for an ODBC connection string; each ``}`` in it is doubled."""
    return "{" + value.replace("}", "}}") + "}"
