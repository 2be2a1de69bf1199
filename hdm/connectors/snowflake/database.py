"""Connects to Snowflake by key pair, token or password; in UTC, with exact decimals and tagged queries."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.connectors.snowflake.arriving import SEMI_STRUCTURED, base, detour, must_be, through
from hdm.connectors.snowflake.granted import ShowsRights, absent
from hdm.connectors.snowflake.session import (
    Session,
    SnowflakeProfile,
    arguments,
    folded,
    patient,
    transaction_name,
)
from hdm.connectors.snowflake.staging import Put, Staging, copy_files
from hdm.errors import BrokenContract, MissingDriver, SchemaDrift, UsageError
from hdm.model import Chunk, Column, Dataset, Kind, Table
from hdm.sql import Database
from hdm.sql import odbc_codec as casting

_DEFINES = re.compile(r"\s*(CREATE|ALTER|DROP|COMMENT|TRUNCATE|UNDROP|GRANT|REVOKE)\b", re.IGNORECASE)
_CODES = {0: "NUMBER", 1: "FLOAT", 2: "TEXT", 3: "DATE", 4: "TIMESTAMP_NTZ", 5: "VARIANT", 6: "TIMESTAMP_LTZ",
          7: "TIMESTAMP_TZ", 8: "TIMESTAMP_NTZ", 9: "OBJECT", 10: "ARRAY", 11: "BINARY", 12: "TIME",
          13: "BOOLEAN", 14: "GEOGRAPHY", 15: "GEOMETRY", 16: "VECTOR"}  # fmt: skip


class SnowflakeDatabase(ShowsRights, Database):
    """Connects to one Snowflake account; refuses DDL inside a transaction, since DDL commits."""

    dialect_name = "snowflake"
    brings_first = True

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``snowflake://account`` and the dotted path."""
        return Dataset(f"snowflake://{self.profile.account}", ".".join(path))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name, completed by the profile's database and schema.

        Plain names of the database and the schema become upper case; the table's own name stays as it is.
        """
        profile: SnowflakeProfile = self.profile
        around = [folded(part) for part in parts[:-1]]
        if not around and profile.schema_name:
            around = [folded(profile.schema_name)]
        if len(around) == 1 and profile.database:
            around.insert(0, folded(profile.database))
        return (*around, parts[-1])

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a session whose queries carry ``label`` as QUERY_TAG; in autocommit unless ``write``."""
        try:
            from snowflake import connector  # noqa: F401 -- is it there?
        except ImportError:
            raise MissingDriver(
                "the Snowflake connector is not installed", hint="pip install 'hdm[snowflake]'"
            ) from None
        with self.connecting():
            return Session(patient()(**arguments(self.profile, label, write=write)), label)

    def look(self, path: Sequence[str]) -> Table | None:
        """Return a table's description, None if there is none; ``UsageError`` if its database is missing."""
        try:
            return super().look(path)
        except SchemaDrift:
            if len(path) < 3:
                raise
            raise absent("database", path[-3]) from None

    def must_be_there(self, schema: Sequence[str]) -> None:
        """Raise ``UsageError`` if a schema does not exist or this role cannot see it."""
        connection = self.connect("hdm:ready")
        try:
            home = self.dialect.quote(schema[-2]) + "." if len(schema) > 1 else ""
            there = not schema or self.run(
                connection,
                f"SELECT schema_name FROM {home}information_schema.schemata WHERE schema_name = ?",
                (schema[-1],),
            )
        except SchemaDrift:
            raise absent("database", schema[0]) from None
        finally:
            connection.close()
        if not there:
            raise absent("schema", ".".join(schema))

    def begin(self, connection: Session, *, write: bool = False) -> None:
        """Request a transaction if ``write``; BEGIN is sent before the first statement that is not DDL."""
        if write:
            connection.transaction = "wanted"

    def run(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows; ``BrokenContract`` for DDL inside a transaction."""
        self._enter(connection, sql)
        return super().run(connection, sql, values)

    def change(self, connection: Any, sql: str, values: Sequence[Any] = ()) -> int:
        """Execute one statement, return how many rows it changed; for DDL see ``run``."""
        self._enter(connection, sql)
        return super().change(connection, sql, values)

    def _enter(self, connection: Session, sql: str) -> None:
        defines = _DEFINES.match(sql)
        if connection.transaction == "wanted" and not defines:
            super().run(connection, f"BEGIN NAME {transaction_name(connection.label)}")
            connection.transaction = "open"
        elif connection.transaction == "open" and defines:
            raise BrokenContract(
                f"{defines[0]} inside a transaction would commit it", hint="define objects before the load"
            )

    def commit(self, connection: Session) -> None:
        """Commit the transaction if one is open."""
        self._end(connection, "COMMIT")

    def rollback(self, connection: Session) -> None:
        """Roll back the transaction if one is open."""
        self._end(connection, "ROLLBACK")

    def _end(self, connection: Session, how: str) -> None:
        state, connection.transaction = connection.transaction, ""
        if state == "open":
            super().run(connection, how)

    def tag(self, connection: Session, run_id: str, chunk: Chunk, attempt: int) -> None:
        """Set QUERY_TAG to run, chunk and attempt, by which COPY_HISTORY can be joined with the state."""
        said = json.dumps({"app": "hdm", "run": run_id, "chunk": chunk.chunk_id, "attempt": attempt})
        self.run(connection, f"ALTER SESSION SET QUERY_TAG = {self.dialect.string(said)}")

    def evict(self, connection: Session, mark: str, attempt: int) -> None:
        """Abort open transactions of older attempts, which would keep the ledger locked for hours."""
        start = transaction_name(mark)
        for row in self.rows(connection, "SHOW TRANSACTIONS"):
            name = str(row.get("name") or "").lower()
            number = name.removeprefix(start)
            if name.startswith(start) and number.isdigit() and int(number) < attempt:
                # its argument must be a constant
                self.run(connection, f"SELECT SYSTEM$ABORT_TRANSACTION({int(row['id'])})")

    def load_stage(self, connection: Session, into: Sequence[str]) -> str:
        """Return a stage for files to be loaded into ``into``: a temporary one, else the user's own.

        A temporary stage ends with the session, files included. It is created before any transaction, since
        DDL commits.
        """
        if not connection.stage:
            connection.stage = "@~"
            if len(into) > 2:
                name = self.dialect.qualify((*into[:-1], f"_hdm_load_{uuid.uuid4().hex[:12]}"))
                with contextlib.suppress(UsageError):  # no privilege CREATE STAGE
                    self.run(connection, f"CREATE TEMPORARY STAGE {name}")
                    connection.stage = "@" + name
        return connection.stage

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as Snowflake's catalogue describes it, with every type's precision; None if none.

        Raises ``UsageError`` if several tables have that name in other cases, and none exactly this one.
        """
        schema = path[-2] if len(path) > 1 else None
        home = self.dialect.quote(path[-3]) + "." if len(path) > 2 else ""
        where = "table_schema = ?" if schema else "table_schema = CURRENT_SCHEMA()"
        rows = self.run(
            connection,
            "SELECT table_schema, table_name, row_count, bytes, table_type "
            f"FROM {home}information_schema.tables WHERE {where} AND UPPER(table_name) = UPPER(?)",
            (schema, path[-1]) if schema else (path[-1],),
        )
        exact = [row for row in rows if row[1] == path[-1]] or rows
        if not exact:
            return None
        if len(exact) > 1:
            raise UsageError(
                f"{path[-1]} could be any of {', '.join(str(row[1]) for row in exact)}",
                hint="write the name in its exact case",
            )
        found_schema, name, count, size, what = exact[0]
        full = (*path[:-2], str(found_schema), str(name)) if len(path) > 1 else (str(name),)
        described = self.rows(connection, f"DESCRIBE TABLE {self.dialect.qualify(full)}")
        columns = tuple(
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
        keyed = []
        if not str(what).upper().endswith("VIEW"):  # a view has no key, and may be refused as no table
            keyed = self.rows(connection, f"SHOW PRIMARY KEYS IN TABLE {self.dialect.qualify(full)}")
        key = [str(row["column_name"]) for row in sorted(keyed, key=lambda row: int(row["key_sequence"]))]
        return Table(self.dataset(full), full, columns, tuple(key), rows=_int(count), bytes=_int(size))

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
