"""Maps a source's table to a table of a SQL target, and checks whether an existing one can take its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field

from hdm.arrow.rows import check_length
from hdm.components.settings import Settings
from hdm.config.deprecated import DATABASE
from hdm.config.visible import listed
from hdm.dialects.base import Dialect
from hdm.dialects.types import Fidelity, carrier, misfit
from hdm.errors import SchemaDrift, UsageError
from hdm.model import Chunk, Column, Dataset, Kind, Mode, Table
from hdm.sql.database import Database
from hdm.sql.table_name import TableNameLike, name_parts

_TEMPORAL = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
CHUNK_ID, ROW_NO = "_hdm_chunk_id", "_hdm_row_no"


class SqlSinkConfig(Settings):
    """Configuration of a SQL sink: where rows go.

    ``table_name`` defaults to the source's table, ``key`` to its key.
    """

    env: str | None = None
    """Names the connection in the profile; ``connection`` is another spelling. Ignored by a component that
    needs no connection.
    """
    table_name: TableNameLike | None = None
    """Names the table to write: ``schema.table``, a list of parts, or ``{schema, table}``; left out, the
    source's table name, cased as ``identifiers`` says."""
    schema_name: str | None = Field(None, alias="schema")
    """Schema of a table that is named without one; left out, the profile's, or the system's default."""
    database: str | None = Field(None, deprecated=DATABASE)
    """Has no effect, and is taken so that older manifests still work: each run says so."""
    mode: Mode | None = None
    """``append``, ``replace``, ``merge`` or ``sync``, as on the link, where it may stand instead; left out,
    ``append``."""
    key: list[str] | None = None
    """Names the target's columns by which rows are merged; left out, the source's key."""
    create: bool = True
    """Creates the table if it does not exist; ``false`` refuses to begin without the table."""
    row_lineage: bool = False
    """Adds ``_hdm_chunk_id`` and ``_hdm_row_no`` (from 1) to every row."""
    others_delete: bool = False
    """Says that others delete rows of the table, so that rows which are gone are not missed."""
    identifiers: Literal["keep", "lower", "upper"] = "keep"
    """How the source's names are spelled in the target: as they are, or in one case."""
    allow_loss: bool | list[str] = False
    """Accepts that the target stores values with loss, ``true`` or columns; ``allow_loss`` on the link also
    records it."""


@dataclass(frozen=True)
class TargetMapping:
    """Maps names and types of a source's table to those of one target database, by the sink's settings."""

    config: Any
    database: Database

    @property
    def dialect(self) -> Dialect:
        """The dialect of the target's database."""
        return self.database.dialect

    def path(self, table: Table) -> tuple[str, ...]:
        """Return the target table's full name for a source table."""
        if self.config.table_name is not None:
            parts = name_parts(self.config.table_name)
        else:
            parts = (self.cased(table.path[-1]),)
        if len(parts) == 1 and self.config.schema_name:
            parts = (self.config.schema_name, *parts)
        return self.database.default_path(parts)

    def dataset(self, table: Table) -> Dataset:
        """Return the OpenLineage name of the target table for a source table."""
        return self.database.dataset(self.path(table))

    def target(self, table: Table) -> Table:
        """Return the table as it will be stored.

        Raises ``UsageError`` if two columns get one name, or the key names an unknown column.
        """
        columns = tuple(self._target_column(column) for column in table.columns)
        if self.config.row_lineage:
            columns += (
                self._own(CHUNK_ID, Kind.TEXT, length=64),
                self._own(ROW_NO, Kind.INT64),
            )
        names = [column.name for column in columns]
        folded = [self.dialect.folded(name) for name in names]
        twice = sorted({name for name in names if folded.count(self.dialect.folded(name)) > 1})
        if twice:
            raise UsageError(
                f"{table.dataset.name}: several columns would be named {', '.join(twice)}",
                hint="write identifiers: keep, or choose columns",
            )
        for name in names:
            self.dialect.quote(name)
        key = self.config.key if self.config.key is not None else [self.cased(k) for k in table.key]
        unknown = [name for name in key if name not in names]
        if unknown:
            raise UsageError(
                f"{table.dataset.name} has no column {', '.join(unknown)} to be the key",
                hint="key names columns of: " + ", ".join(names),
            )
        path = self.path(table)
        self.dialect.qualify(path)
        columns = tuple(self._emptied(kept, key) for kept in columns)
        cursor = None if table.cursor is None else self.cased(table.cursor)
        return Table(self.dataset(table), path, columns, tuple(key), cursor, table.rows, table.bytes)

    def arriving(self, column: Column) -> Column:
        """Return the column with the type in which the target must store its values.

        A date or time that the source sends as text becomes text, since it may have values outside any
        calendar or clock. A target of the source's own system still stores it as a date or time.
        """
        sent_as_text = column.kind in _TEMPORAL and pa.types.is_string(column.type)
        if not sent_as_text or column.origin == self.dialect.name:
            return column
        return replace(column, kind=Kind.TEXT, native="", length=None, precision=None, scale=None)

    def _target_column(self, column: Column) -> Column:
        column = self.arriving(column)
        native = self.dialect.stored(column).native
        kept = self.dialect.column_from_catalog(
            self.cased(column.name), native, nullable=column.nullable, comment=column.comment
        )
        if column.origin == self.dialect.name:
            kept = replace(column, name=kept.name)
        return replace(kept, default=None, identity=False, generated=None)

    def _emptied(self, column: Column, key: Sequence[str]) -> Column:
        """Return the column without NOT NULL if the target stores empty values as NULL; key columns as is."""
        empty = self.dialect.empty_is_null and column.kind in (Kind.TEXT, Kind.BINARY)
        return replace(column, nullable=True) if empty and column.name not in key else column

    def _own(self, name: str, kind: Kind, length: int | None = None) -> Column:
        bare = Column(name, kind, carrier(kind), length=length)
        return self.dialect.column_from_catalog(name, self.dialect.stored(bare).native)

    def repeats(self, table: Table, target: Table) -> bool:
        """Return True if rows of one reading may share a key.

        That is so unless the source's own key is part of the target's key.
        """
        declared = {self.cased(name) for name in table.key}
        return not declared or not declared <= set(target.key)

    def cased(self, name: str) -> str:
        """Return a source's name in the case that ``identifiers`` asks for: upper, lower, or unchanged."""
        if self.config.identifiers == "keep":
            return name
        return name.lower() if self.config.identifiers == "lower" else name.upper()

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Return the columns whose values the target's types may change, each with the reason.

        Without those in ``allow_loss``.
        """
        allowed = self.config.allow_loss
        found = []
        for column in table.columns:
            stored = self.dialect.stored(self.arriving(column))
            accepted = allowed is True or (isinstance(allowed, list) and column.name in allowed)
            if stored.fidelity is Fidelity.LOSSY and not accepted:
                found.append((column, stored.why))
        return found

    def outgoing(self, batch: pa.RecordBatch, target: Table, chunk: Chunk, before: int) -> pa.RecordBatch:
        """Return a source's batch with the columns of the target's table, in their order.

        ``before`` is how many rows of the chunk were in earlier batches. Raises ``UnrepresentableValue`` for
        a value that the target's column cannot take.
        """
        cased, fold = self.cased, self.dialect.folded
        arrays = {fold(cased(name)): batch.column(n) for n, name in enumerate(batch.schema.names)}
        if self.config.row_lineage:
            numbers = range(before + 1, before + 1 + batch.num_rows)
            arrays[fold(CHUNK_ID)] = pa.repeat(pa.scalar(chunk.chunk_id), batch.num_rows)
            arrays[fold(ROW_NO)] = pa.array(numbers, pa.int64())
        names = [column.name for column in target.columns]
        if self.dialect.enforces_lengths:
            for column in target.columns:
                if column.kind is Kind.TEXT and column.length is not None:
                    check_length(arrays[fold(column.name)], column.name, column.length)
        return pa.RecordBatch.from_arrays([arrays[fold(name)] for name in names], names=names)

    def _but_so(self, name: str, existing: Table) -> str:
        """Return, for an error, the existing columns whose names differ from ``name`` only in case."""
        near = [c.name for c in existing.columns if c.name.lower() == name.lower()]
        return f" ({', '.join(near)} is, which is another name to {self.dialect.name})" if near else ""

    def verify(self, target: Table, existing: Table) -> None:
        """Raise ``SchemaDrift`` if the existing table's column names and types cannot take the rows.

        The order of the columns does not matter.
        """
        fold = self.dialect.folded
        held = {fold(column.name): column for column in existing.columns}
        wrong = []
        for column in target.columns:
            if fold(column.name) not in held:
                wrong.append(f"{column.name}: not there" + self._but_so(column.name, existing))
            elif why := misfit(held[fold(column.name)], column):
                wrong.append(f"{column.name}: {why}")
        wanted = {fold(column.name) for column in target.columns}
        for column in existing.columns:
            filled = column.nullable or column.default or column.identity or column.generated
            if fold(column.name) not in wanted and not filled:
                wrong.append(f"{column.name}: NOT NULL without a default, and the source has no such column")
        if wrong:
            lacking = [column.name for column in target.columns if fold(column.name) not in held]
            cased = any(self._but_so(name, existing) for name in lacking)
            way = "write identifiers: lower or upper on the sink, as the table spells them" if cased else ""
            raise SchemaDrift(
                f"{target.dataset.name} cannot take the source's rows:{listed(wrong)}",
                hint=way or "alter the table, or name another one",
            )


def must_have_key(target: Table, mode: Mode) -> None:
    """Raise ``UsageError`` if the mode goes by a key and the target has none."""
    if (mode.rules.merges_by_key or mode.rules.compares) and not target.key:
        raise UsageError(
            f"{target.dataset.name}: mode {mode} needs a key, and the source declares none",
            hint="write key: [column, ...] in the sink's conf",
        )


def not_there(target: Table) -> UsageError:
    """Return the error for a target table that does not exist although ``create: false`` is set."""
    return UsageError(
        f"there is no table {target.dataset.name}, and create is false",
        hint="create it, or write create: true",
    )
