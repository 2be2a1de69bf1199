"""Checks CSV of other systems against CSV's grammar (quotes, numbers of fields); errors name the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from hdm.errors import CorruptFile

BOM = b"\xef\xbb\xbf"
OTHER_DELIMITERS = {";": "';'", "|": "'|'", "\t": "a tab", ",": "','"}


class Lines:
    """Counts the lines of a file's blocks, so that errors in a block can name the line.

    ``columns`` is how many fields each record must have; ``first`` is the line on which the first block
    begins.
    """

    def __init__(self, columns: int, delimiter: str, first: int) -> None:
        self._columns = columns
        self._delimiter = delimiter
        self._line = first

    def passed(self, block: bytes) -> None:
        """Count the lines of a block without checking it."""
        self._line += block.count(b"\n")

    def check(self, block: bytes) -> None:
        """Raise ``CorruptFile`` with the line of the first malformed record; count the block's lines.

        Without this check, a quote that is left open would make the following records part of its value.
        """
        self._check(block, self._line)
        self.passed(block)

    def recheck(self, block: bytes) -> None:
        """Raise ``CorruptFile`` if the last counted block breaks CSV's grammar or its encoding.

        Call it for a block that could not be parsed.
        """
        self._check(block, self._line - block.count(b"\n"))
        if not _is_utf8(block):
            number = next(n for n, line in enumerate(block.split(b"\n")) if not _is_utf8(line))
            line = self._line - block.count(b"\n") + number
            raise CorruptFile(f"line {line:,} is not UTF-8 text", hint="convert the file to UTF-8")

    def _check(self, block: bytes, first: int) -> None:
        begin = first
        reader = csv.reader(_text(block), delimiter=self._delimiter, strict=True)
        try:
            for record in reader:
                if record and len(record) != self._columns:
                    raise CorruptFile(
                        f"line {begin:,} has {len(record):,} fields, and the header has {self._columns:,}",
                        hint="mend the line; a field that holds a delimiter or a line end must be quoted",
                    )
                begin = first + reader.line_num
        except csv.Error as error:
            raise _broken(str(error), begin) from None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _broken(said: str, line: int) -> CorruptFile:
    if "unexpected end of data" in said:
        return CorruptFile(
            f"a quote that is opened in the record of line {line:,} is never closed",
            hint="close it, or write it twice where it belongs to the value",
        )
    if "new-line character" in said:
        return CorruptFile(
            f"line {line:,} holds a bare carriage return outside of quotes", hint="convert the line ends"
        )
    return CorruptFile(
        f"in the record of line {line:,} something follows a closing quote",
        hint="a quote inside of a quoted field is written twice; or a quote before it is left open",
    )


def _text(block: bytes) -> Iterator[str]:
    csv.field_size_limit(2**31 - 1)
    # Only a newline ends a line here: a carriage return may be part of a quoted value.
    *lines, rest = block.split(b"\n")
    for line in lines:
        yield line.decode("latin-1") + "\n"
    if rest:
        yield rest.decode("latin-1")


def wrong_header(names: list[str]) -> str | None:
    """Return why a header cannot be right: a NUL character or a missing name.

    None if it may be right.
    """
    if any("\0" in name for name in names):
        return "the header holds a NUL character: is the file UTF-16?"
    empty = [number for number, name in enumerate(names, 1) if not name.strip()]
    if empty and len(names) > 1:
        return f"column {empty[0]:,} of the header has no name"
    return None


def other_delimiter(names: list[str], delimiter: str | None) -> str | None:
    """Return the delimiter that a header with only one column probably has.

    None if there is no sign of one, if there are several columns, or if the delimiter was declared.
    """
    if len(names) != 1 or delimiter is not None:
        return None
    return next((mark for mark in OTHER_DELIMITERS if mark in names[0]), None)
