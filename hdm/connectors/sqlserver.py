"""Reads and writes SQL Server and Azure SQL through Microsoft's ODBC driver.

A source reads under SNAPSHOT isolation, which is consistent and never blocked. A database that does not allow
it is refused, because READ UNCOMMITTED loses and duplicates rows. A snapshot belongs to one database session,
so each chunk is read as of its own moment: only a row whose key changes in between can be missed. Sinks and
catalogues read under READ COMMITTED, which every database allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from hdm.errors import UsageError
from hdm.model import Dataset
from hdm.sql import Database, SqlProfile, SqlSink, SqlSource
from hdm.sql.catalog import SqlCatalog
from hdm.sql.odbc import OdbcDatabase, valued
from hdm.sql.odbc_mssql import SQLServerWrites


class SQLServerProfile(SqlProfile):
    """Profile entry of a SQL Server: address, credentials, and ``driver``, the ODBC driver's name.

    ``authentication`` is one of the driver's own words, e.g. ActiveDirectoryServicePrincipal or
    ActiveDirectoryMsi.
    """

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


class SQLServerDatabase(SQLServerWrites):
    """Connects to one SQL Server database, by TLS with a verified certificate unless ``insecure: true``."""

    dialect_name = "sqlserver"

    def connection_string(self, label: str) -> str:
        """Return the ODBC connection string.

        Values are in braces where needed, so that none can add a keyword.
        """
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
        """Return a table's OpenLineage name: ``mssql://host:port`` and ``database.schema.table``."""
        place = f"mssql://{self.profile.host}:{self.profile.port or 1433}"
        return Dataset(place, ".".join(part for part in (self.profile.database, *path) if part))

    def default_schema(self) -> str | None:
        """Return ``dbo``, the schema of names that are written without one."""
        return "dbo"


class _Snapshots(OdbcDatabase):
    """Mixin of the sources' databases: every statement reads under SNAPSHOT isolation."""

    read_only = ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT",)

    def set_up(self, connection: Any, write: bool) -> None:
        """Set up a session; raise ``UsageError`` if the database does not allow SNAPSHOT isolation."""
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
    """A SQL Server database that a source reads under SNAPSHOT isolation."""


class AzureSQLServerProfile(SQLServerProfile):
    """Profile entry of an Azure SQL server; ``host`` may be the server's short name."""

    port: int | None = 1433
    """TCP port on which the server listens; Azure's own is 1433."""

    @property
    def address(self) -> str:
        """The server's full name."""
        return self.host if "." in self.host else f"{self.host}.database.windows.net"


class AzureSQLServerDatabase(SQLServerDatabase):
    """Connects to an Azure SQL database or Managed Instance, reads and writes it."""

    def connection_string(self, label: str) -> str:
        """Return the ODBC connection string with the server's full host name."""
        full = self.profile.model_copy(update={"host": self.profile.address})
        return SQLServerDatabase(full).connection_string(label)


class AzureSQLServerSnapshots(_Snapshots, AzureSQLServerDatabase):
    """An Azure SQL database that a source reads under SNAPSHOT isolation."""


class SQLServerSource(SqlSource):
    """Reads a SQL Server table or query."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerSnapshots


class AzureSQLServerSource(SqlSource):
    """Reads an Azure SQL table or query."""

    Profile: ClassVar[type[BaseModel] | None] = AzureSQLServerProfile
    Database: ClassVar[type[Database]] = AzureSQLServerSnapshots


class SQLServerSink(SqlSink):
    """Writes a SQL Server table by INSERTs with arrays of bound values (``fast_executemany``)."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerDatabase


class AzureSQLServerSink(SqlSink):
    """Writes an Azure SQL table."""

    Profile: ClassVar[type[BaseModel] | None] = AzureSQLServerProfile
    Database: ClassVar[type[Database]] = AzureSQLServerDatabase


class SQLServerCatalog(SqlCatalog):
    """Reads and creates tables, keys and indexes in SQL Server."""

    Profile: ClassVar[type[BaseModel] | None] = SQLServerProfile
    Database: ClassVar[type[Database]] = SQLServerDatabase
