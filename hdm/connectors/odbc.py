"""Reads and writes any system with an ODBC driver, by DSN, driver name or connection string.

Bulk reads come from arrow-odbc. Each chunk is one statement; ODBC cannot share a snapshot between sessions,
so rows whose key changes while a table is read may be missed or read twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, Field, model_validator

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.dialects import canonical, dialect, load
from hdm.errors import UsageError
from hdm.model import Dataset
from hdm.sql import Database, SqlSink, SqlSinkConfig, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog
from hdm.sql.odbc import OdbcDatabase, valued


class ODBCProfile(Settings):
    """Profile entry of a system that is reached through an ODBC driver.

    Give one of: ``dsn``; ``driver`` with a host or a database; or ``odbc``, a complete connection string.
    ``options`` are further keywords of the driver. ``dialect`` may be given here or in the manifest.
    """

    odbc: Secret | None = None
    """A whole ODBC connection string; what it does not name is added from the other keys."""
    dsn: str | None = None
    """Name of a data source that the ODBC driver manager knows; it comes before ``driver``."""
    driver: str | None = None
    """Name of an installed ODBC driver; left out, the one that is usual for ``dialect``."""
    host: str = ""
    """Host name or address of the server; left out, as the DSN or the driver says."""
    port: int | None = None
    """TCP port of the server; left out, the driver's default."""
    database: str | None = None
    """Name of the database; of SQLite, the path of its file."""
    user: str | None = None
    """Name to log in with; left out, as the DSN or the driver says."""
    password: Secret | None = None
    """Password to log in with; write a reference such as ``env:NAME``, not the password itself."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of tables that are named without one; left out, the system's default."""
    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written: ``postgres``, ``mysql``,
    ``sqlserver``, ``netezza``, ``oracle`` or another. May stand in the conf instead."""
    options: dict[str, str | int] = Field(default_factory=dict)
    """Further keywords of the driver, ``keyword: value``; they come before hdm's own."""
    insecure: bool = False
    """Accepts a connection to another machine without verified TLS."""

    @model_validator(mode="after")
    def _one_way(self) -> ODBCProfile:
        if sum(bool(way) for way in (self.odbc, self.dsn, self.driver or self.host or self.database)) == 0:
            raise ValueError("give dsn, driver (with host or database), or odbc")
        return self


class ODBCDatabase(OdbcDatabase):
    """Connects to a database of any system through the ODBC driver that the profile names."""

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile, profile.dialect or "")

    @classmethod
    def reached(cls, profile: Any) -> Database:
        """Return the ODBC database for the profile's dialect.

        For some dialects it is of a class of its own, which writes in another way.
        """
        return (_writing(cls, canonical(profile.dialect)) if profile.dialect else cls)(profile)

    def connection_string(self, label: str) -> str:
        """Return the ODBC connection string.

        An ``odbc:`` string stays as it is; each keyword of the profile that it does not contain is appended,
        in braces where needed. Raises ``UsageError`` if no driver is known.
        """
        profile: ODBCProfile = self.profile
        given = profile.odbc.reveal().rstrip("; ") if profile.odbc else ""
        parts: dict[str, str] = {}
        if profile.dsn:
            parts["DSN"] = profile.dsn
        elif not given:
            driver = profile.driver or self.facts.driver
            if driver is None:
                raise UsageError(
                    f"no ODBC driver is known for {self._base}", hint="name driver: in the profile"
                )
            parts["Driver"] = driver
        parts.update(self._parts())
        parts.update(self.facts.always)
        if not profile.insecure and not is_local(profile.host):
            parts.update(self.facts.verified)
        if profile.insecure:
            parts.update(self.facts.unverified)
        parts.update({key: str(value) for key, value in profile.options.items()})
        named = {key.strip().lower() for key in re.findall(r"([^;={}]+)=", given)}
        rest = [f"{key}={valued(value)}" for key, value in parts.items() if key.lower() not in named]
        return ";".join(filter(None, [given, *rest]))

    def _parts(self) -> dict[str, str]:
        profile: ODBCProfile = self.profile
        facts = self.facts
        host, port, database, user, password = facts.keywords
        made: dict[str, str | None] = {
            host: profile.host or None,
            port: str(profile.port) if profile.port else None,
            database: profile.database,
            user: profile.user,
            password: profile.password.reveal() if profile.password else None,
        }
        place = {"host": profile.host, "port": profile.port or facts.default_port}
        if facts.database_with_host and profile.host:
            made[database] = facts.database_with_host.format(**place, database=profile.database)
        if facts.host_with_port and profile.port:
            made[host], made[port] = facts.host_with_port.format(**place), None
        return {key: value for key, value in made.items() if key and value is not None}

    def default_schema(self) -> str | None:
        """Return the schema of tables named without one: where that is the user's own, its name in capitals.

        Otherwise the system's default.
        """
        if self.facts.bare_names == "user" and self.profile.user:
            return str(self.profile.user).upper()
        return super().default_schema()

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: by host, by DSN if there is no host, or by a file's path."""
        if self.facts.is_file:
            return Dataset(f"{self._base}://{self.profile.database or self.profile.dsn}", path[-1])
        if not self.profile.host:
            return Dataset(f"odbc://{self.profile.dsn or self._base}", ".".join(path))
        return super().dataset(path)


@cache
def _writing(base: type[ODBCDatabase], name: str) -> type[ODBCDatabase]:
    """Return ``base``, with the dialect's own way to write before it where it has one."""
    way = dialect(name).odbc.writes
    return type(base.__name__, (load(way), base), {}) if way else base


class ODBCSourceConfig(SqlSourceConfig):
    """Configuration of an ODBC source: one table or query."""

    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written: ``postgres``, ``mysql``,
    ``sqlserver``, ``netezza``, ``oracle`` or another. Left out, as in the profile."""


class ODBCSinkConfig(SqlSinkConfig):
    """Configuration of an ODBC sink: where rows go."""

    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written: ``postgres``, ``mysql``,
    ``sqlserver``, ``netezza``, ``oracle`` or another. Left out, as in the profile."""


def _settled(config: Any, profile: Any, name: str) -> ODBCProfile:
    """Return the profile with the dialect filled in from the conf; ``UsageError`` if neither names one."""
    named = config.dialect or profile.dialect
    if named is None:
        raise UsageError(
            f"{name}: which system is behind the ODBC driver?",
            hint="write dialect: postgres (or mysql, sqlserver, netezza, oracle, sqlite, snowflake)",
        )
    made: ODBCProfile = profile.model_copy(update={"dialect": canonical(named)})
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
    """Reads tables and keys through an ODBC driver; the profile names the dialect."""

    Profile: ClassVar[type[BaseModel] | None] = ODBCProfile
    Database: ClassVar[type[Database]] = ODBCDatabase
