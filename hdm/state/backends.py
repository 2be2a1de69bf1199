"""The ``state_manager`` types of a manifest; each makes the state database's URL from a profile entry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from hdm.components.settings import PathText, Settings, can_be_a_path
from hdm.config.deprecated import DRIVER
from hdm.config.secrets import Secret
from hdm.errors import UsageError
from hdm.state.db.database import resolve


class FileProfile(Settings):
    """Profile entry of a state file: ``path``, or ``dbpath`` (a folder) and ``database`` (a name)."""

    path: Annotated[Path | None, AfterValidator(can_be_a_path)] = None
    """File of the state database, with ``~`` filled in; or give ``database``."""
    dbpath: Annotated[Path | None, AfterValidator(can_be_a_path)] = None
    """Folder of the file that ``database`` names, as in older profiles; left out, the current folder."""
    database: PathText | None = None
    """Name of the file, where ``path`` is left out; without an ending, ``.db`` is added."""

    @model_validator(mode="after")
    def _one_way(self) -> FileProfile:
        if self.path is None and self.database is None:
            raise ValueError("write path:, or dbpath: and database:")
        if self.path is not None and (self.dbpath is not None or self.database is not None):
            raise ValueError("write either path:, or dbpath: and database:, not both")
        return self


class ServerProfile(Settings):
    """Profile entry of a state database on a server: ``url``, or its parts."""

    url: Secret | None = None
    """SQLAlchemy's URL of the state database, ``scheme://user:password@host:port/database``; or give ``host``
    and the rest."""
    host: str | None = None
    """Host name or address of the server, where ``url`` is left out."""
    port: int | None = None
    """TCP port of the server; left out, the system's default."""
    database: str | None = None
    """Names the database that holds the state, where ``url`` is left out."""
    user: str | None = None
    """Name to log in with; left out, the driver's default, if it has one."""
    password: Secret | None = None
    """Password to log in with; write a reference such as ``env:NAME``, not the password itself."""
    insecure: bool = False
    """Accepts a connection to another machine without verified TLS."""

    @model_validator(mode="after")
    def _one_way(self) -> ServerProfile:
        if self.url is None and (self.host is None or self.database is None):
            raise ValueError("write url:, or host: and database: (and user:, password:, port:)")
        if self.url is not None and self.host is not None:
            raise ValueError("write either url:, or host: and the rest, not both")
        return self


class StateSettings(ABC):
    """Tells where the state database of a ``state_manager`` type is, and which class opens it.

    Derive from a subclass, e.g. ``SQLiteStateManager``, to change either.
    """

    Config: ClassVar[type[BaseModel]] = Settings
    Profile: ClassVar[type[BaseModel] | None]
    Manager: ClassVar[type[Any] | None] = None
    """Subclass of ``hdm.state.StateManager`` that opens the database; None: that class itself."""

    def __init__(self, config: Any, profile: Any, *, name: str = "") -> None:
        self.config = config
        self.profile = profile
        self.name = name or type(self).__name__

    @abstractmethod
    def url(self) -> URL:
        """Return the URL of the state database; its ``repr`` hides the password."""


class SQLiteStateManager(StateSettings):
    """Keeps the state in a SQLite file, for processes of one host; the default."""

    Profile = FileProfile

    def url(self) -> URL:
        """Return the URL of the SQLite file."""
        path: Path | None = self.profile.path
        if path is None:
            name = Path(self.profile.database)
            path = (self.profile.dbpath or Path()) / (name if name.suffix else name.with_suffix(".db"))
        return URL.create("sqlite", database=str(path.expanduser()))


class _Server(StateSettings):
    Profile: ClassVar[type[BaseModel]] = ServerProfile
    drivername: ClassVar[str]

    def url(self) -> URL:
        """Return the URL of the state database on the server."""
        if self.profile.url is not None:
            try:
                url = make_url(self.profile.url.reveal())
            except (ArgumentError, ValueError):
                raise UsageError(
                    "the url of the state database's profile cannot be read",
                    hint="write url: scheme://user@host:port/database, with @ in a name as %40",
                ) from None
            own = {} if "odbc_connect" in url.query else self._query()
            return resolve(url.update_query_dict({k: v for k, v in own.items() if k not in url.query}))
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

    def _given(self, *names: str) -> dict[str, str]:
        values = {name: getattr(self.profile, name) for name in names}
        return {name: str(value) for name, value in values.items() if value is not None}


class PostgresServerProfile(ServerProfile):
    """Profile entry of a state database on PostgreSQL, with libpq's TLS settings."""

    driver: str | None = Field(None, deprecated=DRIVER)
    """Has no effect, and is taken so that older profiles still work: each run says so."""
    sslmode: str | None = None
    """libpq's sslmode, e.g. ``verify-full`` or ``require``; left out, ``verify-full`` unless the server is on
    this machine or ``insecure: true``."""
    sslrootcert: PathText | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, those of the system,
    or with ``sslmode`` those that libpq finds."""
    sslcert: PathText | None = None
    """File (PEM) of the certificate by which hdm proves itself to the server; left out, as libpq finds it."""
    sslkey: PathText | None = None
    """File of the key that belongs to ``sslcert``; left out, as libpq finds it."""


class MySQLServerProfile(ServerProfile):
    """Profile entry of a state database on MySQL or MariaDB, with the files that TLS needs."""

    driver: str | None = Field(None, deprecated=DRIVER)
    """Has no effect, and is taken so that older profiles still work: each run says so."""
    ssl_ca: PathText | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, those of the
    system."""
    ssl_cert: PathText | None = None
    """File (PEM) of the certificate by which hdm proves itself to the server; left out, none is shown."""
    ssl_key: PathText | None = None
    """File (PEM) of the key that belongs to ``ssl_cert``; left out, it stands in that file."""


class SQLServerServerProfile(ServerProfile):
    """Profile entry of a state database on SQL Server, with the name of the ODBC driver."""

    driver: str | None = None
    """Names the ODBC driver; left out, ``ODBC Driver 18 for SQL Server``."""


class PostgresStateManager(_Server):
    """Keeps the state in PostgreSQL."""

    Profile = PostgresServerProfile
    drivername = "postgresql+psycopg"

    def _query(self) -> dict[str, str]:
        return self._given("sslmode", "sslrootcert", "sslcert", "sslkey") or (
            {"sslmode": "prefer"} if self.profile.insecure else {}
        )


class MySQLStateManager(_Server):
    """Keeps the state in MySQL or MariaDB."""

    Profile = MySQLServerProfile
    drivername = "mysql+pymysql"

    def _query(self) -> dict[str, str]:
        files = self._given("ssl_ca", "ssl_cert", "ssl_key")
        if not self.profile.insecure:
            return files
        return {**files, "ssl_check_hostname": "false"} if files else {"ssl_disabled": "true"}


class SQLServerStateManager(_Server):
    """Keeps the state in SQL Server, over ODBC."""

    Profile = SQLServerServerProfile
    drivername = "mssql+pyodbc"

    def _query(self) -> dict[str, str]:
        trusted = {"TrustServerCertificate": "yes"} if self.profile.insecure else {}
        return {"driver": self.profile.driver or "ODBC Driver 18 for SQL Server", "Encrypt": "yes", **trusted}


class AzureSQLServerStateManager(SQLServerStateManager):
    """Keeps the state in Azure SQL Database."""


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
