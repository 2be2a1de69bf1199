"""Defines the key ``driver: {name, path}`` of a profile, which names a JDBC driver and its jars."""

from __future__ import annotations

from pydantic import Field

from hdm.components.settings import Settings


class JdbcDriver(Settings):
    """A JDBC driver: the name of its class, and where its jars are."""

    name: str | None = None
    """Class name of the driver, such as ``org.h2.Driver``; left out, the one that is usual for the
    dialect."""
    path: str | list[str] = Field(default_factory=list)
    """Path of the driver's jar, or a list of it and the jars that it needs."""

    @property
    def jars(self) -> list[str]:
        """The paths of the jars as a list."""
        return [self.path] if isinstance(self.path, str) else self.path
