"""Reads PostgreSQL's catalogue, cut points of tables, snapshots, and rows that were committed late.

A snapshot's token is ``exported id|pg_current_snapshot()|relation``. Database sessions join the snapshot by
its exported id. Once the snapshot has ended, the other two parts tell whether the table still holds the same
rows, and which rows committed late (``postgres_late``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from hdm.dialects import postgres_catalog as catalog
from hdm.dialects import postgres_late as writers
from hdm.dialects.base import PAGE
from hdm.dialects.postgres import LATE
from hdm.errors import MissingDriver, SnapshotLost, TransientError
from hdm.model import Chunk, Column, Condition, Kind, Table, Window
from hdm.sql.database import Database
from hdm.sql.relation import ANEW

_LOG = logging.getLogger(__name__)
_SAMPLE_FROM, _SAMPLE_ROWS = 200_000, 30_000
_TRIES = 5
_DIGEST = 32
ONLY = "ONLY "
"""Before a table's name: without the rows of tables that inherit from it."""


class Reading(Database):
    """Reads tables and queries of a PostgreSQL database; a base class of ``PostgresDatabase``."""

    dialect_name = "postgres"
    snapshots = True
    shows_writers = True

    def __init__(self, profile: Any = None) -> None:
        super().__init__(profile)
        self._looked: dict[str, str] = {}
        """For each token the latest snapshot in which the table was found unchanged."""

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as pg_catalog describes it; None if there is none.

        Domains are described by their base type.
        """
        schema, name = path[-2:]
        found = self.run(connection, catalog.FIND, (schema, name, schema, name))
        if not found:
            return None
        oid, schema, name, _, rows, size = found[0]
        columns = tuple(self._column(*row) for row in self.run(connection, catalog.COLUMNS, (oid, oid)))
        key = tuple(str(row[0]) for row in self.run(connection, catalog.KEY, (oid,)))
        full = (str(schema), str(name))
        return Table(self.dataset(full), full, columns, key, rows=rows, bytes=size)

    def _column(
        self,
        name: str,
        native: str,
        nullable: bool,
        category: str,
        default: str | None,
        identity: bool,
        generated: str | None,
        comment: str | None,
    ) -> Column:
        column = self.dialect.column_from_catalog(
            name,
            native,
            nullable=nullable,
            default=default,
            identity=identity,
            generated=generated,
            comment=comment,
        )
        if category in ("e", b"e"):
            return replace(column, kind=Kind.ENUM)
        return column

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, from the description of an empty result."""
        with self.classified():
            cursor = connection.execute(f"SELECT * FROM {self.dialect.derived(sql)} LIMIT 0")
            result = cursor.pgresult
            shape = [(result.ftype(n), result.fmod(n)) for n in range(result.nfields)]
            names = [column.name for column in cursor.description]
        types = ", ".join(f"format_type({int(oid)}, {int(mod)})" for oid, mod in shape)
        natives = self.run(connection, f"SELECT {types}")[0]
        return tuple(
            self.dialect.column_from_catalog(name, native)
            for name, native in zip(names, natives, strict=True)
        )

    def pages(self, connection: Any, table: Table) -> int:
        """Return how many blocks an ordinary table has; 0 for views and partitioned tables."""
        found = self.run(connection, catalog.PAGES, (self.dialect.qualify(table.path),))
        return int(found[0][0]) if found else 0

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Return a column's value at about every ``step``-th row, in ascending order.

        For a large table they are taken from a sample: they need not be exact.
        """
        plain = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')"
        sampled = rows >= _SAMPLE_FROM and not origin.startswith("(")
        if not sampled or not self.run(connection, plain, (origin.removeprefix(ONLY),)):
            return super().edges(connection, origin, column, where, step, rows)
        count = -(-rows // step)
        share = min(100.0, 100.0 * max(_SAMPLE_ROWS, 300 * count) / rows)
        points = ", ".join(f"{n / count:.9f}" for n in range(1, count))
        ordered = self.dialect.comparable(column)
        inner = (
            f"SELECT percentile_disc(ARRAY[{points}]::float8[]) WITHIN GROUP (ORDER BY {ordered}) "
            f"FROM {origin} TABLESAMPLE SYSTEM ({share:.6f}) REPEATABLE (1)"
            + (f" WHERE {where}" if where else "")
        )
        shown = self.dialect.text_of("c", column)
        found = self.run(connection, f"SELECT {shown} FROM unnest(({inner})) AS u(c) WHERE c IS NOT NULL")
        edges = [str(row[0]) for row in found]
        return edges or super().edges(connection, origin, column, where, step, rows)

    # -- snapshots and late commits ----------------------------------------------

    def snapshot(self, path: Sequence[str] | None) -> AbstractContextManager[str | None]:
        """Hold a snapshot open in a database session, for the ``with`` block, and give its token.

        Raises ``TransientError`` if the table is replaced again and again while the snapshot is taken.
        """
        return self._exported(path)

    @contextmanager
    def _exported(self, path: Sequence[str] | None) -> Iterator[str]:
        connection = self.connect("hdm:snapshot")
        try:
            self.run(connection, "SET idle_in_transaction_session_timeout TO 0")
            for _ in range(_TRIES):
                before = self._holding(connection, path)
                self.begin(connection)
                exported, seen = self.run(connection, catalog.SNAPSHOT)[0]
                self.run(connection, "SAVEPOINT hdm_look")
                holding = self._holding(connection, path)
                self.run(connection, "ROLLBACK TO SAVEPOINT hdm_look")  # releases the locks on partitions
                if holding == before:
                    break
                self.rollback(connection)
            else:
                raise TransientError(f"{'.'.join(path or ())} is replaced or rewritten again and again")
            yield f"{exported}|{seen}|{holding or ''}"
        finally:
            connection.close()

    def _holding(self, connection: Any, path: Sequence[str] | None) -> str | None:
        """Return what ``relation`` returns, but take no lock, which would last as long as the snapshot."""
        if path is None:
            return None
        return self._named(connection, [self.dialect.qualify(path)])

    def _named(self, connection: Any, names: Sequence[str]) -> str | None:
        found = self.run(connection, catalog.RELATION, (list(names),))[0][0]
        return None if found is None else str(found)

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest of the tables and files that contain the rows now; None if a query reads no table.

        Takes the lock ACCESS SHARE, as reading does, on all of them, so that none can be truncated,
        rewritten, attached or dropped before the transaction ends.
        """
        self.run(connection, f"SELECT 1 FROM {origin} LIMIT 0")
        if path is not None:
            return self._named(connection, [self.dialect.qualify(path)])
        shown = self.run(connection, f"EXPLAIN (VERBOSE, FORMAT JSON) SELECT * FROM {origin}")[0][0]
        plan = json.loads(shown) if isinstance(shown, str) else shown
        return self._named(connection, sorted(map(self.dialect.qualify, set(_scanned(plan)))))

    def relation_in(self, token: str) -> str | None:
        """Return what ``relation`` gave when a snapshot was taken: the third part of the token.

        None for a token of an older hdm, which has a file's number there.
        """
        held = token.split("|")[2]
        return held if len(held) == _DIGEST else None

    def is_steady(self, connection: Any, path: Sequence[str]) -> bool:
        """Return True if sessions that share a snapshot find the same rows: in a table or materialized view.

        False for views, foreign tables, and tables with a partition on a foreign server.
        """
        return bool(self.run(connection, catalog.RELATION, ([self.dialect.qualify(path)],))[0][1])

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make the open transaction read the token's snapshot; return True.

        If that snapshot has ended, a new one is read. False is returned then for a chunk with a watermark's
        bounds, or of the whole table. For any other chunk the result is True if no row of the table was
        written since; else ``SnapshotLost`` is raised.
        """
        psycopg, exported = driver(), token.partition("|")[0]
        try:
            connection.execute(f"SET TRANSACTION SNAPSHOT {self.dialect.string(exported)}")
            return True
        except psycopg.errors.ConnectionException:
            raise
        except psycopg.Error as error:
            if error.sqlstate not in ("22023", "42704", "55000"):
                raise self.dialect.classify(error) from None
            self.rollback(connection)
            self.begin(connection)
            return self._goes_on(connection, token, table, chunk)

    def _goes_on(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Decide whether a chunk can be read without the snapshot.

        True if the table still holds what the snapshot saw, False if it need not; raises ``SnapshotLost`` if
        it must and does not.
        """
        bounds = {one.column for one in chunk.conditions} if chunk is not None else set()
        if not bounds or (table.cursor in bounds and PAGE not in bounds):
            _LOG.warning(
                "%s: the snapshot it was planned under is gone; what is left is read from a new one, up to "
                "the same end",
                table.dataset.name,
            )
            return False
        self._unchanged(connection, token, table)
        return True

    def _unchanged(self, connection: Any, token: str, table: Table) -> None:
        """Raise ``SnapshotLost`` if a row of the table was written after the token's snapshot."""
        now = str(self.run(connection, "SELECT pg_current_snapshot()::text")[0][0])
        if self._looked.get(token) == now and now.endswith(":"):
            return
        seen = token.split("|")[1]
        _, newest, running = seen.split(":")
        name = self.dialect.qualify(table.path)
        limit = int(newest) % 2**32
        later = f"(xmin::text::bigint - {limit} + {2**32}) % {2**32} < {2**31}"
        open_then = catalog.short_ids(running)
        if open_then:
            later += f" OR xmin = ANY ('{{{open_then}}}'::xid[])"
        changed = f"SELECT 1 FROM {name} WHERE xmin::text::bigint > 2 AND ({later}) LIMIT 1"
        if self.run(connection, changed):
            raise SnapshotLost(
                f"{table.dataset.name}: the snapshot it was planned under is gone, and rows changed since: "
                "what is left does not belong to what was read",
                hint=ANEW,
            )
        self._looked[token] = now

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """Return SQL for the start of the oldest open writing transaction, for cursors of dates or times.

        None for another cursor, or if no such transaction is open. The role sees the transactions of all
        users only with pg_read_all_stats.
        """
        if column.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return None
        oldest = self.run(connection, catalog.OLDEST_WRITER)[0][0]
        if oldest is None:
            return None
        moment = f"{self.dialect.string(str(oldest))}::timestamptz"
        return moment if column.kind is Kind.TIMESTAMPTZ else f"({moment} AT TIME ZONE 'UTC')"

    def late(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Return a condition for rows of transactions that were open at the last reading's snapshot.

        The rows of their savepoints are included, unless the last reading recorded no ids. None if there was
        no such transaction, or if rows do not show who wrote them.
        """
        seen = writers.Seen.of(window.snapshot)
        if seen is None or not self._shows_writers(connection, table):
            return None
        noted = window.last.get("ids")
        if noted is not None:
            written = f"{seen.first}:{seen.end}:{noted}"
            return Condition(writers.WRITTEN, "=", written) if seen.first < seen.end else None
        ids = catalog.short_ids(seen.running)
        return Condition(LATE, "=", ids) if ids else None

    def since(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Return a condition for rows of all transactions that the last reading's snapshot did not see.

        None if there is none, or if these rows cannot be identified.
        """
        seen, noted = writers.Seen.of(window.snapshot), window.last.get("ids")
        if seen is None or noted is None or not self._shows_writers(connection, table):
            return None
        now = writers.Seen.of("|" + str(self.run(connection, catalog.SEEN)[0][0]))
        if now is None or now.end <= seen.first or now.end - seen.first >= writers.IDS // 2:
            return None  # another server, or so long ago that transaction ids may have wrapped around
        return Condition(writers.WRITTEN, "=", f"{seen.first}:{now.end}:{noted}")

    def remember(self, connection: Any, table: Table, origin: str, where: str) -> Mapping[str, Any]:
        """Return the ids of recent transactions whose rows this snapshot sees, for the next reading.

        They are the ids between the snapshot's xmin and xmax, under ``ids``; '' if no transaction was open.
        An empty mapping if there are too many, or if rows do not show who wrote them.
        """
        seen = writers.Seen.of("|" + str(self.run(connection, catalog.SEEN)[0][0]))
        if seen is None or not self._shows_writers(connection, table):
            return {}
        if seen.first == seen.end:
            return {"ids": ""}
        found = self.run(connection, writers.noted(origin, where, seen.first, seen.end))
        ids = writers.ranges(int(row[0]) for row in found)
        return {} if ids is None or len(found) == writers.MOST_RANGES * 100 else {"ids": ids}

    def _shows_writers(self, connection: Any, table: Table) -> bool:
        path = self.dialect.qualify(table.path)
        return len(table.path) > 1 and bool(self.run(connection, writers.IS_PLAIN, (path,)))


def _scanned(plan: Any) -> Iterator[tuple[str, str]]:
    """Yield schema and name of each relation that a query plan reads."""
    if isinstance(plan, list):
        for one in plan:
            yield from _scanned(one)
    elif isinstance(plan, dict):
        if "Relation Name" in plan and "Schema" in plan:
            yield plan["Schema"], plan["Relation Name"]
        for one in plan.values():
            yield from _scanned(one)


def driver() -> Any:
    """Return the ``psycopg`` module; raise ``MissingDriver`` if it is not installed."""
    try:
        import psycopg
    except ImportError:
        raise MissingDriver("PostgreSQL needs psycopg", hint="pip install 'hdm[postgres]'") from None
    return psycopg
