"""Reads rows through ODBC: in bulk by arrow-odbc, or row by row by pyodbc where bulk reads could fail.

arrow-odbc binds buffers of a fixed width. It is given the schema, since its own guess reads psqlODBC's
float8 as float32 and aborts the process on some fixed-width binaries. It is also given the width of the
query's widest value, since drivers report no bound for long types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.dialects.odbc import wire
from hdm.dialects.odbc_facts import OdbcFacts
from hdm.errors import MissingDriver
from hdm.model import Column, Kind

BATCH_BYTES, BATCH_ROWS = 32 * 1024 * 1024, 65_536
WIDEST = 1024 * 1024
"""Values above this many bytes are fetched row by row."""
_MODE_READ_ONLY = 1
"""ODBC's SQL_MODE_READ_ONLY."""
_FETCH_BYTES = 8 * 1024 * 1024
_BOUNDED_TEXT, _BOUNDED_BINARY = 4000, 8000
_ZONED = r"([+-]\d\d(:?\d\d){0,2}|Z)( BC)?$"


def only_reads(connection: Any) -> None:
    """Ask the driver for a read-only connection; some drivers then refuse writes, others ignore it.

    https://learn.microsoft.com/en-us/sql/odbc/reference/syntax/sqlsetconnectattr-function
    """
    import pyodbc

    with suppress(pyodbc.Error):
        connection.set_attr(pyodbc.SQL_ATTR_ACCESS_MODE, _MODE_READ_ONLY)


def modules() -> tuple[Any, Any]:
    """Import and return ``pyodbc`` and ``arrow_odbc``.

    Raises ``MissingDriver`` if one of them, or the ODBC driver manager, is not installed.
    """
    try:
        import pyodbc

        import arrow_odbc  # isort: skip -- its error does not name the missing library
    except OSError:
        raise _no_driver_manager() from None
    except ImportError as error:
        if "libodbc" in str(error):
            raise _no_driver_manager() from None
        raise MissingDriver(
            f"the ODBC modules are not installed: {error.name}", hint="pip install 'hdm[odbc]'"
        ) from None
    pyodbc.pooling = False
    return pyodbc, arrow_odbc


def _no_driver_manager() -> MissingDriver:
    return MissingDriver(
        "the ODBC driver manager (libodbc) is not installed",
        hint="install unixODBC with the system's package manager, e.g. apt-get install unixodbc",
    )


def unbounded(facts: OdbcFacts, columns: Sequence[Column]) -> list[Column]:
    """Return the columns whose values have no known greatest width.

    Their widest value must be measured before a bulk read.
    """
    found = []
    for column in columns:
        carried = wire(facts, column)
        fixed = column.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID)
        if pa.types.is_string(carried) and not fixed:
            bounded = column.length and column.length <= _BOUNDED_TEXT
            if not bounded and not (column.kind is Kind.DECIMAL and column.precision):
                found.append(column)
        elif pa.types.is_binary(carried) and not (column.length and column.length <= _BOUNDED_BINARY):
            found.append(column)
    return found


def bulk(
    connection: Any, sql: str, columns: Sequence[Column], facts: OdbcFacts, widest: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a query as batches, read by arrow-odbc in bulk.

    ``widest`` is the size of the buffers for one value, in bytes.
    """
    schema = pa.schema([pa.field(c.name, wire(facts, c)) for c in columns])
    options = {}
    if facts.wide_text:
        _, arrow_odbc = modules()
        options["payload_text_encoding"] = arrow_odbc.TextEncoding.UTF16
    reader = connection.read_arrow_batches(
        sql,
        batch_size=BATCH_ROWS,
        max_bytes_per_batch=BATCH_BYTES,
        max_text_size=max(widest, _BOUNDED_TEXT * 4),
        max_binary_size=max(widest, _BOUNDED_BINARY),
        schema=schema,
        fetch_concurrently=True,
        **options,
    )
    for batch in reader:
        yield carried(batch, columns)


def one_by_one(
    cursor: Any, columns: Sequence[Column], facts: OdbcFacts, widest: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an executed pyodbc cursor as batches of bounded size.

    ``widest`` is the width in bytes of the widest value.
    """
    schema = pa.schema([pa.field(c.name, wire(facts, c)) for c in columns])
    wired = [Column(c.name, c.kind, field.type) for c, field in zip(columns, schema, strict=True)]
    decoders = {c.name: _decoder(c.type) for c in wired}
    step = rows_within(_FETCH_BYTES, widest)
    while True:
        found = cursor.fetchmany(step)
        if not found:
            return
        batch = row_codec.to_batch(found, wired, decoders)
        yield carried(batch, columns)


def rows_within(size: int, widest: int) -> int:
    """Return how many rows of ``widest`` bytes plus 1 KiB fit into ``size`` bytes, between 1 and 5,000."""
    return max(min(5000, size // (widest + 1024)), 1)


def input_sizes(values: Sequence[Sequence[Any]], *, every: bool = False) -> tuple[list[Any], int]:
    """Return pyodbc's input size for each column, and an estimate of the widest row's bytes.

    ``values`` has a sequence of cells for each column. A column of texts or bytes gets ``(SQL type, length,
    0)``; the length is the greatest one, in UTF-16 units or in bytes. Without it, pyodbc asks the driver, and
    some drivers give too small a size or none. Any other column counts as 16 bytes, and gets None; with
    ``every`` it gets a type too, so that no wrong one is taken: bigint, float or bit by its first value, and
    varchar if it has no value. Raises ``MissingDriver`` if the ODBC modules are not installed.
    """
    pyodbc, _ = modules()
    others = {
        bool: (pyodbc.SQL_BIT, 1, 0),
        int: (pyodbc.SQL_BIGINT, 19, 0),
        float: (pyodbc.SQL_DOUBLE, 53, 0),
    }
    unknown = (pyodbc.SQL_VARCHAR, 1, 0)
    sizes: list[Any] = []
    width = 1
    for cells in values:
        first = next((cell for cell in cells if cell is not None), None)
        if isinstance(first, str):
            units = max(len(cell.encode("utf-16-le")) // 2 for cell in cells if cell is not None) or 1
            sizes.append((pyodbc.SQL_WVARCHAR if units <= 4000 else pyodbc.SQL_WLONGVARCHAR, units, 0))
            width += 4 * units
        elif isinstance(first, bytes):
            octets = max(len(cell) for cell in cells if cell is not None) or 1
            sizes.append((pyodbc.SQL_VARBINARY if octets <= 8000 else pyodbc.SQL_LONGVARBINARY, octets, 0))
            width += octets
        else:
            sizes.append(others.get(type(first), unknown) if every else None)
            width += 16
    return sizes, width


def carried(batch: pa.RecordBatch, columns: Sequence[Column]) -> pa.RecordBatch:
    """Return a batch with its columns cast to their Arrow types.

    Raises ``UnrepresentableValue``, which names the column, if a value does not fit.
    """
    arrays = []
    for array, column in zip(batch.columns, columns, strict=True):
        try:
            arrays.append(_cast(array, column.type))
        except (ValueError, TypeError, OverflowError, pa.ArrowException):
            raise row_codec.unrepresentable(column.name, f"a value does not fit {column.type}") from None
    fields = [pa.field(c.name, c.type, c.nullable) for c in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if pa.types.is_large_string(array.type) and not pa.types.is_string(kind):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        if pa.types.is_timestamp(kind) and kind.tz and not _is_zoned(array):
            return temporal.from_texts(array, pa.timestamp(kind.unit)).cast(kind)
        if pa.types.is_temporal(kind):
            return temporal.from_texts(array, kind)
    if pa.types.is_integer(array.type) and pa.types.is_decimal(kind):
        # Arrow casts an integer only to decimals as wide as any value of its width
        array = pc.cast(array, pa.decimal128(38, 0), safe=True)
    return pc.cast(array, kind, safe=True)


def _is_zoned(texts: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, _ZONED)).as_py())


def _decoder(kind: pa.DataType) -> row_codec.Decoder:
    convert: Callable[[Any], Any] | None = None
    if pa.types.is_binary(kind):
        convert = bytes
    elif pa.types.is_string(kind):
        convert = str
    elif pa.types.is_boolean(kind):
        convert = _flag

    def decode(values: Sequence[Any], wanted: pa.DataType) -> pa.Array:
        made = values if convert is None else [None if v is None else convert(v) for v in values]
        return pa.array(made, wanted)

    return decode


def _flag(value: Any) -> bool:
    if value in (True, 1, "1", "t"):
        return True
    if value in (False, 0, "0", "f"):
        return False
    raise ValueError("no boolean")
