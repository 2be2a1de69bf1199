"""Writes Parquet files and manifests to S3, and has Redshift COPY exactly what a manifest lists.

https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
"""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm import failpoints
from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.arrow.batches import rebatch
from hdm.connectors.redshift.arriving import Arriving, carried
from hdm.errors import HdmError, RejectedRows
from hdm.files.formats import format_named
from hdm.model import Column, Dataset, Table

if TYPE_CHECKING:
    from hdm.connectors.redshift.database import RedshiftDatabase

FILE_BYTES = 128 * 1024 * 1024
_GROUP_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Put:
    """A Parquet file in S3."""

    url: str
    bytes: int
    rows: int


class Staging:
    """Puts one load's files and manifest under a name of their own in S3, and deletes them afterwards.

    ``label`` is that of the database session, ``hdm:CHUNK:ATTEMPT``: what earlier attempts at the chunk left
    there is deleted first. An older load that still reads it fails, since its manifest makes each file
    mandatory.
    """

    def __init__(self, database: RedshiftDatabase, label: str) -> None:
        self.database = database
        self.store = database.store
        chunk, _, number = label.rpartition(":")
        self._attempt = int(number) if number.isdecimal() else 0
        self.home = re.sub(r"[^\w-]", "-", chunk or label) + "/"
        self.prefix = f"{self.home}{self._attempt}-{uuid.uuid4().hex}"
        self.folder = tempfile.TemporaryDirectory(prefix="hdm-redshift-")
        self._made: list[str] = []

    def __enter__(self) -> Staging:
        for left in list(self.store.list(self.home)) if self._attempt else ():
            number = left.key.removeprefix(self.home).partition("-")[0]
            if number.isdecimal() and int(number) <= self._attempt:
                self.store.delete(left.key)
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()
        for key in self._made:
            with suppress(HdmError):  # the next attempt at the chunk deletes it
                self.store.delete(key)

    def encode(
        self, columns: Sequence[Column], batches: Iterator[pa.RecordBatch], limits: Mapping[str, int]
    ) -> list[Put]:
        """Write batches as Parquet files of at most about 128 MiB, each put to S3 once it is full.

        ``limits`` are the bytes of text that each column takes. Raises ``UnrepresentableValue`` for a date
        outside of the years 1 to 9999, and for a text with a NUL or more bytes.
        """
        kept = [replace(column, type=carried(column)) for column in columns]
        table = Table(Dataset("", ""), ("",), tuple(kept))
        made: list[Put] = []
        stream: Any = None
        writer: Any = None
        path = Path()
        for batch in rebatch(_converted(batches, columns, table.schema, limits)):
            if writer is None:
                path = Path(self.folder.name) / f"{len(made)}.parquet"
                stream = path.open("wb")
                writer = format_named("parquet").writer(stream, table, "zstd", _GROUP_BYTES)
            writer.write(batch)
            if writer.estimate() >= FILE_BYTES:
                made.append(self._finish(path, stream, writer))
                writer = None
        if writer is not None:
            made.append(self._finish(path, stream, writer))
        return made

    def _finish(self, path: Path, stream: Any, writer: Any) -> Put:
        writer.close()
        stream.close()
        key = f"{self.prefix}/{path.name}"
        self._made.append(key)
        stat = self.store.put_new(key, path)
        return Put(self.store.uri(key), stat.size, writer.rows)

    def copy(self, connection: Any, arriving: Arriving, files: Sequence[Put]) -> str:
        """COPY files into a new temporary table; return its name, or raise ``RejectedRows`` if rows lack."""
        database, dialect = self.database, self.database.dialect
        name, rows = f"_hdm_arriving_{uuid.uuid4().hex[:12]}", sum(file.rows for file in files)
        manifest = f"{self.prefix}/manifest"
        entries = [
            {"url": file.url, "mandatory": True, "meta": {"content_length": file.bytes}} for file in files
        ]
        self._made.append(manifest)
        self.store.put_new(manifest, json.dumps({"entries": entries}).encode())
        database.change(connection, arriving.create(database, name))
        role = database.profile.iam_role
        failpoints.point("L3")
        database.run(
            connection,
            f"COPY {dialect.quote(name)} FROM {dialect.string(self.store.uri(manifest))} "
            f"IAM_ROLE {role if role == 'default' else dialect.string(role)} FORMAT AS PARQUET MANIFEST "
            "STATUPDATE OFF",
        )
        said = int(database.run(connection, "SELECT pg_last_copy_count()")[0][0])
        there = int(database.run(connection, f"SELECT COUNT(*) FROM {dialect.quote(name)}")[0][0])
        if (said, there) != (rows, rows):
            raise RejectedRows(
                f"Redshift copied {said} and holds {there} of {rows} staged rows",
                hint="nothing was committed; SELECT * FROM sys_load_detail tells what each file gave",
            )
        return name


def _converted(
    batches: Iterator[pa.RecordBatch],
    columns: Sequence[Column],
    schema: pa.Schema,
    limits: Mapping[str, int],
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        pairs = zip(batch.columns, columns, schema, strict=True)
        arrays = [_array(array, column, field.type, limits[column.name]) for array, column, field in pairs]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(array: pa.Array, column: Column, wanted: pa.DataType, limit: int) -> pa.Array:
    kind = array.type
    if (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)) and not temporal.is_plain(array):
        raise row_codec.unrepresentable(column.name, "a year outside of 1 to 9999")
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", kind.tz), safe=False).cast(wanted)
    if pa.types.is_decimal(kind) and pa.types.is_string(wanted):
        array = row_codec.decimal_texts(array)
    elif pa.types.is_time(kind):
        array = array.cast(pa.time64("us"), safe=False).cast(wanted)
    else:
        array = array.cast(wanted)
    if pa.types.is_string(wanted):
        if (pc.max(pc.binary_length(array)).as_py() or 0) > limit:
            raise row_codec.unrepresentable(
                column.name, f"a text has more than the {limit:,} bytes of the target"
            )
        if pc.any(pc.match_substring(array, "\0")).as_py():
            raise row_codec.nul_in_text([column.name])
    return array
