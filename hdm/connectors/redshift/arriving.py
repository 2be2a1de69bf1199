"""The temporary table into which COPY loads Parquet files, and the INSERT that fills the target from it.

COPY assigns the columns of Parquet files by their position, and needs as many in the table
(https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html). So the table has
the files' own columns in their order, of types that COPY reads; the target is filled from it by names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from hdm.errors import SchemaDrift
from hdm.model import Column, Kind

if TYPE_CHECKING:
    from hdm.connectors.redshift.database import RedshiftDatabase

LONGEST = 65_535
"""The most bytes of a text in Redshift's VARCHAR."""
_PLAIN = {
    pa.bool_(): "BOOLEAN", pa.int8(): "SMALLINT", pa.int16(): "SMALLINT", pa.int32(): "INTEGER",
    pa.int64(): "BIGINT", pa.float32(): "REAL", pa.float64(): "DOUBLE PRECISION", pa.date32(): "DATE",
}  # fmt: skip


def copied_as(kind: pa.DataType) -> str | None:
    """Return the type of a column into which COPY loads Parquet's values of an Arrow type; None if none."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if pa.types.is_decimal128(kind) and 0 <= kind.scale <= min(kind.precision, 37):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind) and kind.unit in ("ms", "us"):
        return "TIMESTAMP"
    if pa.types.is_string(kind):
        return f"VARCHAR({LONGEST})"
    if pa.types.is_binary(kind):
        return "VARBYTE(16777216)"
    return None


def carried(column: Column) -> pa.DataType:
    """Return the Arrow type in which hdm writes a column's values for COPY; text if COPY reads no other."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us")
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if kind == pa.int8():
        return pa.int16()
    return kind if copied_as(kind) is not None else pa.string()


def room(native: str) -> int:
    """Return how many bytes of text a column takes, by its type as Redshift prints it."""
    found = re.match(r"(?:character varying|character)\((\d+)\)", native)
    return int(found[1]) if found else LONGEST


@dataclass(frozen=True, slots=True)
class Arriving:
    """The columns of the temporary table: name, type, and the kind of value that each carries."""

    columns: tuple[tuple[str, str, Kind], ...]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Arriving:
        """Return the table for files that hdm writes of these columns."""
        return cls(tuple((c.name, copied_as(carried(c)) or "", c.kind) for c in columns))

    @classmethod
    def of_files(cls, columns: Sequence[Column], names: Sequence[str]) -> Arriving | None:
        """Return the table for files that have these columns, under the target's ``names``.

        None if COPY cannot read one of the columns.
        """
        types = [copied_as(column.type) for column in columns]
        if any(one is None for one in types):
            return None
        rows = zip(names, types, columns, strict=True)
        return cls(tuple((name, native or "", column.kind) for name, native, column in rows))

    def create(self, database: RedshiftDatabase, name: str) -> str:
        """Return the statement that creates the temporary table; its rows are spread evenly."""
        quote = database.dialect.quote
        shown = ", ".join(f"{quote(column)} {native}" for column, native, _ in self.columns)
        return f"CREATE TEMPORARY TABLE {quote(name)} ({shown}) DISTSTYLE EVEN"

    def insert(
        self, database: RedshiftDatabase, path: Sequence[str], beside: str, natives: Mapping[str, str]
    ) -> str:
        """Return the INSERT that fills table ``path``, whose columns have the types ``natives``, by names."""
        dialect = database.dialect
        kept = []
        for name, native, kind in self.columns:
            wanted = natives.get(dialect.folded(name))
            if wanted is not None:
                kept.append((name, _value(dialect.quote(name), native, kind, wanted)))
        if not kept:
            raise SchemaDrift(f"{'.'.join(path)} has none of the columns", hint="look at the table")
        return (
            f"INSERT INTO {dialect.qualify(path)} ({dialect.names(name for name, _ in kept)}) "
            f"SELECT {', '.join(value for _, value in kept)} FROM {dialect.quote(beside)}"
        )


def _value(value: str, native: str, kind: Kind, wanted: str) -> str:
    """Return SQL for a value of the temporary table as one of the target's type ``wanted``.

    A text goes into a VARCHAR without a cast, because a cast would cut it.
    """
    base = wanted.partition("(")[0].strip().lower()
    if base == "super":
        return f"JSON_PARSE({value})" if native.startswith("VARCHAR") else value
    if native == "TIMESTAMP" and kind is Kind.TIMESTAMPTZ:
        return f"({value} AT TIME ZONE 'UTC')"
    if native.startswith("VARCHAR") and base not in ("character varying", "character", "varchar", "bpchar"):
        return f"CAST({value} AS {wanted})"
    return value
