"""Writes to SQL Server through ODBC; refuses or converts values that the driver or server would alter."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import rows as row_codec
from hdm.errors import UsageError
from hdm.model import Column, Kind, Table
from hdm.sql import odbc_codec as codec
from hdm.sql.database import Database
from hdm.sql.odbc import OdbcDatabase

_CODE_PAGES = """SELECT c.name, c.collation_name FROM {home}sys.columns c
JOIN {home}sys.types t ON t.user_type_id = c.system_type_id
WHERE c.object_id = OBJECT_ID({path}) AND t.name IN ('char', 'varchar', 'text')"""

_MICROSOFTS = re.compile("msodbcsql|sqlncli|sqlsrv", re.IGNORECASE)
"""Names of the files of Microsoft's ODBC drivers."""

_LOADING = "SET XACT_ABORT OFF; SET IMPLICIT_TRANSACTIONS ON"
"""Settings while arrays of rows are sent.

pyodbc asks for the types of the parameters, which is an error for a temporary table (Msg 11525) and would end
the transaction under XACT_ABORT. And each row is a call of its own in one message: if the server ends the
transaction at one of them, the next ones must begin a transaction that nobody commits, and not be committed
one by one. https://learn.microsoft.com/sql/t-sql/statements/set-implicit-transactions-transact-sql
"""
_LOADED = "SET IMPLICIT_TRANSACTIONS OFF; SET XACT_ABORT ON"

_SHORTER = (
    (r"(\.\d{7})\d+", r"\1"),
    (r"(\.\d*[1-9])0+([+-]|$)", r"\1\2"),
    (r"\.0+([+-]|$)", r"\1"),
)


def shortest(texts: pa.Array) -> pa.Array:
    """Return texts of times with the fraction cut to seven digits and without trailing zeros.

    SQL Server refuses a text with more digits than the column's type has: three for ``datetime``, seven for
    ``datetime2``.
    """
    for pattern, kept in _SHORTER:
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=kept)
    return texts


def watched(batches: Iterator[pa.RecordBatch], seen: dict[str, set[str]]) -> Iterator[pa.RecordBatch]:
    """Yield the batches unchanged; collect in ``seen`` the non-ASCII characters of each text column."""
    for batch in batches:
        for name, array in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
                beyond = array.filter(pc.match_substring_regex(array, r"[^\x00-\x7F]"))
                for text in beyond.to_pylist():
                    seen.setdefault(name, set()).update(mark for mark in text if not mark.isascii())
        yield batch


def must_keep(database: Database, connection: Any, path: Sequence[str], seen: Mapping[str, set[str]]) -> None:
    """Raise ``UnrepresentableValue`` if a varchar column's code page lacks a character in ``seen``.

    ``seen`` has the characters that were inserted, by column; ``path`` is the table.
    """
    dialect = database.dialect
    qualified = dialect.qualify(path)
    home = "tempdb." if qualified.startswith("[#") else ""
    where = dialect.string(f"tempdb..{qualified}" if home else qualified)
    for name, collation in database.run(connection, _CODE_PAGES.format(home=home, path=where)):
        marks = dialect.string("".join(sorted(seen.get(name, ()))))
        kept = f"CAST(CAST({marks} COLLATE {collation} AS varchar(max)) AS nvarchar(max))"
        if name in seen and database.run(
            connection, f"SELECT 1 WHERE {kept} COLLATE Latin1_General_BIN2 <> {marks}"
        ):
            raise row_codec.unrepresentable(
                name, f"the target is varchar, and the code page of {collation} lacks some of its characters"
            )


class SQLServerWrites(OdbcDatabase):
    """A SQL Server database as it is written to, whichever profile names the ODBC driver."""

    def cells(self, array: pa.Array, column: Column) -> list[Any]:
        """Return a column's values as they are bound.

        datetimeoffset keeps the time zone, datetime2 has none. Times have at most seven digits of a second.
        """
        zoned = self.dialect.stored(column).native.lower().startswith("datetimeoffset")
        if pa.types.is_timestamp(array.type) and not zoned:
            array = array.cast(pa.timestamp(array.type.unit))
        if not (pa.types.is_timestamp(array.type) or pa.types.is_time(array.type)):
            return super().cells(array, column)
        return list(shortest(pa.array(super().cells(array, column), pa.string())).to_pylist())

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        rows = self.run(
            connection,
            "SELECT t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id "
            "WHERE s.name = ?",
            (path[-2],),
        )
        return [(*path[:-1], str(name)) for (name,) in rows if str(name).startswith(prefix)]

    def rollback(self, connection: Any) -> None:
        """Roll the open transaction back, which is no error if the server has ended it already.

        An error ends it under XACT_ABORT. FreeTDS asks for a ROLLBACK all the same (Msg 3903), and once more
        as it leaves the transaction: it is given one to end.
        """
        with self.classified():
            try:
                connection.rollback()
            except Exception as error:
                if self.dialect.code(error) != "E3903":
                    raise
                connection.execute("BEGIN TRANSACTION")
                connection.rollback()
            connection.autocommit = True

    def takes_arrays(self, cursor: Any) -> bool:
        """Return True if the driver is Microsoft's: with FreeTDS, arrays of rows crash the process.

        https://github.com/mkleehammer/pyodbc/wiki/Features-beyond-the-DB-API#fast_executemany
        """
        pyodbc, _ = codec.modules()
        return bool(_MICROSOFTS.search(str(cursor.connection.getinfo(pyodbc.SQL_DRIVER_NAME))))

    def mark(self, column: Column, number: int) -> str:
        """Return the SQL that stands for one bound value.

        A spatial value's text begins with its own SRID, which replaces the default of the type. Bytes are
        converted, because a column that holds only NULL is bound as text, which is never bytes by itself.
        """
        native = self.dialect.stored(column).native.lower()
        if column.kind is Kind.BINARY:
            return "CONVERT(varbinary(max), ?)"
        if native not in ("geography", "geometry"):
            return super().mark(column, number)
        shape = "STUFF(v.x, 1, CHARINDEX(';', v.x), '')"
        srid = "CAST(SUBSTRING(v.x, 6, CHARINDEX(';', v.x) - 6) AS int)"
        made = f"CASE WHEN v.x LIKE 'SRID=%' THEN {native}::STGeomFromText({shape}, {srid}) "
        return (
            f"(SELECT {made}ELSE {native}::Parse(v.x) END FROM (VALUES (CAST(? AS nvarchar(max)))) AS v(x))"
        )

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return ``(schema, table)`` for a table's name; a missing schema is filled in.

        Raises ``UsageError`` for a table in a database other than the profile's, since the catalogue queries
        see the connected database only.
        """
        if len(parts) > 2:
            if str(parts[0]).lower() != str(self.profile.database or "").lower():
                raise UsageError(
                    f"{'.'.join(parts)} lies in another database than the profile's"
                    + (f", {self.profile.database}" if self.profile.database else ", which names none"),
                    hint="name that database in a profile of its own",
                )
            parts = parts[-2:]
        return super().default_path(parts)

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, else False, by HAS_PERMS_BY_NAME.

        None for what is not there.
        https://learn.microsoft.com/en-us/sql/t-sql/functions/has-perms-by-name-transact-sql
        """
        word, _, of = right.partition(" on the ")
        if of == "database":
            asked = "DB_NAME(), 'DATABASE'"
        elif of in ("schema", "table"):
            named = self.dialect.qualify(path if of == "table" else path[-2:-1])
            asked = f"{self.dialect.string(named)}, '{'OBJECT' if of == 'table' else 'SCHEMA'}'"
        else:
            return None
        found = self.run(connection, f"SELECT HAS_PERMS_BY_NAME({asked}, '{word}')")[0][0]
        return None if found is None else bool(found)

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script, the user and the database as the server calls them."""
        user, database = self.run(connection, "SELECT USER_NAME(), DB_NAME()")[0]
        known = super().grant_names(connection, path)
        return known | {"user": self.dialect.quote(user), "database": self.dialect.quote(database)}

    def take_identities(self, connection: Any, held: Table, names: Collection[str]) -> None:
        """Set IDENTITY_INSERT for table ``held`` if identity columns are among ``names``.

        A database session can set it for one table at a time.
        """
        if any(column.identity and column.name in names for column in held.columns):
            self.run(connection, f"SET IDENTITY_INSERT {self.dialect.qualify(held.path)} ON")

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert the batches; return how many rows were stored.

        Raises ``UnrepresentableValue`` for a character that a varchar column's code page lacks, which the
        server would replace silently. The session's settings are others meanwhile, see ``_LOADING``.
        """
        seen: dict[str, set[str]] = {}
        self.run(connection, _LOADING)
        taken = super().load(connection, path, columns, watched(batches, seen))
        self.run(connection, _LOADED)
        if seen:
            must_keep(self, connection, path, seen)
        return taken
