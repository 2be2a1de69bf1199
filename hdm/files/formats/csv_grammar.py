"""Checks CSV of other systems against CSV's grammar (quotes, numbers of fields); errors name the line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

from hdm.errors import CorruptFile
from hdm.files.formats.encodings import check

BOM = b"\xef\xbb\xbf"
OTHER_DELIMITERS = {
    ";": "';'", "|": "'|'", "\t": "a tab", "^": "'^'", "~": "'~'", "\x01": "U+0001", "\x1f": "U+001F", ",":
    "','",
}  # fmt: skip
_NUMBER = re.compile(r"\s*[+-]?[0-9][0-9 .,'/:-]*\s*")


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

    def recheck(self, block: bytes, begin: int) -> None:
        """Raise ``CorruptFile`` if the last counted block breaks CSV's grammar or its encoding.

        Call it for a block that could not be parsed; ``begin`` is its offset in the file.
        """
        self._check(block, self._line - block.count(b"\n"))
        check(block, self._line - block.count(b"\n"), begin)

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
    """Return the delimiter that a header probably has instead of commas: it is there as often as they are.

    None if there is no sign of one, or if the delimiter was declared.
    """
    if delimiter is not None:
        return None
    held = {mark: sum(name.count(mark) for name in names) for mark in OTHER_DELIMITERS if mark != ","}
    return next((mark for mark, often in held.items() if often and often >= len(names) - 1), None)


def headless(names: list[str]) -> bool:
    """Return True if all names of a header are numbers or dates, so that it is probably a record."""
    return bool(names) and all(_NUMBER.fullmatch(name) for name in names)
