"""Finds the rows that were appended to a file since it was moved; refuses other changes of the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from hdm.errors import UsageError
from hdm.files.formats import compression_of, format_named, format_of
from hdm.model import Chunk, Mode, StagedFile

_BLOCK = 1024 * 1024

Begins = Callable[[StagedFile, StagedFile], bool]
"""Tells whether the first file begins with all bytes of the second, and these end with a whole record."""


def rest_of(chunk: Chunk, before: Sequence[Chunk], begins: Begins, mode: Mode) -> Iterator[Chunk]:
    """Yield those rows of a file's chunk that no earlier chunk has, as chunks; nothing if there are none.

    ``before`` are all chunks of the job's earlier epochs, in their order; a chunk that is one of them is
    yielded as it is. ``begins`` tells whether a file begins with the bytes of an older one. If rows that were
    moved before may have changed, mode merge yields the whole file; the other modes raise ``UsageError``.
    """
    file = chunk.files[0]
    earlier = [one for one in before if one.files and one.files[0].uri == file.uri]
    if not earlier or any(one.chunk_id == chunk.chunk_id for one in earlier):
        yield chunk
        return
    known: dict[str, bool] = {file.sha256: True}
    for one in reversed(earlier):
        old = one.files[0]
        if old.sha256 not in known:
            known[old.sha256] = begins(file, old)
    newest = earlier[-1].files[0]
    if not known[newest.sha256]:
        if mode.rules.merges_by_key:
            yield chunk
            return
        raise UsageError(
            f"{file.uri} has changed since it was moved, and not by what was appended: it had "
            f"{newest.rows:,} rows in {newest.bytes:,} bytes, and has {file.rows:,} in {file.bytes:,}",
            hint="give new rows in a new file, or append whole lines; or write mode: replace, or mode: merge "
            "with a key",
        )
    held = sorted(_range(one) for one in earlier if known[one.files[0].sha256])
    yield from _without(chunk, held)


def _range(chunk: Chunk) -> tuple[int, int]:
    first = chunk.first_row or 0
    count = chunk.row_count
    return first, first + (chunk.files[0].rows - first if count is None else count)


def _without(chunk: Chunk, held: Sequence[tuple[int, int]]) -> Iterator[Chunk]:
    begin, end = _range(chunk)
    for low, high in [*held, (end, end)]:
        if low > begin and begin < end:
            upto = min(low, end)
            whole = (begin, upto) == _range(chunk)
            part = {"first_row": begin, "row_count": upto - begin, "estimate_rows": upto - begin}
            yield chunk if whole else chunk.at(**part)
        begin = max(begin, high)


def begins_with(stream: BinaryIO, old: StagedFile) -> bool:
    """Return True if a file begins with all bytes of an older text file, so that the rest is new rows.

    The old file must have ended with a line's end. False for compressed files, Parquet and other formats
    without lines, where new rows cannot be told.
    """
    found = format_of(old.uri)
    name = found[0] if found else old.format
    if compression_of(old.uri) != "none" or not format_named(name).grows_by_lines:
        return False
    total, left, last = hashlib.sha256(), old.bytes, b"\n"
    while left and (block := stream.read(min(_BLOCK, left))):
        total.update(block)
        left -= len(block)
        last = block[-1:]
    return not left and last == b"\n" and total.hexdigest() == old.sha256
