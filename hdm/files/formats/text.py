"""Code that CSV and JSON Lines share: compression, blocks of whole records, values as exact text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from hdm.errors import CorruptFile
from hdm.files.formats import RowOffsets

BLOCK = 4 * 1024 * 1024
LARGEST = 1024 * 1024 * 1024
"""The most bytes that one record may have; a larger one is a mistake and would fill the memory."""


class _Open:
    """A view of a stream that Arrow may close while the stream itself stays open."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write
        self.read = stream.read
        self.flush = stream.flush
        self.tell = stream.tell

    def close(self) -> None:
        self.closed = True


def writing(stream: BinaryIO, compression: str) -> Any:
    """Return an Arrow stream that compresses into ``stream``; closing it leaves ``stream`` open."""
    plain = pa.PythonFile(_Open(stream), mode="w")
    return plain if compression == "none" else pa.CompressedOutputStream(plain, compression)


def reading(stream: BinaryIO, compression: str) -> Callable[[int], bytes]:
    """Return a function ``read(size)`` that gives the decompressed bytes from the current position on."""
    if compression == "none":
        return stream.read
    source = pa.CompressedInputStream(pa.PythonFile(_Open(stream), mode="r"), compression)

    def read(size: int) -> bytes:
        try:
            block: bytes = source.read(size)
        except (OSError, pa.ArrowInvalid) as error:
            raise CorruptFile(
                f"a {compression} stream cannot be decompressed", hint="stage the chunk again"
            ) from error
        return block

    return read


def blocks(
    read: Callable[[int], bytes], last_border: Callable[[bytearray, int], int]
) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole records, about 4 MB each, with the byte offset of each block.

    ``last_border(buffer, known)`` returns where the last whole record in the buffer ends, or 0; it need not
    look below ``known``. A record larger than a block makes its block larger; one of more than 1 GiB raises
    ``CorruptFile``.
    """
    buffer = bytearray()
    offset = known = 0
    while data := read(BLOCK):
        buffer += data
        if len(buffer) > LARGEST:
            raise CorruptFile(
                f"the record that begins at byte {offset:,} is larger than 1 GiB",
                hint="look whether a quote is left open there, or a line end is missing",
            )
        cut = last_border(buffer, known)
        if cut:
            yield offset, bytes(buffer[:cut])
            del buffer[:cut]
            offset += cut
            known = 0
        else:
            known = len(buffer)
    if buffer:
        yield offset, bytes(buffer)


@dataclass(slots=True)
class Place:
    """Position of a block of records in a file: the row number of its first record.

    ``counted`` stores how many rows the block has, which gives the next block's position.
    """

    start: int
    _end: int
    _marks: RowOffsets | None
    rows: int = 0

    def begin(self, block: bytes) -> int:
        """Return the offset of the block's first byte in the file, decompressed."""
        return self._end - len(block)

    def counted(self, rows: pa.Table) -> pa.Table:
        """Store the number of rows in the block, and return ``rows``."""
        self.rows = rows.num_rows
        if self._marks is not None:
            self._marks.add(self.start + self.rows, self._end)
        return rows


def located(
    stream: BinaryIO,
    compression: str,
    last_border: Callable[[bytearray, int], int],
    body: int,
    first: int,
    marks: RowOffsets | None,
) -> Iterator[tuple[Place, bytes]]:
    """Yield blocks of whole records, each with its ``Place``, from a block at or before row ``first`` on.

    ``body`` is the byte offset of row 0; ``marks`` are the known offsets of other rows, and get new ones. A
    compressed file is always read from row 0. The caller must call ``Place.counted`` for each block.
    """
    if compression == "none":
        row, offset = marks.before(first, body) if marks is not None else (0, body)
        stream.seek(offset)
        read = reading(stream, compression)
    else:
        row, offset, marks = 0, body, None
        stream.seek(0)
        read = reading(stream, compression)
        if body:
            read(body)
    for begin, block in blocks(read, last_border):
        place = Place(row, offset + begin + len(block), marks)
        yield place, block
        row += place.rows


def located_in(
    read: Callable[[int], bytes], last_border: Callable[[bytearray, int], int]
) -> Iterator[tuple[Place, bytes]]:
    """Yield blocks of whole records, each with its ``Place``, from row 0 on; ``read`` need not seek."""
    row = 0
    for begin, block in blocks(read, last_border):
        place = Place(row, begin + len(block), None)
        yield place, block
        row += place.rows


def cut(parsed: Iterator[tuple[int, pa.Table]], first: int, count: int | None) -> Iterator[pa.Table]:
    """Yield the tables of ``parsed`` cut to rows ``first`` up to ``first + count``.

    Each table in ``parsed`` comes with the number of its first row.
    """
    for row, rows in parsed:
        low = max(0, first - row)
        high = rows.num_rows if count is None else min(rows.num_rows, first + count - row)
        if low < high:
            yield rows.slice(low, high - low)
        if count is not None and row + rows.num_rows >= first + count:
            return


# -- values as text --------------------------------------------------------------

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def is_temporal(kind: pa.DataType) -> bool:
    """Return True if values of an Arrow type are dates, times, timestamps or durations."""
    return bool(pa.types.is_temporal(kind))


def temporal_text(array: pa.Array) -> pa.Array:
    """Return dates and times as ISO 8601 text, in UTC with ``Z`` where the type has a zone.

    Values that no calendar has (infinity, 24:00) are written as ``@<integer>``.
    """
    kind = array.type
    numbers = _numbers(array)
    low, high = _bounds(kind)
    inside = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
    plain = array
    if pa.types.is_timestamp(kind) and kind.tz:
        plain = numbers.cast(pa.timestamp(kind.unit))
    if pc.all(inside, min_count=0).as_py():
        text = plain.cast(pa.string())
    else:
        nothing = pa.scalar(None, plain.type)
        text = pc.if_else(inside, plain, nothing).cast(pa.string())
    if pa.types.is_timestamp(kind) and kind.tz:
        text = pc.binary_join_element_wise(text, "Z", "")
    if text.null_count != array.null_count:
        odd = pc.binary_join_element_wise("@", numbers.cast(pa.string()), "")
        text = pc.if_else(inside, text, odd)
    return text


def temporal_value(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the dates or times of texts that ``temporal_text`` wrote, exactly."""
    odd = pc.starts_with(text, "@")
    has_odd = pc.any(odd, min_count=0).as_py()
    plain = pc.if_else(odd, pa.scalar(None, text.type), text) if has_odd else text
    value = _calendar(plain, kind)
    if not has_odd:
        return value
    wide = pa.int32() if kind.bit_width == 32 else pa.int64()
    digits = pc.if_else(odd, pc.utf8_slice_codeunits(text, 1), pa.scalar(None, text.type))
    return pc.if_else(odd, digits.cast(wide), value.cast(wide)).cast(kind)


def _calendar(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_time(kind):
        moment = pc.binary_join_element_wise("1970-01-01", text, " ")
        wide = pa.int32() if kind.bit_width == 32 else pa.int64()
        return moment.cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(wide).cast(kind)
    if pa.types.is_timestamp(kind) and kind.tz:
        return pc.utf8_rtrim(text, "Z").cast(pa.timestamp(kind.unit)).cast(pa.int64()).cast(kind)
    return text.cast(kind)


def _numbers(array: pa.Array) -> pa.Array:
    return array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64()).cast(pa.int64())


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    """Return the least and greatest value that ISO text can express, as the type's own integers."""
    if pa.types.is_date32(kind):
        return _FIRST_DAY, _LAST_DAY
    unit = _PER_SECOND[kind.unit]
    if pa.types.is_time(kind):
        return 0, 86_400 * unit - 1
    low, high = _FIRST_DAY * 86_400 * unit, (_LAST_DAY + 1) * 86_400 * unit - 1
    return max(low, -(2**63) + unit), min(high, 2**63 - 1 - unit)


def hex_text(array: pa.Array) -> pa.Array:
    """Return bytes as text of lower-case hex digits."""
    values = array.to_pylist()
    return pa.array([None if value is None else value.hex() for value in values], pa.string())


def hex_value(text: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the bytes of texts that ``hex_text`` wrote."""
    values = text.to_pylist()
    return pa.array([None if value is None else bytes.fromhex(value) for value in values], kind)
