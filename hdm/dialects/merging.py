"""How staged rows are brought into a table by key, in portable statements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar


class Merging(ABC):
    """The part of a dialect that merges."""

    null_safe: ClassVar[str] = "{a} IS NOT DISTINCT FROM {b}"
    temporary_table: ClassVar[str] = "CREATE TEMPORARY TABLE"
    adds_column: ClassVar[str] = "ADD COLUMN"
    insert_override: ClassVar[str] = ""
    """What lets INSERT ... SELECT give an identity column its value."""

    @abstractmethod
    def quote(self, name: str) -> str:
        """The identifier, quoted."""

    @abstractmethod
    def qualify(self, path: Sequence[str]) -> str:
        """A table's full name."""

    @abstractmethod
    def names(self, names: Iterable[str]) -> str:
        """A quoted column list."""

    @abstractmethod
    def derived(self, sql: str) -> str:
        """A query as a table expression."""

    def match(self, a: str, b: str, key: Sequence[str], *, null_safe: bool) -> str:
        """Rows of ``a`` and ``b`` (aliases) with the same key."""
        form = self.null_safe if null_safe else "{a} = {b}"
        return " AND ".join(
            "(" + form.format(a=f"{a}.{self.quote(k)}", b=f"{b}.{self.quote(k)}") + ")" for k in key
        )

    def merge(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        columns: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool = False,
    ) -> list[str]:
        """Statements that bring staged rows into the target by key: update, then insert.

        Without ``null_keys``, of the rows whose key holds no NULL; with it, of the others,
        where NULL matches NULL (slowly: databases cannot hash that comparison).
        """
        rest = [name for name in columns if name not in key]
        into, of = self.qualify(target), self.qualify(stage)
        same = self.match("t", "s", key, null_safe=null_keys)
        joint, test = (" OR ", "IS NULL") if null_keys else (" AND ", "IS NOT NULL")
        only = "(" + joint.join(f"s.{self.quote(name)} {test}" for name in key) + ")"
        statements = []
        if rest:
            assigned = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in rest)
            statements.append(f"UPDATE {into} AS t SET {assigned} FROM {of} AS s WHERE {only} AND {same}")
        statements.append(
            f"INSERT INTO {into} ({self.names(columns)}) {self.insert_override}"
            f"SELECT {', '.join('s.' + self.quote(name) for name in columns)} FROM {of} AS s "
            f"WHERE {only} AND NOT EXISTS (SELECT 1 FROM {into} AS t WHERE {same})"
        )
        return statements

    def conflicting(self, stage: Sequence[str], columns: Sequence[str], key: Sequence[str]) -> str:
        """A query that gives a row if the stage holds different rows with one key."""
        distinct = self.derived(f"SELECT DISTINCT {self.names(columns)} FROM {self.qualify(stage)}")
        return self.first(f"SELECT 1 FROM {distinct} GROUP BY {self.names(key)} HAVING COUNT(*) > 1")

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Statements that leave one row per key of those equal in ``columns``; of ``rest`` the least."""
        of, spare = self.qualify(stage), self.qualify((*stage[:-1], stage[-1] + "_1"))
        least = "".join(f", MIN({self.quote(name)}) AS {self.quote(name)}" for name in rest)
        content, every = self.names(columns), self.names([*columns, *rest])
        return [
            f"{self.temporary_table} {spare} AS SELECT {content}{least} FROM {of} GROUP BY {content}",
            f"DELETE FROM {of}",
            f"INSERT INTO {of} ({every}) SELECT {every} FROM {spare}",
            f"DROP TABLE {spare}",
        ]

    def first(self, sql: str) -> str:
        """At most one row of a query."""
        return f"{sql} LIMIT 1"
