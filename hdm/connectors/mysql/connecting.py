"""Connects to MySQL and MariaDB: the profile, and sessions with their settings and transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

from hdm.components.silence import keep_alive
from hdm.config import tls
from hdm.connectors.mysql import held
from hdm.connectors.mysql.url import split_url
from hdm.errors import MissingDriver, TransientError, UsageError
from hdm.model import Dataset
from hdm.sql import Database, SqlProfile
from hdm.sql.profile import OwnDriver
from hdm.sql.sessions import looking

_CONNECTING = 15  # seconds, for each step of a login


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


class MySQLConnecting(Database):
    """The part of ``MySQLDatabase`` that opens sessions and ends them."""

    dialect_name = "mysql"
    tls_hint = "name the authority's certificate as ssl_ca: in the profile, or write insecure: true"

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

    def lock_name(self, label: str) -> str:
        """Return the name of a label's user lock: a hash, since names have at most 64 characters."""
        return hashlib.sha256(f"{self.where['database']}|{label}".encode()).hexdigest()[:40]


def _driver() -> Any:
    try:
        import pymysql
    except ImportError:
        raise MissingDriver("MySQL needs PyMySQL", hint="pip install 'hdm[mysql]'") from None
    return pymysql
