"""Converts Arrow batches to PostgreSQL's binary COPY format, for types whose bytes are known exactly.

A row is its number of fields, then each field's length (-1: NULL) and bytes, big-endian; the bytes are those
of each type's ``send`` function. https://www.postgresql.org/docs/current/sql-copy.html

Fields that have one width in all rows become records of a numpy array; Arrow joins these with the bytes of
varying length. Nothing happens row by row in Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hdm.connectors.postgres.copy_binary_values import Encode, Fixed, encoder
from hdm.connectors.postgres.copy_stream import BLOCK_BYTES
from hdm.model import Column

_ROWS = 16_384
"""Rows of a block at most, so that what is made of them stays in the processor's cache."""


class BinaryEncoder:
    """Encodes batches as blocks of a binary COPY.

    ``head`` goes before the first block, ``tail`` after the last.
    """

    form = "binary"
    head, tail = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"

    def __init__(self, encoders: Sequence[Encode]) -> None:
        self._encoders = encoders

    @classmethod
    def of(cls, columns: Sequence[Column], types: Sequence[str]) -> BinaryEncoder | None:
        """Return an encoder for columns of the given PostgreSQL types; None if one needs the text format.

        ``types`` are ``pg_type.typname`` values.
        """
        found = [encoder(column, held) for column, held in zip(columns, types, strict=True)]
        known = [one for one in found if one is not None]
        return cls(known) if known and len(known) == len(columns) else None

    def encode(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        """Yield a batch's rows in the binary COPY format, in blocks of equally many rows.

        A block has as many rows as make ``BLOCK_BYTES`` by the batch's average size of a row in Arrow, but at
        least one and at most ``_ROWS``; the last one has the rest. Rows far above the average make their
        block larger.
        """
        width = max(batch.nbytes // max(batch.num_rows, 1), 1)
        step = max(min(BLOCK_BYTES // width, _ROWS), 1)
        for start in range(0, batch.num_rows, step):
            yield self._block(batch.slice(start, step))

    def _block(self, batch: pa.RecordBatch) -> memoryview:
        rows = _Rows(batch.num_rows)
        rows.constant(len(self._encoders).to_bytes(2, "big"))
        for array, encode in zip(batch.columns, self._encoders, strict=True):
            values = encode(array)
            if isinstance(values, Fixed):
                rows.constant(values.width.to_bytes(4, "big"))
                rows.varying(values.numbers, values.stored)
            else:
                rows.varying(values.lengths, np.dtype(">i4"))
                rows.ragged(values.lengths, values.data)
        return rows.joined()


class _Rows:
    """Builds rows from fields of one width, side by side in records, and pieces of varying length between."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._template = bytearray()
        self._fields: list[tuple[int, np.dtype[Any], np.ndarray[Any, Any]]] = []
        self._pieces: list[pa.Array] = []

    def constant(self, same: bytes) -> None:
        """Add the same bytes to every row."""
        self._template += same

    def varying(self, values: np.ndarray[Any, Any], stored: np.dtype[Any]) -> None:
        """Add one value to every row, in the binary form of type ``stored``."""
        self._fields.append((len(self._template), stored, values))
        self._template += bytes(stored.itemsize)

    def ragged(self, lengths: np.ndarray[Any, Any], data: Any) -> None:
        """Add to each row the next ``lengths`` bytes of ``data``; none where the length is negative."""
        self._close()
        offsets = np.zeros(self._count + 1, np.int64)
        np.cumsum(np.maximum(lengths, 0), out=offsets[1:])
        self._add(offsets, pa.py_buffer(data))

    def joined(self) -> memoryview:
        """Return the bytes of all rows, one after the other."""
        self._close()
        if len(self._pieces) == 1:
            return memoryview(self._pieces[0].buffers()[2])
        return memoryview(pc.binary_join_element_wise(*self._pieces, _nothing()).buffers()[2])

    def _close(self) -> None:
        width = len(self._template)
        if not width:
            return
        shape = np.dtype(
            {
                "names": [str(number) for number in range(len(self._fields))],
                "formats": [stored for _, stored, _ in self._fields],
                "offsets": [offset for offset, _, _ in self._fields],
                "itemsize": width,
            }
        )
        records = np.empty(self._count, f"V{width}")
        records[:] = np.void(bytes(self._template))
        named = records.view(shape)
        for number, (_, _, values) in enumerate(self._fields):
            named[str(number)] = values
        self._add(np.arange(0, width * (self._count + 1), width, dtype=np.int64), pa.py_buffer(records))
        self._template, self._fields = bytearray(), []

    def _add(self, offsets: np.ndarray[Any, Any], data: pa.Buffer) -> None:
        buffers = [None, pa.py_buffer(offsets), data]
        self._pieces.append(pa.Array.from_buffers(pa.large_binary(), self._count, buffers))


@lru_cache(maxsize=1)
def _nothing() -> pa.Scalar:
    """Return an empty separator; ``pa.scalar`` would take a second to import pandas where it is installed."""
    buffers = [None, pa.py_buffer(bytes(16)), pa.py_buffer(b"")]
    return pa.Array.from_buffers(pa.large_binary(), 1, buffers)[0]
