"""Runs a link's ``transform:``, a DuckDB SELECT over one batch at a time; the SQL calls it ``batch``.

The statement may map, cast and filter rows. What would give another result for other batches (aggregates,
LIMIT, DISTINCT, windows, now()) is refused. The schema of the result is found by running the statement once
over an empty batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from hdm.errors import CheckFailed, MissingDriver, UsageError
from hdm.model import Column, Kind, Table
from hdm.runtime.batchwise import depends_on_batches

_KINDS: list[tuple[Any, Kind]] = [
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_int8, Kind.INT8),
    (pa.types.is_int16, Kind.INT16),
    (pa.types.is_int32, Kind.INT32),
    (pa.types.is_int64, Kind.INT64),
    (pa.types.is_float32, Kind.FLOAT32),
    (pa.types.is_float64, Kind.FLOAT64),
    (pa.types.is_decimal, Kind.DECIMAL),
    (pa.types.is_date, Kind.DATE),
    (pa.types.is_time, Kind.TIME),
    (pa.types.is_string, Kind.TEXT),
    (pa.types.is_large_string, Kind.TEXT),
    (pa.types.is_binary, Kind.BINARY),
    (pa.types.is_large_binary, Kind.BINARY),
]


class Transform:
    """A ``transform:`` statement ready to be run; ``table`` is the schema of its result.

    Making one raises ``UsageError`` for a statement that is refused, ``MissingDriver`` without DuckDB.
    """

    def __init__(self, sql: str, table: Table) -> None:
        try:
            import duckdb
        except ImportError as missing:
            raise MissingDriver(
                "transform: needs DuckDB, which is not installed", hint="pip install 'hdm[duckdb]'"
            ) from missing
        self._sql = sql
        self._errors = duckdb.Error
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        self._engine = duckdb.connect(":memory:", config=config)
        self._one_select(sql, table)
        if why := depends_on_batches(sql, tuple(column.name for column in table.columns)):
            raise UsageError(
                f"transform of {table.dataset.name}: {why}: its result would depend on how the rows are cut "
                "into batches, or on when it runs",
                hint="map and filter single rows; do the rest in the source, by query:, or in the target",
            )
        self._engine.execute("SET TimeZone='UTC'")
        self._engine.execute("SET enable_external_access=false")
        try:
            empty = self._run(pa.RecordBatch.from_pylist([], schema=table.schema))
        except duckdb.Error as wrong:
            raise _refused(table, str(wrong).splitlines()[0]) from wrong
        self.table = replace(table, columns=_columns(empty.schema, table), key=_kept_key(empty.schema, table))

    def _one_select(self, sql: str, table: Table) -> None:
        import duckdb

        try:
            found = self._engine.extract_statements(sql)
        except duckdb.Error as wrong:
            raise _refused(table, str(wrong).splitlines()[0]) from wrong
        if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
            raise _refused(table, "it is not one SELECT")

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that the statement makes of a batch: at most as many.

        Raises ``CheckFailed`` if the statement fails on the batch or adds rows.
        """
        try:
            result = self._run(batch)
        except self._errors as wrong:
            raise CheckFailed(f"transform failed: {type(wrong).__name__}") from wrong
        if result.num_rows > batch.num_rows:
            raise CheckFailed(
                f"transform made {result.num_rows} rows of {batch.num_rows}",
                hint="a transform may map and filter rows, not multiply them",
            )
        return result.cast(self.table.schema)

    def _run(self, batch: pa.RecordBatch) -> Any:
        cursor = self._engine.cursor()
        try:
            cursor.execute("SET TimeZone='UTC'")
            cursor.register("batch", pa.Table.from_batches([batch]))
            table: pa.Table = cursor.sql(self._sql).to_arrow_table()
        finally:
            cursor.close()
        if table.num_rows == 0:
            return pa.RecordBatch.from_pylist([], schema=table.schema)
        return table.combine_chunks().to_batches()[0]


def _refused(table: Table, why: str) -> UsageError:
    return UsageError(
        f"transform of {table.dataset.name}: {why}",
        hint="write one SELECT over the rows, e.g. SELECT *, upper(code) AS code2 FROM batch",
    )


def _columns(schema: pa.Schema, table: Table) -> tuple[Column, ...]:
    known = {c.name: c for c in table.columns}
    columns = []
    for field in schema:
        old = known.get(field.name)
        if old is not None and old.type == field.type:
            columns.append(old)
        else:
            columns.append(_column(field))
    return tuple(columns)


def _column(field: pa.Field) -> Column:
    if pa.types.is_timestamp(field.type):
        zoned = field.type.tz is not None
        carrier = pa.timestamp("us", "UTC") if zoned else pa.timestamp("us")
        return Column(field.name, Kind.TIMESTAMPTZ if zoned else Kind.TIMESTAMP, carrier)
    for test, kind in _KINDS:
        if test(field.type):
            digits = {}
            if kind is Kind.DECIMAL:
                digits = {"precision": field.type.precision, "scale": field.type.scale}
            return Column(field.name, kind, field.type, **digits)
    raise UsageError(
        f"transform gives column {field.name} the type {field.type}, which hdm does not carry",
        hint=f"cast it in the transform, e.g. CAST({field.name} AS VARCHAR)",
    )


def _kept_key(schema: pa.Schema, table: Table) -> tuple[str, ...]:
    return table.key if all(name in schema.names for name in table.key) else ()
