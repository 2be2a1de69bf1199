"""The profile entry of a Netezza system."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from hdm.sql import SqlProfile
from hdm.sql.jdbc_driver import JdbcDriver


class NetezzaProfile(SqlProfile):
    """Profile entry of a Netezza system: address and credentials; it has no ``url``."""

    takes_url: ClassVar[bool] = False
    port: int | None = 5480
    """TCP port on which the server listens; Netezza's own is 5480."""
    driver: Any = None
    """Names an installed ODBC driver to go by, or a JDBC driver as ``{name, path}``: its class and its jar.
    Left out, nzpy is used."""
    ca_certs: str | None = None
    """File (PEM) of the authority that signed the server's certificate; nzpy needs it for another machine
    unless ``insecure: true``."""

    @field_validator("driver")
    @classmethod
    def _name(cls, value: Any) -> Any:
        if value is None or isinstance(value, str | JdbcDriver):
            return value
        if isinstance(value, dict):
            return JdbcDriver.model_validate(value)
        raise ValueError(
            "write the name of an ODBC driver, or {name, path} of a JDBC driver, or leave it out"
        )

    @model_validator(mode="after")
    def _by_host(self) -> NetezzaProfile:
        if not self.host:
            raise ValueError("give host, port, database and user")
        return self
