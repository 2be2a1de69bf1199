"""Random tables of all types that hdm moves and nobody damages: a comparison must call them equal."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from hdm.dialects.types import Fidelity
from hdm.errors import HdmError, UnrepresentableValue
from hdm.model import Attempt, Kind, Mode, Table
from hdm.proof.compare import compare
from hdm.proof.forms import Accepted, Pair
from hdm.proof.pairing import Wishes, paired
from hdm.proof.result import Comparison, Level
from hdm.proof.side import SqlSide, side_of, sql_side
from tests.conformance.systems import System
from tests.conformance.type_matrix import cases, named, nullable

FLOATS = (Kind.FLOAT32, Kind.FLOAT64)
UNSIGNED = ("sqlite", "mysql")
"""Systems in which zero has no sign."""


@dataclass
class Moved:
    """A table that was moved: its columns, the rows that were moved, and the comparisons at each level.

    ``unread`` are types of columns that the target holds and hdm cannot read there: no comparison was made of
    them, and it says so by an error.
    """

    columns: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    rows: int = 0
    found: list[Comparison] = field(default_factory=list)

    @property
    def alarms(self) -> list[str]:
        return [
            f"{one.level}: {one.missing} missing, {one.extra} extra, {one.changed} changed; {one.schema} "
            f"{[column.column for column in one.columns]} {dict(one.causes)} {list(one.shown)[:3]}"
            for one in self.found
            if not one.equal
        ]


def made(system: System, name: str, draw: random.Random) -> None:
    """Create a table of some columns of the type matrix, with values drawn from there."""
    known = draw.sample(cases(system.name), k=draw.randrange(1, 9))
    keyed = draw.random() < 0.5
    ids = [*range(draw.randrange(0, 40))]
    key = " NOT NULL PRIMARY KEY" if keyed else ""
    if not keyed:
        ids = [draw.choice(ids) for _ in ids]
    columns = ", ".join(f"{case.name} {nullable(system, case.native)}" for case in known)
    system.run(f"CREATE TABLE {name} (id BIGINT{key}, {columns})")
    rows = []
    for number in ids:
        values = [draw.choice(case.rows())[1] for case in known]
        shown = "NULL" if not keyed and draw.random() < 0.1 else str(number - 20)
        rows.append(f"({', '.join([shown, *values])})")
    if rows:
        system.run(f"INSERT INTO {name} VALUES {', '.join(rows)}")


def moved(source: System, sink: System, name: str, target: str, levels: Sequence[Level]) -> Moved:
    """Move a table and compare it; columns that the target refuses, or may alter, stay behind."""
    result = Moved()
    whole: Table = source.source(name).describe()
    lossy = {c.name for c in whole.columns if sink.dialect.stored(c).fidelity is Fidelity.LOSSY}
    result.columns = [c.name for c in whole.columns if c.name not in lossy and c.name != "id"]
    while True:
        try:
            _, path = _take(source, sink, name, target, result)
            break
        except HdmError as error:
            gone = named(error, result.columns)
            if gone is None:
                raise
            result.columns.remove(gone)
    while True:
        try:
            result.found = _compared(source, sink, name, target, result.columns, path, levels)
            return result
        except UnrepresentableValue as error:
            gone = named(error, result.columns)
            assert gone is not None
            result.unread.add(whole.column(gone).native)
            result.columns.remove(gone)
            _, path = _take(source, sink, name, target, result)


def _compared(
    source: System,
    sink: System,
    name: str,
    target: str,
    columns: Sequence[str],
    path: tuple[str, ...],
    levels: Sequence[Level],
) -> list[Comparison]:
    one = source.source(name, columns=["id", *columns])
    table = one.describe()
    floats = [c.name for c in table.columns if c.kind in FLOATS] if sink.name in UNSIGNED else []
    accept = {name: Accepted(zero_sign=True) for name in floats}
    database = sink.sink(table_name=target, key=[]).database
    found = []
    for level in levels:
        wishes = Wishes(level, accept=accept, more_columns=True)
        found.append(compare(side_of(one, table), sql_side(database, path), wishes))
    a, b = side_of(one, table), sql_side(database, path)
    assert isinstance(a, SqlSide)
    wishes = Wishes(Level.ROWS, accept=accept, more_columns=True)
    pairs = paired(a.table, b.table, wishes).pairs
    unspelled = tuple(pair.a.name for pair in pairs if not _is_spelled(pair, a, b))
    if 0 < len(unspelled) < len(table.columns):  # what is left is added up inside, where it was read before
        found.append(compare(a, b, replace(wishes, exclude=unspelled)))
    return found


def _is_spelled(pair: Pair, a: SqlSide, b: SqlSide) -> bool:
    """Whether each system that adds up its rows by itself can spell the column."""
    for side, column, first in ((a, pair.a, True), (b, pair.b, False)):
        dialect, rules = side.database.dialect, pair.accepted.rules(first=first) or ()
        able = dialect.spelled(dialect.quote(column.name), column, pair.form.value, rules)
        if dialect.can_sum and able is None:
            return False
    return True


def _take(
    source: System, sink: System, name: str, target: str, result: Moved
) -> tuple[Table, tuple[str, ...]]:
    """Move the table once, as a run would; return its description and where it lies."""
    there = sink.sink(table_name=target, key=[])
    sink.run(f"DROP TABLE IF EXISTS {target}")
    one = source.source(name, columns=["id", *result.columns])
    table = one.describe()
    job = f"{target} {len(result.columns)}"
    there.prepare(table, job, 1, Mode.APPEND)
    result.rows = 0
    for chunk in one.split(table, one.window(), job, None):
        receipt = there.write(table, chunk, Attempt(1), one.read(table, chunk), Mode.APPEND)
        result.rows += there.publish(table, chunk, receipt).rows
    return table, there.target(table).path
