"""Merges rows from a temporary table into another by key, in MySQL and MariaDB."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from hdm.dialects.base import Dialect

_MERGE_WAIT = 300
"""Seconds for which a merge waits for another merge into the same table."""
COLLATION = " /*M! COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */"
"""Collation of the tables that hdm creates; each server executes its own comment only.

https://mariadb.com/kb/en/comment-syntax/.
"""


class MySQLMerging(Dialect):
    """The part of MySQL's dialect that merges rows from a temporary table into another by key."""

    null_safe = "{a} <=> {b}"
    exact_text = "CAST(CONVERT({} USING utf8mb4) AS BINARY)"

    def equal(self, one: str, other: str, *, null_safe: bool, text: bool) -> str:
        """Return a SQL test that two expressions are equal; texts compare by hdm's own collation.

        Texts of two different collations would be an illegal mix (error 1267).
        """
        converted = f"CONVERT({other} USING utf8mb4){COLLATION}"
        return super().equal(one, converted if text else other, null_safe=null_safe, text=text)

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """Return the UPDATE of a merge, as a join."""
        assigned = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in names)
        return f"UPDATE {into} AS t JOIN {of} AS s ON {same} SET {assigned} WHERE {only}{guard}"

    def delete_matched(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return the DELETE as a join, since older servers take no alias in a plain one."""
        same = self.match("t", "s", key, null_safe=False, exact=exact)
        return f"DELETE t FROM {self.qualify(target)} AS t JOIN {self.qualify(stage)} AS s ON {same}"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return a query that takes a user-level lock, which the end of the session releases.

        LOCK TABLES would commit the transaction.
        """
        name = hashlib.sha256(f"merge|{self.qualify(target)}".encode()).hexdigest()[:40]
        return f"SELECT GET_LOCK('{name}', {_MERGE_WAIT})"

    def drop_older(self, stage: Sequence[str], key: Sequence[str], newest: str) -> list[str]:
        """Return SQL that keeps, for each key in ``stage``, only the rows with the greatest cursor.

        It uses a second temporary table, since MySQL cannot refer to one twice in a statement.
        """
        of, spare = self.qualify(stage), self.qualify((*stage[:-1], stage[-1] + "_2"))
        cursor = self.quote(newest)
        top = f"SELECT {self.names(key)}, MAX({cursor}) AS {cursor} FROM {of} GROUP BY {self.names(key)}"
        same = self.match("s", "t", key, null_safe=True)
        return [
            f"{self.temporary_table} {spare} AS {top}",
            f"DELETE s FROM {of} AS s JOIN {spare} AS t ON {same} WHERE {self.older('s', 't', newest)}",
            self.drop_temporary(spare),
        ]

    def drop_temporary(self, qualified: str) -> str:
        """Return DROP TEMPORARY TABLE, as a plain DROP TABLE would commit the transaction."""
        return f"DROP TEMPORARY TABLE {qualified}"
