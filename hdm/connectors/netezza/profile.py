"""How a Netezza system is reached."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator, model_validator

from hdm.sql import SqlProfile


class NetezzaProfile(SqlProfile):
    """What a profile entry for Netezza may hold; there is no ``url``."""

    port: int | None = 5480
    """TCP port on which the server listens; Netezza's own is 5480."""
    driver: Any = None
    """Names an installed ODBC driver to go by; left out, nzpy is used. The ``{name, path}`` of older profiles
    is ignored."""
    ca_certs: str | None = None
    """File (PEM) of the authority that signed the server's certificate; nzpy needs it for another machine
    unless ``insecure: true``."""

    @field_validator("driver")
    @classmethod
    def _name(cls, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, dict) and set(value) <= {"name", "path"}:
            return None
        raise ValueError("write the name of an ODBC driver, or leave it out")

    @model_validator(mode="after")
    def _by_host(self) -> NetezzaProfile:
        if self.url is not None or not self.host:
            raise ValueError("give host, port, database and user: Netezza has no url")
        return self
