"""Reads text of any encoding as UTF-8; invalid bytes are named by line and byte."""

from __future__ import annotations

import codecs
from collections.abc import Callable

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile

Read = Callable[[int], bytes]


def is_utf8(encoding: str) -> bool:
    """Return True if text of this encoding needs no conversion; a byte order mark may stand at its start."""
    return encoding in ("utf-8", "utf-8-sig", "ascii")


def as_utf8(read: Read, encoding: str) -> Read:
    """Return a function ``read(size)`` that gives text of another encoding as UTF-8, in whole characters.

    It gives about ``size`` bytes, and none at the end. Raises ``CorruptFile`` with line and byte where the
    bytes are no text of the encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    taken, line = 0, 1
    ended = False

    def converted(size: int) -> bytes:
        nonlocal taken, line, ended
        while not ended:
            raw = read(size)
            ended = not raw
            waiting = len(decoder.getstate()[0])
            try:
                made = decoder.decode(raw, final=ended)
            except UnicodeError as error:
                start = getattr(error, "start", 0)
                line += (raw[: max(0, start - waiting)].decode(encoding, "ignore")).count("\n")
                raise invalid(line, taken - waiting + start, encoding) from silent(error)
            taken += len(raw)
            line += made.count("\n")
            if made:
                return made.encode("utf-8", "surrogatepass")
        return b""

    return converted


def check(block: bytes, line: int, offset: int) -> None:
    """Raise ``CorruptFile`` if a block is not UTF-8; it begins on line ``line``, at byte ``offset`` of the
    file."""
    try:
        block.decode()
    except UnicodeDecodeError as error:
        at = line + block.count(b"\n", 0, error.start)
        raise invalid(at, offset + error.start, "utf-8") from silent(error)


def invalid(line: int, byte: int, encoding: str) -> CorruptFile:
    """Return the error for bytes that are no text; ``byte`` is counted from 0, and told from 1."""
    shown = "UTF-8" if encoding == "utf-8" else encoding
    return CorruptFile(
        f"line {line:,} is not {shown} text: byte {byte + 1:,} of the file cannot be read",
        hint="say which encoding it has, e.g. csv: {encoding: cp1252}, or convert the file to UTF-8",
    )
