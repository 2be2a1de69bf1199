"""Connects to Snowflake by key pair, token or password: sessions, and transactions that DDL never ends."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Sequence
from typing import Any

from hdm.connectors.snowflake.granted import ShowsRights, absent
from hdm.connectors.snowflake.session import (
    Session,
    SnowflakeProfile,
    arguments,
    folded,
    patient,
    transaction_name,
)
from hdm.errors import BrokenContract, MissingDriver, SchemaDrift, UsageError
from hdm.model import Chunk, Dataset, Table
from hdm.sql import Database

_DEFINES = re.compile(r"\s*(CREATE|ALTER|DROP|COMMENT|TRUNCATE|UNDROP|GRANT|REVOKE)\b", re.IGNORECASE)


class SnowflakeConnecting(ShowsRights, Database):
    """The part of ``SnowflakeDatabase`` that opens sessions, and begins and ends transactions."""

    dialect_name = "snowflake"

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
