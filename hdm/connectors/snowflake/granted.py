"""Finds which of the rights in the grants script the role of a Snowflake session has.

SHOW lists what the role may see of databases and schemas; SHOW GRANTS ON lists who has which privilege, and
IS_ROLE_IN_SESSION says whether that role is the session's, or one that is granted to it
(https://docs.snowflake.com/en/sql-reference/functions/is_role_in_session).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from hdm.dialects import grants
from hdm.errors import ConnectionLost, HdmError, TransientError, UsageError
from hdm.sql import Database


class ShowsRights(Database):
    """A Snowflake account that tells the rights of the session's role."""

    @abstractmethod
    def rows(self, connection: Any, sql: str) -> list[dict[str, Any]]:
        """Return the rows of SHOW or DESCRIBE as dictionaries by column name."""

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the session's role has a right, else False; None if it cannot be told."""
        try:
            return self._has(connection, path, right)
        except (ConnectionLost, TransientError):
            raise
        except HdmError:  # what is asked about is hidden, or not there
            return False if right.startswith("USAGE ") or right == grants.SELECT else None

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script, the role and warehouse as the session has them."""
        role, warehouse = self.run(connection, "SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE()")[0]
        warehouse = warehouse or self.profile.warehouse
        names = {"role": role, "warehouse": warehouse, "database": path[-3] if len(path) > 2 else None}
        own = {name: self.dialect.quote(str(value)) for name, value in names.items() if value}
        return super().grant_names(connection, path) | own

    def _has(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        word, _, of = right.partition(" on the ")
        dialect = self.dialect
        if of == "warehouse":
            return self.run(connection, "SELECT CURRENT_WAREHOUSE()")[0][0] is not None
        if len(path) < 3:
            return None
        if of == "database" and word == "USAGE":
            return self._shown(connection, f"SHOW DATABASES LIKE {dialect.string(path[-3])}", path[-3])
        if of == "schema" and word == "USAGE":
            home = dialect.quote(path[-3])
            listed = f"SHOW SCHEMAS LIKE {dialect.string(path[-2])} IN DATABASE {home}"
            return self._shown(connection, listed, path[-2])
        if right == grants.SELECT:
            self.run(connection, f"SELECT 1 FROM {dialect.qualify(path)} WHERE 1 = 0")
            return True
        place = f"SCHEMA {dialect.qualify(path[:-1])}" if of == "schema" else f"TABLE {dialect.qualify(path)}"
        return self._granted(connection, place, word)

    def _shown(self, connection: Any, sql: str, name: str) -> bool:
        """Whether SHOW lists exactly this name: LIKE ignores case, and _ is any character."""
        return any(str(row["name"]) == name for row in self.rows(connection, sql))

    def _granted(self, connection: Any, place: str, word: str) -> bool | None:
        """Whether the privilege, or OWNERSHIP, is granted to a role of the session; None if none is shown."""
        shown = self.rows(connection, f"SHOW GRANTS ON {place}")
        for row in shown:
            if str(row["privilege"]).upper() in (word, "OWNERSHIP") and self._is_mine(connection, row):
                return True
        return False if shown else None

    def _is_mine(self, connection: Any, row: dict[str, Any]) -> bool:
        kinds = {"ROLE": "IS_ROLE_IN_SESSION", "DATABASE_ROLE": "IS_DATABASE_ROLE_IN_SESSION"}
        asked = kinds.get(str(row["granted_to"]).upper())
        if asked is None:
            return False
        name = self.dialect.string(str(row["grantee_name"]))
        return bool(self.run(connection, f"SELECT {asked}({name})")[0][0])


def absent(what: str, name: str) -> UsageError:
    """Return the error for a database or schema that is missing, or hidden from the role."""
    return UsageError(
        f"there is no {what} {name}, or this role may not use it",
        hint="create it, correct its name in the connection or the manifest, or grant USAGE on it",
    )
