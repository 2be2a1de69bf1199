"""Merges rows from a temporary table (stage) into another table by key, in portable SQL."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar

from hdm.model import Column


class Merging(ABC):
    """The part of a dialect that merges rows from a temporary table (stage) into another by key."""

    null_safe: ClassVar[str] = "{a} IS NOT DISTINCT FROM {b}"
    temporary_table: ClassVar[str] = "CREATE TEMPORARY TABLE"
    every_row: ClassVar[str] = ""
    """Clause of an UPDATE or DELETE of all rows, where the database wants one."""
    adds_column: ClassVar[str] = "ADD COLUMN"
    insert_override: ClassVar[str] = ""
    """Clause that lets INSERT ... SELECT set the value of an identity column."""
    exact_text: ClassVar[str] = ""
    """Expression over the text ``{}`` that is equal only for equal bytes, whatever the collation. Empty if
    the database compares every text byte by byte.
    """
    may_skip_rows: ClassVar[bool] = False
    """Whether triggers or rules can make a statement skip rows, so that its row count must be compared."""
    row_address: ClassVar[str | None] = None
    """A pseudo-column that identifies each row of a stage; None if there is none that can be used."""

    plain_stage: ClassVar[bool] = False
    """Whether a stage is an ordinary table where the server refuses to make a temporary one."""

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return a name in quotation marks.

        Raises ``UsageError`` if the database cannot have that name.
        """

    @abstractmethod
    def qualify(self, path: Sequence[str]) -> str:
        """Return a table's full, quoted name."""

    @abstractmethod
    def names(self, names: Iterable[str]) -> str:
        """Return names in quotation marks, separated by commas."""

    @abstractmethod
    def derived(self, sql: str) -> str:
        """Return a query as a table expression for a FROM clause."""

    def match(
        self, a: str, b: str, key: Sequence[str], *, null_safe: bool, exact: Collection[str] = ()
    ) -> str:
        """Return a SQL test that the rows of the aliases ``a`` and ``b`` have the same key.

        ``null_safe``: two NULLs are equal. ``exact`` names the text columns of the key that are compared byte
        for byte too, because a collation can take different texts for equal.
        """
        tests = []
        for name in key:
            one, other = f"{a}.{self.quote(name)}", f"{b}.{self.quote(name)}"
            tests.append(self.equal(one, other, null_safe=null_safe, text=name in exact))
            if name in exact and self.exact_text:
                same = " = ".join(self.exact_text.format(side) for side in (one, other))
                tests.append(f"{one} IS NULL OR {same}" if null_safe else same)
        return " AND ".join(f"({test})" for test in tests)

    def equal(self, one: str, other: str, *, null_safe: bool, text: bool) -> str:
        """Return a SQL test that two expressions are equal.

        ``null_safe``: two NULLs are equal. ``text``: the values are text. A collation compares them, and may
        take different texts for equal.
        """
        return self.null_safe.format(a=one, b=other) if null_safe else f"{one} = {other}"

    def not_older(self, a: str, b: str, newest: str) -> str:
        """Return a SQL test that the row of alias ``a`` may replace that of alias ``b``.

        The row may if its cursor ``newest`` is at least as great. A row whose cursor is NULL is older than
        any other.
        """
        one, other = f"{a}.{self.quote(newest)}", f"{b}.{self.quote(newest)}"
        return f"({other} IS NULL OR {one} >= {other})"

    def older(self, a: str, b: str, newest: str) -> str:
        """Return a SQL test that the row of alias ``a`` is older than that of alias ``b``.

        ``newest`` is the cursor. The test is true or false, never NULL.
        """
        one, other = f"{a}.{self.quote(newest)}", f"{b}.{self.quote(newest)}"
        return f"({other} IS NOT NULL AND ({one} IS NULL OR {one} < {other}))"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return SQL that makes other merges into the table wait until this transaction ends.

        If it returns a row, the row's first value is 1 when the lock was granted. None if loads into one
        table wait for each other anyway.
        """
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
        """Return SQL statements that merge the rows of ``stage`` into ``target``: UPDATE, then INSERT.

        Without ``null_keys``, they merge the rows whose key has no NULL. With ``null_keys``, they merge the
        other rows, and NULL matches NULL; that is slow, because databases cannot hash this comparison.
        ``exact``: see ``match``. ``newest`` names the cursor by which an older row must not replace a newer
        one.
        """
        rest = [name for name in columns if name not in key]
        into, of = self.qualify(target), self.qualify(stage)
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        only = self.keyed(key, null_keys)
        statements = []
        if rest:
            guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
            statements.append(self.update_matched(into, of, rest, same, only, guard))
        statements.append(self.insert_missing(into, of, columns, key, same, only))
        return statements

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """Return the UPDATE of a merge, which copies columns ``names`` from table ``of`` (s) to ``into`` (t).

        ``same`` is the test for a match, and ``only`` selects the staged rows. ``guard`` is empty, or a
        condition after AND for rows that are not older.
        """
        assigned = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in names)
        return f"UPDATE {into} AS t SET {assigned} FROM {of} AS s WHERE {only} AND {same}{guard}"

    def insert_missing(
        self, into: str, of: str, columns: Sequence[str], key: Sequence[str], same: str, only: str
    ) -> str:
        """Return the INSERT of a merge, for rows of table ``of`` (s) that match no row of ``into`` (t).

        ``same`` is the test for a match, and ``only`` selects the staged rows.
        """
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
        """Return a query that counts the rows of table ``stage`` whose key exists in table ``target``.

        With ``older_than``, a cursor column, it counts only those that are older than the target's row.
        ``null_keys`` and ``exact``: see ``merge``.
        """
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        only = self.keyed(key, null_keys)
        older = f" AND {self.older('s', 't', older_than)}" if older_than else ""
        return (
            f"SELECT COUNT(*) FROM {self.qualify(stage)} {self.alias('s')} WHERE {only} AND EXISTS "
            f"(SELECT 1 FROM {self.qualify(target)} {self.alias('t')} WHERE {same}{older})"
        )

    def joined_by_key(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return a FROM clause for the rows of ``stage`` (s) joined with those of ``target`` (t) by key.

        It ends with a condition. Rows whose key has a NULL match none. ``exact``: see ``match``.
        """
        same = self.match("t", "s", key, null_safe=False, exact=exact)
        into, of = self.qualify(target), self.qualify(stage)
        return f"FROM {of} {self.alias('s')} JOIN {into} {self.alias('t')} ON {same}"

    def delete_matched(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return the statement that deletes the rows of ``target`` whose key a row of ``stage`` has.

        Rows whose key has a NULL match none. ``exact``: see ``match``.
        """
        same = self.match("t", "s", key, null_safe=False, exact=exact)
        return (
            f"DELETE FROM {self.qualify(target)} {self.alias('t')} WHERE EXISTS "
            f"(SELECT 1 FROM {self.qualify(stage)} {self.alias('s')} WHERE {same})"
        )

    def keyed(self, key: Sequence[str], null_keys: bool, alias: str = "s.") -> str:
        """Return a test for the staged rows whose key has no NULL; with ``null_keys``, for the other rows.

        ``alias`` stands before each column's name, with its dot.
        """
        joint, test = (" OR ", "IS NULL") if null_keys else (" AND ", "IS NOT NULL")
        return "(" + joint.join(f"{alias}{self.quote(name)} {test}" for name in key) + ")"

    def alias(self, name: str) -> str:
        """Return the SQL that gives a table in FROM the alias ``name``."""
        return f"AS {name}"

    def drop_older(self, stage: Sequence[str], key: Sequence[str], newest: str) -> list[str]:
        """Return SQL that keeps, for each key in table ``stage``, only the rows with the greatest cursor.

        ``newest`` is the cursor. Returns no statement if the database cannot do that in a transaction.
        """
        if self.row_address is None:
            return []
        of, at = self.qualify(stage), self.row_address
        ranked = (
            f"SELECT {at} AS hdm_at, RANK() OVER (PARTITION BY {self.names(key)} "
            f"ORDER BY {self.quote(newest)} DESC NULLS LAST) AS hdm_n FROM {of}"
        )
        return [f"DELETE FROM {of} WHERE {at} IN (SELECT hdm_at FROM {self.derived(ranked)} WHERE hdm_n > 1)"]

    def conflicting(self, stage: Sequence[str], columns: Sequence[str], key: Sequence[str]) -> str:
        """Return a query that gives a row if table ``stage`` has different rows with the same key.

        The rows are compared in ``columns``.
        """
        distinct = self.derived(f"SELECT DISTINCT {self.names(columns)} FROM {self.qualify(stage)}")
        return self.first(f"SELECT 1 FROM {distinct} GROUP BY {self.names(key)} HAVING COUNT(*) > 1")

    def conflicts(self, stage: Sequence[str], columns: Sequence[Column], key: Sequence[str]) -> str:
        """Return a query that gives a row if table ``stage`` has different rows with the same key.

        A dialect overrides this if it cannot compare columns of some types by DISTINCT.
        """
        return self.conflicting(stage, [column.name for column in columns], key)

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps one of several rows of table ``stage`` that are equal in ``columns``.

        The columns ``rest`` of the row that is kept get the minimum of all of these rows.
        """
        of, spare = self.qualify(stage), self.qualify((*stage[:-1], stage[-1] + "_1"))
        least = "".join(f", MIN({self.quote(name)}) AS {self.quote(name)}" for name in rest)
        content, every = self.names(columns), self.names([*columns, *rest])
        return [
            f"{self.temporary_table} {spare} AS SELECT {content}{least} FROM {of} GROUP BY {content}",
            f"DELETE FROM {of}{self.every_row}",
            f"INSERT INTO {of} ({every}) SELECT {every} FROM {spare}",
            self.drop_temporary(spare),
        ]

    def drop_temporary(self, qualified: str) -> str:
        """Return the SQL that drops an existing temporary table without ending the open transaction."""
        return f"DROP TABLE {qualified}"

    def first(self, sql: str) -> str:
        """Return a query limited to at most one row."""
        return f"{sql} LIMIT 1"
