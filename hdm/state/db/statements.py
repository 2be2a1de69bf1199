"""The store's hot statements: compiled once by SQLAlchemy, carried out by the driver itself.

A chunk passes the state database in some twenty small statements. What SQLAlchemy does around
each execution costs the worker several times what the driver's part of it does; its compiler is
what hdm needs of it there. Bound values are text and whole numbers, which no dialect converts.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy.exc import DBAPIError

from hdm.state.db import pg_pipeline

Values = dict[str, Any]


class Prepared:
    """A Core statement with parameters by name, none of them a list. Safe for threads."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self.statement = statement
        self.row: Any = _row_of(statement) if isinstance(statement, Select) else None
        self._texts: dict[tuple[str, tuple[str, ...]], Compiled] = {}

    def run(self, conn: Connection, values: Values) -> int:
        """Carry out a change; how many rows it touched."""
        return together(conn, [(self, values)])[-1].touched

    def first(self, conn: Connection, values: Values) -> Any:
        """The first row of a query, its columns by name; None if there is none."""
        found = self.all(conn, values)
        return found[0] if found else None

    def all(self, conn: Connection, values: Values) -> list[Any]:
        """All rows of a query, their columns by name."""
        return together(conn, [(self, values)])[-1].rows

    def compiled(self, conn: Connection, values: Values) -> Compiled:
        """The statement in the connection's dialect, for values of these names."""
        key = (conn.dialect.name, tuple(values))
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = _compile(self.statement, conn.dialect, values)
        return found


Query = tuple[Prepared, Values]
"""A statement with the values that it is carried out with."""


class Compiled(NamedTuple):
    """One dialect's text; ``order`` of the values where they go by position; ``fixed`` ones."""

    text: str
    order: Sequence[str] | None
    fixed: Values

    def bind(self, values: Values) -> Any:
        """``values`` as the driver takes them."""
        known = {**self.fixed, **values}
        return known if self.order is None else tuple([known[name] for name in self.order])


class Outcome(NamedTuple):
    """A query's ``rows``, or how many rows a change ``touched``."""

    rows: list[Any]
    touched: int


def together(conn: Connection, steps: Sequence[Query], *, last: bool = False) -> list[Outcome]:
    """Carry out the steps in turn, in one round trip where that can be; an outcome for each.

    ``last``: the transaction ends with them, and its COMMIT may go along.
    """
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


def _step(cursor: Any, step: Prepared, compiled: Compiled, values: Values) -> Outcome:
    cursor.execute(compiled.text, compiled.bind(values))
    return Outcome(_named(step, cursor.fetchall()) if step.row else [], cursor.rowcount)


def _named(step: Prepared, rows: Sequence[Any]) -> list[Any]:
    return [step.row._make(row) for row in rows]


def _row_of(query: Select[Any]) -> Any:
    """A tuple with the query's columns by name."""
    make: Any = namedtuple
    return make("Row", [str(column.key) for column in query.selected_columns])


def _compile(statement: Any, dialect: Any, values: Values) -> Compiled:
    if dialect.name == "postgresql":
        dialect = type(dialect)(paramstyle="numeric_dollar")
    keys = list(values) if isinstance(statement, Insert) else None
    made = statement.compile(dialect=dialect, column_keys=keys)
    # Constants that SQLAlchemy puts into the text late (lists of IN, SQL Server's TOP) are in it.
    state = made.construct_expanded_state(values)
    order = tuple(state.positiontup) if made.positional else None
    fixed = {name: value for name, value in state.parameters.items() if name not in values}
    if dialect.name == "postgresql":
        return _with_limits(Compiled(state.statement, order, fixed))
    return Compiled(state.statement, order, fixed)


def _with_limits(compiled: Compiled) -> Compiled:
    """With LIMIT's numbers in the text: PostgreSQL's plan for any number would sort what lies in order."""
    order = list(compiled.order or ())
    text = re.sub(
        r"LIMIT \$(\d+)", lambda at: f"LIMIT {int(compiled.fixed[order[int(at[1]) - 1]])}", compiled.text
    )
    left = sorted({int(number) for number in re.findall(r"\$(\d+)", text)})
    text = re.sub(r"\$(\d+)", lambda at: f"${left.index(int(at[1])) + 1}", text)
    return Compiled(text, [order[number - 1] for number in left], compiled.fixed)


@contextmanager
def _driver(conn: Connection) -> Iterator[Any]:
    """The driver's connection; its errors are raised as SQLAlchemy raises them."""
    dbapi: Any = conn.dialect.loaded_dbapi
    driver: Any = conn.connection.driver_connection
    try:
        yield driver
    except dbapi.Error as error:
        raise DBAPIError.instance(
            None, None, error, dbapi.Error, hide_parameters=True,
            connection_invalidated=conn.dialect.is_disconnect(error, driver, None), dialect=conn.dialect,
        ) from None  # fmt: skip
