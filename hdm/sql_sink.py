"""SqlSink: rows and ledger row in one transaction; append, merge by key, or replace by swap."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import BaseModel, Field

from hdm import _fail
from hdm.dialects.types import Fidelity, carrier, misfit
from hdm.errors import BrokenContract, HdmError, RejectedRows, SchemaDrift, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Receipt, Table
from hdm.sink import Sink
from hdm.source import Settings
from hdm.sql_database import Database, SqlProfile
from hdm.sql_ledger import Ledger, swap_chunk
from hdm.sql_source import TableNameLike, name_parts

CHUNK_ID, ROW_NO = "_hdm_chunk_id", "_hdm_row_no"


class SqlSinkConfig(Settings):
    """Where rows go. ``table_name`` defaults to the source's table, ``key`` to its key."""

    env: str | None = None
    table_name: TableNameLike | None = None
    schema_name: str | None = Field(None, alias="schema")
    database: str | None = None
    mode: Mode | None = None
    key: list[str] | None = None
    create: bool = True
    row_lineage: bool = False
    """Adds ``_hdm_chunk_id`` and ``_hdm_row_no`` (from 1) to every row."""
    identifiers: Literal["keep", "lower", "upper"] = "keep"
    allow_loss: bool | list[str] = False


class SqlSink(Sink):
    """Writes one table. A subclass names its ``Database``; that is all.

    A chunk is one transaction with its ledger row. Where the target enforces no keys, loads of
    one schema are serialised on the ledger's head row.
    """

    Config: ClassVar[type[BaseModel]] = SqlSinkConfig
    Profile: ClassVar[type[BaseModel] | None] = SqlProfile
    Database: ClassVar[type[Database]]
    modes = frozenset(Mode)

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = self.Database(profile)
        self.dialect = self.database.dialect

    # -- what goes where -------------------------------------------------------

    def path(self, table: Table) -> tuple[str, ...]:
        """The target table's full name."""
        if self.config.table_name is not None:
            parts = name_parts(self.config.table_name)
        else:
            parts = (self._cased(table.path[-1]),)
        if len(parts) == 1 and self.config.schema_name:
            parts = (self.config.schema_name, *parts)
        return self.database.default_path(parts)

    def dataset(self, table: Table) -> Dataset:
        """Named as the target's tables are named in OpenLineage."""
        return self.database.dataset(self.path(table))

    def target(self, table: Table) -> Table:
        """The table as it will be stored; ``UsageError`` if two names become one."""
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
        key = self.config.key if self.config.key is not None else [self._cased(k) for k in table.key]
        unknown = [name for name in key if name not in names]
        if unknown:
            raise UsageError(
                f"{table.dataset.name} has no column {', '.join(unknown)} to be the key",
                hint="key names columns of: " + ", ".join(names),
            )
        path = self.path(table)
        return Table(self.dataset(table), path, columns, tuple(key), table.cursor, table.rows, table.bytes)

    def _target_column(self, column: Column) -> Column:
        native = self.dialect.stored(column).native
        kept = self.dialect.column_from_catalog(
            self._cased(column.name), native, nullable=column.nullable, comment=column.comment
        )
        if column.origin == self.dialect.name:
            kept = replace(column, name=kept.name)
        return replace(kept, default=None, identity=False, generated=None)

    def _own(self, name: str, kind: Kind, length: int | None = None) -> Column:
        bare = Column(name, kind, carrier(kind), length=length)
        return self.dialect.column_from_catalog(name, self.dialect.stored(bare).native)

    def _cased(self, name: str) -> str:
        if self.config.identifiers == "keep":
            return name
        return name.lower() if self.config.identifiers == "lower" else name.upper()

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Columns that the dialect stores with loss, less those that ``allow_loss`` names."""
        allowed = self.config.allow_loss
        found = []
        for column in table.columns:
            stored = self.dialect.stored(column)
            accepted = allowed is True or (isinstance(allowed, list) and column.name in allowed)
            if stored.fidelity is Fidelity.LOSSY and not accepted:
                found.append((column, stored.why))
        return found

    # -- before ----------------------------------------------------------------

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create what is missing, verify what is there; no row is touched."""
        target = self.target(table)
        if mode is Mode.MERGE and not target.key:
            raise UsageError(
                f"{target.dataset.name}: mode merge needs a key, and the source declares none",
                hint="write key: [column, ...] in the sink's conf",
            )
        connection = self.database.connect("hdm:prepare", write=True)
        try:
            ledger = self._ledger(target)
            ledger.create(connection)
            self.database.begin(connection)
            existing = self._held(connection, target.path)
            swapped = ledger.find(connection, swap_chunk(job_key, target.dataset, epoch).chunk_id)
            self.database.rollback(connection)
            if existing is not None:
                self._verify(target, existing)
            elif not self.config.create:
                raise UsageError(
                    f"there is no table {target.dataset.name}, and create is false",
                    hint="create it, or write create: true",
                )
            if mode is Mode.REPLACE and swapped is None:
                self._prepare_beside(connection, target, existing, job_key, epoch)
            elif existing is None and mode is not Mode.REPLACE:
                self._create(connection, ledger, self._with_key(target, mode))
        finally:
            connection.close()

    def _prepare_beside(
        self, connection: Any, target: Table, existing: Table | None, job_key: str, epoch: int
    ) -> None:
        new = self._beside(target, job_key, epoch)
        prefix = self._beside(target, job_key, 0)[-1].removesuffix("0")
        for path in self.database.tables_like(connection, target.path, prefix):
            if path[-1] != new[-1]:
                self._drop(connection, path)
        if self._ledger(target).exists(connection, new):
            return
        self.database.begin(connection, write=True)
        self.database.create_beside(connection, target, new, existing)
        self.database.commit(connection)
        _fail.point("D1")

    def _create(self, connection: Any, ledger: Ledger, target: Table) -> None:
        try:
            self.database.begin(connection, write=True)
            self.database.change(
                connection, self.dialect.create_table(target.path, target.columns, target.key)
            )
            self.database.commit(connection)
        except HdmError:
            self.database.rollback(connection)
            if not ledger.exists(connection, target.path):
                raise
        _fail.point("D1")

    def _drop(self, connection: Any, path: Sequence[str]) -> None:
        self.database.begin(connection, write=True)
        self.database.change(connection, self.dialect.drop_table(path))
        self.database.commit(connection)

    @staticmethod
    def _with_key(target: Table, mode: Mode) -> Table:
        """Without its key where that could break: NULLs, or new versions of a row appended."""
        versions = mode is Mode.APPEND and target.cursor is not None and target.cursor not in target.key
        null_keys = any(target.column(name).nullable for name in target.key)
        return replace(target, key=()) if versions or null_keys else target

    def _verify(self, target: Table, existing: Table) -> None:
        """By names and types, never by position."""
        fold = self.dialect.folded
        held = {fold(column.name): column for column in existing.columns}
        wrong = []
        for column in target.columns:
            if fold(column.name) not in held:
                wrong.append(f"{column.name}: not there")
            elif why := misfit(held[fold(column.name)], column):
                wrong.append(f"{column.name}: {why}")
        wanted = {fold(column.name) for column in target.columns}
        for column in existing.columns:
            filled = column.nullable or column.default or column.identity or column.generated
            if fold(column.name) not in wanted and not filled:
                wrong.append(f"{column.name}: NOT NULL without a default, and the source has no such column")
        if wrong:
            raise SchemaDrift(
                f"{target.dataset.name} cannot take the source's rows:\n  " + "\n  ".join(wrong),
                hint="alter the table, or write to another with table_name",
            )

    # -- the target's own word -------------------------------------------------

    def ledger(self, table: Table, job_key: str) -> Iterator[tuple[Chunk, Receipt]]:
        """What the ledger holds of the job."""
        target = self.target(table)
        connection = self.database.connect("hdm:ledger")
        try:
            ledger = self._ledger(target)
            if ledger.exists(connection):
                self.database.begin(connection)
                for chunk, receipt in ledger.entries(connection, job_key):
                    if not chunk.dataset.name.endswith("#swap"):
                        yield chunk, receipt
        finally:
            connection.close()

    def committed(self, table: Table, chunk: Chunk, mode: Mode) -> Receipt | None:
        """The ledger's receipt, read on a new session."""
        connection = self.database.connect("hdm:committed")
        try:
            self.database.begin(connection)
            return self._ledger(self.target(table)).find(connection, chunk.chunk_id)
        finally:
            connection.close()

    def _ledger(self, target: Table) -> Ledger:
        return Ledger(self.database, target.path[:-1])

    # -- writing ---------------------------------------------------------------

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """One transaction: ledger row, rows, count, commit."""
        target, mark = self.target(table), f"hdm:{chunk.chunk_id[:12]}:"
        ledger = self._ledger(target)
        connection = self.database.connect(f"{mark}{attempt.number}", write=True)
        try:
            self.database.evict(connection, mark, attempt.number)
            target = self._writable(connection, target)
            stage = self._stage(connection, target, chunk, attempt) if mode is Mode.MERGE else None
            self.database.begin(connection, write=True)
            _fail.point("L1")
            if not ledger.claim(connection, chunk, attempt):
                self.database.rollback(connection)
                return self._adopted(connection, ledger, chunk, attempt)
            _fail.point("L2")
            if mode is Mode.REPLACE:
                into = self._beside(target, chunk.job_key, chunk.epoch)
            else:
                into = stage or target.path
            rows = self._load(connection, into, target, chunk, payload)
            if stage is not None:
                self._merge(connection, target, stage)
            written = Receipt(chunk.chunk_id, attempt.number, rows, location=target.dataset.name)
            receipt = payload.tally.complete(replace(written, bytes=payload.tally.bytes))
            ledger.fill(connection, receipt)
            attempt.check()
            _fail.point("L4")
            self.database.commit(connection)
            _fail.point("L5")
            return receipt
        finally:
            connection.close()

    def _writable(self, connection: Any, target: Table) -> Table:
        """Without the columns that the target computes itself."""
        self.database.begin(connection)
        held, fold = self._held(connection, target.path), self.dialect.folded
        self.database.rollback(connection)
        computed = {fold(column.name) for column in held.columns if column.generated} if held else set()
        return replace(target, columns=tuple(c for c in target.columns if fold(c.name) not in computed))

    def _held(self, connection: Any, path: Sequence[str]) -> Table | None:
        """The table of exactly that name."""
        found, fold = self.database.find(connection, path), self.dialect.folded
        return found if found is not None and fold(found.path[-1]) == fold(path[-1]) else None

    def _adopted(self, connection: Any, ledger: Ledger, chunk: Chunk, attempt: Attempt) -> Receipt:
        self.database.begin(connection)
        held = ledger.find(connection, chunk.chunk_id)
        if held is None:
            raise BrokenContract(
                f"the ledger refused chunk {chunk.chunk_id[:12]} but does not hold it",
                hint="look at the primary key of " + ".".join(ledger.path),
            )
        return replace(held, attempt=attempt.number, adopted=True)

    def _load(
        self, connection: Any, into: Sequence[str], target: Table, chunk: Chunk, payload: Payload
    ) -> int:
        sent = 0

        def renamed() -> Generator[pa.RecordBatch, None, None]:
            nonlocal sent
            for batch in payload.batches():
                yield self._outgoing(batch, target, chunk, sent)
                sent += batch.num_rows
                _fail.point("L3")

        sources = {self._cased(column.name): column for column in payload.table.columns}
        columns = [replace(sources.get(kept.name, kept), name=kept.name) for kept in target.columns]
        with closing(renamed()) as outgoing:
            taken = self.database.load(connection, into, columns, outgoing)
        if taken != sent:
            raise RejectedRows(
                f"{target.dataset.name} took {taken} of {sent} rows",
                hint="look for triggers or rules on the table that drop rows",
            )
        return sent

    def _outgoing(self, batch: pa.RecordBatch, target: Table, chunk: Chunk, before: int) -> pa.RecordBatch:
        arrays = {self._cased(name): batch.column(n) for n, name in enumerate(batch.schema.names)}
        if self.config.row_lineage:
            numbers = range(before + 1, before + 1 + batch.num_rows)
            arrays[CHUNK_ID] = pa.repeat(pa.scalar(chunk.chunk_id), batch.num_rows)
            arrays[ROW_NO] = pa.array(numbers, pa.int64())
        names = [column.name for column in target.columns]
        return pa.RecordBatch.from_arrays([arrays[name] for name in names], names=names)

    # -- merge -----------------------------------------------------------------

    def _stage(self, connection: Any, target: Table, chunk: Chunk, attempt: Attempt) -> tuple[str, ...]:
        path = (f"_hdm_stage_{chunk.chunk_id[:12]}_{attempt.number}",)
        self.database.begin(connection, write=True)
        loose = [replace(column, nullable=True) for column in target.columns]
        self.database.change(connection, self.dialect.create_table(path, loose, temporary=True))
        self.database.commit(connection)
        return path

    def _merge(self, connection: Any, target: Table, stage: Sequence[str]) -> None:
        """Rows that are the same twice count once; two versions of a key are refused."""
        dialect, key = self.dialect, target.key
        names = [column.name for column in target.columns]
        content = [name for name in names if name not in (CHUNK_ID, ROW_NO)]
        of = dialect.qualify(stage)
        doubled = f"SELECT 1 FROM {of} GROUP BY {dialect.names(key)} HAVING COUNT(*) > 1"
        if self.database.run(connection, dialect.first(doubled)):
            if self.database.run(connection, dialect.conflicting(stage, content, key)):
                raise RejectedRows(
                    f"{target.dataset.name}: one chunk holds different rows with one key ({', '.join(key)})",
                    hint="give a key that is unique in the source",
                )
            rest = [name for name in names if name not in content]
            for statement in dialect.keep_one(stage, content, rest, key):
                self.database.change(connection, statement)
        statements = dialect.merge(target.path, stage, names, key)
        some_null = " OR ".join(f"{dialect.quote(name)} IS NULL" for name in key)
        if self.database.run(connection, dialect.first(f"SELECT 1 FROM {of} WHERE {some_null}")):
            statements += dialect.merge(target.path, stage, names, key, null_keys=True)
        for statement in statements:
            self.database.change(connection, statement)

    # -- replace ---------------------------------------------------------------

    def _beside(self, target: Table, job_key: str, epoch: int, mark: str = "") -> tuple[str, ...]:
        name = self.dialect.beside(target.path[-1], f"__hdm{mark}_{job_key[:6]}_{epoch}")
        return (*target.path[:-1], name)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """In mode ``replace``, swap: once per epoch, as the ledger knows."""
        if mode is not Mode.REPLACE:
            return
        target = self.target(table)
        swap, ledger = swap_chunk(job_key, target.dataset, epoch), self._ledger(target)
        new = self._beside(target, job_key, epoch)
        connection = self.database.connect("hdm:swap", write=True)
        try:
            _fail.point("W1")
            self.database.begin(connection, write=True)
            if not ledger.claim(connection, swap, Attempt(1)):
                self.database.rollback(connection)
                return
            self.database.swap(connection, target.path, new, self._beside(target, job_key, epoch, "_old"))
            _fail.point("W2")
            ledger.fill(connection, Receipt(swap.chunk_id, 1, 0, location=target.dataset.name))
            self.database.commit(connection)
            _fail.point("W3")
        finally:
            connection.close()

    def probe(self) -> list[tuple[str, bool, str]]:
        """The database's own."""
        return self.database.probe()
