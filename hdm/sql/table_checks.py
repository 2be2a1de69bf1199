"""The built-in checks of whole tables; each sends one query to the target, after the load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field

from hdm.components.check import Check, CheckConfig
from hdm.dialects.user_input import seconds
from hdm.errors import HdmError, UsageError
from hdm.model import Kind, Table
from hdm.sql.database import Database
from hdm.sql.sessions import looking
from hdm.sql.table_name import TableNameLike, name_parts

_MOMENTS = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


class TableCheck(Check):
    """Tests a rule on a whole table of the target, by a query to the target's database.

    The table is asked as the run leaves it, so that rows of earlier runs, and of others, count.
    """

    @property
    def of_table(self) -> bool:
        """True: the rule is about the whole table, which ``ask`` looks at after the load."""
        return True

    def observe(self, batch: pa.RecordBatch) -> None:
        """Do nothing, since the rows are not looked at on their way."""

    def verdict(self) -> str | None:
        """Return None: ``ask`` gives the verdict."""
        return None

    @abstractmethod
    def ask(self, database: Database, connection: Any, target: Table) -> str | None:
        """Query the target; return what breaks the rule, as counts and names; None if nothing does.

        ``target`` has the columns of the check's own table, in their order, as the database spells them.
        Raises ``HdmError`` if the database cannot tell.
        """

    def named(self, target: Table, name: str) -> str:
        """Return the name that the target gives to a column of the check's own table."""
        place = [column.name for column in self.table.columns].index(name)
        return target.columns[place].name


class Unique(TableCheck):
    """Check that no value occurs twice in the target, or within a chunk; NULLs are not compared."""

    class Config(CheckConfig):
        """Configuration of ``Unique``: ``column`` is the column whose values must differ."""

        column: str
        """Names the column in which no value may stand twice; NULLs are not compared."""
        also: list[str] = Field(default_factory=list)
        """Further columns: only their values together with that of ``column`` must differ. Left out, none."""
        over: Literal["table", "chunk"] = "table"
        """``table`` asks the target for values that stand twice in it when the load has ended, compared as
        the target compares them; ``chunk`` compares the rows of each chunk before they are loaded. Left out,
        ``table``, which needs a target of SQL."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        for name in config.also:
            self.has_column(name)
        self.names = [config.column, *config.also]
        if len(set(self.names)) < len(self.names):
            raise self.refused(f"also names {config.column} or another column again", "name each column once")
        self.parts: list[pa.RecordBatch] = []

    @property
    def of_table(self) -> bool:
        """True unless the configuration says ``over: chunk``."""
        return bool(self.config.over == "table")

    def observe(self, batch: pa.RecordBatch) -> None:
        """Keep the columns of one batch for ``verdict``; with ``over: table``, do nothing."""
        if not self.of_table:
            self.parts.append(batch.select(self.names))

    def verdict(self) -> str | None:
        """Return a text with the number of duplicate values in the chunk; None if there were none."""
        if not self.parts:
            return None
        rows = pa.Table.from_batches(self.parts)
        for name in self.names:
            rows = rows.filter(pc.is_valid(rows.column(name)))
        again = rows.num_rows - rows.group_by(self.names).aggregate([]).num_rows
        return f"{again} values of {self._said} come again" if again else None

    def ask(self, database: Database, connection: Any, target: Table) -> str | None:
        """Return a text with the number of duplicate values in the target; None if there are none."""
        dialect = database.dialect
        names = [dialect.quote(self.named(target, name)) for name in self.names]
        listed, counted = ", ".join(names), dialect.quote("n")
        each = (
            f"SELECT COUNT(*) AS {counted} FROM {dialect.qualify(target.path)} "
            f"WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names)} "
            f"GROUP BY {listed} HAVING COUNT(*) > 1"
        )
        sql = f"SELECT COUNT(*), SUM({counted}) FROM {dialect.derived(each)}"
        values, rows = database.run(connection, sql)[0]
        if not values:
            return None
        return f"{int(values)} values of {self._said} stand in {int(rows)} rows of the table"

    @property
    def _said(self) -> str:
        return self.names[0] if len(self.names) == 1 else f"({', '.join(self.names)})"


class RowCount(TableCheck):
    """Check that each chunk, or the whole target, has at least ``min`` and at most ``max`` rows."""

    class Config(CheckConfig):
        """Configuration of ``RowCount``: ``min`` and ``max``, in rows, both included."""

        min: Annotated[int, Field(ge=0)] = 0
        """Least number of rows that a chunk, or the table, may have; left out, 0."""
        max: Annotated[int, Field(ge=0)] | None = None
        """Greatest number of rows that a chunk, or the table, may have; left out, any number."""
        over: Literal["chunk", "table"] = "chunk"
        """``chunk`` counts the rows of each chunk on their way, ``table`` all rows of the target when the
        load has ended, which needs a target of SQL. Left out, ``chunk``."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        if config.max is not None and config.min > config.max:
            raise self.refused("min is greater than max", "exchange them")
        self.rows = 0

    @property
    def of_table(self) -> bool:
        """True if the configuration says ``over: table``."""
        return bool(self.config.over == "table")

    @property
    def judges_parts(self) -> bool:
        """False: the number of rows of a part says nothing about the chunk's."""
        return False

    def observe(self, batch: pa.RecordBatch) -> None:
        """Add the rows of one batch to the chunk's count."""
        self.rows += batch.num_rows

    def verdict(self) -> str | None:
        """Return a text with the chunk's number of rows if that is out of bounds; else None."""
        return self._judged(self.rows)

    def ask(self, database: Database, connection: Any, target: Table) -> str | None:
        """Return a text with the target's number of rows if that is out of bounds; else None."""
        counted = f"SELECT COUNT(*) FROM {database.dialect.qualify(target.path)}"
        return self._judged(int(database.run(connection, counted)[0][0]))

    def _judged(self, rows: int) -> str | None:
        high = self.config.max
        if rows < self.config.min or (high is not None and rows > high):
            return f"{rows} rows, expected {self.config.min} to {high if high is not None else 'any'}"
        return None


def _is_duration(value: str) -> str:
    try:
        seconds(value)
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return value


class Freshness(TableCheck):
    """Check that the newest date or time in a column of the target is not older than ``max_age``."""

    class Config(CheckConfig):
        """Configuration of ``Freshness``: ``column`` and ``max_age``."""

        column: str
        """Names the column of dates or times, those without a zone in UTC, of which the newest counts."""
        max_age: Annotated[str, AfterValidator(_is_duration)]
        """Greatest age of the newest value when the load has ended, by the clock of the target's server: a
        duration such as ``90s``, ``15m``, ``2h`` or ``1d``; of a column of dates, its day."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        column = table.column(config.column)
        if column.kind not in _MOMENTS or pa.types.is_string(column.type):
            raise self.refused(
                f"{column.name} ({column.kind.value}) is no date or timestamp", "name a column of such a type"
            )

    def ask(self, database: Database, connection: Any, target: Table) -> str | None:
        """Return a text if no row of the target is young enough; else None."""
        dialect, kind = database.dialect, self.table.column(self.config.column).kind
        at = [column.name for column in self.table.columns].index(self.config.column)
        column = replace(target.columns[at], kind=kind)
        oldest = database.now(connection) - timedelta(seconds=seconds(self.config.max_age))
        if kind is Kind.DATE:
            limit = dialect.literal(dialect.day(oldest.date(), column), column)
        else:
            midnight = oldest.date() + timedelta(days=1)
            ahead = 86400.0 - (oldest.hour * 3600 + oldest.minute * 60 + oldest.second)
            limit = dialect.earlier(dialect.literal(dialect.day(midnight, column), column), ahead, column)
        name = dialect.qualify(target.path)
        young = f"SELECT COUNT(*) FROM {name} WHERE {dialect.comparable(column)} >= {limit}"
        if int(database.run(connection, young)[0][0]):
            return None
        return f"no value of {self.config.column} is younger than {self.config.max_age}"


class InTable(TableCheck):
    """Check that every value of a column is in a column of another table of the target; NULLs pass."""

    class Config(CheckConfig):
        """Configuration of ``InTable``: ``column``, ``table`` and ``field``."""

        column: str
        """Names the column whose values must stand in the other table; NULLs pass."""
        table: TableNameLike
        """Names the other table of the target: ``schema.table``, ``[schema, table]`` or ``{schema,
        table}``."""
        field: str | None = None
        """Names the other table's column, as the target spells it; left out, it has the name that the target
        gives to ``column``."""

    def __init__(self, config: Any, table: Table) -> None:
        super().__init__(config, table)
        name_parts(config.table)

    def ask(self, database: Database, connection: Any, target: Table) -> str | None:
        """Return a text with the number of rows whose value the other table lacks; None if there are none."""
        dialect, name = database.dialect, self.named(target, self.config.column)
        parts = name_parts(self.config.table)
        path = (*target.path[: -len(parts)], *parts) if len(parts) < len(target.path) else parts
        field = self.config.field or name
        held, fold = database.find(connection, path), dialect.folded
        if held is None:
            raise UsageError(
                f"there is no table {'.'.join(parts)}", hint="load it in the same run, or before"
            )
        if fold(field) not in {fold(column.name) for column in held.columns}:
            raise UsageError(f"{'.'.join(parts)} has no column {field!r}", hint="name its column as field:")
        here, there = f"hdm_t.{dialect.quote(name)}", f"hdm_r.{dialect.quote(field)}"
        sql = (
            f"SELECT COUNT(*) FROM {dialect.qualify(target.path)} hdm_t WHERE {here} IS NOT NULL "
            f"AND NOT EXISTS (SELECT 1 FROM {dialect.qualify(path)} hdm_r WHERE {there} = {here})"
        )
        missing = int(database.run(connection, sql)[0][0])
        if not missing:
            return None
        return f"{missing} rows have a {self.config.column} that {'.'.join(parts)} does not have"


def asked(database: Database, target: Table, checks: Sequence[TableCheck]) -> list[str | None]:
    """Check each rule in one session with the target; return what breaks it, None for one that holds.

    ``target`` is the table as the sink stores it. Raises ``HdmError`` if the database cannot tell.
    """
    with looking(database, "hdm:checks") as connection:
        held, fold = database.find(connection, target.path), database.dialect.folded
        if held is None:
            raise UsageError(f"there is no table {target.dataset.name}", hint="run the manifest first")
        there = {fold(column.name): column.name for column in held.columns}
        columns = tuple(replace(one, name=there.get(fold(one.name), one.name)) for one in target.columns)
        spelled = replace(target, path=held.path, columns=columns)
        found = []
        for check in checks:
            try:
                found.append(check.ask(database, connection, spelled))
            except HdmError as error:
                error.message = f"{type(check).__name__}: {error.message}"
                raise
        return found
