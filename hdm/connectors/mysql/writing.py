"""Writes to MySQL: bulk loads that accept no warning, ends older attempts, renames in one step."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from hdm.connectors.mysql import text_codec, wire
from hdm.connectors.mysql.reading import MySQLReading
from hdm.dialects import mysql_catalog as catalog
from hdm.dialects.mysql import SPATIAL, MySQLDialect, base_name
from hdm.dialects.mysql_errors import WORDS
from hdm.errors import HdmError, MissingParent, RejectedRows, UsageError
from hdm.model import Column, Table
from hdm.sql.refill import Referring, grouped

_LOG = logging.getLogger(__name__)
_INSERT_BYTES = 1024 * 1024
_PLACE = re.compile(r"for column .*?([^`'.\s]+)[`']? at row \d+\Z", re.DOTALL)
_HEX = SPATIAL | {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"}
_OLD_ATTEMPTS = 100
_MARK = re.compile(r" ?\[hdm:[^\]]*\]\Z")


class MySQLDatabase(MySQLReading):
    """Connects to one MySQL or MariaDB server, reads from it and writes to it."""

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Load batches by LOAD DATA LOCAL, or by INSERT if the server forbids it; return how many rows.

        Any warning raises ``RejectedRows``, or ``MissingParent`` if all are about foreign keys.
        """
        natives = self._natives(connection, path, columns)
        allowed = int(self.run(connection, "SELECT @@local_infile")[0][0])
        if not allowed:
            return self._insert(connection, path, columns, natives, batches)
        statement = _load_statement(self.dialect, path, columns, natives)
        broken: list[Exception] = []

        def lines() -> Iterator[memoryview]:
            try:
                for batch in batches:
                    if batch.num_rows:
                        yield memoryview(text_codec.load_lines(_texts(batch, columns, natives)))
            except Exception as error:
                broken.append(error)
                raise

        try:
            with self.classified():
                done = wire.load(connection, statement, lines(), partial(self.calling, connection))
        except HdmError:
            if broken:  # the source's own error, not the server's
                raise broken[0] from None
            raise
        self._accept(connection, done, columns)
        return done.rows

    def _insert(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        natives: Sequence[str],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        names = self.dialect.names(c.name for c in columns)
        head = f"INSERT INTO {self.dialect.qualify(path)} ({names}) VALUES "
        forms = ["x" if n in _HEX else "b" if n == "bit" else "" for n in natives]
        taken = 0
        for batch in batches:
            waiting: list[str] = []
            size = 0
            for row in [*text_codec.insert_rows(_texts(batch, columns, natives), forms), None]:
                if waiting and (row is None or size + len(row) > _INSERT_BYTES):
                    with self.calling(connection):
                        done = wire.load(connection, head + ", ".join(waiting), ())
                    self._accept(connection, done, columns)
                    taken += done.rows
                    waiting, size = [], 0
                if row is not None:
                    waiting.append(row)
                    size += len(row)
        return taken

    def _natives(self, connection: Any, path: Sequence[str], columns: Sequence[Column]) -> list[str]:
        described = self.run(connection, f"SHOW COLUMNS FROM {self.dialect.qualify(path)}")
        held = {str(row[0]): base_name(str(row[1])) for row in described}
        return [held.get(column.name, "") for column in columns]

    def _accept(self, connection: Any, done: wire.Loaded, columns: Sequence[Column]) -> None:
        """Raise ``RejectedRows`` or ``MissingParent`` for any warning: LOCAL turns errors into warnings."""
        if not done.warnings:
            return
        told = self.run(connection, "SHOW WARNINGS LIMIT 100")
        names = {column.name for column in columns}
        places = {found[1] for row in told if (found := _PLACE.search(str(row[2])))} & names
        codes = sorted({str(row[1]) for row in told})
        waits = all(self.dialect.errors.get(code) is MissingParent for code in codes)
        kind: type[HdmError] = MissingParent if codes and waits else RejectedRows
        raise kind(
            f"the server would alter or skip {done.warnings} values: {', '.join(map(_shown, codes))}"
            + (f" in column {', '.join(sorted(places))}" if places else ""),
            hint=self.dialect.hint(codes[0] if codes else "")
            or "change the target's column so that it takes these values",
        )

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right on the server or the database, else False; a SELECT is tried.

        None (not known) if a role is active: not every version shows the user what a role grants.
        """
        word, _, of = right.partition(" on the ")
        if of != "database":
            return super().has_right(connection, path, right)
        if self._has_role(connection):
            return None
        me = self._me(connection)
        granted = self.run(
            connection,
            "SELECT PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = %s UNION "
            "SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = %s "
            "AND %s LIKE TABLE_SCHEMA",
            (me, me, path[-2]),
        )
        return word in {str(row[0]).upper() for row in granted}

    def _me(self, connection: Any) -> str:
        name, _, host = self.run(connection, "SELECT CURRENT_USER()")[0][0].rpartition("@")
        return f"'{name}'@'{host}'"

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script: the user with its host, the database and the table."""
        known = super().grant_names(connection, path)
        return known | {"user": self._me(connection), "database": self.dialect.quote(path[-2])}

    def _has_role(self, connection: Any) -> bool:
        """Whether a role is active.

        Servers before MySQL 8 and MariaDB 10 have no roles and reject the query.
        """
        try:
            role = self.run(connection, "SELECT CURRENT_ROLE()")[0][0]
        except HdmError:
            return False
        return role not in (None, "", "NONE")

    # -- attempts and swaps -------------------------------------------------------

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """End the connections that have the user locks of older attempts at the same chunk."""
        first = max(1, attempt - _OLD_ATTEMPTS)
        for number in range(first, attempt):
            holder = self.run(connection, "SELECT IS_USED_LOCK(%s)", (self.lock_name(f"{mark}{number}"),))[0][
                0
            ]
            if holder is None:
                continue
            try:
                self.run(connection, f"KILL CONNECTION {int(holder)}")
            except HdmError:
                _LOG.warning("attempt %s%d still holds connection %d", mark, number, int(holder))

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create an empty table ``new`` like the table ``existing``, with its indexes.

        Without an existing one, the columns are those of ``target``. A mark in the comment of ``new`` tells
        later that it was swapped in already; if the target has the mark, nothing is done. DDL commits at
        once.
        """
        mark, comment = f"[hdm:{new[-1]}]", self._comment(connection, target.path)
        if comment.endswith(mark):
            return
        qualified = self.dialect.qualify(new)
        if existing is None:
            self.change(connection, self.dialect.create_table(new, target.columns, target.key))
        else:
            self.change(connection, f"CREATE TABLE {qualified} LIKE {self.dialect.qualify(target.path)}")
        text = f"{_MARK.sub('', comment)} {mark}".strip()
        self.change(connection, f"ALTER TABLE {qualified} COMMENT = {self.dialect.string(text)}")

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """Replace the rows of ``target`` by those of ``new``, by one RENAME that exchanges the tables.

        The RENAME runs on its own database session, since it would commit the caller's ledger row. If
        anything depends on the table, its rows are replaced one by one in the caller's transaction instead.
        Raises ``UsageError`` if ``new`` is gone without having been swapped in.
        """
        held = self.find(connection, target)
        named = self._comment(connection, target).endswith(f"[hdm:{new[-1]}]")
        there = held is not None and held.path[-1] == target[-1]
        if held is not None and there and not named and not self.is_bare(connection, target, new):
            self.refill(connection, held, new)
            return
        own = self.connect("hdm:rename")
        try:
            self.run(own, "SET SESSION lock_wait_timeout = 60")
            if self.find(own, new) is not None:
                if not there:
                    self.change(own, self.dialect.rename_table(new, target[-1]))
                else:
                    self.change(own, self.dialect.drop_table(old))
                    self.change(own, MySQLDialect().swap(target, new, old))
            elif not named:
                raise UsageError(
                    f"{'.'.join(new)} is gone, and {'.'.join(target)} is not it",
                    hint="run again: the table is loaded anew",
                )
            self.change(own, self.dialect.drop_table(old))
        finally:
            own.close()

    def is_bare(self, connection: Any, path: Sequence[str], new: Sequence[str]) -> bool:
        """Return True if ``CREATE TABLE ... LIKE`` copies everything that a table has.

        The table may be renamed then. LIKE does not copy foreign keys in either direction, triggers,
        versions, a comment or a counter. A table whose engine has no transactions is renamed in any case; see
        ``unreplaceable``.
        """
        (kind, transactions, comment, counter, keys, triggers) = self.run(
            connection, catalog.BARE, tuple(path[-2:]) * 4
        )[0]
        if transactions != "YES":
            return True
        own = _MARK.sub("", str(comment or ""))
        return kind == "BASE TABLE" and not own and counter is None and not keys and not triggers

    def unreplaceable(self, connection: Any, path: Sequence[str]) -> list[str]:
        """Return reasons why the table's rows cannot be replaced; none if they can.

        The table may be a view or a sequence, or have triggers and an engine without transactions.
        """
        found = self.run(connection, catalog.BARE, tuple(path[-2:]) * 4)
        if not found:
            return []
        kind, transactions, _, _, _, triggers = found[0]
        if kind not in ("BASE TABLE", "SYSTEM VERSIONED"):
            return [f"it is a {str(kind).lower()}"]
        if transactions != "YES" and triggers:
            return ["it has triggers, and its engine knows no transactions"]
        return []

    def refill(self, connection: Any, held: Table, new: Sequence[str]) -> None:
        """Replace the rows of table ``held`` by those of table ``new``, and keep the table.

        A table that refers to itself is filled with foreign key checks off, since the server checks row by
        row; a query then checks the keys. Raises ``RejectedRows`` if a row refers to one that does not exist.
        """
        outgoing = grouped(self.run(connection, catalog.OUTGOING, tuple(held.path[-2:])))
        if not any(key.table == tuple(held.path[-2:]) for key in outgoing):
            super().refill(connection, held, new)
            return
        self.run(connection, "SET SESSION foreign_key_checks = 0")
        try:
            super().refill(connection, held, new)
        finally:
            self.run(connection, "SET SESSION foreign_key_checks = 1")
        for key in outgoing:
            if count := self._astray(connection, held.path, key):
                raise RejectedRows(
                    f"{held.dataset.name} keeps its rows: {count:,} of the new ones refer to rows of "
                    f"{'.'.join(key.table)} that are not there ({key.name})",
                    hint="load that table first",
                )

    def _astray(self, connection: Any, path: Sequence[str], key: Referring) -> int:
        """Count the rows whose foreign key ``key`` refers to no row."""
        quote, pairs = self.dialect.quote, list(zip(key.columns, key.target, strict=True))
        given = " AND ".join(f"c.{quote(mine)} IS NOT NULL" for mine, _ in pairs)
        same = " AND ".join(f"p.{quote(theirs)} = c.{quote(mine)}" for mine, theirs in pairs)
        found = f"SELECT 1 FROM {self.dialect.qualify(key.table)} p WHERE {same} LOCK IN SHARE MODE"
        rows = f"SELECT COUNT(*) FROM {self.dialect.qualify(path)} c WHERE {given} AND NOT EXISTS ({found})"
        return int(self.run(connection, f"{rows} LOCK IN SHARE MODE")[0][0])

    def referring(self, connection: Any, path: Sequence[str]) -> list[Referring]:
        """Return the foreign keys of other tables that refer to the table.

        If the user sees none, the table's own key is returned: tables that this user may not see can refer to
        it, and their rows must still find the rows that they refer to.
        """
        found = super().referring(connection, path)
        held = None if found else self.find(connection, path)
        return [Referring("", (), (), held.key)] if held is not None and held.key else found

    def _comment(self, connection: Any, path: Sequence[str]) -> str:
        sql = (
            "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
        )
        found = self.run(connection, sql, (path[-2], path[-1]))
        return str(found[0][0] or "") if found else ""


def _texts(batch: pa.RecordBatch, columns: Sequence[Column], natives: Sequence[str]) -> list[pa.Array]:
    parts = zip(batch.columns, columns, natives, strict=True)
    return [text_codec.to_texts(array, column, native) for array, column, native in parts]


def _load_statement(
    dialect: Any, path: Sequence[str], columns: Sequence[Column], natives: Sequence[str]
) -> str:
    """Return the LOAD DATA statement.

    Bytes and bits pass through variables, since LOAD DATA reads text alone.
    """
    fields, settings = [], []
    for number, (column, native) in enumerate(zip(columns, natives, strict=True)):
        name = dialect.quote(column.name)
        if native in _HEX:
            fields.append(f"@v{number}")
            settings.append(f"{name} = UNHEX(@v{number})")
        elif native == "bit":
            fields.append(f"@v{number}")
            settings.append(f"{name} = CAST(CONV(@v{number}, 2, 10) AS UNSIGNED)")
        else:
            fields.append(name)
    tail = f" SET {', '.join(settings)}" if settings else ""
    return (
        f"LOAD DATA LOCAL INFILE 'hdm' INTO TABLE {dialect.qualify(path)} CHARACTER SET utf8mb4 "
        r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
        f"({', '.join(fields)}){tail}"
    )


def _shown(code: str) -> str:
    return f"error {code} ({WORDS[code]})" if code in WORDS else f"error {code}"
