"""Reads and writes CSV that keeps NULL and '' apart.

Every string is quoted; a NULL is an empty field without quotes. Dates, decimals and bytes (as hex digits) are
quoted text too; the table's sidecar has their types.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from hdm.arrow.batches import conform, silent
from hdm.errors import CorruptFile, SchemaDrift, UsageError
from hdm.files.formats import BatchWriter, Format, RowOffsets, carries, text
from hdm.files.formats.csv_grammar import (
    BOM,
    OTHER_DELIMITERS,
    Lines,
    headless,
    other_delimiter,
    wrong_header,
)
from hdm.files.formats.declared import CsvOptions, Declared
from hdm.model import Column, Dataset, Kind, Table

_LONGEST_HEADER = 4 * 1024 * 1024


class _Writer:
    def __init__(self, stream: BinaryIO, table: Table, compression: str) -> None:
        carries(table)
        self.rows = 0
        self._stream = stream
        self._schema = pa.schema([(column.name, _written(column.type)) for column in table.columns])
        self._file = text.writing(stream, compression)
        self._writer = arrow_csv.CSVWriter(self._file, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [_encode(column) for column in batch.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self.rows += batch.num_rows

    def estimate(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._writer.close()
        self._file.close()


def _is_direct(kind: pa.DataType) -> bool:
    """Whether Arrow's CSV code writes and reads values of this type exactly."""
    simple = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(simple or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _written(kind: pa.DataType) -> pa.DataType:
    return kind if _is_direct(kind) else pa.string()


def _encode(array: pa.Array) -> pa.Array:
    kind = array.type
    if _is_direct(kind):
        return array
    if text.is_temporal(kind):
        return text.temporal_text(array)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text.hex_text(array)
    return array.cast(pa.string())


def _decode(array: pa.Array, kind: pa.DataType) -> pa.Array:
    if array.type == kind:
        return array
    if text.is_temporal(kind):
        return text.temporal_value(array, kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return text.hex_value(array, kind)
    return array.cast(kind)


class Csv(Format):
    """The format CSV as in RFC 4180, with a header, in UTF-8."""

    name = "csv"
    suffix = ".csv"
    grows_by_lines = True

    def __init__(self, delimiter: str | None = None) -> None:
        super().__init__(delimiter)
        self._delimiter = delimiter or ","

    def declared(self, how: Declared) -> Format:
        """Return a format that reads CSV of the grammar and the columns that the conf declares."""
        if how.csv is None and how.columns is None:
            return self
        from hdm.files.formats.csv_declared import DeclaredCsv

        return DeclaredCsv(self.delimiter, how.csv or CsvOptions(), how.columns)

    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Return an object that writes each batch at once; only the compressor buffers bytes."""
        return _Writer(stream, table, compression)

    def read(
        self,
        stream: BinaryIO,
        table: Table,
        compression: str,
        first: int = 0,
        count: int | None = None,
        marks: RowOffsets | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``first`` on, as batches; raise ``SchemaDrift`` if the file's columns differ.

        At most ``count`` rows, all if it is None. The text is parsed in blocks that grow as far as the
        longest record requires.
        """
        header = self._header(stream, compression)
        wanted = [column.name for column in table.columns]
        if header.names != wanted:
            raise SchemaDrift(
                f"the file's columns are {header.names}, planned were {wanted}",
                hint="plan again, or stage the chunk anew",
            )
        types = {column.name: _written(column.type) for column in table.columns}
        parsed = self._parsed(stream, compression, header, types, first, marks)
        for rows in text.cut(parsed, first, count):
            for batch in rows.to_batches():
                columns = [_decode(batch.column(i), c.type) for i, c in enumerate(table.columns)]
                yield conform(pa.RecordBatch.from_arrays(columns, names=wanted), table.schema)

    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return the number of rows, by parsing the file.

        Raises ``CorruptFile``, with the line, if the file breaks CSV's grammar.
        """
        header = self._header(stream, compression)
        types = dict.fromkeys(header.names, pa.string())
        lines = Lines(len(header.names), self._delimiter, header.lines + 1)
        total = 0
        for row, block in text.located(stream, compression, self._border(header), header.end, 0, None):
            if b'"' in block:
                lines.check(block)
            else:
                lines.passed(block)
            parsed = self._parse(block, header.names, types, lines, row.begin(block))
            total += row.counted(parsed).num_rows
        return total

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Return how the file's header differs from the table's columns; None if it does not."""
        header = self._header(stream, compression)
        wanted = [column.name for column in table.columns]
        return None if header.names == wanted else f"its columns are {header.names}, not {wanted}"

    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return a table with the columns of the header, all of them text, because CSV has no types.

        Raises ``CorruptFile`` for a broken header, ``UsageError`` if another delimiter seems to be used.
        """
        header = self._header(stream, compression)
        if wrong := wrong_header(header.names):
            raise CorruptFile(wrong, hint="mend the header, or convert the file to UTF-8")
        if mark := other_delimiter(header.names, self.delimiter):
            shown = OTHER_DELIMITERS[mark]
            what = "is one single column that holds" if len(header.names) == 1 else "also holds"
            raise UsageError(
                f"the header {what} {shown}: is that the delimiter?",
                hint=f"write delimiter: {mark!r} in the source's conf; or delimiter: ',' if commas are it",
            )
        if headless(header.names):
            raise CorruptFile(
                "the header has numbers only: is it a record?",
                hint="write csv: {header: false} and columns:, or csv: {header: true}",
            )
        table = Table(dataset, path, tuple(Column(name, Kind.TEXT, pa.string()) for name in header.names))
        carries(table)
        return table

    # -- inside ----------------------------------------------------------------

    def _header(self, stream: BinaryIO, compression: str) -> _Header:
        stream.seek(0)
        read = text.reading(stream, compression)
        raw = b""
        end = 0
        while not end and (data := read(64 * 1024)):
            raw += data
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise CorruptFile("the file is UTF-16, not UTF-8", hint="convert it to UTF-8")
            if len(raw) > _LONGEST_HEADER:
                raise CorruptFile(
                    "the header is longer than 4 MiB", hint="look whether a quote in it is left open"
                )
            end = self._first_border(raw)
        skip = len(BOM) if raw.startswith(BOM) else 0
        line = raw[skip : end or len(raw)]
        try:
            names: list[str] = next(self._records(line.split(b"\n")), [])
            decoded = [name.encode("latin-1").decode() for name in names]
        except (csv.Error, UnicodeDecodeError) as error:
            raise CorruptFile("a CSV header is not UTF-8 text", hint="convert the file to UTF-8") from error
        return _Header(decoded, skip + len(line), line.startswith(b'"'), line.count(b"\n"))

    def _first_border(self, raw: bytes) -> int:
        lines = [line + b"\n" for line in raw.split(b"\n")[:-1]]
        reader = self._records(lines)
        for _ in reader:
            return sum(map(len, lines[: reader.line_num]))
        return 0

    def _records(self, lines: list[bytes]) -> Any:
        csv.field_size_limit(2**31 - 1)
        return csv.reader((line.decode("latin-1") for line in lines), delimiter=self._delimiter)

    def _parsed(
        self,
        stream: BinaryIO,
        compression: str,
        header: _Header,
        types: dict[str, pa.DataType],
        first: int,
        marks: RowOffsets | None,
    ) -> Iterator[tuple[int, pa.Table]]:
        border = self._border(header)
        for row, block in text.located(stream, compression, border, header.end, first, marks):
            yield row.start, row.counted(self._parse(block, header.names, types))

    def _border(self, header: _Header) -> Any:
        return _parity() if header.quoted else self._by_records()

    def _by_records(self) -> Any:
        """Return a function that finds the last record border in a buffer with Python's CSV reader.

        It serves files whose unquoted fields may contain quotes. The last record is left out, as its quotes
        may still be open. If the buffer holds no whole record, it is parsed again only when it has doubled.
        """
        looked_at = 0

        def last(buffer: bytearray, known: int) -> int:
            nonlocal looked_at
            if known and len(buffer) < 2 * looked_at:
                return 0
            looked_at = len(buffer)
            lines = [line + b"\n" for line in bytes(buffer).split(b"\n")[:-1]]
            reader = self._records(lines)
            borders = [0, 0]
            try:
                for _ in reader:
                    borders.append(reader.line_num)
            except csv.Error as error:
                raise CorruptFile(
                    "a CSV file has a bare carriage return outside of quotes", hint="convert its line ends"
                ) from error
            return sum(map(len, lines[: borders[-2]]))

        return last

    def _parse(
        self,
        block: bytes,
        names: list[str],
        types: dict[str, pa.DataType],
        lines: Lines | None = None,
        begin: int = 0,
    ) -> pa.Table:
        try:
            return arrow_csv.read_csv(
                pa.BufferReader(block),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=len(block) + 1, column_names=names
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, ignore_empty_lines=len(names) > 1
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    true_values=["true"],
                    false_values=["false"],
                ),
            )
        except pa.ArrowInvalid as error:
            if lines is not None:
                lines.recheck(block, begin)
            raise CorruptFile(
                "a CSV file's records do not have the planned columns and types",
                hint="stage the chunk again, or mend the file",
            ) from silent(error)


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a CSV file: its column names, and where it ends.

    ``end`` is in bytes. ``quoted``: every name is quoted, so the writer quotes as RFC 4180 says. ``lines``
    is how many lines the header takes.
    """

    names: list[str]
    end: int
    quoted: bool
    lines: int


def _parity() -> Any:
    """Return a function that finds the last line end outside of quotes; it counts each quote once."""
    quotes = 0

    def last(buffer: bytearray, known: int) -> int:
        nonlocal quotes
        quotes = (quotes if known else 0) + buffer.count(b'"', known)
        before, end = quotes, len(buffer)
        while (place := buffer.rfind(b"\n", known, end)) >= 0:
            before -= buffer.count(b'"', place, end)
            if before % 2 == 0:
                return place + 1
            end = place
        return 0

    return last
