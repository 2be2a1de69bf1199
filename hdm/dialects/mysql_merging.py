"""Merge staged rows into a table by key, in MySQL and MariaDB."""

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
    """The part of the dialect that merges staged rows into a table."""

    null_safe = "{a} <=> {b}"
    exact_text = "CAST(CONVERT({} USING utf8mb4) AS BINARY)"

    def match(
        self, a: str, b: str, key: Sequence[str], *, null_safe: bool, exact: Collection[str] = ()
    ) -> str:
        """Return the key test, with texts compared in the collation of hdm's own tables.

        Two different collations would be an illegal mix (error 1267).
        """
        made = super().match(a, b, key, null_safe=null_safe, exact=exact)
        sign = "<=>" if null_safe else "="
        for name in exact:
            one, other = f"{a}.{self.quote(name)}", f"{b}.{self.quote(name)}"
            made = made.replace(
                f"({one} {sign} {other})", f"({one} {sign} CONVERT({other} USING utf8mb4){COLLATION})", 1
            )
        return made

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """Return the UPDATE as a join."""
        assigned = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in names)
        return f"UPDATE {into} AS t JOIN {of} AS s ON {same} SET {assigned} WHERE {only}{guard}"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return a query for a user-level lock, which is released at the end of the session.

        LOCK TABLES would commit the transaction.
        """
        name = hashlib.sha256(f"merge|{self.qualify(target)}".encode()).hexdigest()[:40]
        return f"SELECT GET_LOCK('{name}', {_MERGE_WAIT})"

    def drop_older(self, stage: Sequence[str], key: Sequence[str], newest: str) -> list[str]:
        """Use a second temporary table, since MySQL cannot refer to one twice in a statement."""
        of, spare = self.qualify(stage), self.qualify((*stage[:-1], stage[-1] + "_2"))
        cursor = self.quote(newest)
        top = f"SELECT {self.names(key)}, MAX({cursor}) AS {cursor} FROM {of} GROUP BY {self.names(key)}"
        same = self.match("s", "t", key, null_safe=True)
        return [
            f"{self.temporary_table} {spare} AS {top}",
            f"DELETE s FROM {of} AS s JOIN {spare} AS t ON {same} WHERE {self.older('s', 't', newest)}",
            f"DROP TEMPORARY TABLE {spare}",
        ]

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return the statements with DROP TEMPORARY TABLE, since DROP TABLE would commit the transaction."""
        made = super().keep_one(stage, columns, rest, key)
        return [*made[:-1], made[-1].replace("DROP TABLE", "DROP TEMPORARY TABLE", 1)]
