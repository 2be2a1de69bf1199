"""PostgreSQL through psycopg 3: COPY out, COPY in, exported snapshots.

A snapshot's token is ``exported id|pg_current_snapshot()|file node``. The id is what sessions
join; the rest tells, when it is gone, whether page ranges still mean the same rows, and which
rows committed late (their transaction was open in the snapshot; not seen: rows written under a
savepoint of it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel

from hdm.codecs.ahead import ahead
from hdm.codecs.copy_csv import CsvDecoder, CsvEncoder
from hdm.codecs.copy_stream import CopyIn, copy_out
from hdm.dialects import postgres_catalog as catalog
from hdm.dialects.base import PAGE
from hdm.dialects.postgres import LATE, snapshot_lost
from hdm.errors import MissingDriver
from hdm.model import Chunk, Column, Condition, Dataset, Kind, Table, Window
from hdm.sql import Database, SqlProfile, SqlSink, SqlSource
from hdm.sql_catalog import SqlCatalog

_SAMPLE_FROM, _SAMPLE_ROWS = 200_000, 30_000
_LOCAL = re.compile(r"(localhost|127\.|::1|/)")


class PostgresProfile(SqlProfile):
    """As any relational profile, and libpq's TLS settings. Beyond this host TLS is verified
    unless ``sslmode`` or ``insecure: true`` says otherwise."""

    sslmode: str | None = None
    sslrootcert: str | None = None
    sslcert: str | None = None
    sslkey: str | None = None
    options: str | None = None


class PostgresDatabase(Database):
    """One PostgreSQL database."""

    dialect_name = "postgres"
    snapshots = True

    # -- connecting ------------------------------------------------------------

    @property
    def _parameters(self) -> dict[str, Any]:
        profile: PostgresProfile = self.profile
        found: dict[str, Any] = {}
        if profile.url is not None:
            found = dict(_driver().conninfo.conninfo_to_dict(_libpq_url(profile.url.reveal())))
        given = {
            "host": None if profile.url else profile.host,
            "port": profile.port,
            "dbname": profile.database,
            "user": profile.user,
            "password": profile.password.reveal() if profile.password else None,
            "sslmode": profile.sslmode,
            "sslrootcert": profile.sslrootcert,
            "sslcert": profile.sslcert,
            "sslkey": profile.sslkey,
            "options": profile.options,
        }
        found.update({name: value for name, value in given.items() if value is not None})
        remote = not _LOCAL.match(str(found.get("host", "localhost")))
        if remote and not profile.insecure and "sslmode" not in found:
            found["sslmode"] = "verify-full"
            found.setdefault("sslrootcert", "system")
        return found

    def dataset(self, path: Sequence[str]) -> Dataset:
        """``postgres://host:port``, ``database.schema.table``."""
        known = self._parameters
        place = f"postgres://{known.get('host', 'localhost')}:{known.get('port') or 5432}"
        return Dataset(place, ".".join((str(known.get("dbname", "")), *path)))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """``(schema, table)``; ``public`` by default."""
        schema = getattr(self.profile, "schema_name", None) or "public"
        return tuple(parts[-2:]) if len(parts) > 1 else (schema, *parts)

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Autocommit; ``begin`` starts transactions. A writer that falls idle in one is ended."""
        psycopg = _driver()
        with self.classified():
            connection = psycopg.connect(
                **{"connect_timeout": 10, **self._parameters, "application_name": label},
                autocommit=True,
                prepare_threshold=None,
            )
            idle = "SET idle_in_transaction_session_timeout TO '15min'" if write else ""
            connection.execute("; ".join(filter(None, (*self.dialect.session, idle))))
        return connection

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """READ COMMITTED to write; one read-only snapshot to read."""
        self.run(connection, "BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

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
        psycopg, exported = _driver(), token.partition("|")[0]
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

    def horizon(self, connection: Any, table: Table, column: Column) -> str | None:
        """The start of the oldest open writing transaction this role can see (all: pg_monitor)."""
        if column.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return None
        oldest = self.run(connection, catalog.OLDEST_WRITER)[0][0]
        if oldest is None:
            return None
        moment = f"{self.dialect.string(str(oldest))}::timestamptz"
        return moment if column.kind is Kind.TIMESTAMPTZ else f"({moment} AT TIME ZONE 'UTC')"

    def late(self, window: Window) -> Condition | None:
        """Rows by the transactions that were open in the window's saved snapshot."""
        seen = (window.snapshot or "||").split("|")[1].split(":")
        ids = catalog.short_ids(seen[2]) if len(seen) == 3 else ""
        return Condition(LATE, "=", ids) if ids else None

    # -- rows --------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """COPY (...) TO STDOUT as CSV: the server works on while a block is decoded."""
        decoder = CsvDecoder(columns)
        blocks = ahead(lambda: copy_out(connection, _driver(), sql, self.classified), connection.cancel)
        try:
            for block in blocks:
                yield decoder.decode(block)
        finally:
            blocks.close()  # type: ignore[attr-defined]

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """COPY FROM STDIN as CSV, in the open transaction."""
        names = self.dialect.names(column.name for column in columns)
        into = f"{self.dialect.qualify(path)} ({names})"
        copy = CopyIn(connection, _driver(), into, self.classified)
        encoder = CsvEncoder()
        for batch in batches:
            for block in encoder.encode(batch):
                copy.put(block)
        return copy.end()

    # -- writing -------------------------------------------------------------------

    def evict(self, connection: Any, mark: str, attempt: int) -> None:
        """Terminate this role's sessions of older attempts on the chunk."""
        for pid, label in self.run(connection, catalog.SESSIONS, (mark,)):
            number = str(label).rsplit(":", 1)[-1]
            if number.isdecimal() and int(number) < attempt:
                self.run(connection, "SELECT pg_terminate_backend(%s)", (pid,))

    def create_beside(
        self, connection: Any, target: Table, new: Sequence[str], existing: Table | None
    ) -> None:
        """Like the table it will replace: indexes, defaults, checks, comments, grants."""
        if existing is None:
            super().create_beside(connection, target, new, existing)
            return
        old, fresh = self.dialect.qualify(existing.path), self.dialect.qualify(new)
        self.run(connection, f"CREATE TABLE {fresh} (LIKE {old} INCLUDING ALL)")
        for privilege, role, grantable in self.run(connection, catalog.GRANTS, (old,)):
            option = " WITH GRANT OPTION" if grantable else ""
            self.run(connection, f"GRANT {privilege} ON {fresh} TO {role}{option}")

    def swap(self, connection: Any, target: Sequence[str], new: Sequence[str], old: Sequence[str]) -> None:
        """By renaming; where views or foreign keys hang on the table, by moving the rows instead."""
        name = self.dialect.qualify(target)
        if not self.run(connection, catalog.DEPENDENTS, (name,)):
            super().swap(connection, target, new, old)
            return
        fresh = self.dialect.qualify(new)
        table = self.find(connection, new)
        assert table is not None
        names = self.dialect.names(c.name for c in table.columns if not c.generated)
        self.run(connection, f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        self.run(connection, f"DELETE FROM {name}")
        self.run(
            connection, f"INSERT INTO {name} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM {fresh}"
        )
        self.run(connection, self.dialect.drop_table(new))

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """By pg_class."""
        return [(str(s), str(t)) for s, t in self.run(connection, catalog.TABLES_LIKE, (path[-2], prefix))]

    def probe(self) -> list[tuple[str, bool, str]]:
        """Connection, version, clock, and whether late commits can be guarded by time."""
        found = super().probe()
        if not found[0][1]:
            return found
        connection = self.connect("hdm:doctor")
        try:
            version, clock, sees = self.run(
                connection,
                "SELECT current_setting('server_version'), clock_timestamp()::text, "
                "pg_has_role(current_user, 'pg_read_all_stats', 'member')",
            )[0]
        finally:
            connection.close()
        guard = (
            "sees other sessions"
            if sees
            else "grant pg_monitor: else late commits are guarded by snapshot only"
        )
        return [
            *found,
            ("version", True, version),
            ("clock", True, clock),
            ("late commits", bool(sees), guard),
        ]


class PostgresSource(SqlSource):
    """Reads a PostgreSQL table or query; parallel chunks share one exported snapshot."""

    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase


class PostgresSink(SqlSink):
    """Writes a PostgreSQL table by COPY."""

    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase


class PostgresCatalog(SqlCatalog):
    """Finds and makes tables, keys, indexes and views."""

    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        raise MissingDriver("PostgreSQL needs psycopg", hint="pip install 'hdm[postgres]'") from None
    return psycopg


def _libpq_url(url: str) -> str:
    """Without SQLAlchemy's ``+driver``."""
    return re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)
