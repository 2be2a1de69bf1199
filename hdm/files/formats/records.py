"""Base class of formats whose files are read as a stream of records, each file from its beginning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from hdm.arrow.batches import conform
from hdm.errors import UsageError
from hdm.files.formats import BatchWriter, Format, RowOffsets, carries, text
from hdm.files.formats.arrow_types import misfit
from hdm.model import Column, Dataset, Table

Parsed = Iterator[tuple[int, pa.Table]]
"""Tables of records, each with the number of its first record, counted from 0."""


class Records(Format):
    """Reads a file's records in order. Subclasses give ``columns`` and ``parsed``.

    Counting the rows reads every value, so that a file with a value that does not fit is refused when it is
    planned.
    """

    @abstractmethod
    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the columns of the file's records."""

    @abstractmethod
    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's records as Arrow tables, from record ``first`` or an earlier one on.

        Raises ``CorruptFile`` with the place of a record that cannot be read.
        """

    def writer(self, stream: BinaryIO, table: Table, compression: str, group_bytes: int) -> BatchWriter:
        """Raise ``UsageError``: hdm reads files of this format, and writes none."""
        raise UsageError(f"hdm writes no {self.name} files", hint="write file_format: parquet, csv or jsonl")

    def read(
        self,
        stream: BinaryIO,
        table: Table,
        compression: str,
        first: int = 0,
        count: int | None = None,
        marks: RowOffsets | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from ``first`` on, as batches; raise ``SchemaDrift`` if the file's columns differ.

        At most ``count`` rows, all if it is None.
        """
        for rows in text.cut(self.parsed(stream, compression, first, marks), first, count):
            for batch in rows.to_batches():
                yield conform(batch.replace_schema_metadata(None), table.schema)

    def rows(self, stream: BinaryIO, compression: str) -> int:
        """Return how many records the file has, by reading all of them."""
        return sum(rows.num_rows for _, rows in self.parsed(stream, compression, 0, None))

    def misfit(self, stream: BinaryIO, compression: str, table: Table) -> str | None:
        """Return how the file's columns differ from the table's, by names and kinds; None if they do not."""
        return misfit(self.columns(stream, compression), table)

    def describe(self, stream: BinaryIO, compression: str, dataset: Dataset, path: tuple[str, ...]) -> Table:
        """Return a table with the file's columns."""
        table = Table(dataset, path, self.columns(stream, compression))
        carries(table)
        return table


def as_table(arrays: Sequence[pa.Array], columns: Sequence[Column]) -> pa.Table:
    """Return arrays as a table with the columns' names and types."""
    return pa.table(list(arrays), schema=pa.schema([(one.name, one.type) for one in columns]))
