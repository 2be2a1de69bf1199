"""Defines NetezzaExternalTableSource: the server unloads each chunk into a file, which hdm reads.

https://www.ibm.com/docs/en/netezza (CREATE EXTERNAL TABLE). ``REMOTESOURCE 'python'`` (nzpy) makes the server
send the file to this machine; the text format escapes delimiters and line ends. Each column has two fields, a
flag and the value. A value can therefore not be mistaken for NULL, and none has to be cast or lengthened to
tell it from NULL, which would truncate it silently. The rows in the file are compared with the server's
count, since nzpy 1.17.8 takes a file that breaks off for a complete one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from pydantic import BaseModel

from hdm import failpoints
from hdm.components.settings import PathText
from hdm.connectors.netezza.database import NetezzaDatabase
from hdm.connectors.netezza.granted import TriesRights
from hdm.connectors.netezza.literals import CAST_WIDTH, cut, is_cast
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.errors import CorruptFile, UnrepresentableValue, UsageError
from hdm.files.atomic_file import is_there
from hdm.model import Chunk, Column, Kind, Payload, Table
from hdm.sql import Database, SqlSource, SqlSourceConfig
from hdm.sql import odbc_codec as casting

_OPTIONS = "DELIMITER '|' ESCAPECHAR '\\' ENCODING 'utf8' INCLUDEHEADER FALSE CRINSTRING TRUE NULLVALUE ''"
_NULL, _HERE, _INEXACT = "0", "1", "2"
"""Flags before a value: it is NULL; its text is exact; its text does not give the value back."""
_FLOATS = (Kind.FLOAT32, Kind.FLOAT64)


class ExternalTableConfig(SqlSourceConfig):
    """Configuration of a source that unloads: a Netezza table or query, and where it is unloaded to."""

    directory: PathText
    """Folder on this machine that takes the unloaded files; it must exist. Each file is deleted once its
    chunk is read."""


class NetezzaExternalTableSource(SqlSource):
    """Reads a Netezza table by unloading each chunk into a file (CREATE EXTERNAL TABLE ... AS SELECT)."""

    Config: ClassVar[type[BaseModel]] = ExternalTableConfig
    Profile: ClassVar[type[BaseModel] | None] = NetezzaProfile
    Database: ClassVar[type[Database]] = NetezzaDatabase

    @property
    def grant_parts(self) -> tuple[str, ...]:
        """The parts of Netezza's grants script whose rights this source needs."""
        return (*super().grant_parts, "unload")

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """Return the chunk's rows, which the server first unloads into a file."""
        return Payload(table, lambda: self._unloaded(table, chunk))

    def unload_sql(self, table: Table, chunk: Chunk, path: Path) -> str:
        """Return the CREATE EXTERNAL TABLE statement that unloads a chunk into the file at ``path``.

        Every column is unloaded as text, so that nothing depends on display settings.
        """
        place = "'" + str(path).replace("'", "''") + "'"
        chosen = ", ".join(f"{self._flag(column)}, {self._as_text(column)}" for column in table.columns)
        rows = f"SELECT {chosen} FROM {self._origin(table)}{self._where(table, chunk)}"
        source = cast(TriesRights, self.database).unloads_to
        return f"CREATE EXTERNAL TABLE {place} USING (REMOTESOURCE '{source}' {_OPTIONS}) AS {rows}"

    def _where(self, table: Table, chunk: Chunk) -> str:
        where = " AND ".join(filter(None, [self._filter, self.dialect.predicate(chunk.conditions, table)]))
        return f" WHERE {where}" if where else ""

    def _flag(self, column: Column) -> str:
        """Return the SQL of a value's flag: whether it is NULL, and whether a float's text is exact."""
        name, shown = self.dialect.quote(column.name), ""
        if column.kind in _FLOATS:
            again = f"CAST({self.dialect.text_of(name, column)} AS DOUBLE PRECISION)"
            shown = f"WHEN {again} = {name} THEN '{_HERE}' ELSE '{_INEXACT}'"
        else:
            shown = f"ELSE '{_HERE}'"
        alias = self.dialect.quote(f"{column.name[:100]}?")
        return f"CASE WHEN {name} IS NULL THEN '{_NULL}' {shown} END AS {alias}"

    def _as_text(self, column: Column) -> str:
        """Return the SQL of a value as text, cast explicitly so that nothing depends on display settings."""
        shown, name = self.dialect.select_expression(column), self.dialect.quote(column.name)
        if column.kind is Kind.BOOLEAN:
            shown = f"CASE WHEN {shown} THEN 'true' ELSE 'false' END"
        elif column.kind is not Kind.TEXT and shown == name:
            shown = self.dialect.text_of(shown, column)
        return f"{shown} AS {name}"

    def _readable(self, table: Table) -> None:
        """Raise ``UsageError`` if the table has a column of bytes, which Netezza cannot cast to text."""
        for column in table.columns:
            if column.kind is Kind.BINARY:
                raise UsageError(
                    f"{table.dataset.name}: column {column.name} is {column.native}, which Netezza "
                    "turns into no text to unload",
                    hint="read the table with NetezzaSource, or leave the column out with columns:",
                )

    def _unloaded(self, table: Table, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        self._readable(table)
        folder = Path(os.path.expandvars(self.config.directory)).expanduser()
        if not (is_there(folder) and folder.is_dir()):
            raise UsageError(f"there is no directory {folder}", hint="create it, or correct directory:")
        start = f"hdm-{chunk.chunk_id[:24]}-"
        for left in folder.glob(f"{start}*.unload"):  # an attempt that was killed left it
            left.unlink(missing_ok=True)
        path = folder / f"{start}{uuid.uuid4().hex[:8]}.unload"
        connection = self.database.connect("hdm:unload", write=True)  # an unload is a CREATE
        try:
            self.hold_to_plan(connection, table, chunk)
            rows = self.database.change(connection, self.unload_sql(table, chunk, path))
            if rows < 0:  # the server did not say
                counted = f"SELECT COUNT(*) FROM {self._origin(table)}{self._where(table, chunk)}"
                rows = int(self.database.run(connection, counted)[0][0])
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            connection.close()
        try:
            for batch in read_unload(path, table):
                failpoints.point("C3")
                rows -= batch.num_rows
                yield batch
            if rows:
                raise CorruptFile(
                    f"{table.dataset.name}: an unloaded file has {abs(rows)} rows "
                    f"{'less' if rows > 0 else 'more'} than the server counted",
                    hint="run again",
                )
        finally:
            path.unlink(missing_ok=True)


def read_unload(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an unloaded text file as batches with the table's Arrow types.

    No batch for a file that is empty or does not exist. Raises ``CorruptFile`` for a damaged file, and
    ``UnrepresentableValue`` for a value whose text is not exact or may have been truncated.
    """
    if not path.exists() or path.stat().st_size == 0:
        return
    for batch in _fields(path, 2 * len(table.columns)):
        arrays = [
            _value(batch.column(2 * n), batch.column(2 * n + 1), column)
            for n, column in enumerate(table.columns)
        ]
        kept = [column.name for column in table.columns]
        yield casting.carried(pa.RecordBatch.from_arrays(arrays, names=kept), table.columns)


def _fields(path: Path, count: int) -> Iterator[pa.RecordBatch]:
    """Yield the fields of all lines as text; ``CorruptFile`` if a line has not ``count`` fields."""
    names = [str(number) for number in range(count)]
    try:
        reader: Any = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=8 * 1024 * 1024),
            parse_options=arrow_csv.ParseOptions(
                delimiter="|", quote_char=False, escape_char="\\", newlines_in_values=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
        yield from reader
    except pa.ArrowInvalid:
        raise CorruptFile("an unloaded file is damaged: a row has too few fields", hint="run again") from None


def _value(flags: pa.Array, values: pa.Array, column: Column) -> pa.Array:
    if pc.any(pc.equal(flags, _INEXACT)).as_py():
        raise UnrepresentableValue(
            f"column {column.name}: the server's text of a {column.native or column.kind} is not its value",
            hint="read the table with NetezzaSource, which is sent the bytes of it",
        )
    here = pc.equal(flags, _HERE)
    if pc.any(pc.invert(pc.or_(here, pc.equal(flags, _NULL)))).as_py():
        raise CorruptFile(f"an unloaded file is damaged at column {column.name}", hint="run again")
    if is_cast(column) and (pc.max(pc.utf8_length(values)).as_py() or 0) >= CAST_WIDTH:
        raise cut(column)
    return pc.if_else(here, values, pa.scalar(None, pa.string()))
