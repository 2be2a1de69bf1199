"""Base classes of profile entries for SQL systems: how a server is reached, and keys that have no effect."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from hdm.components.address import split_address
from hdm.components.settings import Settings
from hdm.config.deprecated import DRIVER
from hdm.config.secrets import Secret


class SqlProfile(Settings):
    """Profile entry of a relational server: the parts of its address, or one ``url``."""

    takes_url: ClassVar[bool] = True
    """Whether the system has an address of one URL."""

    host: str = "localhost"
    """Host name or address of the server; of PostgreSQL and MySQL also the path of a socket."""
    port: int | None = Field(None, ge=1, le=65535)
    """TCP port of the server; left out, the system's default."""
    database: str | None = None
    """Names the database to connect to; left out, the driver's default, if it has one."""
    user: str | None = None
    """Name to log in with; left out, the driver's default, if it has one."""
    password: Secret | None = None
    """Password to log in with; write a reference such as ``env:NAME``, not the password itself."""
    url: Secret | None = None
    """Address as one URL, in the place of ``host`` and ``port``; only PostgreSQL, MySQL and MariaDB have
    one."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of tables that are named without one; left out, the system's default. MySQL has none."""
    insecure: bool = False
    """Accepts a connection to another machine without verified TLS."""

    @classmethod
    def from_address(cls, rest: str) -> tuple[dict[str, Any], str]:
        """Return the profile entry and the table of an address: ``//user@host:port/database.schema.table``.

        Raises ``UsageError`` if it cannot be read.
        """
        found = split_address(rest)
        return found.entry(host="host"), found.object

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if self.url is not None and {"host", "port"} & self.model_fields_set:
            raise ValueError("give url, or host and port, not both")
        if self.url is not None and not self.takes_url:
            raise ValueError("give host, port, database and user: this system has no url")
        return self


class OwnDriver(Settings):
    """Base class of profile entries for systems for which hdm has exactly one driver."""

    driver: Any = Field(None, deprecated=DRIVER)
    """Has no effect, and is taken so that older profiles still work: each run says so."""
