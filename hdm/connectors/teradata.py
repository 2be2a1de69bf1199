"""Reads Teradata by teradatasql (https://github.com/Teradata/python-driver), chunk after chunk.

Teradata has locks, no versions: each chunk is one statement, which reads as of one moment and makes writers
of the table wait so long. A table without a unique key of numbers or dates is cut by hash buckets of its
primary index, one without a primary index is one chunk. hdm never reads LOCKING ... FOR ACCESS, which shows
rows that are not committed. Sessions are in autocommit: a transaction would keep the dictionary's locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from hdm.config.tls import is_local
from hdm.dialects.teradata import INDEX_MARK
from hdm.dialects.teradata_facts import COLUMNS_OF_TABLES, COLUMNS_OF_VIEWS, PRIMARY_INDEX, UNTOLD
from hdm.errors import MissingDriver, UsageError
from hdm.model import Chunk, Column, Dataset, Table
from hdm.sql import Database, DbApiDatabase, SqlProfile, SqlSource, granted
from hdm.sql.catalog import SqlCatalog
from hdm.sql.describe import asked, described
from hdm.sql.sessions import looking


class TeradataProfile(SqlProfile):
    """Profile entry of a Teradata system: address and credentials; it has no ``url``."""

    takes_url: ClassVar[bool] = False
    port: int | None = Field(None, ge=1, le=65535)
    """TCP port on which the server listens; left out, 443 for TLS and 1025 without, as the driver has it."""
    database: str | None = None
    """Names the database of tables that are named without one; left out, the user's own."""
    logmech: str | None = None
    """The driver's word for another way to log in, such as ``LDAP`` or ``KRB5``; left out, ``TD2``."""
    tmode: Literal["ANSI", "TERA"] = "ANSI"
    """The session's mode; in Teradata's own, texts are compared without case, as older views may expect."""
    ca_certs: str | None = None
    """File (PEM) of the authority that signed the server's certificate; left out, the machine's."""
    options: dict[str, str] = Field(default_factory=dict)
    """Further connection parameters of the driver, ``name: value``; they come before hdm's own."""

    @model_validator(mode="after")
    def _by_host(self) -> TeradataProfile:
        if not self.host:
            raise ValueError("give host, user and password")
        return self


class TeradataDatabase(DbApiDatabase):
    """Connects to one Teradata system and reads it."""

    dialect_name = "teradata"
    begin_read = begin_write = None

    def open(self, label: str, *, write: bool) -> Any:
        """Open a connection in autocommit, by verified TLS unless the server is local or ``insecure: true``.

        Dates, times and decimals come as texts, so that they keep every digit.
        """
        try:
            import teradatasql
        except ImportError:
            raise MissingDriver("teradatasql is not installed", hint="pip install 'hdm[teradata]'") from None
        profile: TeradataProfile = self.profile
        safe = not profile.insecure and not is_local(profile.host)
        given: dict[str, str | None] = {
            "host": profile.host,
            "user": profile.user,
            "password": profile.password.reveal() if profile.password else None,
            "database": profile.database,
            "logmech": profile.logmech,
            "tmode": profile.tmode,
            "teradata_values": "false",
            "sslmode": "VERIFY-FULL" if safe else "PREFER",
            "sslca": profile.ca_certs,
            "https_port" if safe else "dbs_port": str(profile.port) if profile.port else None,
        }
        told = {name: value for name, value in given.items() if value is not None}
        return teradatasql.connect(**{**told, **profile.options})

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``teradata://host:port`` and ``database.table``."""
        place = f"teradata://{self.profile.host}:{self.profile.port or 1025}"
        return Dataset(place, ".".join(part for part in path if part))

    def default_schema(self) -> str | None:
        """Return the database of tables that are named without one: the profile's, else the user's own."""
        profile: TeradataProfile = self.profile
        return profile.database or profile.user

    def commit(self, connection: Any) -> None:
        """Do nothing: the driver commits each statement."""

    def rollback(self, connection: Any) -> None:
        """Do nothing: nothing is open, since the driver commits each statement."""

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table or view as the dictionary describes it; None if there is none.

        The columns of a view need QVCI, which a DBA turns on (error 9719 without it).
        """
        found = described(self, connection, path, self.questions)
        if found is None or all(column.native != UNTOLD for column in found.columns):
            return found
        columns = self.questions.columns.replace(COLUMNS_OF_TABLES, COLUMNS_OF_VIEWS)
        return described(self, connection, path, replace(self.questions, columns=columns))

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Raise ``UsageError``: the dictionary tells nothing of a query's columns."""
        raise UsageError(
            "teradata does not tell the columns of a query exactly",
            hint="make a view of the query, and write table_name: with its name",
        )

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user may read a table, or a view of the dictionary; else False.

        It is tried, by a SELECT of no rows.
        """
        view = right.removeprefix("SELECT on DBC.")
        if view == right:
            return super().has_right(connection, path, right)
        return granted.may(self, connection, f"SELECT 1 FROM DBC.{view} WHERE 1 = 0")

    def primary_index(self, connection: Any, path: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of a table's primary index, in order; none for a view, or without an index."""
        return tuple(str(row[0]) for row in asked(self, connection, PRIMARY_INDEX, tuple(path[-2:])))

    def pages(self, connection: Any, table: Table) -> int:
        """Return the number of hash buckets; 0 for a table without a primary index, and for a view."""
        if len(table.path) < 2 or not self.primary_index(connection, table.path):
            return 0
        return int(self.run(connection, "SELECT HASHBUCKET()")[0][0]) + 1


class TeradataSource(SqlSource):
    """Reads a table or view of Teradata, chunk after chunk."""

    Profile: ClassVar[type[BaseModel] | None] = TeradataProfile
    Database: ClassVar[type[Database]] = TeradataDatabase

    def selecting(self, table: Table, chunk: Chunk, columns: Sequence[Column], also: str = "") -> str:
        """Return the SELECT that reads some columns of a chunk's rows; ``also``: one more SQL condition.

        For a chunk of hash buckets, the dictionary is asked for the columns of the primary index.
        """
        sql = super().selecting(table, chunk, columns, also)
        if not any(one.column.startswith("@") for one in chunk.conditions):
            return sql
        assert isinstance(self.database, TeradataDatabase)
        with looking(self.database, "hdm:index") as connection:
            index = self.database.primary_index(connection, table.path)
        return sql.replace(f"HASHROW({INDEX_MARK})", f"HASHROW({self.dialect.names(index)})")


class TeradataCatalog(SqlCatalog):
    """Reads tables, keys and views of Teradata."""

    Profile: ClassVar[type[BaseModel] | None] = TeradataProfile
    Database: ClassVar[type[Database]] = TeradataDatabase
