"""Writes files, puts them on a stage, copies them into a table, and checks the rows of each."""

from __future__ import annotations

import hashlib
import re
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa

from hdm import failpoints
from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.arrow.batches import rebatch
from hdm.errors import BrokenContract, CorruptFile, RejectedRows
from hdm.files.formats import format_named
from hdm.model import Column, Dataset, StagedFile, Table
from hdm.sql import Database

FILE_BYTES = 128 * 1024 * 1024
_BLOCK = 1024 * 1024
MOST_FILES = 1000
"""Names that one COPY may list at most (https://docs.snowflake.com/en/sql-reference/sql/copy-into-table)."""
FORMATS = {
    "parquet": "TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE",
    "csv": (
        "TYPE = CSV SKIP_HEADER = 1 FIELD_OPTIONALLY_ENCLOSED_BY = '\"' EMPTY_FIELD_AS_NULL = TRUE "
        "NULL_IF = () ESCAPE_UNENCLOSED_FIELD = NONE BINARY_FORMAT = HEX ENCODING = 'UTF8' "
        "ERROR_ON_COLUMN_COUNT_MISMATCH = TRUE"
    ),
}


@dataclass(frozen=True, slots=True)
class Put:
    """A file on a stage; ``name`` is relative to the stage's root."""

    name: str
    rows: int
    format: str = "parquet"


class Staging:
    """Puts files on an internal stage, ``location``, under a prefix that nothing else uses."""

    def __init__(self, database: Database, connection: Any, location: str) -> None:
        self.database = database
        self.connection = connection
        self.folder = tempfile.TemporaryDirectory(prefix="hdm-snowflake-")
        self.location = location
        self.prefix = f"hdm/{uuid.uuid4().hex}"

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()

    def encode(self, columns: Sequence[Column], batches: Iterator[pa.RecordBatch]) -> list[Put]:
        """Write batches as Parquet files, put each on the stage as soon as it is full; return them.

        Raises ``UnrepresentableValue`` for a date or time outside of the years 1 to 9999.
        """
        kept = [_storable(column) for column in columns]
        table = Table(Dataset("", ""), ("",), tuple(kept))
        made: list[Put] = []
        stream: Any = None
        writer: Any = None
        path = Path()
        for batch in rebatch(_converted(batches, columns, table.schema)):
            if writer is None:
                path = Path(self.folder.name) / f"{len(made)}.parquet"
                stream = path.open("wb")
                writer = format_named("parquet").writer(stream, table, "zstd", 48 * _BLOCK)
            writer.write(batch)
            if writer.estimate() >= FILE_BYTES:
                made.append(self._finish(path, stream, writer))
                writer = None
        if writer is not None:
            made.append(self._finish(path, stream, writer))
        return made

    def _finish(self, path: Path, stream: BinaryIO, writer: Any) -> Put:
        writer.close()
        stream.close()
        return self.put(path, writer.rows, "parquet")

    def receive(self, file: StagedFile, stream: BinaryIO) -> Put:
        """PUT a staged file's bytes unchanged; raise ``CorruptFile`` if they are not what was staged."""
        path = Path(self.folder.name) / PurePosixPath(file.uri).name
        total, size = hashlib.sha256(), 0
        with path.open("wb") as out:
            while block := stream.read(_BLOCK):
                total.update(block)
                size += len(block)
                out.write(block)
        if (size, total.hexdigest()) != (file.bytes, file.sha256):
            raise CorruptFile(
                f"{file.uri} is not as it was staged: {size} of {file.bytes} bytes or another checksum",
                hint="restore the file, or stage its chunk again",
            )
        return self.put(path, file.rows, file.format)

    def put(self, path: Path, rows: int, form: str) -> Put:
        """PUT one local file on the stage, delete the local one, and return the file on the stage.

        Raises ``BrokenContract`` if the stage did not take it as a new file.
        """
        if not upload(self.database, self.connection, path, f"{self.location}/{self.prefix}"):
            raise BrokenContract(
                "the stage did not take a new file", hint="run again; the name is new each time"
            )
        if self.location == "@~" and f"@~/{self.prefix}" not in self.connection.left:
            self.connection.left.append(f"@~/{self.prefix}")
        path.unlink()
        failpoints.point("U3")
        return Put(f"{self.prefix}/{path.name}", rows, form)


def upload(database: Database, connection: Any, path: Path, folder: str) -> bool:
    """PUT a local file in a folder of a stage; return False if the stage has a file of that name already."""
    failpoints.point("U2")
    quoted = database.dialect.string(f"file://{path.as_posix()}")
    result = database.run(
        connection, f"PUT {quoted} {place(database, folder)} AUTO_COMPRESS = FALSE OVERWRITE = FALSE"
    )
    return bool(result) and str(result[0][6]).upper() == "UPLOADED"


def place(database: Database, location: str) -> str:
    """Return a location on a stage, quoted if PUT and COPY cannot read its characters bare.

    https://docs.snowflake.com/en/sql-reference/sql/put
    """
    return location if re.fullmatch(r'[\w./@"~$-]+', location) else database.dialect.string(location)


def copy_files(
    database: Database,
    connection: Any,
    location: str,
    into: Sequence[str],
    names: Sequence[str],
    files: Sequence[Put],
    *,
    fold: bool = False,
) -> None:
    """Load exactly these files into table ``into`` by COPY, in the caller's transaction.

    Raises ``RejectedRows`` unless all rows arrive; the caller must then roll back. ``fold`` matches column
    names in any case.
    """
    for form in sorted({file.format for file in files}):
        wanted = [file for file in files if file.format == form]
        for start in range(0, len(wanted), MOST_FILES):
            part = wanted[start : start + MOST_FILES]
            sql = copy_sql(database, location, into, names, [file.name for file in part], form, fold=fold)
            failpoints.point("L3")
            _check(database.run(connection, sql), part)


def copy_sql(
    database: Database,
    location: str,
    into: Sequence[str],
    names: Sequence[str],
    files: Sequence[str],
    form: str,
    *,
    fold: bool = False,
) -> str:
    """Return the COPY INTO statement that loads exactly these files.

    The statement never uses PATTERN or ON_ERROR = CONTINUE, deletes no file and truncates no text. FORCE is
    set because COPY skips files that its own history says were loaded into the table, and files that are
    older than this history. The ledger, in the same transaction, decides what was loaded.
    """
    dialect = database.dialect
    listed = ", ".join(dialect.string(name) for name in files)
    target = dialect.qualify(into)
    if form == "parquet":
        by_name = f" MATCH_BY_COLUMN_NAME = {'CASE_INSENSITIVE' if fold else 'CASE_SENSITIVE'}"
    else:
        target, by_name = f"{target} ({dialect.names(names)})", ""
    return (
        f"COPY INTO {target} FROM {place(database, location)} FILES = ({listed}) "
        f"FILE_FORMAT = ({FORMATS[form]}){by_name} ON_ERROR = ABORT_STATEMENT "
        "FORCE = TRUE PURGE = FALSE TRUNCATECOLUMNS = FALSE"
    )


def _check(result: Sequence[Sequence[Any]], files: Sequence[Put]) -> None:
    """Compare what COPY reports of each file with what was staged; ``RejectedRows`` if they differ.

    COPY reports (file, status, rows_parsed, rows_loaded, ...). Files are matched by their whole path, before
    which the stage's own may stand: two folders may hold files of one name.
    """
    loaded: dict[str, tuple[str, int]] = {}
    wanted = {file.name for file in files}
    for row in result:
        if len(row) > 3:
            name = str(row[0])
            while name not in wanted and "/" in name:
                name = name.partition("/")[2]
            loaded[name] = (str(row[1]).upper(), int(row[3]))
    for file in files:
        name = file.name
        status, rows = loaded.get(name, ("MISSING", 0))
        if file.rows == 0 and status in ("MISSING", "LOADED"):
            continue
        if status != "LOADED" or rows != file.rows:
            raise RejectedRows(
                f"Snowflake loaded {rows} of {file.rows} rows of {name} ({status.lower()})",
                hint="nothing was committed; look at COPY_HISTORY by the run's QUERY_TAG",
            )


def _storable(column: Column) -> Column:
    if pa.types.is_decimal256(column.type):
        return replace(column, type=pa.string())
    return column


def _converted(
    batches: Iterator[pa.RecordBatch], columns: Sequence[Column], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        arrays = []
        for array, column, field in zip(batch.columns, columns, schema, strict=True):
            kind = array.type
            if (pa.types.is_date32(kind) or pa.types.is_timestamp(kind)) and not temporal.is_plain(array):
                raise row_codec.unrepresentable(column.name, "Snowflake's years are 1 to 9999")
            arrays.append(
                row_codec.decimal_texts(array) if pa.types.is_decimal256(kind) else array.cast(field.type)
            )
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
