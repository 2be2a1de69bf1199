"""NetezzaExternalTableSource: the server writes files, hdm passes them on.

https://www.ibm.com/docs/en/netezza (CREATE EXTERNAL TABLE). ``REMOTESOURCE 'python'`` (nzpy) has the
server send the file to this machine; the text format escapes its own marks and line ends.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from pydantic import BaseModel

from hdm import failpoints
from hdm.components.settings import PathText
from hdm.connectors.netezza.components import NetezzaSource
from hdm.errors import CorruptFile, SchemaDrift, UsageError
from hdm.files.atomic_file import is_there
from hdm.model import Chunk, Column, Kind, Payload, Table
from hdm.sql import SqlSourceConfig, relation
from hdm.sql import odbc_codec as casting

_OPTIONS = "DELIMITER '|' ESCAPECHAR '\\' ENCODING 'utf8' INCLUDEHEADER FALSE CRINSTRING TRUE CTRLCHARS TRUE"
_WIDTHS = {Kind.TEXT: 16_000, Kind.JSON: 16_000, Kind.OTHER: 16_000}


class ExternalTableConfig(SqlSourceConfig):
    """One table or query of Netezza, and where it is unloaded to."""

    directory: PathText
    """Folder on this machine that takes the unloaded files; it must exist. Each file goes once its chunk is
    read."""


class NetezzaExternalTableSource(NetezzaSource):
    """Unloads each chunk by one CREATE EXTERNAL TABLE ... AS SELECT, then reads the file."""

    Config: ClassVar[type[BaseModel]] = ExternalTableConfig

    def read(self, table: Table, chunk: Chunk) -> Payload:
        """The chunk's rows, from the file that the server has written."""
        return Payload(table, lambda: self._unloaded(table, chunk))

    def unload_sql(self, table: Table, chunk: Chunk, path: Path) -> str:
        """One unload; every column as text, so that nothing depends on display settings."""
        place = self.dialect.string(str(path))
        chosen = ", ".join(
            f"{self._as_text(column)} AS {self.dialect.quote(column.name)}" for column in table.columns
        )
        where = " AND ".join(filter(None, [self._filter, self.dialect.predicate(chunk.conditions, table)]))
        rows = f"SELECT {chosen} FROM {self._origin(table)}" + (f" WHERE {where}" if where else "")
        source = "ODBC" if self.profile.driver else "python"
        return f"CREATE EXTERNAL TABLE {place} USING (REMOTESOURCE '{source}' {_OPTIONS}) AS {rows}"

    def _as_text(self, column: Column) -> str:
        """``0`` for NULL, else ``1`` and the text: no value can be taken for a NULL mark."""
        shown, kind = self.dialect.select_expression(column), column.kind
        if kind is Kind.BINARY:
            shown = f"BINARY_TO_HEX({shown})"
        elif kind is Kind.BOOLEAN:
            shown = f"CASE WHEN {shown} THEN 'true' ELSE 'false' END"
        elif kind is not Kind.TEXT:
            shown = self.dialect.text_of(shown, column)
        width = 2 * (column.length or 0) if kind is Kind.BINARY else (column.length or _WIDTHS.get(kind, 64))
        text = f"CAST('1' || {shown} AS NVARCHAR({min(width + 1, 16_000)}))"
        return f"CASE WHEN {self.dialect.quote(column.name)} IS NULL THEN '0' ELSE {text} END"

    def _unloaded(self, table: Table, chunk: Chunk) -> Iterator[pa.RecordBatch]:
        folder = Path(os.path.expandvars(self.config.directory)).expanduser()
        if not (is_there(folder) and folder.is_dir()):
            raise UsageError(f"there is no directory {folder}", hint="create it, or correct directory:")
        path = folder / f"hdm-{chunk.chunk_id[:24]}-{uuid.uuid4().hex[:8]}.unload"
        connection = self.database.connect("hdm:unload")
        try:
            if self._described(connection).schema_sha != table.schema_sha:
                raise SchemaDrift(
                    f"{table.dataset.name} is not as it was when planned: columns or types differ",
                    hint="plan again, or set schema_policy",
                )
            relation.hold(self.database, connection, table, self._origin(table), self.path, chunk)
            self.database.run(connection, self.unload_sql(table, chunk, path))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            connection.close()
        try:
            for batch in read_unload(path, table):
                failpoints.point("C3")
                yield batch
        finally:
            path.unlink(missing_ok=True)


def read_unload(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    """The rows of an unloaded text file, in the table's carriers."""
    if path.stat().st_size == 0:
        return
    names = [column.name for column in table.columns]
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
    for batch in reader:
        arrays = [_value(array, column) for array, column in zip(batch.columns, table.columns, strict=True)]
        yield casting.carried(pa.RecordBatch.from_arrays(arrays, names=names), table.columns)


def _value(marked: pa.Array, column: Column) -> pa.Array:
    here = pc.starts_with(marked, "1")
    if pc.any(pc.invert(pc.or_(here, pc.equal(marked, "0")))).as_py():
        raise CorruptFile(f"an unloaded file is damaged at column {column.name}", hint="run again")
    text = pc.if_else(here, pc.utf8_slice_codeunits(marked, 1), pa.scalar(None, pa.string()))
    if column.kind is Kind.BINARY:
        return pa.array([None if v is None else bytes.fromhex(v) for v in text.to_pylist()], pa.binary())
    return text
