"""The manifest's ``state_manager`` types: where the state database is, from a profile entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hdm.components.settings import PathText, Settings, can_be_a_path
from hdm.config.secrets import Secret
from hdm.errors import UsageError
from hdm.state.db.database import resolve


class FileProfile(Settings):
    """Either ``path``, or the original's ``dbpath`` (a folder) and ``database`` (a name)."""

    path: Annotated[Path | None, AfterValidator(can_be_a_path)] = None
    dbpath: Annotated[Path | None, AfterValidator(can_be_a_path)] = None
    database: PathText | None = None

    @model_validator(mode="after")
    def _one_way(self) -> FileProfile:
        if self.path is None and self.database is None:
            raise ValueError("write path:, or dbpath: and database:")
        if self.path is not None and (self.dbpath is not None or self.database is not None):
            raise ValueError("write either path:, or dbpath: and database:, not both")
        return self


class ServerProfile(Settings):
    """Either ``url``, or the parts of it. ``driver`` names an ODBC driver, where one is used."""

    url: Secret | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    user: str | None = None
    password: Secret | None = None
    driver: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> ServerProfile:
        if self.url is None and (self.host is None or self.database is None):
            raise ValueError("write url:, or host: and database: (and user:, password:, port:)")
        if self.url is not None and self.host is not None:
            raise ValueError("write either url:, or host: and the rest, not both")
        return self


class StateSettings(ABC):
    """What a ``state_manager`` type of a manifest stands for: a URL."""

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel]]

    def __init__(self, config: Any, profile: Any, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @abstractmethod
    def url(self) -> URL:
        """Where the state database is; its ``repr`` hides the password."""


class SQLiteStateManager(StateSettings):
    """State in one file, for one host; the default."""

    Profile = FileProfile

    def url(self) -> URL:
        """Where the state database is."""
        path: Path | None = self.profile.path
        if path is None:
            name = Path(self.profile.database)
            path = (self.profile.dbpath or Path()) / (name if name.suffix else name.with_suffix(".db"))
        return URL.create("sqlite", database=str(path.expanduser()))


class _Server(StateSettings):
    Profile = ServerProfile
    drivername: ClassVar[str]

    def url(self) -> URL:
        """Where the state database is."""
        if self.profile.url is not None:
            try:
                url = make_url(self.profile.url.reveal())
            except (ArgumentError, ValueError):
                raise UsageError(
                    "the url of the state database's profile cannot be read",
                    hint="write url: scheme://user@host:port/database, with @ in a name as %40",
                ) from None
            return resolve(url)
        secret: Secret | None = self.profile.password
        return URL.create(
            self.drivername,
            username=self.profile.user,
            password=None if secret is None else secret.reveal(),
            host=self.profile.host,
            port=self.profile.port,
            database=self.profile.database,
            query=self._query(),
        )

    def _query(self) -> dict[str, str]:
        return {}


class PostgresStateManager(_Server):
    """State in PostgreSQL."""

    drivername = "postgresql+psycopg"


class MySQLStateManager(_Server):
    """State in MySQL or MariaDB."""

    drivername = "mysql+pymysql"


class SQLServerStateManager(_Server):
    """State in SQL Server, over ODBC."""

    drivername = "mssql+pyodbc"

    def _query(self) -> dict[str, str]:
        return {"driver": self.profile.driver or "ODBC Driver 18 for SQL Server", "Encrypt": "yes"}


class AzureSQLServerStateManager(SQLServerStateManager):
    """State in Azure SQL Database."""


MANAGERS: dict[str, type[StateSettings]] = {
    one.__name__: one
    for one in (
        SQLiteStateManager,
        PostgresStateManager,
        MySQLStateManager,
        SQLServerStateManager,
        AzureSQLServerStateManager,
    )
}
