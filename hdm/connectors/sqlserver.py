"""SQL Server and Azure SQL through Microsoft's ODBC driver.

A source reads under SNAPSHOT isolation: consistent, and never blocked. A database that does not
allow it is refused, for READ UNCOMMITTED loses and doubles rows. A snapshot belongs to its session,
so chunks see their own moments; only rows whose key changes meanwhile can be missed. Sinks and
catalogues read what is committed, which every database allows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, Field

from hdm.dialects.odbc import through_odbc
from hdm.errors import UsageError
from hdm.model import Column, Dataset, Table
from hdm.sql import Database, SqlProfile, SqlSink, SqlSource
from hdm.sql.catalog import SqlCatalog
from hdm.sql.odbc import OdbcDatabase, valued
from hdm.sql.odbc_mssql import must_keep, shortest, watched


class SQLServerProfile(SqlProfile):
    """``driver`` is the ODBC driver's name. ``authentication`` is one of the driver's own words,
    e.g. ActiveDirectoryServicePrincipal or ActiveDirectoryMsi."""

    takes_url: ClassVar[bool] = False
    driver: str = "ODBC Driver 18 for SQL Server"
    """Name of the installed ODBC driver for SQL Server."""
    trusted_connection: bool = False
    """Logs in by the account that hdm runs under, by Kerberos or Windows, without user and password."""
    authentication: str | None = None
    """The driver's word for another way to log in, e.g. ``ActiveDirectoryMsi``; left out, user and
    password."""
    options: dict[str, str | int] = Field(default_factory=dict)
    """Further keywords of the driver, ``keyword: value``; they come before hdm's own."""


class SQLServerDatabase(OdbcDatabase):
    """One database. Encrypted and verified unless ``insecure: true``."""

    dialect_name = "sqlserver"

    def connection_string(self, label: str) -> str:
        """Values in braces where they need them, so that none can add a keyword."""
        profile: SQLServerProfile = self.profile
        port = f",{profile.port}" if profile.port else ""
        parts: dict[str, str | None] = {
            "Driver": profile.driver,
            "Server": f"tcp:{profile.host}{port}",
            "Database": profile.database,
            "UID": profile.user,
            "PWD": profile.password.reveal() if profile.password else None,
            "Trusted_Connection": "yes" if profile.trusted_connection else None,
            "Authentication": profile.authentication,
            "Encrypt": "yes",
            "TrustServerCertificate": "yes" if profile.insecure else "no",
            "APP": label[:120],
            "MARS_Connection": "no",
            "ConnectRetryCount": "3",
        }
        parts.update({key: str(value) for key, value in profile.options.items()})
        return ";".join(f"{key}={valued(value)}" for key, value in parts.items() if value is not None)

    def dataset(self, path: Sequence[str]) -> Dataset:
        """``mssql://host:port``, ``database.schema.table``."""
        place = f"mssql://{self.profile.host}:{self.profile.port or 1433}"
        return Dataset(place, ".".join(part for part in (self.profile.database, *path) if part))

    def default_schema(self) -> str | None:
        """``dbo``."""
        return "dbo"

    def cells(self, array: pa.Array, column: Column) -> list[Any]:
        """datetime2 takes no zone, datetimeoffset does."""
        zoned = through_odbc("sqlserver").stored(column).native.lower().startswith("datetimeoffset")
        if pa.types.is_timestamp(array.type) and not zoned:
            array = array.cast(pa.timestamp(array.type.unit))
        if not (pa.types.is_timestamp(array.type) or pa.types.is_time(array.type)):
            return super().cells(array, column)
        return list(shortest(pa.array(super().cells(array, column), pa.string())).to_pylist())

    def mark(self, column: Column, number: int) -> str:
        """A shape's own reference system, which its text begins with, counts, not the type's default."""
        native = through_odbc("sqlserver").stored(column).native.lower()
        if native not in ("geography", "geometry"):
            return super().mark(column, number)
        shape = "STUFF(v.x, 1, CHARINDEX(';', v.x), '')"
        srid = "CAST(SUBSTRING(v.x, 6, CHARINDEX(';', v.x) - 6) AS int)"
        made = f"CASE WHEN v.x LIKE 'SRID=%' THEN {native}::STGeomFromText({shape}, {srid}) "
        return (
            f"(SELECT {made}ELSE {native}::Parse(v.x) END FROM (VALUES (CAST(? AS nvarchar(max)))) AS v(x))"
        )

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """As everywhere; the catalogue that hdm asks is the connected database's alone."""
        if len(parts) > 2:
            if str(parts[0]).lower() != str(self.profile.database or "").lower():
                raise UsageError(
                    f"{'.'.join(parts)} lies in another database than the profile's, {self.profile.database}",
                    hint="name that database in a profile of its own",
                )
            parts = parts[-2:]
        return super().default_path(parts)

    def take_identities(self, connection: Any, held: Table, names: Collection[str]) -> None:
        """SET IDENTITY_INSERT, for the one table at a time that a session may have so."""
        if any(column.identity and column.name in names for column in held.columns):
            self.run(connection, f"SET IDENTITY_INSERT {self.dialect.qualify(held.path)} ON")

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """As everywhere; ``UnrepresentableValue`` for characters that a varchar column's code page lacks,
        which the server would replace without a word."""
        seen: dict[str, set[str]] = {}
        taken = super().load(connection, path, columns, watched(batches, seen))
        if seen:
            must_keep(self, connection, path, seen)
        return taken

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """By sys.tables."""
        rows = self.run(
            connection,
            "SELECT t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id "
            "WHERE s.name = ?",
            (path[-2],),
        )
        return [(*path[:-1], str(name)) for (name,) in rows if str(name).startswith(prefix)]


class _Snapshots(OdbcDatabase):
    """What a source adds: every statement under SNAPSHOT isolation."""

    read_only = ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT",)

    def set_up(self, connection: Any, write: bool) -> None:
        """Refuses to read where SNAPSHOT isolation is off."""
        super().set_up(connection, write)
        allowed = self.run(
            connection, "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()"
        )
        if not allowed or int(allowed[0][0]) != 1:
            raise UsageError(
                f"the database {self.profile.database} does not allow SNAPSHOT isolation",
                hint="ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON; hdm never reads with NOLOCK",
            )


class SQLServerSnapshots(_Snapshots, SQLServerDatabase):
    """As a source reads it."""


class AzureSQLServerProfile(SQLServerProfile):
    """``host`` may be the server's short name; port 1433."""

    port: int | None = 1433
    """TCP port on which the server listens; Azure's own is 1433."""

    @property
    def address(self) -> str:
        """The server's full name."""
        return self.host if "." in self.host else f"{self.host}.database.windows.net"


class AzureSQLServerDatabase(SQLServerDatabase):
    """Azure SQL Database or Managed Instance."""

    def connection_string(self, label: str) -> str:
        """With the server's full name."""
        full = self.profile.model_copy(update={"host": self.profile.address})
        return SQLServerDatabase(full).connection_string(label)


class AzureSQLServerSnapshots(_Snapshots, AzureSQLServerDatabase):
    """As a source reads it."""


class SQLServerSource(SqlSource):
    """Reads a SQL Server table or query."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerSnapshots


class AzureSQLServerSource(SqlSource):
    """Reads an Azure SQL table or query."""

    Profile: ClassVar[type[BaseModel] | None] = AzureSQLServerProfile
    Database: ClassVar[type[Database]] = AzureSQLServerSnapshots


class SQLServerSink(SqlSink):
    """Writes a SQL Server table with array binds (``fast_executemany``)."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerDatabase


class AzureSQLServerSink(SqlSink):
    """Writes an Azure SQL table."""

    Profile: ClassVar[type[BaseModel] | None] = AzureSQLServerProfile
    Database: ClassVar[type[Database]] = AzureSQLServerDatabase


class SQLServerCatalog(SqlCatalog):
    """Finds and makes tables, keys and indexes."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerDatabase
