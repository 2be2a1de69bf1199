"""Brings a chunk's rows into a temporary table first, so that the transaction with the ledger is short.

Transactions that write the same row end all but one of them, and every load writes the ledger's head row
(https://www.ibm.com/docs/en/SSTNZ3/barracuda/admin/c_sysadm_concur_trans_serial_queue.html). By nzpy rows
travel in files that the server reads through an external table (REMOTESOURCE 'python'): one round trip for a
file, where an INSERT is one for each row. Each value has a flag before it, as in ``external``.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import rows as row_codec
from hdm.dialects.types import INTEGERS
from hdm.errors import PermanentError, RejectedRows, UsageError
from hdm.model import Column, Kind
from hdm.sql import Database

_OPTIONS = (
    "DELIMITER '|' ESCAPECHAR '\\' ENCODING 'utf8' NULLVALUE '' CRINSTRING TRUE CTRLCHARS TRUE "
    "BOOLSTYLE 'TRUE_FALSE' DATESTYLE 'YMD' TIMESTYLE '24HOUR' MAXERRORS 1"
)
_NULL, _HERE = "0", "1"
_ODD = {"nan": "2", "inf": "3", "-inf": "4"}
"""Flags of floats for which a file has no text."""
_FLOATS = (Kind.FLOAT32, Kind.FLOAT64)
_BY_FILE = frozenset({*INTEGERS, *_FLOATS, Kind.DECIMAL, Kind.BOOLEAN, Kind.DATE, Kind.TIME, Kind.TIMESTAMP})
"""Kinds whose text in a file is their value, whatever the session's settings are."""


class BringsFirst(Database):
    """A Netezza database that fills a temporary table before the transaction opens."""

    brings_first = True
    remote: ClassVar[str | None] = None
    """The client as REMOTESOURCE names it, if hdm has the server read files from this machine; else None."""

    def bring(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Fill a temporary table that has the types of ``path``; return the function that loads the rows.

        The function inserts them from the temporary table into ``path``, and returns how many. If ``path`` is
        a temporary table itself, as before a merge, that one is filled at once.
        """
        if len(path) == 1:
            taken = self._fill(connection, path, columns, batches)
            return lambda: taken
        names = self.dialect.names(column.name for column in columns)
        stage, into = (f"_HDM_LOAD_{uuid.uuid4().hex}".upper(),), self.dialect.qualify(path)
        within = self.dialect.qualify(stage)
        empty = f"SELECT {names} FROM {into} LIMIT 0"
        self.run(connection, f"CREATE TEMP TABLE {within} AS {empty} DISTRIBUTE ON RANDOM")
        there = self._fill(connection, stage, columns, batches)

        def insert() -> int:
            rows = self.change(connection, f"INSERT INTO {into} ({names}) SELECT {names} FROM {within}")
            return there if rows < 0 else rows  # -1: the driver did not say; all or none is inserted

        return insert

    def _fill(
        self,
        connection: Any,
        stage: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        natives = self._natives(connection, stage) if self.remote else {}
        goes_by_file = bool(natives) and all(_by_file(c, natives.get(c.name, "")) for c in columns)
        taken = 0
        for batch in batches:
            if goes_by_file and batch.num_rows:
                try:
                    taken += self._by_file(connection, stage, columns, natives, batch)
                    continue
                except (UsageError, PermanentError) as error:
                    if isinstance(error, RejectedRows) or taken:
                        raise
                    goes_by_file = False  # no right to make external tables
            self.begin(connection, write=True)
            taken += self.load(connection, stage, columns, iter([batch]))
            self.commit(connection)
        ((there,),) = self.run(connection, f"SELECT COUNT(*) FROM {self.dialect.qualify(stage)}")
        if there != taken:
            raise RejectedRows(
                f"{stage[-1]} holds {there:,} of {taken:,} rows", hint="nothing was committed; run again"
            )
        return taken

    def _natives(self, connection: Any, stage: Sequence[str]) -> dict[str, str]:
        rows = self.run(
            connection,
            "SELECT ATTNAME, FORMAT_TYPE FROM _V_RELATION_COLUMN WHERE NAME = ? ORDER BY ATTNUM",
            (stage[-1],),
        )
        return {str(name): str(native) for name, native in rows}

    def _by_file(
        self,
        connection: Any,
        stage: Sequence[str],
        columns: Sequence[Column],
        natives: dict[str, str],
        batch: pa.RecordBatch,
    ) -> int:
        """Have the server read one batch from a file in a private folder, where its log goes, too."""
        with tempfile.TemporaryDirectory(prefix="hdm-load-") as folder:
            file = Path(folder) / "rows"
            file.write_bytes(written(batch, columns).encode())
            rows = self.change(connection, self._load_sql(stage, columns, natives, file))
        if rows not in (-1, batch.num_rows):
            raise RejectedRows(
                f"{stage[-1]} took {rows} of {batch.num_rows} rows", hint="nothing was committed; run again"
            )
        return int(batch.num_rows)

    def _load_sql(
        self, stage: Sequence[str], columns: Sequence[Column], natives: dict[str, str], file: Path
    ) -> str:
        fields = ", ".join(f"f{n} BYTEINT, v{n} {natives[c.name]}" for n, c in enumerate(columns))
        values = ", ".join(_value(n, column) for n, column in enumerate(columns))
        place, logs = (self.dialect.string(str(one)) for one in (file, file.parent))
        names = self.dialect.names(column.name for column in columns)
        return (
            f"INSERT INTO {self.dialect.qualify(stage)} ({names}) SELECT {values} FROM EXTERNAL {place} "
            f"({fields}) USING (REMOTESOURCE '{self.remote}' {_OPTIONS} LOGDIR {logs})"
        )


def written(batch: pa.RecordBatch, columns: Sequence[Column]) -> str:
    """Return the rows as lines of fields, a flag before each value."""
    fields: list[list[str]] = []
    for array, column in zip(batch.columns, columns, strict=True):
        texts = _texts(array, column)
        flags = [_NULL if text is None else _HERE for text in texts]
        if column.kind in _FLOATS:
            flags = [_ODD.get(text or "", flag) for text, flag in zip(texts, flags, strict=True)]
        fields.append(flags)
        fields.append(["" if t is None or (t in _ODD and column.kind in _FLOATS) else t for t in texts])
    return "".join("|".join(row) + "\n" for row in zip(*fields, strict=True))


def _texts(array: pa.Array, column: Column) -> list[str | None]:
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        if pc.any(pc.match_substring(array, "\0")).as_py():
            raise row_codec.unrepresentable(column.name, "a text holds a NUL, which Netezza cannot keep")
        escaped: list[str | None] = pc.replace_substring_regex(array, r"([\\|\n\r])", r"\\\1").to_pylist()
        return escaped
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp(array.type.unit))
    if pa.types.is_boolean(array.type):
        return [None if v is None else str(v).lower() for v in array.to_pylist()]
    return [None if v is None else v if isinstance(v, str) else repr(v) for v in row_codec.cells(array)]


def _by_file(column: Column, native: str) -> bool:
    """Whether values of the column can come by file into a column of type ``native``.

    Not text into VARCHAR: a file in UTF-8 has no fields in Latin-9.
    """
    wide = native.upper().startswith(("NATIONAL CHARACTER", "NVARCHAR", "NCHAR"))
    if column.kind is Kind.TEXT:
        return wide
    return column.kind in _BY_FILE and not wide and "CHAR" not in native.upper()


def _value(number: int, column: Column) -> str:
    """Return the SQL of a field's value: an empty field of a text is empty, and NULL only by its flag."""
    field, flag = f"v{number}", f"f{number}"
    if column.kind is Kind.TEXT:
        return f"CASE WHEN {flag} = 1 THEN COALESCE({field}, '') END"
    odd = ""
    if column.kind in _FLOATS:
        words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        odd = "".join(
            f" WHEN {flag} = {mark} THEN CAST('{words[text]}' AS DOUBLE PRECISION)"
            for text, mark in _ODD.items()
        )
    return f"CASE WHEN {flag} = 1 THEN {field}{odd} END"
