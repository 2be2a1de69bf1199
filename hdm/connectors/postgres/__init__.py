"""Reads and writes PostgreSQL through psycopg 3, by COPY; all chunks read one exported snapshot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import BaseModel

from hdm.arrow.prefetch import ahead
from hdm.components.silence import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, USER_TIMEOUT
from hdm.config import tls
from hdm.connectors.postgres.copy_csv import CsvDecoder, CsvEncoder
from hdm.connectors.postgres.copy_stream import CopyIn, copy_out
from hdm.connectors.postgres.reading import ONLY, driver
from hdm.connectors.postgres.writing import Writing
from hdm.errors import MissingDriver, UsageError
from hdm.model import Column, Dataset, Table
from hdm.sql import Database, SqlProfile, SqlSink, SqlSource, SqlSourceConfig
from hdm.sql.catalog import SqlCatalog
from hdm.sql.profile import OwnDriver

_SAMPLE_FROM, _SAMPLE_ROWS = 200_000, 30_000
TIMEOUTS = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": KEEPALIVE_IDLE,
    "keepalives_interval": KEEPALIVE_INTERVAL,
    "keepalives_count": KEEPALIVE_COUNT,
    "tcp_user_timeout": USER_TIMEOUT,
}
"""Limits after which a dead connection is noticed; a profile's url may set others
(https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-KEEPALIVES)."""
_WORKS = (
    "SELECT state LIKE 'active%%' AND coalesce(wait_event, '') NOT IN ('ClientRead', 'ClientWrite') "
    "FROM pg_stat_activity WHERE pid = %s AND state IS NOT NULL"
)
"""Whether the server works for a database session. A server that waits for its client, while the client waits
for it, never got the statement."""


class PostgresProfile(SqlProfile, OwnDriver):
    """Profile entry of a PostgreSQL server: address, credentials, and libpq's TLS settings.

    Beyond this host TLS is verified unless ``sslmode`` or ``insecure: true`` says otherwise.
    """

    sslmode: str | None = None
    """libpq's sslmode, e.g. ``verify-full`` or ``require``; left out, ``verify-full`` unless the server is on
    this machine or ``insecure: true``."""
    sslrootcert: str | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, those of the system,
    or with ``sslmode`` those that libpq finds."""
    sslcert: str | None = None
    """File (PEM) of the certificate by which hdm proves itself to the server; left out, as libpq finds it."""
    sslkey: str | None = None
    """File of the key that belongs to ``sslcert``; left out, as libpq finds it."""
    options: str | None = None
    """Command-line options for the server's process, e.g. ``-c work_mem=64MB``; left out, none."""


class PostgresDatabase(Writing):
    """Connects to one PostgreSQL database, reads and writes it."""

    catalog_lists_unreadable_tables = True
    tls_hint = "set sslrootcert and sslmode in the profile, or insecure: true"

    # -- connecting ------------------------------------------------------------

    @property
    def _parameters(self) -> dict[str, Any]:
        profile: PostgresProfile = self.profile
        found: dict[str, Any] = {}
        if profile.url is not None:
            found = _parts(profile.url.reveal())
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
        hosts = (found.get("host") or os.environ.get("PGHOST"), found.get("hostaddr"))
        return found | tls.postgres_defaults(hosts, found, insecure=profile.insecure)

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``postgres://host:port`` and ``database.schema.table``."""
        known = self._parameters
        place = f"postgres://{known.get('host', 'localhost')}:{known.get('port') or 5432}"
        return Dataset(place, ".".join((str(known.get("dbname", "")), *path)))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return ``(schema, table)`` for a table's name; a bare one gets the profile's schema or ``public``.

        Raises ``UsageError`` if a database in front is not the profile's.
        """
        database = self._parameters.get("dbname")
        if len(parts) > 3 or (len(parts) == 3 and database and parts[0] != database):
            raise UsageError(
                f"{'.'.join(parts)} is not in database {database}, which the profile connects to",
                hint="write schema.table, or a list of parts if a name holds a dot",
            )
        schema = getattr(self.profile, "schema_name", None) or "public"
        return tuple(parts[-2:]) if len(parts) > 1 else (schema, *parts)

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a database session in autocommit; ``begin`` starts transactions.

        The server ends a writer that is idle in a transaction: after 15 minutes if its label ends with an
        attempt's number, since a chunk's rows may be slow to come, else after 30 seconds.
        """
        psycopg = driver()
        with self.connecting():
            connection = psycopg.connect(
                **{**TIMEOUTS, **self._parameters, "application_name": label},
                autocommit=True,
                prepare_threshold=None,
            )
            patience = "15min" if label.rpartition(":")[2].isdecimal() else "30s"
            idle = f"SET idle_in_transaction_session_timeout TO '{patience}'" if write else ""
        with self.calling(connection):
            connection.execute("; ".join(filter(None, (*self.dialect.session, idle))))
        return connection

    def socket_of(self, connection: Any) -> int | None:
        """Return the file descriptor of libpq's socket; None if the connection is closed."""
        return None if connection.closed else int(connection.pgconn.socket)

    def works_for(self, connection: Any) -> bool | None:
        """Return True if the server is at work for a connection, by pg_stat_activity, else False.

        None if the connection is not listed there: its process id may be that of a pooler.
        """
        with closing(self.connect("hdm:silence")) as other:
            found = other.execute(_WORKS, (connection.pgconn.backend_pid,)).fetchone()
        return None if found is None else bool(found[0])

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction: READ COMMITTED for writing, one read-only snapshot for reading."""
        self.run(connection, "BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    # -- rows --------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches, by COPY (...) TO STDOUT as CSV.

        The server works on while a block is decoded.
        """
        decoder = CsvDecoder(columns)
        blocks = ahead(
            lambda: copy_out(connection, driver(), sql, partial(self.calling, connection)),
            connection.cancel,
            weigh=len,
        )
        try:
            for block in blocks:
                batch = decoder.decode(block)
                del block
                yield batch
                del batch
        finally:
            blocks.close()  # type: ignore[attr-defined]

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Load batches by COPY FROM STDIN in the open transaction; return the number of rows.

        The format is binary if every column's type has a known binary form, else CSV, which costs the server
        twice as much to read.
        """
        try:
            from hdm.connectors.postgres.copy_binary import BinaryEncoder
        except ImportError:
            raise MissingDriver(
                "loading PostgreSQL needs numpy", hint="pip install 'hdm[postgres]'"
            ) from None
        names = self.dialect.names(column.name for column in columns)
        types = self.wire_types(connection, path, columns)
        encoder = BinaryEncoder.of(columns, types) or CsvEncoder()
        into = f"{self.dialect.qualify(path)} ({names})"
        copy = CopyIn(connection, driver(), into, encoder.form, partial(self.calling, connection))
        copy.put(encoder.head)
        for batch in batches:
            for block in encoder.encode(batch):
                copy.put(block)
                del block
        copy.put(encoder.tail)
        return copy.end()

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: connection, version, clock, guards against late commits."""
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
            else "GRANT pg_read_all_stats to the user: else late commits are guarded by snapshot only"
        )
        return [
            *found,
            ("version", True, version),
            ("clock", True, clock),
            ("late commits", True, guard),
        ]


class PostgresSourceConfig(SqlSourceConfig):
    """Configuration of a PostgreSQL source: one table or one query."""

    only: bool = False
    """Reads the rows of the table itself, as ``SELECT ... FROM ONLY``, without those of tables that inherit
    from it. ``AutoBatchOrchestrator`` sets the key where the inheriting tables are moved on their own.
    """


class PostgresSource(SqlSource):
    """Reads a PostgreSQL table or query; parallel chunks share one exported snapshot."""

    Config: ClassVar[type[BaseModel]] = PostgresSourceConfig
    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase

    def _origin(self, table: Table) -> str:
        named = super()._origin(table)
        return ONLY + named if self.config.only and self.path is not None else named


class PostgresSink(SqlSink):
    """Writes a PostgreSQL table by COPY."""

    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase


class PostgresCatalog(SqlCatalog):
    """Reads and creates tables, keys, indexes and views in PostgreSQL."""

    Profile: ClassVar[type[BaseModel] | None] = PostgresProfile
    Database: ClassVar[type[Database]] = PostgresDatabase


def _parts(url: str) -> dict[str, Any]:
    """Return libpq's parameters from the profile's url; ``UsageError`` if it is malformed.

    The error never shows the url, since it may hold the password.
    """
    psycopg = driver()
    try:
        found = dict(psycopg.conninfo.conninfo_to_dict(_libpq_url(url)))
    except psycopg.Error as error:
        if "query parameter" in str(error):
            raise UsageError(
                "the profile's url has a setting after '?' that PostgreSQL does not know",
                hint="correct its name in url, or remove it",
            ) from None
        raise UsageError(
            "the profile's url is not one of PostgreSQL",
            hint="write url: postgresql://user@host:5432/database, with @ in a name as %40",
        ) from None
    for port in filter(None, str(found.get("port") or "").split(",")):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise UsageError(
                "the port in the profile's url is not a number from 1 to 65535", hint="correct it in url"
            )
    return found


def _libpq_url(url: str) -> str:
    """Return the url without SQLAlchemy's ``+driver``."""
    return re.sub(r"^(postgres(?:ql)?)\+\w+://", r"\1://", url)
