"""Defines SnowflakeSource: Arrow result batches; time travel makes all chunks see one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm.connectors.snowflake.database import SnowflakeDatabase
from hdm.connectors.snowflake.session import SnowflakeProfile
from hdm.errors import PermanentError, UsageError
from hdm.model import Chunk, Table
from hdm.sql import Database, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog
from hdm.sql.sessions import looking

_TABLES = frozenset({"TABLE", "TRANSIENT", "TEMPORARY"})
"""Kinds in SHOW OBJECTS that hold rows of their own and can be read as of a moment."""


class SnowflakeSourceConfig(SqlSourceConfig):
    """Configuration of a Snowflake source: one table or query."""

    time_travel: bool = True
    """Reads all chunks of a table as of one moment, which needs the table's retention; ``false`` reads each
    chunk as of its own moment.
    """


class _Travelling(SnowflakeDatabase):
    """Reads tables ``AT(TIMESTAMP => ...)`` of the snapshot's token, which any database session may use."""

    snapshots = True
    moment: str | None = None

    @contextmanager
    def snapshot(self, path: Sequence[str] | None) -> Iterator[str | None]:
        """Give the ``with`` block the server's time as the snapshot's token; None for a query.

        It can be read as long as the table's retention lasts.
        """
        if path is None:
            yield None
            return
        connection = self.connect("hdm:snapshot")
        try:
            sql = "SELECT TO_CHAR(CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP()), 'YYYY-MM-DD HH24:MI:SS.FF9')"
            token = str(self.run(connection, sql)[0][0])
        finally:
            connection.close()
        yield token

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return the table's time of creation, which differs for a table that was swapped in or recreated."""
        if path is None or len(path) < 2:
            return None
        rows = [row for row in self.listed(connection, path) if row["name"] == path[-1]]
        if not rows or str(rows[0]["kind"]).upper() not in _TABLES:
            return None
        return str(rows[0]["created_on"])

    def is_steady(self, connection: Any, path: Sequence[str]) -> bool:
        """Return True if sessions that share a moment find the same rows: in a table, not in a view."""
        return self.relation(connection, "", path) is not None

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make this connection's queries read as of the moment in ``token``."""
        self.moment = token
        return True


class SnowflakeSource(SqlSource):
    """Reads a Snowflake table or query."""

    Config: ClassVar[type[BaseModel]] = SnowflakeSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = SnowflakeProfile
    Database: ClassVar[type[Database]] = _Travelling

    def describe(self) -> Table:
        """Return the table as the catalogue describes it.

        Raises ``UsageError`` if a masking policy may alter what is read, unless ``columns:`` names what to
        read, or if a row access policy may hide rows.
        """
        table = super().describe()
        if self.path is not None:
            self._shows_all_rows(table)
        if self.path is not None and self.config.columns is None:
            with looking(self.database, "hdm:describe") as connection:
                assert isinstance(self.database, _Travelling)
                described = self.database.rows(
                    connection, f"DESCRIBE TABLE {self.dialect.qualify(table.path)}"
                )
            masked = [str(row["name"]) for row in described if row.get("policy name")]
            if masked:
                raise UsageError(
                    f"{table.dataset.name}: masking policies stand on {', '.join(masked)}: what this role is "
                    "shown may be other than what is there",
                    hint="name in columns: what is to be read as this role sees it, or use a role that the "
                    "policies let see",
                )
        return table

    def _shows_all_rows(self, table: Table) -> None:
        """Raise ``UsageError`` if a row access policy stands on the table.

        A role that may not see policies is told of none
        (https://docs.snowflake.com/en/sql-reference/functions/policy_references).
        """
        home = self.dialect.quote(table.path[-3]) + "." if len(table.path) > 2 else ""
        name = self.dialect.string(self.dialect.qualify(table.path))
        found: list[tuple[Any, ...]] = []
        with suppress(PermanentError, UsageError), looking(self.database, "hdm:describe") as connection:
            found = self.database.run(
                connection,
                f"SELECT policy_name FROM TABLE({home}information_schema.policy_references("
                f"ref_entity_name => {name}, ref_entity_domain => 'TABLE')) "
                "WHERE policy_kind = 'ROW_ACCESS_POLICY'",
            )
        if found:
            raise UsageError(
                f"{table.dataset.name}: the row access policy {found[0][0]} may hide rows from this role",
                hint="write query: with what is to be read as this role sees it, or use a role that sees all",
            )

    def snapshot(self) -> Any:
        """Give the ``with`` block the present moment as the snapshot's token.

        None for a query, and with ``time_travel: false``.
        """
        return self.database.snapshot(self.path if self.config.time_travel else None)

    def select(self, table: Table, chunk: Chunk) -> str:
        """Return the SELECT that reads a chunk, as of the moment in the chunk's snapshot."""
        database = self.database
        assert isinstance(database, _Travelling)
        database.moment = chunk.snapshot
        return super().select(table, chunk)

    def _origin(self, table: Table) -> str:
        database = self.database
        assert isinstance(database, _Travelling)
        plain = super()._origin(table)
        if self.path is None or database.moment is None:
            return plain
        moment = self.dialect.string(database.moment + " +0000")
        return f"{plain} AT(TIMESTAMP => TO_TIMESTAMP_TZ({moment}, 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM'))"


class SnowflakeCatalog(SqlCatalog):
    """Reads and creates tables and keys in Snowflake."""

    Profile: ClassVar[type[BaseModel] | None] = SnowflakeProfile
    Database: ClassVar[type[Database]] = SnowflakeDatabase
