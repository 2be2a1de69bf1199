"""Runs the state's most frequent statements: SQLAlchemy compiles each once, the driver executes it directly.

A chunk needs some twenty small statements. SQLAlchemy's work around each execution costs several times what
the driver's part does, so only its compiler is used. Bound values are text and integers, which no dialect
converts. With ``HDM_STATE_PLAIN=1`` SQLAlchemy executes them, too.
"""

from __future__ import annotations

import os
import re
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.exc import DBAPIError

from hdm.errors import UsageError
from hdm.state.db import pg_pipeline

Values = dict[str, Any]
PLAIN = {"hdm_plain": True, "preserve_rowcount": True}
"""Execution options of an engine whose statements SQLAlchemy executes; the second one is its own, and keeps
the number of rows that an INSERT touched."""


def plain_is_wanted() -> bool:
    """Return True if ``HDM_STATE_PLAIN`` is 1: then SQLAlchemy executes all statements of the state.

    False if it is 0, empty or not set. Raises ``UsageError`` for any other value.
    """
    given = os.environ.get("HDM_STATE_PLAIN", "")
    if given not in ("", "0", "1"):
        raise UsageError(f"HDM_STATE_PLAIN is {given!r}", hint="write 1 for plain SQLAlchemy, or unset it")
    return given == "1"


class Prepared:
    """A SQLAlchemy statement that is compiled once, for use by any thread.

    Its parameters are named, and none of them is a list.
    """

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self.statement = statement
        self.row: Any = _row_of(statement) if isinstance(statement, Select) else None
        self._texts: dict[tuple[str, tuple[str, ...]], Compiled] = {}

    def run(self, conn: Connection, values: Values) -> int:
        """Run a statement that changes rows; return how many rows it changed."""
        return together(conn, [(self, values)])[-1].touched

    def first(self, conn: Connection, values: Values) -> Any:
        """Run a query; return its first row, with columns by name, or None if there is none."""
        found = self.all(conn, values)
        return found[0] if found else None

    def all(self, conn: Connection, values: Values) -> list[Any]:
        """Run a query; return all its rows, with columns by name."""
        return together(conn, [(self, values)])[-1].rows

    def compiled(self, conn: Connection, values: Values) -> Compiled:
        """Return the statement compiled for the connection's system and for parameters of these names."""
        key = (conn.dialect.name, tuple(values))
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = _compile(self.statement, conn.dialect, values)
        return found


Query = tuple[Prepared, Values]
"""A statement with the values to run it with."""


class Compiled(NamedTuple):
    """A statement's text for one database system.

    ``order`` lists the parameters if they are positional, ``fixed`` are values that belong to the statement.
    """

    text: str
    order: Sequence[str] | None
    fixed: Values

    def bind(self, values: Values) -> Any:
        """Return parameter values as the driver takes them: by name, or in order if they are positional."""
        known = {**self.fixed, **values}
        return known if self.order is None else tuple([known[name] for name in self.order])


class Outcome(NamedTuple):
    """Result of one statement: the ``rows`` of a query, or how many rows a change ``touched``."""

    rows: list[Any]
    touched: int


def together(conn: Connection, steps: Sequence[Query], *, last: bool = False) -> list[Outcome]:
    """Run statements in order and return a result for each.

    They take one network round trip if the driver can. ``last``: the transaction ends with them, so that its
    COMMIT may be sent along.
    """
    if "hdm_plain" in conn.get_execution_options():
        return [_plainly(conn, *one) for one in steps]
    ready = [(step, step.compiled(conn, values), values) for step, values in steps]
    with _driver(conn) as driver:
        if conn.dialect.name == "postgresql":
            sent = [(one.text, one.bind(values)) for _, one, values in ready]
            answers = pg_pipeline.carry_out(driver, sent, commit=last)
            return [
                Outcome(_named(step, a.rows), a.touched)
                for (step, _, _), a in zip(ready, answers, strict=True)
            ]
        cursor = driver.cursor()
        try:
            return [_step(cursor, *one) for one in ready]
        finally:
            cursor.close()


def _plainly(conn: Connection, step: Prepared, values: Values) -> Outcome:
    """Run one step by SQLAlchemy alone; the caller's transaction commits it."""
    done = conn.execute(step.statement, values)
    return Outcome(_named(step, [tuple(row) for row in done]) if step.row else [], done.rowcount)


def _step(cursor: Any, step: Prepared, compiled: Compiled, values: Values) -> Outcome:
    cursor.execute(compiled.text, compiled.bind(values))
    return Outcome(_named(step, cursor.fetchall()) if step.row else [], cursor.rowcount)


def _named(step: Prepared, rows: Sequence[Any]) -> list[Any]:
    return [step.row._make(row) for row in rows]


def _row_of(query: Select[Any]) -> Any:
    """Return a named tuple class with the query's columns."""
    make: Any = namedtuple
    return make("Row", [str(column.key) for column in query.selected_columns])


def _compile(statement: Any, dialect: Any, values: Values) -> Compiled:
    if dialect.name == "postgresql":
        dialect = type(dialect)(paramstyle="numeric_dollar")
    keys = list(values) if isinstance(statement, Insert) else None
    made = statement.compile(dialect=dialect, column_keys=keys)
    # Constants that SQLAlchemy adds to the text late (IN lists, SQL Server's TOP) are included.
    state = made.construct_expanded_state(values)
    order = tuple(state.positiontup) if made.positional else None
    fixed = {name: value for name, value in state.parameters.items() if name not in values}
    if dialect.name == "postgresql":
        return _with_limits(Compiled(state.statement, order, fixed))
    return Compiled(state.statement, order, fixed)


def _with_limits(compiled: Compiled) -> Compiled:
    """Write LIMIT's numbers into the text.

    With a placeholder PostgreSQL plans for any number, and would sort rows that the index already has in
    order.
    """
    order = list(compiled.order or ())
    text = re.sub(
        r"LIMIT \$(\d+)", lambda at: f"LIMIT {int(compiled.fixed[order[int(at[1]) - 1]])}", compiled.text
    )
    left = sorted({int(number) for number in re.findall(r"\$(\d+)", text)})
    text = re.sub(r"\$(\d+)", lambda at: f"${left.index(int(at[1])) + 1}", text)
    return Compiled(text, [order[number - 1] for number in left], compiled.fixed)


@contextmanager
def _driver(conn: Connection) -> Iterator[Any]:
    """Yield the driver's connection; raise its errors as SQLAlchemy would."""
    dbapi: Any = conn.dialect.loaded_dbapi
    driver: Any = conn.connection.driver_connection
    try:
        yield driver
    except dbapi.Error as error:
        raise DBAPIError.instance(
            None, None, error, dbapi.Error, hide_parameters=True,
            connection_invalidated=conn.dialect.is_disconnect(error, driver, None), dialect=conn.dialect,
        ) from None  # fmt: skip
