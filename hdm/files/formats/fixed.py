"""Reads text files of fixed width, whose columns the source's conf declares by their first character and
length."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from hdm.errors import CorruptFile, UsageError
from hdm.files.formats import Format, RowOffsets, encodings, text, typed
from hdm.files.formats.csv_grammar import BOM
from hdm.files.formats.declared import Declared, DeclaredColumn, FixedOptions
from hdm.files.formats.records import Parsed, Records, as_table
from hdm.model import Column


class FixedWidth(Records):
    """The format of fixed width: a line for each record, and each column at the same place of its line.

    What no column covers must be blank, so that nothing is lost by a wrong declaration.
    """

    name = "fixed"
    suffix = ".fwf"
    writes = False
    grows_by_lines = True

    def __init__(self, delimiter: str | None = None) -> None:
        super().__init__(delimiter)
        self._options = FixedOptions()
        self._columns: tuple[DeclaredColumn, ...] = ()
        self._width = 0

    def declared(self, how: Declared) -> Format:
        """Return the format with the declared columns.

        Raises ``UsageError`` without columns, if one has no place, or if two share a character.
        """
        made = type(self)(self.delimiter)
        made._options = how.fixed or FixedOptions()
        made._columns = how.columns or ()
        if not made._columns:
            raise UsageError(
                "files of fixed width say no columns", hint="write columns: with start and length"
            )
        end, before = 0, ""
        for start, stop, column in sorted(_places(made._columns), key=lambda one: one[0]):
            if start < end:
                raise UsageError(
                    f"columns {before} and {column.name} share characters", hint="correct start:"
                )
            end, before = stop, column.name
        made._width = end
        return made

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the declared columns."""
        return tuple(one.column for one in self._columns)

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's lines as Arrow tables with the declared columns."""
        options = self._options
        line = 1
        for place, block in self._blocks(stream, compression, first, marks):
            begin = place.begin(block)
            encodings.check(block, line, begin)
            texts = self._texts(block.removeprefix(b"" if begin else BOM), line, 0 if begin else options.skip)
            line += block.count(b"\n")
            numbers = typed.Notation(options.decimal, options.thousands)
            made = [
                typed.values(pa.array(found, pa.string()), declared, place.start + 1, numbers)
                for declared, found in zip(self._columns, texts, strict=True)
            ]
            yield place.start, place.counted(as_table(made, self.columns(stream, compression)))

    def _blocks(
        self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None
    ) -> Iterator[tuple[text.Place, bytes]]:
        def border(buffer: bytearray, known: int) -> int:
            return buffer.rfind(b"\n", known) + 1

        if encodings.is_utf8(self._options.encoding):
            return text.located(stream, compression, border, 0, first, marks)
        stream.seek(0)
        read = encodings.as_utf8(text.reading(stream, compression), self._options.encoding)
        return text.located_in(read, border)

    def _texts(self, block: bytes, first: int, skip: int) -> list[list[str | None]]:
        """Return the texts of each column of a block, without its first ``skip`` lines; it begins on line
        ``first``."""
        options = self._options
        nulls = frozenset(options.nulls)
        places = list(_places(self._columns))
        found: list[list[str | None]] = [[] for _ in places]
        lines = block.decode().split("\n")
        if not lines[-1]:
            lines.pop()
        for number, whole in enumerate(lines, first):
            line = whole.removesuffix("\r")
            if number - first < skip or (options.comment and line.startswith(options.comment)):
                continue
            if len(line) < self._width and options.ragged == "refuse":
                raise CorruptFile(
                    f"line {number:,} has {len(line):,} characters, and the columns need {self._width:,}",
                    hint="mend the line; or write fixed: {ragged: pad} if blanks at its end were cut off",
                )
            self._blank_between(line, number, places)
            for (start, stop, column), into in zip(places, found, strict=True):
                value = _trimmed(line[start:stop], column.trim)
                into.append(None if value in nulls else value)
        return found

    def _blank_between(self, line: str, number: int, places: list[tuple[int, int, DeclaredColumn]]) -> None:
        at = 0
        for start, stop, _ in [*sorted(places, key=lambda one: one[0]), (len(line), 0, None)]:
            if line[at:start].strip():
                raise CorruptFile(
                    f"line {number:,} has text behind character {at:,} that is part of no column",
                    hint="declare a column for it, or correct start: and length:",
                )
            at = stop


def _places(columns: tuple[DeclaredColumn, ...]) -> Iterator[tuple[int, int, DeclaredColumn]]:
    """Yield the first character of each column, counted from 0, the one behind its last, and the column."""
    for column in columns:
        if column.start is None or column.length is None:
            raise UsageError(
                f"column {column.name} has no place", hint="write start: and length: for each column"
            )
        yield column.start - 1, column.start - 1 + column.length, column


def _trimmed(value: str, trim: str) -> str:
    if trim == "both":
        return value.strip(" ")
    if trim == "left":
        return value.lstrip(" ")
    return value.rstrip(" ") if trim == "right" else value
