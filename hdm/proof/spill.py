"""Divides rows by bucket into parts that fit into memory; several parts wait in temporary files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc


class Spill:
    """Takes batches of rows and gives them back part by part; rows of one bucket are in one part.

    One part stays in memory. Of several, each is a file that only this user can read and that goes with the
    ``with`` block. What is spilled are hashes and whole-number keys, never another value.
    """

    def __init__(self, schema: pa.Schema, parts: int) -> None:
        self._schema, self._count = schema, max(parts, 1)
        self._kept: list[pa.Table] = []
        self._writers: list[Any] = []
        self._stack = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        if self._count > 1:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="hdm_proof_")))
            for number in range(self._count):
                path = str(self._folder / str(number))
                self._writers.append(self._stack.enter_context(pa.ipc.new_stream(path, self._schema)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, rows: pa.Table, bucket: pa.Array) -> None:
        """Add rows, each with its bucket."""
        if not rows.num_rows:
            return
        if self._folder is None:
            self._kept.append(rows)
            return
        part = pc.subtract(bucket, pc.multiply(pc.divide(bucket, self._count), self._count))
        for number, writer in enumerate(self._writers):
            some = rows.filter(pc.equal(part, number))
            if some.num_rows:
                writer.write_table(some)

    def parts(self) -> Iterator[pa.Table]:
        """Yield the rows of each part, once; nothing can be added any more."""
        if self._folder is None:
            yield pa.concat_tables([self._schema.empty_table(), *self._kept])
            return
        for number, writer in enumerate(self._writers):
            writer.close()
            with pa.ipc.open_stream(str(self._folder / str(number))) as reader:
                yield reader.read_all()
