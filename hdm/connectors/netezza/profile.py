"""The profile entry of a Netezza system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from hdm.sql import SqlProfile


class NetezzaProfile(SqlProfile):
    """Profile entry of a Netezza system: address and credentials; it has no ``url``."""

    takes_url: ClassVar[bool] = False
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
        if not self.host:
            raise ValueError("give host, port, database and user")
        return self

    @classmethod
    def ignored(cls, given: Mapping[str, Any]) -> dict[str, str]:
        """Return, by key, notes on the profile's keys that have no effect.

        That is ``driver`` if it describes a JDBC driver, as older profiles do.
        """
        jdbc = "has no effect: nzpy is used; remove it, or name an ODBC driver"
        return {"driver": jdbc} if isinstance(given.get("driver"), Mapping) else {}
