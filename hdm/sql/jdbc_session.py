"""Wraps a JDBC connection as a DB-API connection, whose values are texts, bytes and numbers.

Every value but bytes and floats is read by ``getString``, which every driver has, and which passes through no
calendar and no time zone of Java's. Values are bound by their Python type. JDBC:
https://docs.oracle.com/en/java/javase/17/docs/api/java.sql/java/sql/package-summary.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

from hdm.dialects.jdbc import JdbcError
from hdm.sql import jdbc_machine

BYTES = frozenset({-2, -3, -4, 2004})
"""``java.sql.Types`` of bytes: BINARY, VARBINARY, LONGVARBINARY, BLOB."""
FLOATS = frozenset({6, 7, 8})
"""``java.sql.Types`` of floats: FLOAT, REAL, DOUBLE."""
_WHOLE = frozenset({-6, 5, 4, -5})
_DECIMALS = frozenset({2, 3})
_FLAGS = frozenset({16, -7})
_NULL = 0
_FETCH_BYTES = 8 * 1024 * 1024
_FETCH_ROWS = 2000
_NO_COUNT, _FAILED = -2, -3
"""What ``executeBatch`` returns for a row that was stored without a count, and for one that failed."""


@contextmanager
def raised() -> Iterator[None]:
    """Raise Java's exceptions in the ``with`` block as ``JdbcError``, with SQLSTATE and vendor's code."""
    jpype = jdbc_machine.java()
    try:
        yield
    except jpype.JException as error:
        raise translated(jpype, error) from None


def translated(jpype: Any, error: Any) -> JdbcError:
    """Return the ``JdbcError`` for an exception of Java's.

    The first SQLException among it, its causes and its successors that has a SQLSTATE counts: those of a
    batch say little themselves.
    """
    seen, todo, texts = [error], [error], list[str]()
    while todo and len(seen) < 20:
        one = todo.pop(0)
        texts.append(f"{one.getClass().getName()}: {one.getMessage()}")
        follows = [one.getCause()]
        if isinstance(one, jpype.JClass("java.sql.SQLException")):
            follows.append(one.getNextException())
        fresh = [each for each in follows if each is not None and not any(each == known for known in seen)]
        seen += fresh
        todo += fresh
    thrown, text = str(error.getClass().getName()), "; ".join(texts)
    sql = [one for one in seen if isinstance(one, jpype.JClass("java.sql.SQLException"))]
    told = next((one for one in sql if one.getSQLState()), sql[0] if sql else None)
    # the successors of a batch's exception name the row's fault
    if isinstance(error, jpype.JClass("java.sql.BatchUpdateException")):
        told = next((one for one in sql[1:] if one.getSQLState()), told)
    if told is None:
        return JdbcError(text, thrown=thrown)
    return JdbcError(text, str(told.getSQLState() or ""), int(told.getErrorCode()), thrown)


class Session:
    """One JDBC connection, in autocommit until ``begin``."""

    def __init__(self, opened: Any, fetch_size: int | None = None) -> None:
        self.java = opened
        self.fetch_size = fetch_size

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    def begin(self) -> None:
        """Begin a transaction with the next statement."""
        with raised():
            if self.java.getAutoCommit():
                self.java.setAutoCommit(False)

    def commit(self) -> None:
        """Commit the open transaction, and return to autocommit."""
        with raised():
            if not self.java.getAutoCommit():
                self.java.commit()
                self.java.setAutoCommit(True)

    def rollback(self) -> None:
        """Roll back the open transaction, and return to autocommit."""
        with raised():
            if not self.java.getAutoCommit():
                self.java.rollback()
                self.java.setAutoCommit(True)

    def only_read(self) -> None:
        """Ask the driver for a session that only reads; many drivers take it for a hint, some refuse it."""
        with suppress(JdbcError), raised():
            self.java.setReadOnly(True)

    def close(self) -> None:
        """Roll back what is open, and close the connection: some refuse to close within a transaction."""
        with suppress(JdbcError):
            self.rollback()
        with suppress(JdbcError), raised():
            self.java.close()


class Cursor:
    """Runs statements of a session, one after the other."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self.bytes_at: frozenset[int] | None = None
        """Places (from 0) of the columns that are read as bytes; None: those whose JDBC type is one."""
        self._statement: Any = None
        self._result: Any = None
        self._get: list[tuple[Callable[[Any], Any], int]] = []
        self._width = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Run a statement with bound values."""
        self._release()
        with raised():
            java = self.session.java
            if values:
                self._statement = java.prepareStatement(sql)
                bind(self._statement, values)
                self._fetches(_FETCH_ROWS)
                has_rows = self._statement.execute()
            else:
                self._statement = java.createStatement()
                self._statement.setEscapeProcessing(False)
                self._fetches(_FETCH_ROWS)
                has_rows = self._statement.execute(sql)
            if has_rows:
                self._result = self._statement.getResultSet()
                self._describe(self._result.getMetaData())
            else:
                self.rowcount = int(self._statement.getUpdateCount())

    def _fetches(self, rows: int) -> None:
        self._statement.setFetchSize(rows if self.session.fetch_size is None else self.session.fetch_size)

    def _describe(self, meta: Any) -> None:
        """Note names and types of the columns, and how each is read."""
        self.description, self._get = [], []
        wide = False
        for n in range(1, meta.getColumnCount() + 1):
            code, size = int(meta.getColumnType(n)), int(meta.getPrecision(n))
            name, scale = str(meta.getColumnTypeName(n)), int(meta.getScale(n))
            nullable = int(meta.isNullable(n)) != 0
            self.description.append((str(meta.getColumnLabel(n)), code, name, size, scale, nullable))
            as_bytes = code in BYTES if self.bytes_at is None else n - 1 in self.bytes_at
            self._get.append((self._getter(code, as_bytes=as_bytes), n))
            wide = wide or ((as_bytes or code not in FLOATS | _WHOLE | _DECIMALS) and not 0 < size <= 4000)
        if wide and self.session.fetch_size is None:
            self._result.setFetchSize(16)

    def _getter(self, code: int, *, as_bytes: bool) -> Callable[[Any], Any]:
        result = self._result
        if as_bytes:
            return lambda n: None if (found := result.getBytes(n)) is None else bytes(found)
        if code in FLOATS:
            return lambda n: None if (found := result.getObject(n)) is None else float(found)
        return result.getString  # type: ignore[no-any-return]

    def fetchmany(self, size: int) -> list[list[Any]]:
        """Return the next rows, as many as fit into 8 MiB, and ``size`` at most; empty after the last."""
        if self._result is None:
            return []
        rows: list[list[Any]] = []
        taken = 0
        with raised():
            step, get = self._result.next, self._get
            while len(rows) < size and taken < _FETCH_BYTES and step():
                row = [read(n) for read, n in get]
                taken += sum([len(value) for value in row if value.__class__ in (str, bytes)])
                rows.append(row)
        return rows

    def fetchall(self) -> list[list[Any]]:
        """Return all rows that are left, with numbers and booleans as Python's own."""
        rows: list[list[Any]] = []
        while more := self.fetchmany(_FETCH_ROWS):
            rows += more
        made = [_PLAIN.get(code) for _, code, *_ in self.description or ()]
        for row in rows:
            for n, make in enumerate(made):
                if make is not None and row[n] is not None:
                    row[n] = make(row[n])
        return rows

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row, sent as one batch; ``rowcount`` is how many rows were stored.

        A driver that does not count the rows of a batch says so for each; then it counts as one.
        """
        self._release()
        with raised():
            self._statement = self.session.java.prepareStatement(sql)
            for row in rows:
                bind(self._statement, row)
                self._statement.addBatch()
            counts = [int(one) for one in self._statement.executeBatch()]
        if len(counts) != len(rows) or _FAILED in counts:
            raise JdbcError("the driver took another number of rows than it was given")
        self.rowcount = sum(1 if one == _NO_COUNT else one for one in counts)

    def close(self) -> None:
        """Close the statement and its result."""
        with suppress(JdbcError):
            self._release()

    def _release(self) -> None:
        statement, self._statement, self._result, self._get = self._statement, None, None, []
        self.description, self.rowcount = None, -1
        if statement is not None:
            with raised():
                statement.close()


def _flag(text: str) -> bool:
    return text.lower() in ("t", "true", "1")


_PLAIN: dict[int, Callable[[Any], Any]] = {
    **dict.fromkeys(_WHOLE, int), **dict.fromkeys(_DECIMALS, Decimal), **dict.fromkeys(_FLAGS, _flag),
}  # fmt: skip


def bind(statement: Any, values: Sequence[Any]) -> None:
    """Bind values to the marks of a prepared statement, each by its Python type; a decimal by its digits."""
    for n, value in enumerate(values, 1):
        if value is None:
            statement.setNull(n, _NULL)
        elif value.__class__ is str:
            statement.setString(n, value)
        elif value.__class__ is int:
            statement.setLong(n, value)
        elif value.__class__ is float:
            statement.setDouble(n, value)
        elif value.__class__ is bool:
            statement.setBoolean(n, value)
        elif isinstance(value, bytes):
            statement.setBytes(n, value)
        else:
            statement.setString(n, str(value))
