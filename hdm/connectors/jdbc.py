"""Reads and writes any system that has a JDBC driver, by the driver's jar.

The driver runs in a Java virtual machine inside the process, which JPype starts with the first connection.
Each chunk is one statement; JDBC cannot share a snapshot between sessions, so rows whose key changes while a
table is read may be missed or read twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from hdm.components.settings import Settings
from hdm.config.secrets import Secret
from hdm.dialects import canonical
from hdm.dialects.jdbc import of_url
from hdm.errors import UsageError
from hdm.sql import Database, SqlSink, SqlSinkConfig, SqlSource, SqlSourceConfig
from hdm.sql.jdbc import JdbcDatabase
from hdm.sql.jdbc_driver import JdbcDriver


class JDBCProfile(Settings):
    """Profile entry of a system that is reached through a JDBC driver.

    ``dialect`` may be given here or in the manifest; for many systems the URL tells it.
    """

    url: Secret
    """The JDBC URL, such as ``jdbc:h2:tcp://host/~/sales``; a reference such as ``env:NAME`` if it holds a
    password."""
    driver: JdbcDriver
    """The driver, ``{name, path}``: its class and its jar."""
    user: str | None = None
    """Name to log in with; left out, as the URL or the properties say."""
    password: Secret | None = None
    """Password to log in with; write a reference such as ``env:NAME``, not the password itself."""
    properties: dict[str, str | int | bool] = Field(default_factory=dict)
    """Further connection properties of the driver, ``name: value``; they come before hdm's own."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of tables that are named without one; left out, the system's default."""
    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written; ``ansi`` for one that hdm does
    not know. Left out, as the URL or the conf says."""
    insecure: bool = False
    """Accepts a connection to another machine without verified TLS."""


class JDBCDatabase(JdbcDatabase):
    """Connects to a database of any system through the JDBC driver that the profile names."""

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile, profile.dialect or "")

    @classmethod
    def reached(cls, profile: Any) -> Database:
        """Return the database, with the dialect that the profile or its URL names.

        Raises ``UsageError`` if neither names one, and for a URL that is not one of JDBC.
        """
        url = profile.url.reveal()
        if not url.startswith("jdbc:"):
            raise UsageError(
                "url: is not one of JDBC", hint="begin it with jdbc:, a word for the system and a colon"
            )
        named = profile.dialect or of_url(url)
        if named is None:
            raise UsageError(
                "which system is behind the JDBC driver?",
                hint="write dialect: in the profile or the conf; ansi for a system that is not among hdm's",
            )
        return cls(profile.model_copy(update={"dialect": canonical(named)}))

    def url(self) -> str:
        """Return the profile's URL; it may contain a password, so it must never be shown."""
        return self.profile.url.reveal()  # type: ignore[no-any-return]

    def driver(self) -> tuple[str | None, Sequence[str]]:
        """Return the driver's class name, None for the usual one, and the paths of its jars."""
        return self.profile.driver.name, self.profile.driver.jars

    def properties(self, label: str) -> dict[str, str]:
        """Return the connection properties; those of the profile come before hdm's own."""
        own = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in self.profile.properties.items()
        }
        return {**super().properties(label), **own}


class JDBCSourceConfig(SqlSourceConfig):
    """Configuration of a JDBC source: one table or query."""

    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written; left out, as the profile or its
    URL says."""


class JDBCSinkConfig(SqlSinkConfig):
    """Configuration of a JDBC sink: where rows go."""

    dialect: str | None = None
    """Names the system behind the driver, which says how its SQL is written; left out, as the profile or its
    URL says."""


def _settled(config: Any, profile: Any) -> Any:
    """Return the profile with the dialect that the conf names, if it names one."""
    return profile.model_copy(update={"dialect": config.dialect}) if config.dialect else profile


class JDBCSource(SqlSource):
    """Reads a table or query through a JDBC driver."""

    Config: ClassVar[type[BaseModel]] = JDBCSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = JDBCProfile
    Database: ClassVar[type[Database]] = JDBCDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, _settled(config, profile), name=name)


class JDBCSink(SqlSink):
    """Writes a table through a JDBC driver, in batches of bound values."""

    Config: ClassVar[type[BaseModel]] = JDBCSinkConfig
    Profile: ClassVar[type[BaseModel] | None] = JDBCProfile
    Database: ClassVar[type[Database]] = JDBCDatabase

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, _settled(config, profile), name=name)
