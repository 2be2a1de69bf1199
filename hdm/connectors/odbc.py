"""Any system with an ODBC driver, by DSN, driver name or connection string.

Bulk reads come from arrow-odbc. Each chunk is one statement; ODBC cannot share a snapshot between
sessions, so rows whose key changes while a table is read may be missed or read twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.errors import UsageError
from hdm.model import Dataset
from hdm.sql import Database, SqlSink, SqlSinkConfig, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog
from hdm.sql.odbc import OdbcDatabase, valued

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_KEYWORDS = {
    "netezza": ("Servername", "Port", "Database", "Username", "Password"),
    "oracle": ("", "", "DBQ", "UID", "PWD"),
}
_DRIVERS = {
    "postgres": "PostgreSQL Unicode",
    "mysql": "MariaDB Unicode",
    "mariadb": "MariaDB Unicode",
    "sqlite": "SQLite3",
    "sqlserver": "ODBC Driver 18 for SQL Server",
    "netezza": "NetezzaSQL",
    "snowflake": "SnowflakeDSIIDriver",
}
_ALWAYS = {
    # booleans as booleans, and a cursor on the server instead of the whole result in memory
    "postgres": {"BoolsAsChar": "0", "UseDeclareFetch": "1", "Fetch": "5000", "LFConversion": "0"},
    "mysql": {"FORWARDONLY": "1", "NO_CACHE": "1", "CHARSET": "utf8mb4"},
    "mariadb": {"FORWARDONLY": "1", "NO_CACHE": "1", "CHARSET": "utf8mb4"},
    "sqlite": {"LongNames": "0", "Timeout": "100000", "FKSupport": "0"},
    "sqlserver": {"Encrypt": "yes", "TrustServerCertificate": "no"},
}
_VERIFIED = {
    "postgres": {"SSLmode": "verify-full"},
    "mysql": {"FORCETLS": "1", "SSLVERIFY": "1"},
    "mariadb": {"FORCETLS": "1", "SSLVERIFY": "1"},
}


class ODBCProfile(Settings):
    """``dsn``, or ``driver`` and what it needs, or a whole connection string as ``odbc``.

    ``options`` are further keywords of the driver. ``dialect`` may stand here or in the conf.
    """

    odbc: Secret | None = None
    dsn: str | None = None
    driver: str | None = None
    host: str = ""
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: Secret | None = None
    schema_name: str | None = Field(None, alias="schema")
    dialect: str | None = None
    options: dict[str, str | int] = Field(default_factory=dict)
    insecure: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> ODBCProfile:
        if sum(bool(way) for way in (self.odbc, self.dsn, self.driver or self.host or self.database)) == 0:
            raise ValueError("give dsn, driver (with host or database), or odbc")
        return self


class ODBCDatabase(OdbcDatabase):
    """What a profile reaches through its driver."""

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile, profile.dialect or "")

    def connection_string(self, label: str) -> str:
        """The profile's keywords in braces; an ``odbc:`` string stays as it is, completed."""
        profile: ODBCProfile = self.profile
        given = profile.odbc.reveal().rstrip("; ") if profile.odbc else ""
        parts: dict[str, str] = {}
        if profile.dsn:
            parts["DSN"] = profile.dsn
        elif not given:
            driver = profile.driver or _DRIVERS.get(self._base)
            if driver is None:
                raise UsageError(
                    f"no ODBC driver is known for {self._base}", hint="name driver: in the profile"
                )
            parts["Driver"] = driver
        parts.update(self._parts())
        parts.update(_ALWAYS.get(self._base, {}))
        if not profile.insecure and profile.host not in (*_LOOPBACK, ""):
            parts.update(_VERIFIED.get(self._base, {}))
        if self._base == "sqlserver" and profile.insecure:
            parts["TrustServerCertificate"] = "yes"
        parts.update({key: str(value) for key, value in profile.options.items()})
        named = {key.strip().lower() for key in re.findall(r"([^;={}]+)=", given)}
        rest = [f"{key}={valued(value)}" for key, value in parts.items() if key.lower() not in named]
        return ";".join(filter(None, [given, *rest]))

    def _parts(self) -> dict[str, str]:
        profile: ODBCProfile = self.profile
        host, port, database, user, password = _KEYWORDS.get(
            self._base, ("Server", "Port", "Database", "UID", "PWD")
        )
        made: dict[str, str | None] = {
            host: profile.host or None,
            port: str(profile.port) if profile.port else None,
            database: profile.database,
            user: profile.user,
            password: profile.password.reveal() if profile.password else None,
        }
        if self._base == "oracle" and profile.host:
            made[database] = f"//{profile.host}:{profile.port or 1521}/{profile.database}"
        if self._base == "sqlserver" and profile.port:
            made[host], made[port] = f"{profile.host},{profile.port}", None
        return {key: value for key, value in made.items() if key and value is not None}

    def default_schema(self) -> str | None:
        """Netezza's and Oracle's users have a schema of their own name."""
        if self._base == "oracle" and self.profile.user:
            return str(self.profile.user).upper()
        return super().default_schema()

    def dataset(self, path: Sequence[str]) -> Dataset:
        """By host, or by DSN where there is none."""
        if self._base == "sqlite":
            return Dataset(f"sqlite://{self.profile.database or self.profile.dsn}", path[-1])
        if not self.profile.host:
            return Dataset(f"odbc://{self.profile.dsn or self._base}", ".".join(path))
        return super().dataset(path)


class ODBCSourceConfig(SqlSourceConfig):
    """``dialect`` is the system behind the driver: postgres, mysql, sqlserver, netezza, ..."""

    dialect: str | None = None


class ODBCSinkConfig(SqlSinkConfig):
    """``dialect`` is the system behind the driver."""

    dialect: str | None = None


def _settled(config: Any, profile: Any, name: str) -> ODBCProfile:
    """The profile with the dialect filled in from the conf."""
    dialect = config.dialect or profile.dialect
    if dialect is None:
        raise UsageError(
            f"{name}: which system is behind the ODBC driver?",
            hint="write dialect: postgres (or mysql, sqlserver, netezza, oracle, sqlite, snowflake)",
        )
    made: ODBCProfile = profile.model_copy(
        update={"dialect": {"postgresql": "postgres", "mssql": "sqlserver"}.get(dialect, dialect)}
    )
    return made


class ODBCSource(SqlSource):
    """Reads a table or query through an ODBC driver."""

    Config: ClassVar[type[BaseModel]] = ODBCSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = ODBCProfile
    Database: ClassVar[type[Database]] = ODBCDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, _settled(config, profile, name), name=name)


class ODBCSink(SqlSink):
    """Writes a table through an ODBC driver."""

    Config: ClassVar[type[BaseModel]] = ODBCSinkConfig
    Profile: ClassVar[type[BaseModel] | None] = ODBCProfile
    Database: ClassVar[type[Database]] = ODBCDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, _settled(config, profile, name), name=name)


class ODBCCatalog(SqlCatalog):
    """Finds tables and keys; the profile says the dialect."""

    Profile: ClassVar[type[BaseModel] | None] = ODBCProfile
    Database: ClassVar[type[Database]] = ODBCDatabase
