"""How staged rows are brought into a table by key, in portable statements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar


class Merging(ABC):
    """The part of a dialect that merges."""

    null_safe: ClassVar[str] = "{a} IS NOT DISTINCT FROM {b}"
    temporary_table: ClassVar[str] = "CREATE TEMPORARY TABLE"
    adds_column: ClassVar[str] = "ADD COLUMN"
    insert_override: ClassVar[str] = ""
    """What lets INSERT ... SELECT give an identity column its value."""
    exact_text: ClassVar[str] = ""
    """Text ``{}`` as what is equal only to the same bytes, whatever a collation takes for equal; empty
    where every text is."""
    may_skip_rows: ClassVar[bool] = False
    """Whether triggers or rules can make a statement pass rows over, which its row count then tells."""
    row_address: ClassVar[str | None] = None
    """A pseudo-column that tells a stage's rows apart; None if there is none that can be used."""

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

    def match(
        self, a: str, b: str, key: Sequence[str], *, null_safe: bool, exact: Collection[str] = ()
    ) -> str:
        """Rows of ``a`` and ``b`` (aliases) with the same key; ``exact`` names the key's texts, which a
        collation could take for equal when they are not."""
        tests = []
        for name in key:
            one, other = f"{a}.{self.quote(name)}", f"{b}.{self.quote(name)}"
            tests.append(self.equal(one, other, null_safe=null_safe, text=name in exact))
            if name in exact and self.exact_text:
                same = " = ".join(self.exact_text.format(side) for side in (one, other))
                tests.append(f"{one} IS NULL OR {same}" if null_safe else same)
        return " AND ".join(f"({test})" for test in tests)

    def equal(self, one: str, other: str, *, null_safe: bool, text: bool) -> str:
        """Whether two expressions are equal; ``null_safe``: so are two NULLs; ``text``: by a collation, which
        could take others for equal too."""
        return self.null_safe.format(a=one, b=other) if null_safe else f"{one} = {other}"

    def not_older(self, a: str, b: str, newest: str) -> str:
        """Whether the row of ``a`` may replace that of ``b``: its cursor is at least as great. A row
        without a cursor value is older than any that has one."""
        one, other = f"{a}.{self.quote(newest)}", f"{b}.{self.quote(newest)}"
        return f"({other} IS NULL OR {one} >= {other})"

    def older(self, a: str, b: str, newest: str) -> str:
        """The opposite of ``not_older``, as a test that is never NULL."""
        one, other = f"{a}.{self.quote(newest)}", f"{b}.{self.quote(newest)}"
        return f"({other} IS NOT NULL AND ({one} IS NULL OR {one} < {other}))"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """A statement that keeps other merges of the table waiting until this transaction ends; if it
        gives a row, that begins with 1. None where loads wait for each other anyway."""
        return None

    def merge(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        columns: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool = False,
        exact: Collection[str] = (),
        newest: str | None = None,
    ) -> list[str]:
        """Statements that bring staged rows into the target by key: update, then insert.

        Without ``null_keys``, of the rows whose key holds no NULL; with it, of the others,
        where NULL matches NULL (slowly: databases cannot hash that comparison). ``exact``: see
        ``match``. ``newest`` names the cursor by which an older row must not replace a newer one.
        """
        rest = [name for name in columns if name not in key]
        into, of = self.qualify(target), self.qualify(stage)
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        joint, test = (" OR ", "IS NULL") if null_keys else (" AND ", "IS NOT NULL")
        only = "(" + joint.join(f"s.{self.quote(name)} {test}" for name in key) + ")"
        statements = []
        if rest:
            guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
            statements.append(self.update_matched(into, of, rest, same, only, guard))
        statements.append(self.insert_missing(into, of, columns, key, same, only))
        return statements

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """The UPDATE of a merge: rows ``t`` of ``into`` get the ``names`` of rows ``s`` of ``of`` that are
        ``same``. ``only`` says which staged rows, ``guard`` (`` AND ...`` or empty) which are not older."""
        assigned = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in names)
        return f"UPDATE {into} AS t SET {assigned} FROM {of} AS s WHERE {only} AND {same}{guard}"

    def insert_missing(
        self, into: str, of: str, columns: Sequence[str], key: Sequence[str], same: str, only: str
    ) -> str:
        """The INSERT of a merge: staged rows of which ``into`` has none that is ``same``."""
        return (
            f"INSERT INTO {into} ({self.names(columns)}) {self.insert_override}"
            f"SELECT {', '.join('s.' + self.quote(name) for name in columns)} FROM {of} AS s "
            f"WHERE {only} AND NOT EXISTS (SELECT 1 FROM {into} AS t WHERE {same})"
        )

    def found(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool,
        exact: Collection[str],
        older_than: str | None = None,
    ) -> str:
        """A query that counts the staged rows whose key the target holds; ``older_than`` a cursor: only
        those that are older than the target's."""
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        joint, test = (" OR ", "IS NULL") if null_keys else (" AND ", "IS NOT NULL")
        only = joint.join(f"s.{self.quote(name)} {test}" for name in key)
        older = f" AND {self.older('s', 't', older_than)}" if older_than else ""
        return (
            f"SELECT COUNT(*) FROM {self.qualify(stage)} {self.alias('s')} WHERE ({only}) AND EXISTS "
            f"(SELECT 1 FROM {self.qualify(target)} {self.alias('t')} WHERE {same}{older})"
        )

    def alias(self, name: str) -> str:
        """What gives a table in FROM another name."""
        return f"AS {name}"

    def drop_older(self, stage: Sequence[str], key: Sequence[str], newest: str) -> list[str]:
        """Statements that leave of each key in the stage the rows with the greatest cursor; none where
        that cannot be done in a transaction."""
        if self.row_address is None:
            return []
        of, at = self.qualify(stage), self.row_address
        ranked = (
            f"SELECT {at} AS hdm_at, RANK() OVER (PARTITION BY {self.names(key)} "
            f"ORDER BY {self.quote(newest)} DESC NULLS LAST) AS hdm_n FROM {of}"
        )
        return [f"DELETE FROM {of} WHERE {at} IN (SELECT hdm_at FROM {self.derived(ranked)} WHERE hdm_n > 1)"]

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
            self.drop_temporary(spare),
        ]

    def drop_temporary(self, qualified: str) -> str:
        """Drop a temporary table that is there, within the open transaction."""
        return f"DROP TABLE {qualified}"

    def first(self, sql: str) -> str:
        """At most one row of a query."""
        return f"{sql} LIMIT 1"
