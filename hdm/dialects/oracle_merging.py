"""Merges staged rows into an Oracle table: MERGE, LOBs that cannot be DISTINCT, stages of older servers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hdm.dialects.base import Dialect
from hdm.model import Column

_LOBS = ("CLOB", "NCLOB", "BLOB", "JSON")


class OracleMerging(Dialect):
    """The part of Oracle's dialect that merges staged rows into a table."""

    row_address = "ROWID"
    plain_stage = True
    """Private temporary tables came with 18c, and need the prefix that the server was given."""

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
        """Return one MERGE statement, because Oracle has no UPDATE ... FROM."""
        rest = [name for name in columns if name not in key]
        update = ""
        if rest:
            pairs = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in rest)
            guard = f"WHERE {self.not_older('s', 't', newest)} " if newest else ""
            update = f"WHEN MATCHED THEN UPDATE SET {pairs} {guard}"
        return [
            f"MERGE INTO {self.qualify(target)} t USING ({self.staged(stage, key, null_keys)}) s "
            f"ON ({self.match('t', 's', key, null_safe=null_keys, exact=exact)}) {update}"
            f"WHEN NOT MATCHED THEN INSERT ({', '.join('t.' + self.quote(n) for n in columns)}) "
            f"VALUES ({', '.join('s.' + self.quote(n) for n in columns)})"
        ]

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return a LOCK TABLE statement; the lock lasts until the transaction ends."""
        return f"LOCK TABLE {self.qualify(target)} IN EXCLUSIVE MODE"

    def alias(self, name: str) -> str:
        """Return the alias without AS, which Oracle does not allow here."""
        return name

    def staged(self, stage: Sequence[str], key: Sequence[str], null_keys: bool) -> str:
        """Return a query for the staged rows whose key has no NULL.

        With ``null_keys``, for the other rows.
        """
        return f"SELECT * FROM {self.qualify(stage)} WHERE {self.keyed(key, null_keys, alias='')}"

    def first(self, sql: str) -> str:
        """Return the query limited to at most one row."""
        return f"{sql} FETCH FIRST 1 ROWS ONLY"

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps, for each key, the row of table ``stage`` with the lowest ROWID.

        Rows with the same key must be equal already.
        """
        of = self.qualify(stage)
        return [
            f"DELETE FROM {of} WHERE ROWID NOT IN (SELECT MIN(ROWID) FROM {of} GROUP BY {self.names(key)})"
        ]

    def conflicts(self, stage: Sequence[str], columns: Sequence[Column], key: Sequence[str]) -> str:
        """Return a query that gives a row if table ``stage`` has different rows with the same key.

        LOBs are compared by DBMS_LOB, which everyone may call, since DISTINCT of LOBs is an error
        (ORA-00932).
        """
        lobs = [c.name for c in columns if self.stored(c).native.upper().startswith(_LOBS)]
        if not lobs:
            return super().conflicts(stage, columns, key)
        of = self.qualify(stage)
        tests = [
            f"DECODE(a.{self.quote(c.name)}, b.{self.quote(c.name)}, 0, 1) = 1"
            for c in columns
            if c.name not in lobs and c.name not in key
        ]
        for name in map(self.quote, lobs):
            one, other = f"a.{name}", f"b.{name}"
            tests.append(f"DBMS_LOB.COMPARE({one}, {other}) <> 0")
            tests.append(f"({one} IS NULL AND {other} IS NOT NULL)")
            tests.append(f"({one} IS NOT NULL AND {other} IS NULL)")
        same = self.match("a", "b", key, null_safe=True)
        return self.first(
            f"SELECT 1 FROM {of} a JOIN {of} b ON {same} AND a.ROWID <> b.ROWID WHERE {' OR '.join(tests)}"
        )
