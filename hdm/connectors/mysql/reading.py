"""Connects to MySQL and MariaDB, reads their catalogue and their rows."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import pyarrow as pa

from hdm.components.silence import keep_alive
from hdm.config import tls
from hdm.connectors.mysql import held, text_codec, wire
from hdm.connectors.mysql.url import split_url
from hdm.dialects import mysql_catalog
from hdm.errors import HdmError, MissingDriver, RejectedRows, TransientError, UsageError
from hdm.model import Column, Dataset, Kind, Table
from hdm.sql import Database, SqlProfile
from hdm.sql.database import OwnDriver
from hdm.sql.sessions import looking

_LOG = logging.getLogger(__name__)
_BATCH_ROWS, _BATCH_BYTES = 32_768, 8 * 1024 * 1024
_FEW_ROWS = 50_000
_CONNECTING = 15  # seconds, for each step of a login
_BEHIND = 12
"""Hours by which the clock of a time zone is behind UTC at most."""


class MySQLProfile(SqlProfile, OwnDriver):
    """Profile entry of a MySQL server: address and credentials; ``host`` may be a socket's path.

    Beyond this host TLS is verified, with ``ssl_ca`` if the system does not know the issuer, unless
    ``insecure: true``.
    """

    ssl_ca: str | None = None
    """File (PEM) of the authorities that vouch for the server's certificate; left out, those of the
    system."""
    ssl_cert: str | None = None
    """File (PEM) of the certificate by which hdm proves itself to the server; left out, none is shown."""
    ssl_key: str | None = None
    """File (PEM) of the key that belongs to ``ssl_cert``; left out, it stands in that file."""


class MySQLReading(Database):
    """The reading half of ``MySQLDatabase``.

    ``zero_dates`` and ``times`` are settings of ``MySQLSourceConfig``.
    """

    dialect_name = "mysql"
    tls_hint = "name the authority's certificate as ssl_ca: in the profile, or write insecure: true"
    zero_dates: str = "error"
    times: str = "clock"

    # -- connecting ------------------------------------------------------------

    @cached_property
    def where(self) -> dict[str, Any]:
        """Host, port, database, user and password; ``url`` gives what the profile's other keys lack.

        Raises ``UsageError`` for settings after ``?`` in the URL, other than ``charset``.
        """
        profile: MySQLProfile = self.profile
        made = {
            "host": profile.host,
            "port": profile.port or 3306,
            "database": profile.database,
            "user": profile.user,
            "password": profile.password.reveal() if profile.password else "",
        }
        if profile.url is not None:
            url, port = split_url(profile.url.reveal())
            if set(dict(parse_qsl(url.query))) - {"charset"}:
                raise UsageError(
                    "the profile's url has settings after '?'", hint="write ssl_ca and the like as keys"
                )
            parts = {
                "host": url.hostname,
                "port": port,
                "database": unquote(url.path.lstrip("/")) or None,
                "user": unquote(url.username) if url.username else None,
                "password": unquote(url.password) if url.password else None,
            }
            own = {"database": profile.database, "user": profile.user, "password": profile.password}
            for name, part in parts.items():
                if part is not None and own.get(name) is None:
                    made[name] = part
        return made

    @property
    def _address(self) -> str:
        return f"{self.where['host']}:{self.where['port']}"

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``mysql://host:port`` and ``database.table``."""
        return Dataset(f"mysql://{self._address}", ".".join(part for part in path if part))

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name, after the profile's database if it is bare; ``UsageError`` for 3 parts."""
        if len(parts) > 2:
            raise UsageError(
                f"{'.'.join(parts)}: a MySQL table has two parts to its name",
                hint="write database.table, or a list of parts if a name holds a dot",
            )
        if len(parts) > 1 or not self.where["database"]:
            return tuple(parts)
        return (str(self.where["database"]), *parts)

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a database session in autocommit; ``begin`` starts transactions.

        With ``write``, the session takes the user lock of its label, by which ``evict`` finds the session of
        an older attempt. Raises ``UsageError`` if neither the profile nor its URL names a database, or if the
        server shows system-versioned tables as of another time; ``TransientError`` if the session's time zone
        is not UTC.
        """
        pymysql = _driver()
        where = self.where
        if not where["database"]:
            raise UsageError(f"no database for {self._address}", hint="write database: in the profile")
        host = where["host"]
        with self.connecting():
            connection = pymysql.connect(
                host=None if host.startswith("/") else host,
                unix_socket=host if host.startswith("/") else None,
                port=where["port"],
                user=where["user"],
                password=where["password"].encode(),
                database=where["database"],
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=_CONNECTING,
                read_timeout=_CONNECTING,
                write_timeout=_CONNECTING,
                local_infile=write,
                program_name=label,
                client_flag=pymysql.constants.CLIENT.FOUND_ROWS,
                **self._tls(host),
            )
            # only ``wire.load`` may send a file: PyMySQL itself must refuse a server that asks for one
            connection._local_infile = False
            cursor = connection.cursor()
            for statement in self.dialect.session:
                cursor.execute(statement)
            cursor.execute(
                "SELECT @@session.time_zone, NOW() = UTC_TIMESTAMP(), "
                "'DEFAULT' /*M!100302 , @@session.system_versioning_asof */"
            )
            zone, is_utc, *as_of = cursor.fetchone()
            if as_of[-1] != "DEFAULT":
                raise UsageError(
                    f"{self._address} shows system-versioned tables as they were at another time",
                    hint="SET GLOBAL system_versioning_asof = DEFAULT, on the server",
                )
            if not is_utc:
                raise TransientError(f"{self._address} keeps time zone {zone} in a session set to UTC")
            if write:
                cursor.execute("SELECT GET_LOCK(%s, 0)", (self.lock_name(label),))
            # From here on a statement has no time limit; ``works_for`` tells whether the server works on it.
            connection._read_timeout = connection._write_timeout = None
            connection._sock.settimeout(None)
            keep_alive(connection._sock.fileno())
        return connection

    def socket_of(self, connection: Any) -> int | None:
        """Return the file descriptor of PyMySQL's socket; None if it is closed."""
        return None if connection._sock is None else int(connection._sock.fileno())

    def works_for(self, connection: Any) -> bool | None:
        """Return True if the server is at work for a connection, by its process list; None if not listed.

        A session that sleeps or waits for its client never got the statement: False.
        """
        with closing(self.connect("hdm:silence")) as other, other.cursor() as cursor:
            found = cursor.fetchone() if cursor.execute(held.WORKS, (connection.thread_id(),)) else None
        return None if found is None else bool(found[0])

    def _tls(self, host: str) -> dict[str, Any]:
        own: MySQLProfile = self.profile
        return tls.mysql_arguments(host, own.ssl_ca, own.ssl_cert, own.ssl_key, insecure=own.insecure)

    def landing(self, path: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name; in lower case if the server compares names without regard to case."""
        with looking(self, "hdm:names") as connection:
            told = self.run(connection, "SELECT @@lower_case_table_names")
        return tuple(part.lower() for part in path) if int(told[0][0]) else tuple(path)

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a transaction; for reading, a read-only one on one consistent snapshot as of now."""
        kind = "" if write else " WITH CONSISTENT SNAPSHOT, READ ONLY"
        self.run(connection, f"START TRANSACTION{kind}")

    def rollback(self, connection: Any) -> None:
        """Roll back the transaction, unless the connection is closed: the server has rolled back then."""
        if connection.open:
            super().rollback(connection)

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as information_schema describes it; None if there is none.

        A small table has no estimate of its rows.
        """
        schema, name = path[-2:]
        found = self.run(connection, mysql_catalog.NAMES, (schema, name))
        same = [row for row in found if row[0] == name] or (found if len(found) == 1 else [])
        if not same:
            return None
        name, _, rows, size = same[0]
        checks: list[str] = []
        if "mariadb" in connection.get_server_info().lower():
            checks = [str(row[0]) for row in self.run(connection, mysql_catalog.CHECKS, (schema, name))]
        described = self.run(connection, mysql_catalog.COLUMNS, (schema, name))
        key = tuple(str(row[0]) for row in self.run(connection, mysql_catalog.KEY, (schema, name)))
        known = rows is not None and rows > _FEW_ROWS
        columns = self._carried(mysql_catalog.columns(self.dialect, described, checks))
        full = (schema, str(name))
        return Table(
            self.dataset(full),
            full,
            columns,
            key,
            rows=rows if known else None,
            bytes=size if known else None,
        )

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest that identifies the storage of a table's rows; None for a query."""
        return None if path is None else held.relation(self, connection, origin, path)

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, from the metadata of an empty result."""
        with self.classified(), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self.dialect.derived(sql)} LIMIT 0")
            fields = cursor._result.fields
        return self._carried(tuple(mysql_catalog.field_column(self.dialect, field) for field in fields))

    def _carried(self, columns: tuple[Column, ...]) -> tuple[Column, ...]:
        dated = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
        if self.zero_dates == "text":
            columns = mysql_catalog.as_text(columns, dated)
        if self.zero_dates == "null":
            columns = tuple(replace(c, nullable=True) if c.kind in dated else c for c in columns)
        return mysql_catalog.as_text(columns, frozenset({Kind.TIME})) if self.times == "text" else columns

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables of the database whose names start with ``prefix``."""
        sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        names = [str(row[0]) for row in self.run(connection, sql, (path[-2],))]
        return [(*path[:-1], name) for name in names if name.startswith(prefix)]

    def horizon(self, connection: Any, table: Table, column: Column, *, utc: bool = False) -> str | None:
        """Return SQL for the start of the oldest open writing transaction, for cursors of dates or times.

        None for another cursor, if no such transaction is open, or if the user lacks PROCESS. The answer is
        read before the snapshot in which the window is planned, so the snapshot is taken anew after it. A
        TIMESTAMP is kept in UTC. A DATETIME is what the clock of the writer's session showed, which may be up
        to ``_BEHIND`` hours behind UTC: rows of these last hours wait until no writing transaction is open,
        unless every session writes in ``utc``.
        """
        if column.kind not in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return None
        try:
            # InnoDB refreshes its list of transactions every 0.1 s at most
            self.run(connection, "DO SLEEP(0.15)")
            oldest = str(self.run(connection, mysql_catalog.OLDEST_WRITER)[0][0])
        except HdmError:
            return None
        self.begin(connection)
        if oldest.startswith("9999"):
            return None
        moment = self.dialect.literal(oldest, column)
        return moment if utc or column.kind is Kind.TIMESTAMPTZ else f"({moment} - INTERVAL {_BEHIND:d} HOUR)"

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Return a column's value at about every ``step``-th row, found along an index, else by one sort."""
        dialect, name = self.dialect, self.dialect.quote(column.name)
        shown = dialect.text_of(name, column)

        def beyond(edge: str | None) -> str:
            filters = [where, f"{name} > {dialect.literal(edge, column)}" if edge is not None else ""]
            return " AND ".join(filter(None, [f"{name} IS NOT NULL", *filters]))

        def at(edge: str | None, offset: int) -> str:
            return f"SELECT {shown} FROM {origin} WHERE {beyond(edge)} ORDER BY {name} LIMIT {offset:d}, 1"

        explained = str(self.run(connection, "EXPLAIN " + at(None, step - 1))).lower()
        if "filesort" in explained or "temporary" in explained or "derived" in explained:
            numbered = (
                f"SELECT {name} AS hdm_c, ROW_NUMBER() OVER (ORDER BY {name}) AS hdm_n "
                f"FROM {origin} WHERE {beyond(None)}"
            )
            value = dialect.text_of("hdm_c", column)
            cut = f"WHERE {dialect.modulo('hdm_n', step)} = 0 ORDER BY hdm_n"
            sql = f"SELECT {value} FROM {dialect.derived(numbered)} {cut}"
            return [str(row[0]) for row in self.run(connection, sql)]
        found: list[str] = []
        edge: str | None = None
        while there := self.run(connection, at(edge, step - 1)):
            edge = str(there[0][0])
            same = f"{name} = {dialect.literal(edge, column)}"
            filters = " AND ".join(filter(None, [where, same]))
            held = int(self.run(connection, f"SELECT COUNT(*) FROM {origin} WHERE {filters}")[0][0])
            found += [edge] * (1 + held // (step + 1))
        return found

    # -- rows --------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches.

        Short columns come as one CSV line per row, which Arrow parses at once, the other columns beside it.
        Raises ``RejectedRows`` for a line longer than max_allowed_packet.
        """
        layout = text_codec.Layout(columns, zero_dates=self.zero_dates)
        wrapped = f"SELECT {layout.select(self.dialect.quote)} FROM ({sql}) AS hdm_w"
        gone: dict[str, int] = {}
        with self.classified():
            blocks = wire.rows(connection, wrapped, max_rows=_BATCH_ROWS, max_bytes=_BATCH_BYTES)
            for values, count in self.called(connection, blocks):
                lines, beside = (values[0], values[1:]) if layout.has_line else ([], values)
                if None in lines:
                    raise RejectedRows(
                        f"{self._address}: a row is longer than the server's max_allowed_packet",
                        hint="raise max_allowed_packet on the server, or read fewer columns",
                    )
                batch, nulled = layout.batch([line for line in lines if line is not None], beside, count)
                for name, number in nulled.items():
                    gone[name] = gone.get(name, 0) + number
                yield batch
        for name, number in gone.items():
            _LOG.warning("column %s: %d zero dates were read as NULL", name, number)

    def lock_name(self, label: str) -> str:
        """Return the name of a label's user lock: a hash, since names have at most 64 characters."""
        return hashlib.sha256(f"{self.where['database']}|{label}".encode()).hexdigest()[:40]

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: connection, version, bulk loads, guards against late commits."""
        found = super().probe()
        if not found[0][1]:
            return found
        connection = self.connect("hdm:doctor")
        try:
            version, infile = self.run(connection, "SELECT VERSION(), @@local_infile")[0]
            try:
                self.run(connection, mysql_catalog.OLDEST_WRITER)
                guard = f"windows wait for open writers (DATETIME: {_BEHIND} hours more, unless zone: utc)"
            except HdmError:
                guard = "PROCESS is not granted: windows do not wait for open writers"
            guard += "; missing ids are looked for again; other late rows are counted and said"
            same = held.told(self, connection)
        finally:
            connection.close()
        return [
            *found,
            ("version", True, str(version)),
            ("bulk load", True, "LOAD DATA LOCAL" if int(infile) else "INSERT, slower: local_infile is off"),
            ("snapshot", True, "one per chunk: sessions cannot share a snapshot here"),
            ("same table", True, same),
            ("late commits", True, guard),
        ]


def _driver() -> Any:
    try:
        import pymysql
    except ImportError:
        raise MissingDriver("MySQL needs PyMySQL", hint="pip install 'hdm[mysql]'") from None
    return pymysql
