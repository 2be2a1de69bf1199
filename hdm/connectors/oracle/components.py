"""Defines OracleSource, ExadataSource, OracleSink and OracleCatalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel, Field

from hdm.connectors.oracle.database import OracleDatabase, OracleProfile, checked_scn
from hdm.dialects.oracle import ROWID, is_readable
from hdm.errors import UnsupportedType
from hdm.model import Chunk, Column, Condition, Kind, Table, Window
from hdm.sql import Database, SqlSink, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog


class OracleSourceConfig(SqlSourceConfig):
    """Configuration of an Oracle source: one table or query."""

    parallel: int | None = Field(None, ge=1, le=128)
    """Degree of the PARALLEL hint with which each chunk is read, 1 to 128; left out, ``ExadataSource`` takes
    4 and ``OracleSource`` none."""


class OracleSource(SqlSource):
    """Reads an Oracle table or query; a table without a key is cut by ranges of row addresses."""

    Config: ClassVar[type[BaseModel]] = OracleSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = OracleProfile
    Database: ClassVar[type[Database]] = OracleDatabase
    degree: ClassVar[int | None] = None

    @property
    def oracle(self) -> OracleDatabase:
        """The source's database, typed as ``OracleDatabase``."""
        assert isinstance(self.database, OracleDatabase)
        return self.database

    def _described(self, connection: Any) -> Table:
        table = super()._described(connection)
        unknown = [column.name for column in table.columns if not is_readable(column)]
        if unknown:
            raise UnsupportedType(
                f"{table.dataset.name}: oracle's driver cannot read {', '.join(unknown)}: Arrow has no type "
                "for objects, collections, BFILE, ANYDATA and VECTOR",
                hint="name the other columns with columns:, or read its parts with query:",
            )
        return table

    def _typed(self, column: Column) -> Column:
        """Return the column with its type of ``types:``; a date that is to be text stays known for a date."""
        made = super()._typed(column)
        if column.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and pa.types.is_string(made.type):
            return replace(made, kind=Kind.TEXT, native=column.native, origin="", length=40)
        return made

    def split(self, table: Table, window: Window, job_key: str, snapshot: str | None) -> Iterator[Chunk]:
        """Yield chunks by key or watermark; for a large table with neither, chunks by ranges of ROWID."""
        chunks = list(super().split(table, window, job_key, snapshot))
        counted = chunks[0].rows_in_all if chunks else None  # NUM_ROWS may be years old
        rows = counted or table.rows or (chunks[0].estimate_rows if chunks else 0) or 0
        step = window.rows_per_chunk or (self.config.chunk and self.config.chunk.rows) or 1_000_000
        alone = len(chunks) == 1 and not chunks[0].conditions and self.path is not None
        if not alone or rows <= step:
            yield from chunks
            return
        connection = self.database.connect("hdm:split")
        try:
            edges = self.oracle.rowid_ranges(connection, self._origin(table), -(-rows // step), rows)
        finally:
            connection.close()
        for number, (low, high) in enumerate(zip([None, *edges], [*edges, None], strict=True)):
            above = (Condition(ROWID, ">=", low),) if low else ()
            below = (Condition(ROWID, "<", high),) if high else ()
            yield replace(
                chunks[0], number=number, conditions=(*above, *below), estimate_rows=rows // (len(edges) + 1)
            )

    def select(self, table: Table, chunk: Chunk) -> str:
        """Return the SELECT that reads a chunk as of its SCN, with the configured parallel degree."""
        self.oracle.scn = checked_scn(chunk.snapshot) if chunk.snapshot else None
        sql = super().select(table, chunk)
        degree = self.config.parallel or self.degree
        return sql.replace("SELECT ", f"SELECT /*+ PARALLEL({degree:d}) */ ", 1) if degree else sql

    def _origin(self, table: Table) -> str:
        plain = super()._origin(table)
        scn = self.oracle.scn
        return plain if self.path is None or scn is None else f"{plain} AS OF SCN {scn}"


class ExadataSource(OracleSource):
    """Reads Oracle with four parallel servers per chunk, unless ``parallel`` says otherwise."""

    degree: ClassVar[int | None] = 4


class OracleSink(SqlSink):
    """Writes an Oracle table by INSERTs with arrays of bound values."""

    Profile: ClassVar[type[BaseModel] | None] = OracleProfile
    Database: ClassVar[type[Database]] = OracleDatabase


class OracleCatalog(SqlCatalog):
    """Reads and creates tables, keys and indexes in Oracle."""

    Profile: ClassVar[type[BaseModel] | None] = OracleProfile
    Database: ClassVar[type[Database]] = OracleDatabase
