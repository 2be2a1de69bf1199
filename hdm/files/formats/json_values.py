"""Reads JSON values exactly: objects on lines of their own, over several lines, or in an array."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from typing import Any

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile

Read = Callable[[int], bytes]

_FIRST = 64 * 1024
_BLOCK = 4 * 1024 * 1024
_LARGEST = 1024 * 1024 * 1024
"""The most characters that one record may have; a larger one is taken for a mistake in the file."""
_NEAR = 16
"""Distance from the end of the text read so far, in characters, within which a token may be incomplete."""
_SPACE = " \t\r\n\ufeff"


def is_lines(read: Read) -> bool:
    """Return True if bytes seem to have one JSON value per line, judged by their beginning; else False.

    False for an array and for a first line that is no whole JSON value. ``read`` must give the bytes from the
    first one on. Raises ``CorruptFile`` for UTF-16 and UTF-32, recognised by their byte order marks.
    """
    head = read(_FIRST)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CorruptFile("the file is UTF-16 or UTF-32, not UTF-8", hint="convert it to UTF-8")
    body = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if body.startswith(b"["):
        return False
    line, found, _ = body.partition(b"\n")
    if not found:
        return len(head) == _FIRST or not body.strip() or _is_json(line)
    return _is_json(line)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def as_lines(read: Read) -> Read:
    """Return a function ``read(size)`` that gives JSON objects as JSON Lines.

    The argument ``read`` gives the bytes of a file with another layout. The result gives blocks of whole
    lines, at least ``size`` bytes if there are so many, and nothing at the end. Raises ``CorruptFile`` with
    the number of the record that is not a JSON object.
    """
    parts = _objects(read)

    def lines(size: int) -> bytes:
        taken: list[bytes] = []
        length = 0
        for part in parts:
            taken.append(part)
            length += len(part) + 1
            if length >= size:
                break
        return b"\n".join([*taken, b""]) if taken else b""

    return lines


class _Text:
    """The decoded text, read as far as needed; ``at`` is the position of the next value."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text = ""
        self.at = 0
        self.ended = False

    def more(self) -> bool:
        """Read at least as much text as is still unparsed; False at the end of the file."""
        if self.ended:
            return False
        kept = self.text[self.at :]
        if len(kept) > _LARGEST:
            raise CorruptFile("a JSON record is larger than 1 GiB", hint="write one object per line")
        data = self._read(max(_BLOCK, len(kept)))
        try:
            self.text = kept + self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise CorruptFile("the file is not UTF-8 text", hint="convert it to UTF-8") from silent(error)
        self.at, self.ended = 0, not data
        return True

    def peek(self) -> str:
        """Return the next character that is not white space, without consuming it; '' at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


def _objects(read: Read) -> Iterator[bytes]:
    text = _Text(read)
    array = text.peek() == "["
    if array:
        text.at += 1
    number = 0
    while (found := text.peek()) not in ("", "]"):
        number += 1
        yield _object(text, number)
        if array and text.peek() == ",":
            text.at += 1
            if text.peek() == "]":
                raise _wrong(number + 1, "is missing behind a comma")
        elif array and text.peek() not in ("", "]"):
            raise _wrong(number, "is not followed by a comma or by the end of the array")
    if array != (found == "]"):
        raise _wrong(number + 1, "is missing: the file ends in its array" if array else "is not an object")
    if array:
        text.at += 1
        if text.peek():
            raise CorruptFile("there is text behind the JSON array", hint="write one array, and nothing else")


def _object(text: _Text, number: int) -> bytes:
    if text.peek() != "{":
        raise _wrong(number, "is not an object")
    decoder = json.JSONDecoder()
    while True:
        try:
            _, end = decoder.raw_decode(text.text, text.at)
        except json.JSONDecodeError as error:
            cut_short = error.msg.startswith("Unterminated") or error.pos >= len(text.text) - _NEAR
            if not (cut_short and text.more()):
                raise _wrong(number, "is not JSON") from silent(error)
        else:
            found = text.text[text.at : end]
            text.at = end
            # Line ends inside of an object are white space: a JSON string cannot contain one.
            return found.replace("\r", " ").replace("\n", " ").encode("utf-8")


def _wrong(number: int, what: str) -> CorruptFile:
    return CorruptFile(
        f"record {number:,} {what}", hint="write a JSON array of objects, or an object per line"
    )


class Number(str):
    """A JSON number exactly as it is written in the file."""

    __slots__ = ()


def records_of(block: bytes, first_line: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the block's records; errors name the line if ``first_line``, that of the block, is known."""
    for number, line in enumerate(block.split(b"\n"), first_line or 0):
        if not line.strip():
            continue
        where = "a line" if first_line is None else f"line {number:,}"
        try:
            record = json.loads(
                line,
                parse_int=Number,
                parse_float=Number,
                parse_constant=Number,
                object_pairs_hook=_once,
            )
        except _TwiceError as error:
            raise CorruptFile(
                f"{where} holds the key {error} twice", hint="give each key of an object once"
            ) from None
        except ValueError as error:
            raise CorruptFile(
                f"{where} is not JSON", hint="mend the line, or stage the chunk again"
            ) from silent(error)
        if not isinstance(record, dict):
            raise CorruptFile(f"{where} is not a JSON object", hint="write one object per line")
        yield record


class _TwiceError(Exception):
    """A key that occurs twice in one object, so that its value is ambiguous."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return record


def spelled(value: Any) -> str:
    """Return a value as JSON text, with numbers exactly as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{spelled(v)}" for k, v in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
