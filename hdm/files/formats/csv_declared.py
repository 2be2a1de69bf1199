"""Reads CSV of other systems as the source's conf declares its grammar, encoding and columns' types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

import pyarrow as pa

from hdm.errors import CorruptFile, UsageError
from hdm.files.formats import RowOffsets, encodings, text, typed
from hdm.files.formats.csv_grammar import BOM, OTHER_DELIMITERS, headless, other_delimiter, wrong_header
from hdm.files.formats.csv_tokens import Grammar, Record
from hdm.files.formats.declared import CsvOptions, DeclaredColumn, by_names
from hdm.files.formats.records import Parsed, Records, as_table
from hdm.model import Column

SNIFFED = "csv: {sniff: true} found "
"""How the comment of a table's first column begins that says what was found."""
_SAMPLE = 64 * 1024
_LONGEST_HEADER = 4 * 1024 * 1024
_SAMPLED_RECORDS = 200


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before the records: their grammar and columns, the offset and the line of the first.

    Offsets are in UTF-8, whatever the file's encoding is.
    """

    grammar: Grammar
    columns: tuple[DeclaredColumn, ...]
    body: int
    line: int


class DeclaredCsv(Records):
    """Reads CSV with the delimiter, quotes, encoding and columns that the source's conf declares."""

    name = "csv"
    suffix = ".csv"
    grows_by_lines = True

    def __init__(
        self, delimiter: str | None, options: CsvOptions, columns: tuple[DeclaredColumn, ...] | None
    ) -> None:
        super().__init__(delimiter)
        self._options = options
        self._columns = columns
        self._utf8 = encodings.is_utf8(options.encoding)
        if options.sniff and delimiter is not None:
            raise UsageError(
                "delimiter: and csv: {sniff: true} contradict each other", hint="keep one of them"
            )
        if options.header is False and not columns:
            raise UsageError(
                "csv: {header: false} gives the columns no names", hint="write columns:, in order"
            )

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the header's columns, or the declared ones; text, unless another type is declared.

        If the delimiter was found by ``sniff``, the first column's comment says which, so that it is recorded
        with the table.
        """
        head = self._head(stream, compression)
        columns = [one.column for one in head.columns]
        if self._options.sniff:
            mark = OTHER_DELIMITERS[head.grammar.delimiter]
            columns[0] = replace(columns[0], comment=f"{SNIFFED}the delimiter {mark}")
        return tuple(columns)

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's records as Arrow tables with the columns' types."""
        head = self._head(stream, compression)
        line = head.line
        for place, block in self._blocks(stream, compression, head, first, marks):
            encodings.check(block, line, place.begin(block))
            rows = self._rows(block, line, head)
            line += block.count(b"\n")
            yield place.start, place.counted(self._typed(rows, head.columns, place.start + 1))

    def _blocks(
        self, stream: BinaryIO, compression: str, head: _Head, first: int, marks: RowOffsets | None
    ) -> Iterator[tuple[text.Place, bytes]]:
        border = head.grammar.border()
        if self._utf8:
            return text.located(stream, compression, border, head.body, first, marks)
        read = self._read(stream, compression)
        rest = b""
        passed = 0
        while passed < head.body:
            rest = read(_SAMPLE)
            passed += len(rest)
        kept = rest[len(rest) - (passed - head.body) :] if passed > head.body else b""
        return text.located_in(_after(kept, read), border)

    def _read(self, stream: BinaryIO, compression: str) -> encodings.Read:
        stream.seek(0)
        read = text.reading(stream, compression)
        return read if self._utf8 else encodings.as_utf8(read, self._options.encoding)

    def _rows(self, block: bytes, line: int, head: _Head) -> list[list[bytes | None]]:
        count = len(head.columns)
        fitted = (head.grammar.fitted(one, count) for one in head.grammar.records(block, line))
        return [fields for fields in fitted if fields is not None]

    def _typed(
        self, rows: list[list[bytes | None]], columns: tuple[DeclaredColumn, ...], first: int
    ) -> pa.Table:
        marks = typed.Notation(self._options.decimal, self._options.thousands)
        made = []
        for place, declared in enumerate(columns):
            texts = pa.array([row[place] for row in rows], pa.binary()).cast(pa.string())
            made.append(typed.values(texts, declared, first, marks))
        return as_table(made, [one.column for one in columns])

    # -- what stands before the records ---------------------------------------------

    def _head(self, stream: BinaryIO, compression: str) -> _Head:
        options = self._options
        read = self._read(stream, compression)
        raw = b""
        while data := read(_SAMPLE):
            raw += data
            if self._utf8 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise CorruptFile("the file is UTF-16, not UTF-8", hint="write csv: {encoding: utf-16}")
            begin = self._begin(raw)
            if begin is not None and len(raw) - begin >= _SAMPLE:
                break
            if len(raw) > _LONGEST_HEADER:
                raise CorruptFile(
                    "the header is longer than 4 MiB", hint="look whether a quote in it is left open"
                )
        begin = self._begin(raw)
        if begin is None:
            raise CorruptFile(
                f"the file has no more than {options.skip:,} lines", hint="correct csv: {skip: ...}"
            )
        line = options.skip + 1
        grammar = Grammar(options, self._delimiter(raw[begin:]))
        if options.header is False:
            return _Head(grammar, self._columns or (), begin, line)
        record = next(grammar.records(raw, line, begin), None)
        if record is None:
            raise CorruptFile("the file has no header", hint="take it away, or write csv: {header: false}")
        names = self._names(record)
        columns = by_names(names, self._columns, "the header")
        return _Head(grammar, columns, record.end, record.line + raw.count(b"\n", begin, record.end))

    def _begin(self, raw: bytes) -> int | None:
        """Return where the first record begins, behind a byte order mark and the lines to skip."""
        at = len(BOM) if raw.startswith(BOM) else 0
        for _ in range(self._options.skip):
            at = raw.find(b"\n", at) + 1
            if not at:
                return None
        return at

    def _names(self, record: Record) -> list[str]:
        fields = record.fields
        if self._options.trailing_delimiter and len(fields) > 1 and not fields[-1]:
            fields = fields[:-1]
        try:
            names = [(field or b"").decode() for field in fields]
        except UnicodeDecodeError as error:
            raise encodings.invalid(record.line, error.start, "utf-8") from None
        if wrong := wrong_header(names):
            raise CorruptFile(wrong, hint="mend the header; or write csv: {header: false} and columns:")
        if self._options.header is None and headless(names):
            raise CorruptFile(
                "the header has numbers only: is it a record?",
                hint="write csv: {header: false} and columns:, or csv: {header: true}",
            )
        if mark := other_delimiter(names, self.delimiter) if not self._options.sniff else None:
            raise UsageError(
                f"the header holds {OTHER_DELIMITERS[mark]}: is that the delimiter?",
                hint=f"write delimiter: {mark!r} in the source's conf; or delimiter: ',' if it is not",
            )
        return names

    def _delimiter(self, sample: bytes) -> str:
        if not self._options.sniff:
            return self.delimiter or ","
        found = [mark for mark in OTHER_DELIMITERS if self._fits(sample, mark)]
        if len(found) == 1:
            return found[0]
        what = " and ".join(OTHER_DELIMITERS[mark] for mark in found)
        raise UsageError(
            f"the delimiter cannot be told: {what} would do" if found else "no delimiter can be told",
            hint="write delimiter: in the source's conf instead of csv: {sniff: true}",
        )

    def _fits(self, sample: bytes, mark: str) -> bool:
        """Whether all records of a sample have the same number of fields, and more than one."""
        counts = set()
        try:
            for record in islice(Grammar(self._options, mark).records(sample, 1), _SAMPLED_RECORDS):
                if record.ended or len(sample) < _SAMPLE:
                    counts.add(len(record.fields))
        except CorruptFile:
            if len(sample) < _SAMPLE:
                return False
        counts.discard(1 if len(counts) > 1 and b"\n\n" in sample.replace(b"\r", b"") else 0)
        return len(counts) == 1 and counts != {1}


def _after(kept: bytes, read: encodings.Read) -> encodings.Read:
    """Return a function that gives ``kept`` first, and then what ``read`` gives."""
    waiting = [kept] if kept else []
    return lambda size: waiting.pop() if waiting else read(size)
