"""Cuts CSV of any declared grammar into records: delimiter, quote, escape, comment lines, ragged records."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hdm.errors import CorruptFile
from hdm.files.formats.declared import CsvOptions

Field = bytes | None
"""The bytes of a field's text in UTF-8; None is NULL."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its fields, the number of the line on which it begins, and where it ends in the block.

    ``ended``: a line end follows it.
    """

    fields: list[Field]
    line: int
    end: int
    ended: bool


class Grammar:
    """How a CSV file is cut into records; ``delimiter`` is one character."""

    def __init__(self, options: CsvOptions, delimiter: str) -> None:
        self.delimiter = delimiter
        self._options = options
        self._quote = (options.quote or "").encode()
        self._escape = (options.escape or "").encode()
        self._comment = (options.comment or "").encode()
        self._nulls = frozenset(text.encode() for text in options.nulls)
        mark, quote, escape = (re.escape(one) for one in (delimiter.encode(), self._quote, self._escape))
        turn = escape + rb"(?:\r\n|.)"
        # Possessive quantifiers: a quote that is left open is found in one pass, without going back.
        bare = rb"[^" + mark + escape + rb"\r\n]*+"
        if escape:
            bare += rb"(?:" + turn + bare + rb")*+"
        within = rb"[^" + quote + escape + rb"]*+"
        doubled = quote * 2 + (rb"|" + turn if escape else b"")
        body = within + rb"(?:(?:" + doubled + rb")" + within + rb")*+"
        enclosed = quote + rb"(" + body + rb")" + quote + rb"|(?!" + quote + rb")"
        start = enclosed if quote else rb"(?!)()|"
        self._field = re.compile(rb"(?:" + start + rb"(" + bare + rb"))(" + mark + rb"|\r?\n|\Z)", re.DOTALL)
        cut = quote + rb"\r?" + (rb"|" + escape if escape else b"")
        self._open = re.compile(quote + body + rb"(?:" + cut + rb")?\Z", re.DOTALL) if quote else None
        self._turned = re.compile(escape + rb"(\r\n|.)", re.DOTALL) if escape else None
        self._within = re.compile(doubled.replace(rb"(?:", rb"("), re.DOTALL) if quote and escape else None

    def records(self, block: bytes, line: int, at: int = 0) -> Iterator[Record]:
        """Yield the records of a block of text that begins on line number ``line``, from byte ``at`` on.

        Comment lines are left out. Raises ``CorruptFile`` with the line of a record that breaks the grammar.
        """
        if not self._has_marks(block):
            yield from self._plain_records(block, line, at)
            return
        match, size = self._field.match, len(block)
        while at < size:
            if self._comment and block.startswith(self._comment, at):
                end = block.find(b"\n", at)
                at, line = (size if end < 0 else end + 1), line + 1
                continue
            fields: list[Field] = []
            begin = at
            while True:
                found = match(block, at)
                if found is None:
                    raise self._broken(block, at, line)
                quoted, bare, after = found.groups()
                fields.append(self._bare(bare) if quoted is None else self._quoted(quoted))
                at = found.end()
                if after != self.delimiter.encode():
                    break
            yield Record(fields, line, at, bool(after))
            line += block.count(b"\n", begin, at)

    def _has_marks(self, block: bytes | bytearray) -> bool:
        """Whether something in a block may be more than fields and line ends, so that it is no plain text."""
        marks = (self._quote, self._escape, self._comment)
        return any(mark in block for mark in marks if mark) or block.count(b"\r") != block.count(b"\r\n")

    def _plain_records(self, block: bytes, line: int, at: int) -> Iterator[Record]:
        mark, nulls, size = self.delimiter.encode(), self._nulls, len(block)
        while at < size:
            end = block.find(b"\n", at)
            stop = size if end < 0 else end
            text = block[at : stop - 1 if end >= 0 and block[stop - 1 : stop] == b"\r" else stop]
            at = size if end < 0 else end + 1
            fields: list[Field] = [None if one in nulls else one for one in text.split(mark)]
            yield Record(fields, line, at, end >= 0)
            line += 1

    def fitted(self, record: Record, count: int) -> list[Field] | None:
        """Return a record's ``count`` fields; None for a blank line among records of several fields.

        Raises ``CorruptFile`` with the line if the record has another number of fields, unless the options
        say how it is mended.
        """
        fields, options = record.fields, self._options
        if len(fields) == count:
            return fields
        if options.trailing_delimiter and len(fields) == count + 1 and fields[-1] in (None, b""):
            return fields[:-1]
        if len(fields) == 1 and fields[0] in (None, b""):
            return None
        if len(fields) < count and options.ragged == "pad":
            return fields + [None] * (count - len(fields))
        hint = "mend the line; a field that holds a delimiter or a line end must be quoted"
        if len(fields) == count + 1 and fields[-1] in (None, b""):
            hint += "; or write csv: {trailing_delimiter: true}"
        elif len(fields) < count:
            hint += "; or write csv: {ragged: pad} if what is missing is NULL"
        raise CorruptFile(f"line {record.line:,} has {len(fields):,} fields, not {count:,}", hint=hint)

    def border(self) -> Callable[[bytearray, int], int]:
        """Return a function that finds where the last whole record in a buffer ends; 0 if there is none.

        A buffer without a whole record is parsed again only when it has doubled.
        """
        looked_at = 0

        def last(buffer: bytearray, known: int) -> int:
            nonlocal looked_at
            if known and len(buffer) < 2 * looked_at:
                return 0
            looked_at = len(buffer)
            if not self._has_marks(buffer):
                return buffer.rfind(b"\n") + 1
            block, end = bytes(buffer), 0
            try:
                for record in self.records(block, 1):
                    if record.ended:
                        end = record.end
            except _CutShortError:
                return end
            except CorruptFile:
                return len(block)  # whoever parses the block names the line
            return end

        return last

    def _quoted(self, body: bytes) -> bytes:
        if self._within is None:
            return body.replace(self._quote * 2, self._quote)
        return self._within.sub(lambda found: found[1] or self._quote, body)

    def _bare(self, body: bytes) -> Field:
        if body in self._nulls:
            return None
        return self._turned.sub(rb"\1", body) if self._turned is not None else body

    def _broken(self, block: bytes, at: int, line: int) -> CorruptFile:
        if self._open is not None and self._open.match(block, at):
            return _CutShortError(
                f"a quote that is opened in the record of line {line:,} is never closed",
                hint="close it, or write it twice where it belongs to the value",
            )
        if self._quote and block.startswith(self._quote, at):
            return CorruptFile(
                f"in the record of line {line:,} something follows a closing quote",
                hint="a quote inside of a quoted field is written twice; or a quote before it is left open",
            )
        if block.endswith((b"\r", self._escape or b"\r")):
            return _CutShortError(f"line {line:,} is cut short", hint="mend the end of the file")
        return CorruptFile(
            f"line {line:,} holds a bare carriage return outside of quotes", hint="convert the line ends"
        )


class _CutShortError(CorruptFile):
    """A record that more text may complete."""
