"""What a PostgreSQL source asks: the catalogue, cut points, snapshots, late commits.

A snapshot's token is ``exported id|pg_current_snapshot()|file node``. The id is what sessions
join; the rest tells, when it is gone, whether page ranges still mean the same rows, and which
rows committed late (``postgres_late``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from hdm.dialects import postgres_catalog as catalog
from hdm.dialects import postgres_late as writers
from hdm.dialects.base import PAGE
from hdm.dialects.postgres import LATE, snapshot_lost
from hdm.errors import MissingDriver
from hdm.model import Chunk, Column, Condition, Kind, Table, Window
from hdm.sql.database import Database

_SAMPLE_FROM, _SAMPLE_ROWS = 200_000, 30_000


class Reading(Database):
    """The asking half of ``PostgresDatabase``."""

    dialect_name = "postgres"
    snapshots = True
    shows_writers = True

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """From pg_catalog. Domains are described by their base type."""
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
        """From the description of an empty result."""
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
        """Blocks of a plain table; 0 for views and partitioned tables."""
        found = self.run(connection, catalog.PAGES, (self.dialect.qualify(table.path),))
        return int(found[0][0]) if found else 0

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """From a sample when there are many rows: edges need not be exact, only ordered."""
        plain = "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'm')"
        sampled = rows >= _SAMPLE_FROM and not origin.startswith("(")
        if not sampled or not self.run(connection, plain, (origin,)):
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
        """Exported by a session that stays open."""
        return self._exported(path)

    @contextmanager
    def _exported(self, path: Sequence[str] | None) -> Iterator[str]:
        connection = self.connect("hdm:snapshot")
        try:
            self.run(connection, "SET idle_in_transaction_session_timeout TO 0")
            self.begin(connection)
            name = self.dialect.qualify(path) if path else ""
            exported, seen, node = self.run(connection, catalog.SNAPSHOT, (name or "pg_class",))[0]
            yield f"{exported}|{seen}|{node or ''}"
        finally:
            connection.close()

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> None:
        """If the snapshot is gone: a fresh one, unless the chunk's page ranges have lost their meaning."""
        psycopg, exported = driver(), token.partition("|")[0]
        try:
            connection.execute(f"SET TRANSACTION SNAPSHOT {self.dialect.string(exported)}")
        except psycopg.errors.ConnectionException:
            raise
        except psycopg.Error as error:
            if error.sqlstate not in ("22023", "42704", "55000"):
                raise self.dialect.classify(error) from None
            self.rollback(connection)
            self.begin(connection)
            if chunk is not None and any(one.column == PAGE for one in chunk.conditions):
                self._unchanged(connection, token, table)

    def _unchanged(self, connection: Any, token: str, table: Table) -> None:
        """Raise ``SnapshotLost`` if a row of the table was written after the token's snapshot."""
        _, seen, node = token.split("|")
        _, newest, running = seen.split(":")
        name = self.dialect.qualify(table.path)
        now = self.run(connection, "SELECT pg_relation_filenode(to_regclass(%s))", (name,))[0][0]
        if str(now) != node:
            raise snapshot_lost(f"{table.dataset.name} was rewritten since its snapshot was taken")
        limit = int(newest) % 2**32
        later = f"(xmin::text::bigint - {limit} + {2**32}) % {2**32} < {2**31}"
        open_then = catalog.short_ids(running)
        if open_then:
            later += f" OR xmin = ANY ('{{{open_then}}}'::xid[])"
        changed = f"SELECT 1 FROM {name} WHERE xmin::text::bigint > 2 AND ({later}) LIMIT 1"
        if self.run(connection, changed):
            raise snapshot_lost(
                f"{table.dataset.name} has no key, its snapshot is gone, and rows changed since: "
                "its page ranges no longer name the same rows"
            )

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """The start of the oldest open writing transaction this role can see (all: pg_monitor)."""
        if column.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return None
        oldest = self.run(connection, catalog.OLDEST_WRITER)[0][0]
        if oldest is None:
            return None
        moment = f"{self.dialect.string(str(oldest))}::timestamptz"
        return moment if column.kind is Kind.TIMESTAMPTZ else f"({moment} AT TIME ZONE 'UTC')"

    def late(self, connection: Any, table: Table, window: Window) -> Condition | None:
        """Rows by transactions, and their savepoints, that were open in the last reading's snapshot. Where
        it noted no ids, by the transactions alone."""
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
        """Rows by all transactions that the last reading's snapshot did not see."""
        seen, noted = writers.Seen.of(window.snapshot), window.last.get("ids")
        if seen is None or noted is None or not self._shows_writers(connection, table):
            return None
        now = writers.Seen.of("|" + str(self.run(connection, catalog.SEEN)[0][0]))
        if now is None or now.end <= seen.first or now.end - seen.first >= writers.IDS // 2:
            return None  # another server, or half a lifetime of ids ago
        return Condition(writers.WRITTEN, "=", f"{seen.first}:{now.end}:{noted}")

    def remember(self, connection: Any, table: Table, origin: str, where: str) -> Mapping[str, Any]:
        """The ids of the snapshot's middle that wrote rows it sees; none where all writers had ended."""
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


def driver() -> Any:
    """psycopg; ``MissingDriver`` if it is not installed."""
    try:
        import psycopg
    except ImportError:
        raise MissingDriver("PostgreSQL needs psycopg", hint="pip install 'hdm[postgres]'") from None
    return psycopg
