"""Reads BigQuery's catalogue by its REST API and rows by queries, and runs transactions in sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.components.back_off import TURN
from hdm.components.silence import patience
from hdm.connectors.bigquery import jobs
from hdm.connectors.bigquery.loading import LoadsByJobs
from hdm.connectors.bigquery.profile import ENDPOINT, BigQueryProfile, client, credentials
from hdm.connectors.bigquery.schema import column_of
from hdm.connectors.bigquery.session import Session, abort, forgotten, sessions_of
from hdm.dialects.bigquery_errors import CONFLICT
from hdm.errors import BrokenContract, SchemaDrift, UsageError
from hdm.model import Chunk, Column, Dataset, Table
from hdm.sql import dbapi_codec

_DEFINES: Final = ("CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE")
_WAITS_SECONDS: Final = 900.0
"""How long a transaction waits for those before it; each that holds the ledger's head is short."""
_TURNS: Final = 100_000


class BigQueryDatabase(LoadsByJobs):
    """Connects to one project of BigQuery; refuses DDL inside a transaction, as BigQuery does."""

    dialect_name = "bigquery"
    brings_first = True
    keys_act = False

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile)
        self.layout: Callable[[Table], str] = lambda table: ""
        """Gives the clauses after a new table's columns."""

    @cached_property
    def _credentials(self) -> Any:
        return credentials(self.profile)

    # -- names and sessions ----------------------------------------------------

    @property
    def address(self) -> str:
        """The address of the service or the emulator, without its scheme."""
        return str(self.profile.emulator or ENDPOINT).partition("://")[2]

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``bigquery``, ``project.dataset.table``."""
        return Dataset("bigquery", ".".join(part for part in path if part))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name, completed by the profile's project and dataset."""
        profile: BigQueryProfile = self.profile
        around = list(parts[:-1])
        if not around and profile.dataset:
            around = [profile.dataset]
        if len(around) == 1:
            around.insert(0, profile.project)
        return (*around, parts[-1])

    def connect(self, label: str = "hdm", *, write: bool = False) -> Session:
        """Return a session whose jobs carry ``label``; the server has a session of it once it writes."""
        with self.connecting():
            return Session(client(self.profile, self._credentials), label, self.dialect.tokens, write=write)

    def reach(self) -> None:
        """Ask for one dataset; raise ``ConnectionLost`` if no answer comes."""
        connection = self.connect("hdm:reach")
        try:
            with self.connecting():
                list(connection.client.list_datasets(max_results=1, retry=None))
        finally:
            connection.close()

    def look(self, path: Sequence[str]) -> Table | None:
        """Return a table's description, None if there is none; ``UsageError`` if its dataset is missing."""
        connection = self.connect("hdm:ready")
        try:
            self._must_be_there(connection, path)
            return self.find(connection, path)
        finally:
            connection.close()

    def _must_be_there(self, connection: Session, path: Sequence[str]) -> None:
        named = f"{path[0]}.{path[1]}" if len(path) > 2 else ""
        if not named:
            raise UsageError(
                f"{path[-1]}: in which dataset is it?", hint="write dataset: in the profile, or dataset.table"
            )
        try:
            with self.connecting():
                found = jobs.repeated(lambda: connection.client.get_dataset(named, retry=None))
        except SchemaDrift:
            raise UsageError(
                f"there is no dataset {named}, or this account may not see it",
                hint="create it, or correct project: and dataset: in the profile",
            ) from None
        place = self.profile.location or "US"
        if str(found.location or place).upper() != place.upper():
            raise UsageError(
                f"dataset {named} is in {found.location}, and jobs are sent to {place}",
                hint=f"write location: {found.location} in the profile",
            )

    def begin(self, connection: Session, *, write: bool = False) -> None:
        """Request a transaction if ``write``; it is begun before the first statement that is not DDL."""
        if write:
            connection.transaction = "wanted"

    def execute(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> None:
        """Run one statement, and before the first one of a transaction begin it.

        BigQuery cancels a transaction that changes a table which another one changes
        (https://cloud.google.com/bigquery/docs/transactions#transaction_concurrency). If that befalls the
        first statement, nothing was done before it: it waits and begins anew. Raises ``BrokenContract`` for
        DDL inside a transaction.
        """
        session: Session = cursor.session
        defines = sql.lstrip()[:9].upper().startswith(_DEFINES)
        if session.transaction == "open" and defines:
            raise BrokenContract(
                f"{sql.split(maxsplit=1)[0]} inside a transaction is refused by BigQuery",
                hint="define objects before the load",
            )
        if session.transaction != "wanted" or defines:
            cursor.execute(sql, values)
            return
        looked = began = time.monotonic()

        def first() -> None:
            session.query("BEGIN TRANSACTION")
            session.transaction = "open"
            cursor.execute(sql, values)

        def is_in_the_way(error: Exception) -> bool:
            nonlocal looked
            now = time.monotonic()
            if self.dialect.code(error) != CONFLICT or now > began + _WAITS_SECONDS:
                return False
            with suppress(Exception):  # it was rolled back already, or is by this
                session.query("ROLLBACK TRANSACTION")
            if now > looked + patience():
                looked = now
                self._end_forgotten(session)
            return True

        TURN.run(first, Exception, _TURNS, is_in_the_way)

    def _end_forgotten(self, session: Session) -> None:
        """End the transactions of processes that died or stand still, as far as jobs may be listed."""
        with suppress(Exception):
            for number in forgotten(session.client, patience()):
                with suppress(Exception):  # it has ended
                    abort(session, number)

    def commit(self, connection: Session) -> None:
        """Commit the transaction if one is open."""
        self._end(connection, "COMMIT TRANSACTION")

    def rollback(self, connection: Session) -> None:
        """Roll back the transaction if one is open."""
        self._end(connection, "ROLLBACK TRANSACTION")

    def _end(self, connection: Session, how: str) -> None:
        state, connection.transaction = connection.transaction, ""
        if state == "open":
            with self.calling(connection):
                connection.query(how)

    def tag(self, connection: Session, run_id: str, chunk: Chunk, attempt: int) -> None:
        """Name chunk, generation and attempt in the ids of the session's load jobs."""
        connection.work = f"{chunk.chunk_id[:32]}_{chunk.epoch}_{chunk.generation}_{attempt}"
        connection.chunk, connection.attempt = chunk.chunk_id[:12], attempt

    def evict(self, connection: Session, mark: str, attempt: int) -> None:
        """End the server's sessions of older attempts, whose open transactions would be in the way."""
        start = mark.replace(":", "-")
        with self.calling(connection):
            for number in range(1, attempt):
                for session in sessions_of(connection.client, f"{start}{number}"):
                    with suppress(Exception):  # it has ended
                        abort(connection, session)

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Session, path: Sequence[str]) -> Table | None:
        """Return a table as BigQuery describes it; None if there is none."""
        found = self._table(connection, path)
        if found is None:
            return None
        columns = tuple(column_of(self.dialect, field) for field in found.schema)
        key = found.table_constraints.primary_key if found.table_constraints else None
        full = (found.project, found.dataset_id, found.table_id)
        return Table(
            self.dataset(full), full, columns, tuple(key.columns) if key else (),
            rows=found.num_rows, bytes=found.num_bytes,
        )  # fmt: skip

    def _table(self, connection: Session, path: Sequence[str]) -> Any | None:
        """Return the client's description of a table; None if there is no such table or dataset."""
        from google.api_core.exceptions import NotFound

        if len(path) < 3:
            raise UsageError(
                f"{path[-1]}: in which dataset is it?", hint="write dataset: in the profile, or dataset.table"
            )
        name = ".".join(path)
        with self.calling(connection):
            try:
                return jobs.repeated(lambda: connection.client.get_table(name, retry=None))
            except NotFound:
                return None

    def query_columns(self, connection: Session, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query as the server describes them, without running it."""
        with self.calling(connection):
            job = connection.query(sql, dry_run=True)
        return tuple(column_of(self.dialect, field) for field in job.schema)

    def relation(self, connection: Session, origin: str, path: Sequence[str] | None) -> str | None:
        """Return the table's time of creation, which differs for a table that was made anew."""
        found = None if path is None else self._table(connection, path)
        return None if found is None or found.table_type != "TABLE" else found.created.isoformat()

    def tables_like(self, connection: Session, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the dataset of ``path`` whose names start with ``prefix``."""
        with self.calling(connection):
            listed = connection.client.list_tables(".".join(path[:-1]), retry=None)
            return [(*path[:-1], one.table_id) for one in listed if one.table_id.startswith(prefix)]

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Session, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches, one for each page of the result."""
        decoders = {column.name: dbapi_codec.decoder(column) for column in columns}
        with self.calling(connection):
            cursor = connection.cursor()
            self.execute(cursor, sql)
        for rows in self.called(connection, cursor.pages()):
            if rows:
                yield row_codec.to_batch(rows, columns, decoders)

    def stage_path(self, target: Sequence[str], name: str) -> tuple[str, ...]:
        """Return the name of a stage in the target's dataset, for load jobs fill no temporary table."""
        return (*target[:-1], name)

    def create_beside(
        self, connection: Session, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Create an empty table ``new``, with the existing table's types where it has the columns."""
        fold = self.dialect.folded
        held = {fold(column.name): column for column in existing.columns} if existing else {}
        columns = tuple(
            replace(held[fold(column.name)], name=column.name, default=None)
            if fold(column.name) in held
            else column
            for column in target.columns
        )
        self.change(connection, self.create_sql(replace(target, path=tuple(new), columns=columns)))

    def create_sql(self, table: Table) -> str:
        """Return the CREATE TABLE statement with the clauses of ``layout``."""
        return self.dialect.create_table(table.path, table.columns) + self.layout(table)

    def profile_names(self, path: Sequence[str]) -> dict[str, str]:
        """Return the names of the grants script, with the project as the database."""
        return super().profile_names(path) | {"database": self.dialect.quote(self.profile.project)}

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: whether a dataset is seen, a query runs, and a session opens."""
        try:
            self.look(self.default_path(("_hdm_load_ledger",)))
            connection = self.connect("hdm:doctor", write=True)
            try:
                moment = self.run(connection, self.dialect.clock)[0][0]
            finally:
                connection.close()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is the answer
            return [("connection", False, getattr(error, "in_one_line", type(error).__name__))]
        return [
            ("connection", True, f"{self.address}: project {self.profile.project}, {moment} UTC"),
            ("session", True, f"transactions in {self.profile.location or 'US'}"),
        ]
