"""Reads Snowflake's catalogue and rows, and loads files: in UTC, with exact decimals and tagged queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.connectors.snowflake.arriving import SEMI_STRUCTURED, base, detour, must_be, through
from hdm.connectors.snowflake.connecting import SnowflakeConnecting
from hdm.connectors.snowflake.staging import Put, Staging, copy_files
from hdm.errors import SchemaDrift, UsageError
from hdm.model import Column, Kind, Table
from hdm.sql import odbc_codec as casting

_CODES = {0: "NUMBER", 1: "FLOAT", 2: "TEXT", 3: "DATE", 4: "TIMESTAMP_NTZ", 5: "VARIANT", 6: "TIMESTAMP_LTZ",
          7: "TIMESTAMP_TZ", 8: "TIMESTAMP_NTZ", 9: "OBJECT", 10: "ARRAY", 11: "BINARY", 12: "TIME",
          13: "BOOLEAN", 14: "GEOGRAPHY", 15: "GEOMETRY", 16: "VECTOR"}  # fmt: skip


class SnowflakeDatabase(SnowflakeConnecting):
    """Connects to one Snowflake account; refuses DDL inside a transaction, since DDL commits."""

    brings_first = True

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as Snowflake's catalogue describes it, with every type's precision; None if none.

        Raises ``UsageError`` if several tables have that name in other cases, and none exactly this one.
        """
        rows = self.listed(connection, path)
        exact = [row for row in rows if row["name"] == path[-1]] or rows
        if not exact:
            return None
        if len(exact) > 1:
            raise UsageError(
                path[-1] + " could be any of " + ", ".join(str(row["name"]) for row in exact),
                hint="write the name in its exact case",
            )
        found = exact[0]
        name, what = str(found["name"]), str(found["kind"])
        full = (*path[:-2], str(found["schema_name"]), name) if len(path) > 1 else (name,)
        columns = self._columns(connection, full)
        keyed = []
        if not what.upper().endswith("VIEW"):  # a view has no key, and may be refused as no table
            keyed = self.rows(connection, f"SHOW PRIMARY KEYS IN TABLE {self.dialect.qualify(full)}")
        key = [str(row["column_name"]) for row in sorted(keyed, key=lambda row: int(row["key_sequence"]))]
        rows_in_all, size = _int(found["rows"]), _int(found["bytes"])
        return Table(self.dataset(full), full, columns, tuple(key), rows=rows_in_all, bytes=size)

    def columns_of(self, connection: Any, path: Sequence[str]) -> tuple[Column, ...] | None:
        """Return the columns of a table or view of exactly this name, by DESCRIBE; None if there is none.

        No warehouse works for it.
        """
        try:
            return self._columns(connection, path)
        except SchemaDrift:  # no such table
            return None

    def _columns(self, connection: Any, path: Sequence[str]) -> tuple[Column, ...]:
        described = self.rows(connection, f"DESCRIBE TABLE {self.dialect.qualify(path)}")
        return tuple(
            self.dialect.column_from_catalog(
                str(row["name"]),
                str(row["type"]),
                nullable=row.get("null?", "Y") == "Y",
                default=row.get("default"),
                generated=row.get("expression"),
                comment=row.get("comment") or None,
            )
            for row in described
            if row.get("kind", "COLUMN") == "COLUMN"
        )

    def listed(self, connection: Any, path: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of SHOW OBJECTS for the tables and views of this name in any case.

        SHOW needs no warehouse, unlike INFORMATION_SCHEMA, which would start one for each chunk
        (https://docs.snowflake.com/en/sql-reference/sql/show-objects). Empty if the schema is missing; raises
        ``SchemaDrift`` if the database is.
        """
        like = self.dialect.string(path[-1].replace("\\", "_"))  # LIKE ignores case, and _ is any character
        home = self.dialect.qualify(path[:-1])
        try:
            rows = self.rows(connection, f"SHOW OBJECTS LIKE {like}" + (f" IN SCHEMA {home}" if home else ""))
        except SchemaDrift:
            if len(path) > 2:
                place = f"LIKE {self.dialect.string(path[-2])} IN DATABASE {self.dialect.quote(path[-3])}"
                self.rows(connection, f"SHOW SCHEMAS {place}")
            return []
        return [row for row in rows if str(row["name"]).upper() == path[-1].upper()]

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query as the server describes them, without running it."""
        with self.classified():
            cursor = connection.cursor()
            described = cursor.describe(sql)
            cursor.close()
        return tuple(
            self.dialect.column_from_catalog(
                d.name,
                _CODES.get(d.type_code, "VARCHAR"),
                nullable=bool(d.is_nullable),
                precision=d.scale if _CODES.get(d.type_code, "").startswith("TIME") else d.precision,
                scale=d.scale,
            )
            for d in described
        )

    def rows(self, connection: Any, sql: str) -> list[dict[str, Any]]:
        """Return the rows of SHOW or DESCRIBE as dictionaries by column name."""
        with self.classified():
            cursor = connection.cursor()
            try:
                cursor.execute(sql)
                names = [str(column[0]) for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            finally:
                cursor.close()

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        home = self.dialect.quote(path[-3]) + "." if len(path) > 2 else ""
        rows = self.run(
            connection,
            f"SELECT table_name FROM {home}information_schema.tables "
            "WHERE table_schema = ? AND STARTSWITH(table_name, ?)",
            (path[-2], prefix),
        )
        return [(*path[:-1], str(name)) for (name,) in rows]

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches of the columns' types, from the result's Arrow chunks."""
        with self.classified():
            cursor = connection.cursor()
            cursor.execute(sql)
            # if forced to microseconds, the driver would silently truncate nanoseconds
            tables = cursor.fetch_arrow_batches(force_microsecond_precision=False)
        while True:
            with self.classified():
                try:
                    table = next(tables, None)
                except OverflowError:
                    stamps = [c.name for c in columns if c.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ)]
                    raise row_codec.unrepresentable(
                        " or ".join(stamps), "nanoseconds are carried of the years 1678 to 2261 only"
                    ) from None
            if table is None:
                return
            for batch in table.to_batches():
                yield casting.carried(batch, columns)

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Put batches on a stage and load them into the table at once; return the number of rows."""
        return self.bring(connection, path, columns, batches)()

    def bring(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Put batches on a stage as Parquet files; return the function that copies these into the table.

        Only that function runs inside the transaction: an upload there would keep the ledger locked, and the
        server ends a transaction that is idle for five minutes while others wait for it. The function also
        checks the rows of every file.
        """
        with Staging(self, connection, self.load_stage(connection, path)) as staging:
            files = staging.encode(columns, batches)
        return self.taking(connection, path, columns, staging.location, files)

    def taking(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        location: str,
        files: Sequence[Put],
        *,
        fold: bool = False,
    ) -> Callable[[], int]:
        """Return the function that loads staged files into a table and returns the number of rows.

        It uses COPY alone; if that would fill the table wrongly, the files are copied into a temporary table
        now, and the function inserts from there. ``fold`` ignores the case of names.
        """
        rows = sum(file.rows for file in files)
        names = [column.name for column in columns]

        def copy(into: Sequence[str]) -> None:
            copy_files(self, connection, location, into, names, files, fold=fold)

        described = self.rows(connection, f"DESCRIBE TABLE {self.dialect.qualify(path)}") if files else []
        way = detour(self, described, columns)
        if way is not None:
            insert = through(self, connection, path, way, copy)
            return lambda: must_be(insert(), rows, path)

        def copied() -> int:
            copy(path)
            return rows

        return copied

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create an empty table ``new``; semi-structured columns get their types from the existing table."""
        held = {column.name: column for column in existing.columns} if existing else {}
        taken = {name for name, column in held.items() if base(column.native) in SEMI_STRUCTURED}
        kept = [
            replace(column, native=held[column.name].native, origin=self.dialect.name)
            if column.name in taken
            else column
            for column in target.columns
        ]
        super().create_beside(connection, replace(target, columns=tuple(kept)), new, existing)

    def refill(self, connection: Any, held: Table, new: Sequence[str]) -> None:
        """Replace the rows of ``held`` by INSERT OVERWRITE; grants, policies, tags and streams stay.

        Rows that a policy hides are deleted too (https://docs.snowflake.com/en/sql-reference/sql/insert).
        """
        fresh = self.find(connection, new)
        assert fresh is not None
        computed = {column.name for column in held.columns if column.generated}
        names = self.dialect.names(c.name for c in fresh.columns if c.name not in computed)
        into = f"{self.dialect.qualify(held.path)} ({names})"
        self.change(
            connection, f"INSERT OVERWRITE INTO {into} SELECT {names} FROM {self.dialect.qualify(new)}"
        )

    def stage_path(self, target: Sequence[str], name: str) -> tuple[str, ...]:
        """Return the name of a temporary table in the target's schema, as a session may have no schema."""
        return (*target[:-1], name)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: connection, version, role and warehouse."""
        found = super().probe()
        if all(ok for _, ok, _ in found):
            connection = self.connect("hdm:doctor")
            try:
                row = self.run(connection, "SELECT CURRENT_VERSION(), CURRENT_ROLE(), CURRENT_WAREHOUSE()")[0]
            finally:
                connection.close()
            admin = str(row[1]) == "ACCOUNTADMIN"
            found += [("version", True, str(row[0])), ("role", not admin, str(row[1]))]
            found.append(("warehouse", row[2] is not None, str(row[2])))
        return found


def _int(value: Any) -> int | None:
    return None if value is None else int(value)
