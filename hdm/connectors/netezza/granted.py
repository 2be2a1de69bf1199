"""Finds which of the rights in the grants script a user of Netezza has, by trying them.

A table is made in a transaction that is rolled back, a temporary one ends with its session, an unload has no
rows. The catalogue would tell privileges of the user, but not those of its groups on classes of objects
(https://www.ibm.com/docs/en/netezza?topic=model-scope-object-privileges).
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from hdm.dialects import grants
from hdm.sql import Database
from hdm.sql.granted import may

_ON_TABLE = {
    grants.SELECT: "SELECT 1 FROM {0} WHERE 1 = 0",
    "INSERT on the table": "INSERT INTO {0} SELECT * FROM {0} WHERE 1 = 0",
    "DELETE on the table": "DELETE FROM {0} WHERE 1 = 0",
}


class TriesRights(Database):
    """A Netezza database that tells rights by trying them."""

    remote: ClassVar[str | None] = None
    unloads_to: ClassVar[str] = "python"
    """The client as REMOTESOURCE names it where rows are unloaded to this machine."""

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, else False; None for a table that is not there.

        Whatever is tried is in a database session of its own, and is rolled back.
        """
        sql = self._trial(path, right)
        if sql is None:
            return None
        with tempfile.TemporaryDirectory(prefix="hdm-doctor-") as folder:
            trial = self.connect("hdm:doctor", write=True)
            try:
                external = right == "CREATE EXTERNAL TABLE"  # is not taken back, and makes nothing but a file
                if not external:
                    self.begin(trial, write=True)
                found = may(self, trial, sql.replace("{folder}", str(Path(folder) / "trial")))
                self.rollback(trial)
                return found
            finally:
                trial.close()

    def _trial(self, path: Sequence[str], right: str) -> str | None:
        spare = f"_HDM_DOCTOR_{uuid.uuid4().hex}".upper()
        if right in _ON_TABLE:
            return _ON_TABLE[right].format(self.dialect.qualify(path))
        if right == "CREATE TABLE":
            return f"CREATE TABLE {self.dialect.qualify((*path[:-1], spare))} (A INTEGER)"
        if right == "CREATE TEMP TABLE":
            return f"CREATE TEMP TABLE {self.dialect.quote(spare)} (A INTEGER)"
        if right == "CREATE EXTERNAL TABLE":
            source = self.unloads_to
            return f"CREATE EXTERNAL TABLE '{{folder}}' USING (REMOTESOURCE '{source}') AS SELECT 1 LIMIT 0"
        return None

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script, the user and the database as the server calls them."""
        user, database = self.run(connection, "SELECT CURRENT_USER, CURRENT_CATALOG")[0]
        known = super().grant_names(connection, path)
        return known | {"user": self.dialect.quote(user), "database": self.dialect.quote(database)}
