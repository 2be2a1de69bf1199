"""SqlSink writes a chunk's rows and its ledger row in one transaction, in mode append, merge or replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel

from hdm import failpoints
from hdm.components.sink import Sink
from hdm.errors import BrokenContract, HdmError, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Mode, Payload, Receipt, Table
from hdm.sql import granted
from hdm.sql.bringing import bring
from hdm.sql.database import Database
from hdm.sql.grow import grow
from hdm.sql.known_loads import KnowsLoads
from hdm.sql.ledger import NAME as LEDGER
from hdm.sql.ledger import Ledger
from hdm.sql.merge import Merge, drop_stage, make_stage, newest_by
from hdm.sql.profile import SqlProfile
from hdm.sql.sessions import looking
from hdm.sql.swap import swap_chunk, swap_once
from hdm.sql.table_name import name_parts
from hdm.sql.target import SqlSinkConfig, TargetMapping, must_have_key, not_there
from hdm.sql.whereabouts import no_table


class SqlSink(KnowsLoads, Sink):
    """Writes one table of a SQL database.

    A subclass only has to name its ``Database``. A chunk and its ledger row are written in one transaction.
    Where the target enforces no keys, loads into one schema are serialised by an update of the ledger's head
    row.
    """

    Config: ClassVar[type[BaseModel]] = SqlSinkConfig
    Profile: ClassVar[type[BaseModel] | None] = SqlProfile
    Database: ClassVar[type[Database]]
    modes = frozenset(Mode)
    loads_from: ClassVar[str] = ""
    """The word for the store of files (``s3``) that the sink's own server reads; empty: it takes what comes.
    """

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.database = self.Database.reached(profile)
        self.dialect = self.database.dialect
        self.mapping = TargetMapping(config, self.database)

    def dataset(self, table: Table) -> Dataset:
        """Return the OpenLineage name of the target table for the source table ``table``."""
        return self.mapping.dataset(table)

    def target(self, table: Table) -> Table:
        """Return the table as it will be stored; raise ``UsageError`` if two columns get one name."""
        return self.mapping.target(table)

    def landing(self, table: Table) -> tuple[str, ...]:
        """Return the target's server and full name, in the case in which the database compares names."""
        path = self.mapping.path(table)
        return (self.database.dataset(path).namespace, *self.database.landing(path))

    def foreign_keys(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Return pairs of tables (referring, referred) from the catalogue.

        Empty if the target does not exist yet, or enforces no foreign keys.
        """
        if not (self.database.keys_act and self.dialect.all_keys and self.database.is_there()):
            return []
        with looking(self.database, "hdm:keys") as connection:
            rows = self.database.run(connection, self.dialect.all_keys)
        return [((str(a), str(b)), (str(c), str(d))) for a, b, c, d in rows]

    def losses(self, table: Table) -> list[tuple[Column, str]]:
        """Return the columns whose values the target's types may change, each with the reason.

        Without those in ``allow_loss``.
        """
        return self.mapping.losses(table)

    # -- before ----------------------------------------------------------------

    def ready(self) -> None:
        """Open a session and look whether the ledger exists; raise an error if that cannot be done.

        For a database file that is missing, test whether it can be created.
        """
        if self.database.is_there():
            self.database.look(self.database.default_path((LEDGER,)))
        else:
            self.database.can_be_made()

    def accepts(self, table: Table, mode: Mode) -> None:
        """Raise ``UsageError`` if the target cannot take the table in this mode.

        Mode ``merge`` needs a key; ``create: false`` an existing table; mode ``replace`` a table all of whose
        rows the user may delete.
        """
        target = self.target(table)
        must_have_key(target, mode)
        looks = mode.rules.swaps_at_end or mode.rules.compares
        if self.config.create and not (looks and self.database.is_there()):
            return
        if not self.database.is_there():
            raise not_there(target)
        with looking(self.database, "hdm:accepts") as connection:
            existing = self._held(connection, target.path)
            wrong = []
            if existing is not None and mode.rules.swaps_at_end:
                wrong = self.database.unreplaceable(connection, existing.path)
            kind = None
            if existing is not None and mode.rules.compares:
                kind = no_table(self.database, connection, existing.path)
        if kind is not None:
            raise UsageError(
                f"{target.dataset.name} is {kind}, and mode {mode} changes rows of tables only",
                hint="name the table that has the rows",
            )
        if wrong:
            raise UsageError(
                f"{target.dataset.name} cannot be replaced: {'; '.join(wrong)}",
                hint="write mode: append or merge, or another table_name",
            )
        if existing is None and not self.config.create:
            raise not_there(target)

    def goes_in_order(self, table: Table, mode: Mode, *, repeats: bool) -> bool:
        """Return True if chunks must be loaded one at a time, in the order of their numbers.

        They must in mode merge if several chunks may contain rows with one key and no cursor tells which row
        is the newest. False otherwise. ``repeats``: several chunks may contain versions of one row, e.g.
        several files.
        """
        target = self.target(table)
        if not mode.rules.merges_by_key or not (repeats or self.mapping.repeats(table, target)):
            return False
        return newest_by(self.database, target) is None

    def grow(self, table: Table) -> None:
        """Add missing columns to an existing target table, by one ALTER TABLE for each column."""
        grow(self.database, self.target(table), self._held)

    def prepare(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """Create a missing table and ledger; raise ``SchemaDrift`` if an existing table cannot take the rows.

        Changes no row. In mode ``replace``, creates the table beside the target that will be swapped in.
        """
        target = self.target(table)
        must_have_key(target, mode)
        connection = self.database.connect("hdm:prepare", write=True)
        try:
            ledger = self._ledger(target)
            ledger.create(connection)
            self.database.begin(connection)
            existing = self._held(connection, target.path)
            swapped = ledger.find(connection, swap_chunk(job_key, target.dataset, epoch).chunk_id)
            self.database.rollback(connection)
            if existing is not None:
                self.mapping.verify(target, existing)
            elif not self.config.create:
                raise not_there(target)
            if mode.rules.swaps_at_end and swapped is None:
                self._prepare_beside(connection, target, existing, job_key, epoch)
            elif existing is None and not mode.rules.swaps_at_end:
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
        failpoints.point("D1")

    def _create(self, connection: Any, ledger: Ledger, target: Table) -> None:
        try:
            self.database.begin(connection, write=True)
            self.database.change(connection, self.create_sql(target))
            self.database.commit(connection)
        except HdmError:
            self.database.rollback(connection)
            if not ledger.exists(connection, target.path):
                raise
        failpoints.point("D1")

    def create_sql(self, target: Table) -> str:
        """Return the CREATE TABLE statement of a target that does not exist."""
        return self.dialect.create_table(target.path, target.columns, target.key)

    def _drop(self, connection: Any, path: Sequence[str]) -> None:
        self.database.begin(connection, write=True)
        self.database.change(connection, self.dialect.drop_table(path))
        self.database.commit(connection)

    @staticmethod
    def _with_key(target: Table, mode: Mode) -> Table:
        """Return the table without its key if the key could be violated.

        NULLs in the key, and new versions of a row in mode append, would violate it.
        """
        versions = mode.rules.only_adds and target.cursor is not None and target.cursor not in target.key
        null_keys = any(target.column(name).nullable for name in target.key)
        return replace(target, key=()) if versions or null_keys else target

    # -- writing ---------------------------------------------------------------

    def write(self, table: Table, chunk: Chunk, attempt: Attempt, payload: Payload, mode: Mode) -> Receipt:
        """Write a chunk's ledger row and rows, and count them, in one transaction; return the receipt.

        If the ledger has the chunk already, writes nothing and returns its receipt, ``adopted``. Where the
        database can, the rows are sent to the server before the transaction opens.
        """
        target, mark = self.target(table), f"hdm:{chunk.chunk_id[:12]}:"
        ledger = self._ledger(target)
        connection = self.database.connect(f"{mark}{attempt.number}", write=True)
        stage: tuple[str, ...] | None = None
        try:
            self.database.tag(connection, attempt.run_id, chunk, attempt.number)
            self.database.evict(connection, mark, attempt.number)
            target, held = self.writable(connection, target)
            if self.database.brings_first and attempt.number > 1 and ledger.find(connection, chunk.chunk_id):
                return self._adopted(connection, ledger, chunk, attempt)
            if mode.rules.merges_by_key:
                stage = make_stage(self.database, connection, target, chunk, attempt)
            if mode.rules.swaps_at_end:
                into = self._beside(target, chunk.job_key, chunk.epoch)
            else:
                into = stage or target.path
            put_in = self._bring(connection, into, target, chunk, payload)
            self.database.begin(connection, write=True)
            failpoints.point("L1")
            if not ledger.claim(connection, chunk, attempt):
                self.database.rollback(connection)
                return self._adopted(connection, ledger, chunk, attempt)
            failpoints.point("L2")
            rows = put_in()
            if stage is not None:
                repeats = self.mapping.repeats(table, target) or bool(chunk.files and not chunk.upstream)
                merge = Merge(self.database, connection, target, held or target, stage, repeats)
                older = merge.run(rows)
                payload.tally.filtered += older
                rows -= older
            written = Receipt(chunk.chunk_id, attempt.number, rows, location=target.dataset.name)
            receipt = payload.tally.complete(replace(written, bytes=payload.tally.bytes))
            ledger.fill(connection, receipt)
            attempt.check()
            failpoints.point("L4")
            self.database.commit(connection)
            failpoints.point("L5")
            return receipt
        finally:
            drop_stage(self.database, connection, stage)
            connection.close()

    def writable(self, connection: Any, target: Table) -> tuple[Table, Table | None]:
        """Return the target in the existing table's spelling, without generated columns; and that table.

        Allows, until the session ends, inserts into its identity columns.
        """
        self.database.begin(connection)
        held, fold = self._held(connection, target.path), self.dialect.folded
        self.database.rollback(connection)
        if held is None:
            return target, None
        there = {fold(column.name): column for column in held.columns}
        kept = [(c, there.get(fold(c.name), c)) for c in target.columns]
        columns = [replace(c, name=h.name, length=h.length) for c, h in kept if not h.generated]
        self.database.take_identities(connection, held, [column.name for column in columns])
        key = [there[fold(name)].name if fold(name) in there else name for name in target.key]
        cursor = target.cursor
        if cursor is not None and fold(cursor) in there:
            cursor = there[fold(cursor)].name
        return replace(target, columns=tuple(columns), key=tuple(key), cursor=cursor), held

    def _held(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Describe the table whose name equals ``path`` after folding; None if there is none."""
        found, fold = self.database.find(connection, path), self.dialect.folded_table
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

    def _bring(
        self, connection: Any, into: Sequence[str], target: Table, chunk: Chunk, payload: Payload
    ) -> Callable[[], int]:
        """Prepare the load before the transaction; see ``hdm.sql.bringing.bring``."""
        return bring(self.database, self.mapping, connection, into, target, chunk, payload)

    # -- replace ---------------------------------------------------------------

    def _beside(self, target: Table, job_key: str, epoch: int, mark: str = "") -> tuple[str, ...]:
        name = self.dialect.beside(target.path[-1], f"__hdm{mark}_{job_key[:6]}_{epoch}")
        return (*target.path[:-1], name)

    def finish(self, table: Table, job_key: str, epoch: int, mode: Mode) -> None:
        """In mode ``replace``, swap the new table for the target, once per epoch.

        The ledger records the swap.
        """
        if not mode.rules.swaps_at_end:
            return
        target = self.target(table)
        swap, ledger = swap_chunk(job_key, target.dataset, epoch), self._ledger(target)
        new = self._beside(target, job_key, epoch)
        old = self._beside(target, job_key, epoch, "_old")
        swap_once(self.database, ledger, swap, target, new, old)

    def rows(self, table: Table) -> int:
        """Count the rows that the target table has now, and return the number."""
        connection = self.database.connect("hdm:count")
        try:
            self.database.begin(connection)
            counted = f"SELECT COUNT(*) FROM {self.dialect.qualify(self.target(table).path)}"
            return int(self.database.run(connection, counted)[0][0])
        finally:
            connection.close()

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return the results of tests for ``hdm doctor``; a missing database file is in order."""
        if self.database.is_there():
            return granted.of_sink(self.database, self._probed())
        return [("connection", True, "not there yet: hdm run makes it")]

    def probe_mode(self, mode: Mode) -> list[tuple[str, bool, str]]:
        """Return a result for ``hdm doctor`` for each right that the mode needs on an existing table."""
        return [row for row in self.database.grants(self._probed(), mode.value) if not row[1]]

    def _probed(self) -> tuple[str, ...]:
        """The table of which ``hdm doctor`` looks at the rights: the ledger where the manifest names none."""
        return self.database.default_path(name_parts(self.config.table_name or [LEDGER]))
