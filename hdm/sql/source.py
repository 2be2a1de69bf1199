"""SqlSource reads a table or query of any system that has a ``Database`` class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel

from hdm import failpoints
from hdm.components.source import Source
from hdm.config.located import suggest
from hdm.dialects.base import one_predicate
from hdm.dialects.types import SECONDS
from hdm.dialects.user_input import not_columns, one_query, refuse_texts
from hdm.errors import HdmError, PermanentError, SchemaDrift, UnrepresentableValue, UsageError
from hdm.model import Chunk, Column, Dataset, Payload, Table, Tally, Window
from hdm.sql import blame, granted
from hdm.sql import relation as sql_relation
from hdm.sql.chunking import Splitter, SqlRanges, why_not_split
from hdm.sql.cursor import WatermarkConf, hold_to_order
from hdm.sql.database import Database, SqlProfile
from hdm.sql.describe import chosen, first_line, sees_all
from hdm.sql.reach import BehindDatabase
from hdm.sql.sessions import looking
from hdm.sql.source_config import SqlSourceConfig
from hdm.sql.table_name import name_parts
from hdm.sql.window import Increment


class SqlSource(BehindDatabase, Source):
    """Reads one table or query of a SQL database.

    A subclass only has to name its ``Database``. ``hdm.sql.chunking`` plans the chunks. Each chunk is read in
    one transaction, on a shared snapshot if the database has one.
    """

    Config: ClassVar[type[BaseModel]] = SqlSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = SqlProfile
    Database: ClassVar[type[Database]]

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = self.Database.reached(profile)
        self.dialect = self.database.dialect

    @property
    def path(self) -> tuple[str, ...] | None:
        """The full name of the source's table; None for a query."""
        if self.config.table_name is None:
            return None
        parts = name_parts(self.config.table_name)
        if len(parts) == 1 and self.config.schema_name:
            parts = (self.config.schema_name, *parts)
        return self.database.default_path(parts)

    def describe(self) -> Table:
        """Return the table as the catalogue describes it; for a query, the query's columns.

        Raises ``UsageError`` if the user may not read it.
        """
        with looking(self.database, "hdm:describe") as connection:
            table = self._described(connection)
            if self.path is not None and self.database.catalog_lists_unreadable_tables:
                self._may_read(connection, table)
            if self.path is not None and self.dialect.hides_columns and self.config.columns is None:
                sees_all(self.database, connection, table, self._origin(table))
            return table

    def _may_read(self, connection: Any, table: Table) -> None:
        shown = self.dialect.names(column.name for column in table.columns)
        try:
            self.database.run(connection, f"SELECT {shown or 1} FROM {self._origin(table)} WHERE 1 = 0")
        except PermanentError as error:
            raise UsageError(error.message, hint=error.hint) from None

    def ready(self, table: Table) -> None:
        """Check the settings watermark, ``lag``, ``offset`` and ``where`` by queries that read no rows.

        Raises ``UsageError`` for one that the database cannot carry out.
        """
        mark, cursor = self.config.watermark, table.cursor
        if mark and cursor is not None:
            where = f"{self._origin(table)} WHERE {self._filter or '1 = 1'}"
            hold_to_order(self.database, where, table.column(cursor), mark)
            for amount in filter(None, (mark.lag, mark.offset)):
                self.dialect.minus(self.dialect.quote(cursor), amount, table.column(cursor))
        if not self._filter:
            return
        names = [column.name for column in table.columns]
        if self.dialect.unknown_names_are_texts:
            refuse_texts(self.dialect.tokens(self._filter), names)
        try:
            with looking(self.database, "hdm:ready") as connection:
                origin = self._origin(table)
                self.database.run(connection, f"SELECT 1 FROM {origin} WHERE {self._filter} AND 1 = 0")
        except PermanentError as error:
            wrong = not_columns(self.dialect.tokens(self._filter), names)
            raise UsageError(
                f"{table.dataset.name}: {wrong}the database refuses where: {first_line(error)}",
                hint=f"write a condition, as in SQL's WHERE, over the columns {', '.join(names[:20])}",
            ) from None

    def _described(self, connection: Any) -> Table:
        mark = self.config.watermark
        cursor = mark.column if mark else None
        if self.path is None:
            columns = self._columns_of_query(connection)
            dataset = Dataset(self.database.dataset(("",)).namespace, f"query.{self.name}")
            table = Table(dataset, (self.name,), columns)
        else:
            found = self.database.find(connection, self.path)
            if found is None:
                place = self.database.dataset(self.path).namespace
                raise UsageError(
                    f"there is no table {'.'.join(self.path)} in {place}",
                    hint=self._like(connection)
                    or "check table_name, the profile's database, and the grants of its user",
                )
            table = found
        columns = self._shown(table.columns)
        names = {column.name for column in columns}
        if cursor is not None and cursor not in names:
            cursor = next((n for n in sorted(names) if n.lower() == cursor.lower()), cursor)
            if cursor not in names:
                raise UsageError(
                    f"{table.dataset.name} has no column {cursor!r} to be its watermark",
                    hint="watermark.column names one of: " + ", ".join(c.name for c in columns),
                )
        key = table.key if set(table.key) <= names else ()
        return replace(table, columns=columns, key=key, cursor=cursor)

    def hold_to_plan(self, connection: Any, table: Table, chunk: Chunk) -> None:
        """Raise an error unless a chunk's rows can be read as they were planned.

        ``SchemaDrift`` if columns or types differ, ``SourceChanged`` if it is another table.
        """
        now = None if self.path is None else self.database.columns_of(connection, table.path)
        found = self._described(connection) if now is None else replace(table, columns=self._shown(now))
        if found.schema_sha != table.schema_sha:
            raise SchemaDrift(
                f"{table.dataset.name} is not as it was when planned: columns or types differ",
                hint="plan again, or set schema_policy",
            )
        sql_relation.hold(self.database, connection, table, self._origin(table), self.path, chunk)

    def _shown(self, columns: Sequence[Column]) -> tuple[Column, ...]:
        """Return the columns that are to be read, with the types that ``types:`` gives."""
        typed = [self._typed(column) for column in columns]
        return tuple(typed) if self.config.columns is None else chosen(typed, self.config.columns)

    def _like(self, connection: Any) -> str | None:
        """Return a hint that names a similar table, if there is one; else None."""
        assert self.path is not None
        near: list[str] = []
        with suppress(HdmError):
            near = [path[-1] for path in self.database.tables_like(connection, self.path, "")]
        found = suggest(self.path[-1], near)
        return found if found and found.startswith("did") else None

    def _columns_of_query(self, connection: Any) -> tuple[Column, ...]:
        try:
            return self.database.query_columns(connection, self._query)
        except PermanentError as error:
            raise UsageError(
                f"the database refuses query: {first_line(error)}", hint="write one SELECT that it can run"
            ) from None

    def _typed(self, column: Column) -> Column:
        native = self.config.types.get(column.name)
        if native is None:
            return column
        made = self.dialect.column_from_catalog(column.name, native, nullable=column.nullable)
        coarser = made.kind in SECONDS and made.kind is column.kind and made.precision is not None
        if coarser and (made.precision or 0) < (column.precision or 0):  # what is finer must not be cut
            return replace(made, native=column.native)
        return made

    def snapshot(self) -> AbstractContextManager[str | None]:
        """Hold a consistent view for the ``with`` block; give its token, None if sessions cannot share it."""
        return self.database.snapshot(self.path)

    def window(self) -> Window:
        """Return the configured watermark and chunk size, with nothing committed yet."""
        mark, chunk = self.config.watermark or WatermarkConf(), self.config.chunk
        return Window(
            column=self.describe().cursor if mark.column else None,
            lag=mark.lag if mark.lag not in ("0", "") else None,
            offset=mark.offset if mark.offset not in ("0", "") else None,
            rows_per_chunk=chunk.rows if chunk else None,
            bytes_per_chunk=chunk.bytes if chunk else None,
            on_missing=self.config.on_missing,
            top=mark.max,
            utc=mark.zone is not None,
        )

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Cut the rows of ``window`` into chunks, in one snapshot of the source, and yield these."""
        window = replace(
            window,
            rows_per_chunk=window.rows_per_chunk or (self.config.chunk and self.config.chunk.rows),
            bytes_per_chunk=window.bytes_per_chunk or (self.config.chunk and self.config.chunk.bytes),
        )
        with looking(self.database, "hdm:split") as connection:
            if snapshot is not None:
                self.database.join(connection, snapshot, table, None)
            origin, where = self._origin(table), self._filter
            relation = sql_relation.planned(self.database, connection, table, origin, self.path, snapshot)
            exact = (
                None
                if snapshot is None
                else sql_relation.is_steady(self.database, connection, table, self.path, where)
            )
            kind = Increment if window.column else Splitter
            ranges = SqlRanges(self.database, connection, table, origin, where)
            splitter = kind(ranges, table, window, relation, exact, filtered=bool(where))
            yield from splitter.chunks(job_key, snapshot)

    def why_not_split(self, table: Table, chunks: Sequence[Chunk]) -> str | None:
        """Return a warning if a large table is one chunk because it has no key to split by; else None."""
        wanted = self.config.chunk
        return wanted and why_not_split(self.dialect, table, chunks, wanted.rows, wanted.bytes)

    def is_empty(self, table: Table) -> bool:
        """Return True if the table or query has no rows now, else False, by ``COUNT(*)``."""
        with looking(self.database, "hdm:count") as connection:
            where = f" WHERE {self._filter}" if self._filter else ""
            counted = f"SELECT COUNT(*) FROM {self._origin(table)}{where}"
            return int(self.database.run(connection, counted)[0][0]) == 0

    def leaving_out(self, columns: Collection[str]) -> SqlSource:
        """Return a source that reads all columns except ``columns``."""
        kept = {"columns": [one.name for one in self.describe().columns if one.name not in columns]}
        return type(self)(self.config.model_copy(update=kept), self.profile, name=self.name)

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Return the chunk's rows, which are read by one SELECT in one transaction.

        Reading raises ``SchemaDrift`` if columns or types differ, ``SourceChanged`` if it is another table.
        """
        payload = Payload(table, lambda: self._batches(table, chunk, payload.tally))
        return payload

    def _batches(self, table: Table, chunk: Chunk, tally: Tally) -> Iterator[pa.RecordBatch]:
        connection = self.database.connect("hdm:read")
        try:
            self.database.begin(connection)
            if chunk.snapshot is not None:
                tally.anew = not self.database.join(connection, chunk.snapshot, table, chunk)
            self.hold_to_plan(connection, table, chunk)
            yield from self._streamed(connection, table, chunk)
        finally:
            connection.close()

    def _streamed(self, connection: Any, table: Table, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        batches = self.database.stream(connection, self.select(table, chunk), table.columns)
        while True:
            try:
                batch = next(batches, None)
            except UnrepresentableValue as error:
                blame.named(error, blame.unreadable(self, table, chunk))
                raise
            if batch is None:
                return
            failpoints.point("C3")
            yield batch

    def select(self, table: Table, chunk: Chunk) -> str:
        """Return the SELECT statement that reads a chunk."""
        return self.selecting(table, chunk, table.columns)

    def selecting(self, table: Table, chunk: Chunk, columns: Sequence[Column], also: str = "") -> str:
        """Return the SELECT that reads some columns of a chunk's rows; ``also``: one more SQL condition."""
        shown = ", ".join(
            f"{self.dialect.select_expression(c)} AS {self.dialect.quote(c.name)}" for c in columns
        )
        parts = [self._filter, self.dialect.predicate(chunk.conditions, table), also]
        where = " AND ".join(filter(None, parts))
        return f"SELECT {shown} FROM {self._origin(table)}" + (f" WHERE {where}" if where else "")

    @property
    def _query(self) -> str:
        known = self.dialect
        return one_query(str(self.config.query), known.tokens, known.acting, known.table_functions)

    @property
    def _filter(self) -> str:
        return f"({one_predicate(self.config.where)})" if self.config.where else ""

    def _origin(self, table: Table) -> str:
        if self.config.query is not None:
            return self.dialect.derived(self._query)
        return self.dialect.qualify(table.path)

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of tests for ``hdm doctor``: connection, and the table's description."""
        return granted.of_source(self.database, self.path, self.grant_parts, self.describe)

    @property
    def grant_parts(self) -> tuple[str, ...]:
        """The parts of the system's grants script whose rights this source needs."""
        return ("query",) if self.path is None else ("source",)
