"""Converts MySQL rows to Arrow and back exactly, by whole columns.

Reading: the server writes each row's short columns as one CSV line, which Arrow parses; long and binary
columns travel beside the line as they are. Writing: LOAD DATA's text format with backslash escapes
(https://mariadb.com/kb/en/load-data-infile/), or literals for INSERT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from hdm.arrow import temporal
from hdm.arrow.rows import unrepresentable
from hdm.errors import UnrepresentableValue
from hdm.model import Column, Kind

Raw = bytes | None
_INLINE_CHARACTERS = 4_000  # a longer column travels beside the line
_LINE_BYTES = 2 * 1024 * 1024  # CONCAT gives NULL beyond max_allowed_packet
_DAYS = (-719_528, 2_932_896)  # 0000-01-01 and 9999-12-31
_DAY_MICROS = 86_400_000_000
_TEMPORAL = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_DATED = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_BAD_DAY = re.compile(r"\d{4}-(00-|\d\d-00)")


class Layout:
    """Which columns of a result travel in its CSV line, and which beside it.

    ``zero_dates`` is ``error``, ``null`` or ``text``.
    """

    def __init__(self, columns: Sequence[Column], *, zero_dates: str = "error") -> None:
        self.columns = tuple(columns)
        self.nulled = [
            c for c in columns if zero_dates == "null" and c.kind in _DATED and not pa.types.is_string(c.type)
        ]
        room = _LINE_BYTES
        inline = []
        for column in columns:
            size = 4 * (column.length or 0) if column.kind is Kind.TEXT else 300
            if _is_short(column) and size <= room:
                inline.append(column)
                room -= size
        self.inline = tuple(inline)
        self.beside = tuple(c for c in columns if c not in inline)
        self._typed = self._options(as_text=False)
        self._text = self._options(as_text=True)
        self._names = [f"c{n}" for n in range(len(self.inline) + len(self.nulled))]

    @property
    def has_line(self) -> bool:
        """True if the first value of a row is a CSV line."""
        return bool(self._names)

    def select(self, quote: Callable[[str], str]) -> str:
        """Return the list of a SELECT: the CSV line first, then the columns beside it."""
        flags = [f"IFNULL({_no_day(quote(c.name))}, 0)" for c in self.nulled]
        fields = [*(self._field(c, quote(c.name)) for c in self.inline), *flags]
        line = [f"CONCAT_WS(',', {', '.join(fields)})"] if fields else []
        return ", ".join([*line, *(quote(c.name) for c in self.beside)])

    def _field(self, column: Column, name: str) -> str:
        if _is_quoted(column):
            text = f"CONVERT({name} USING utf8mb4)"
            return f"IF({name} IS NULL, '', CONCAT('\"', REPLACE({text}, '\"', '\"\"'), '\"'))"
        if column in self.nulled:
            return f"IF({name} IS NULL OR {_no_day(name)}, '', {name})"
        return f"IFNULL({name}, '')"

    def _options(self, *, as_text: bool) -> pcsv.ConvertOptions:
        kinds = [
            pa.string() if as_text or pa.types.is_decimal256(c.type) else _naive(c.type) for c in self.inline
        ]
        kinds += [pa.int8()] * len(self.nulled)
        return pcsv.ConvertOptions(
            column_types={f"c{n}": kind for n, kind in enumerate(kinds)},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )

    def batch(
        self, lines: Sequence[bytes], beside: Sequence[Sequence[Raw]], count: int
    ) -> tuple[pa.RecordBatch, dict[str, int]]:
        """Return rows as a batch, and how many impossible dates became NULL in which column.

        ``lines`` are the CSV lines of ``count`` rows; ``beside`` has the values of each column that is not in
        them.
        """
        made: dict[str, pa.Array] = {}
        gone: dict[str, int] = {}
        if self._names:
            arrays = self._parsed(b"\n".join(lines) + b"\n")
            made = {c.name: a for c, a in zip(self.inline, arrays, strict=False)}
            flags = arrays[len(self.inline) :]
            gone = {c.name: pc.sum(a).as_py() or 0 for c, a in zip(self.nulled, flags, strict=True)}
        for column, values in zip(self.beside, beside, strict=True):
            made[column.name] = pa.array(values, pa.binary()).cast(column.type)
        fields = [pa.field(c.name, c.type, c.nullable) for c in self.columns]
        ready = [made[c.name] for c in self.columns]
        if any(len(array) != count for array in ready):
            raise UnrepresentableValue("rows fell apart on the way", hint="report this with the table's DDL")
        return pa.RecordBatch.from_arrays(ready, schema=pa.schema(fields)), {
            n: k for n, k in gone.items() if k
        }

    def _parsed(self, data: bytes) -> list[pa.Array]:
        try:
            arrays = self._read(data, self._typed)
        except pa.ArrowInvalid:  # the error's text may quote a value: find the failing column instead
            arrays = self._read(data, self._text)
        kept = zip(self.inline, arrays, strict=False)
        return [*(_finished(c, a) for c, a in kept), *arrays[len(self.inline) :]]

    def _read(self, data: bytes, convert: pcsv.ConvertOptions) -> list[pa.Array]:
        table = pcsv.read_csv(
            pa.BufferReader(data),
            read_options=pcsv.ReadOptions(
                column_names=self._names, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=pcsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=convert,
        )
        return [column.combine_chunks() for column in table.columns]


def _is_short(column: Column) -> bool:
    if column.kind is Kind.TEXT:
        return column.length is not None and column.length <= _INLINE_CHARACTERS
    return column.kind not in (Kind.BINARY, Kind.JSON, Kind.OTHER, Kind.ARRAY)


def _is_quoted(column: Column) -> bool:
    return pa.types.is_string(column.type) and column.kind not in (*_TEMPORAL, Kind.DECIMAL, Kind.BIT)


def _no_day(name: str) -> str:
    """Return SQL that finds zero dates, zeros in dates, and days after the end of their month."""
    last = f"DAYOFMONTH(LAST_DAY({name}))"
    return f"(MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0 OR DAYOFMONTH({name}) > {last})"


def _naive(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(kind.unit) if pa.types.is_timestamp(kind) else kind


def _finished(column: Column, array: pa.Array) -> pa.Array:
    kind = column.type
    if array.type == kind:
        return array
    try:
        if pa.types.is_time(kind):  # of texts, Arrow parses times only in CSV
            return temporal.from_texts(array, kind)
        return array.cast(_naive(kind)).cast(kind)
    except (ValueError, pa.ArrowNotImplementedError):
        raise _misfit(column, array) from None


def _misfit(column: Column, texts: pa.Array) -> UnrepresentableValue:
    if column.kind in _DATED:
        shown = [text for text in texts.to_pylist() if text is not None]
        zero = sum(bool(_BAD_DAY.match(text)) for text in shown)
        what = f"{zero} zero dates" if zero else "days that no month has"
        return UnrepresentableValue(
            f"column {column.name}: {what} in one batch of {len(texts)} rows",
            hint="write zero_dates: null or zero_dates: text in the source's conf",
        )
    if column.kind is Kind.TIME:
        return UnrepresentableValue(
            f"column {column.name}: a TIME that is no time of day (negative, or 24 hours and more)",
            hint="write times: text in the source's conf",
        )
    return unrepresentable(column.name, f"a value does not fit {column.type}")


# -- to the server ---------------------------------------------------------------


def to_texts(array: pa.Array, column: Column, native: str) -> pa.Array:
    """Return a column's values as texts that a MySQL column of type ``native`` reads back exactly.

    Only fractions of a second are cut after the microsecond. Bytes become hexadecimal digits. Raises
    ``UnrepresentableValue`` for a value that MySQL cannot store.
    """
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.string())
    if pa.types.is_floating(kind):
        finite = pc.is_finite(array)
        if pc.any(pc.invert(finite)).as_py():
            raise unrepresentable(column.name, "NaN or infinity, which MySQL does not have")
        return array.cast(pa.float64()).cast(pa.string())
    if pa.types.is_date32(kind):
        _within(array.cast(pa.int32()), *_DAYS, column)
        return array.cast(pa.string())
    if pa.types.is_timestamp(kind):
        naive = array.cast(pa.timestamp(kind.unit)) if kind.tz else array
        if kind.unit == "ns":
            naive = pc.floor_temporal(naive, unit="microsecond").cast(pa.timestamp("us"), safe=False)
        _within(
            naive.cast(pa.timestamp("us")).cast(pa.int64()),
            _DAYS[0] * _DAY_MICROS,
            (_DAYS[1] + 1) * _DAY_MICROS - 1,
            column,
        )
        return naive.cast(pa.string())
    if pa.types.is_time(kind):
        numbers = array.cast(pa.int64())
        return (
            (numbers if kind.unit != "ns" else pc.divide(numbers, 1000))
            .cast(pa.time64("us"))
            .cast(pa.string())
        )
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _hex(array)
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return array
    texts = array.cast(pa.string())
    return pc.utf8_lpad(texts, 4, "0") if native.startswith("year") else texts


def _within(numbers: pa.Array, low: int, high: int, column: Column) -> None:
    bounds = pc.min_max(numbers)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    if least is not None and (least < low or most > high):
        raise unrepresentable(column.name, "infinity, or a date outside the years 0 to 9999")


def _hex(array: pa.Array) -> pa.Array:
    """Return bytes as hexadecimal digits, converted all at once; the offsets double."""
    wide = array.cast(pa.large_binary())
    if wide.offset:
        wide = pa.concat_arrays([wide, pa.array([], pa.large_binary())])
    _, offsets, data = wide.buffers()
    count = len(wide)
    places = pa.Array.from_buffers(pa.int64(), count + 1, [None, offsets], offset=wide.offset)
    doubled = pc.multiply(places, 2)
    digits = data.hex() if isinstance(data, bytes) else memoryview(data or b"").hex()
    return pa.Array.from_buffers(
        pa.large_string(),
        count,
        [_validity(wide), doubled.buffers()[1], pa.py_buffer(digits.encode())],
    )


def _validity(array: pa.Array) -> pa.Buffer | None:
    if not array.null_count:
        return None
    return pa.array(pc.is_valid(array)).buffers()[1]


def load_lines(texts: Sequence[pa.Array]) -> pa.Buffer:
    r"""Return columns of text as lines for LOAD DATA: tab between, backslash escapes, ``\N`` for NULL."""
    escaped = [_escaped(array.cast(pa.large_string())) for array in texts]
    tab, end, null = (pa.scalar(mark, pa.large_string()) for mark in ("\t", "\n", "\\N"))
    rows = pc.binary_join_element_wise(*escaped, tab, null_handling="replace", null_replacement="\\N")
    if len(escaped) == 1:
        rows = pc.fill_null(escaped[0], null)
    lines = pc.binary_join_element_wise(rows, pa.scalar("", pa.large_string()), end)
    _, offsets, data = lines.buffers()
    places = pa.Array.from_buffers(pa.int64(), len(lines) + 1, [None, offsets], offset=lines.offset)
    start, stop = places[0].as_py(), places[len(lines)].as_py()
    return data.slice(start, stop - start) if data is not None else pa.py_buffer(b"")


_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"))


def _escaped(array: pa.Array, escapes: Sequence[tuple[str, str]] = _ESCAPES) -> pa.Array:
    data = array.buffers()[2]
    held = bytes(data) if data is not None else b""
    for mark, spelled in escapes:
        if mark.encode() in held:
            array = pc.replace_substring(array, mark, spelled)
    return array


def insert_rows(texts: Sequence[pa.Array], forms: Sequence[str]) -> list[str]:
    """Return rows as texts ``(literal, ...)`` for an INSERT.

    ``texts`` are the columns. ``forms`` has for each column what stands before its literals: ``''``, ``x`` or
    ``b``.
    """
    null = pa.scalar("NULL", pa.large_string())
    comma = pa.scalar(", ", pa.large_string())
    cells = []
    for array, form in zip(texts, forms, strict=True):
        escaped = _escaped(array.cast(pa.large_string()), (("\\", "\\\\"), ("'", "''"), ("\0", "\\0")))
        opened = pc.binary_join_element_wise(pa.scalar(form + "'", pa.large_string()), escaped, _NONE)
        cells.append(pc.fill_null(pc.binary_join_element_wise(opened, _QUOTE, _NONE), null))
    joined = cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, comma)
    return [f"({row})" for row in joined.to_pylist()]


_NONE = pa.scalar("", pa.large_string())
_QUOTE = pa.scalar("'", pa.large_string())
