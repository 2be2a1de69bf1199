"""SQL Server's SQL for queries as tables, and for merging rows from a temporary table by key."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hdm.dialects.base import Dialect
from hdm.dialects.lexer import UnclearSQL
from hdm.errors import UsageError
from hdm.model import Column


class SQLServerMerging(Dialect):
    """The part of SQL Server's dialect that composes statements of queries and temporary tables."""

    def derived(self, sql: str) -> str:
        """Return a query as a table expression; an ORDER BY in it gets the OFFSET that SQL Server requires.

        Raises ``UsageError`` for a query that begins with WITH, which is never allowed there.
        """
        depth, words = 0, []
        try:
            read = self.tokens(sql)
        except UnclearSQL:
            return super().derived(sql)
        for token in read:
            depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind != "string" else 0
            if depth == 0 and token.kind == "word":
                words.append(token.folded)
        if words[:1] == ["with"]:
            raise UsageError(
                "query: SQL Server takes no WITH inside of another query",
                hint="write its parts as subqueries in FROM, or make a view of it",
            )
        ordered = "order" in words and not {"offset", "top", "for"} & set(words)
        return super().derived(f"{sql} OFFSET 0 ROWS" if ordered else sql)

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table with the target's own types and collations.

        The collations of tempdb may not be comparable with the target's. UNION ALL keeps the identity
        property out of the stage.
        """
        names, named = self.names(column.name for column in columns), self.qualify(target)
        nothing = f"FROM {named} WHERE 1 = 0"
        return f"SELECT {names} INTO {self.qualify(path)} {nothing} UNION ALL SELECT {names} {nothing}"

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """Return the UPDATE of a merge; HOLDLOCK keeps key ranges locked until the INSERT."""
        assigned = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in names)
        joined = f"{into} AS t WITH (HOLDLOCK) INNER JOIN {of} AS s ON {only} AND {same}{guard}"
        return f"UPDATE t SET {assigned} FROM {joined}"

    def delete_matched(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return the DELETE as a join, which takes the alias before FROM."""
        same = self.match("t", "s", key, null_safe=False, exact=exact)
        return f"DELETE t FROM {self.qualify(target)} AS t INNER JOIN {self.qualify(stage)} AS s ON {same}"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return a query that locks the whole table until the transaction ends."""
        return f"SELECT 1 FROM {self.qualify(target)} WITH (TABLOCKX, HOLDLOCK) WHERE 1 = 0"

    def first(self, sql: str) -> str:
        """Return a query limited to at most one row."""
        return f"{sql} ORDER BY (SELECT NULL) OFFSET 0 ROWS FETCH NEXT 1 ROWS ONLY"

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps, for each key, one row of table ``stage``, whichever it is.

        Rows with the same key must be equal already. ROW_NUMBER numbers them.
        """
        numbered = (
            f"SELECT ROW_NUMBER() OVER (PARTITION BY {self.names(key)} ORDER BY (SELECT NULL)) AS hdm_n "
            f"FROM {self.qualify(stage)}"
        )
        return [f"WITH hdm_q AS ({numbered}) DELETE FROM hdm_q WHERE hdm_n > 1"]
