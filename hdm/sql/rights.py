"""The part of ``Database`` that tells for ``hdm doctor`` which privileges the user has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hdm.dialects import grants as grant_scripts
from hdm.sql import granted
from hdm.sql.server_calls import ServerCalls


class Rights(ServerCalls):
    """Base class of ``Database`` that checks the rights in the system's script of ``hdm.dialects.grants``."""

    profile: Any

    def missing_grants(self, connection: Any, path: Sequence[str]) -> list[str] | None:
        """Return the privileges on a table that a sink needs and the user lacks; None if not known."""
        return granted.missing(self, connection, path, "sink")

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, as the script of ``hdm.dialects.grants`` calls it, else False.

        ``path`` is the table that is read or written. None if it cannot be told; so by default, except for
        SELECT, which is tried.
        """
        if right != grant_scripts.SELECT:
            return None
        return granted.may(self, connection, f"SELECT 1 FROM {self.dialect.qualify(path)} WHERE 1 = 0")

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return names for a grants script, quoted, by what they are called there: ``user``, ``schema``."""
        return self.profile_names(path)

    def profile_names(self, path: Sequence[str]) -> dict[str, str]:
        """Return what ``grant_names`` returns, as far as the profile and the table's name tell it."""
        quote, profile = self.dialect.quote, self.profile
        given = {
            "user": getattr(profile, "user", None),
            "database": getattr(profile, "database", None),
            "schema": path[-2] if len(path) > 1 else None,
            "table": path[-1],
        }
        return {name: quote(value) for name, value in given.items() if value}

    def grants(self, path: Sequence[str], part: str = "sink") -> list[tuple[str, bool, str]]:
        """Return, for ``hdm doctor``, a result for each privilege on ``path`` that the user lacks.

        ``part`` is one of the system's script: ``source``, ``sink`` or a mode, whose rights an existing table
        takes. One result if nothing is missing, none if the privileges are not known.
        """
        return granted.findings(self, path, part)
