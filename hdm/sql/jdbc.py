"""JdbcDatabase, a database with a JDBC driver: reads texts that become Arrow, inserts batches of rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.config.tls import is_local
from hdm.dialects.base import Dialect
from hdm.dialects.catalog_queries import CatalogueSql, catalogue_sql
from hdm.dialects.jdbc import through_jdbc
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.errors import HdmError, PermanentError, UsageError
from hdm.model import Column, Dataset, Table
from hdm.sql import dbapi_codec, jdbc_machine, jdbc_tables
from hdm.sql.dbapi import DbApiDatabase
from hdm.sql.jdbc_session import Session, raised

_LOG = logging.getLogger("hdm.sql")
_SERVER = re.compile(
    r"//(?:[^/?;]*@)?(\[[^\]]*\]|[^/:;?\[,=()@]*)(?::(\d+))?(?:[^/;?]*)"
    r"(?:/((?:(?!:\w+=)[^;?,=@])*)(?=[;?,]|:\w+=|\Z))?"
)
_ORACLE_LOGIN = re.compile(r"^(thin|oci8?):[^?]*@")
"""``jdbc:oracle:thin:user/password@host:port:sid``."""
_SECRET = re.compile(r"(?:user|password|passwd|pwd)\s*=[^,:)&/]*", re.IGNORECASE)
_SHORT_ZONE = re.compile(r" ?([+-])(\d):(\d\d)\Z")
_APART = re.compile(r" ([+-]\d\d:?\d\d)\Z")


class JdbcDatabase(DbApiDatabase):
    """A database behind a JDBC driver; a subclass gives the dialect, the URL and the driver's jars.

    Each chunk is one statement, so nothing is shared between sessions.
    """

    begin_write = begin_read = None
    counts_many = True

    def __init__(self, profile: Any = None, dialect_name: str = "") -> None:
        super().__init__(profile)
        self._base = dialect_name or self.dialect_name

    @property
    def dialect(self) -> Dialect:
        """The system's dialect, adapted to JDBC."""
        return through_jdbc(self._base)

    @property
    def facts(self) -> JdbcFacts:
        """Facts about the system's JDBC driver."""
        return self.dialect.jdbc

    # -- to be filled in ---------------------------------------------------------

    def url(self) -> str:
        """Return the JDBC URL.

        It may contain a password, so it must never be shown.
        """
        raise UsageError("no JDBC url", hint="write url: in the profile")

    def driver(self) -> tuple[str | None, Sequence[str]]:
        """Return the driver's class name, None for the usual one, and the paths of its jars."""
        return None, ()

    def properties(self, label: str) -> dict[str, str]:
        """Return the connection properties: user, password, and what makes the driver exact and safe."""
        facts, profile = self.facts, self.profile
        made = dict(facts.always)
        if facts.label:
            made[facts.label] = label[:60]
        if profile.insecure:
            made.update(facts.unverified)
        elif not is_local(_server(self.url())[0]):
            made.update(facts.verified)
        if profile.user is not None:
            made["user"] = profile.user
        if profile.password is not None:
            made["password"] = profile.password.reveal()
        return made

    # -- sessions ----------------------------------------------------------------

    def open(self, label: str, *, write: bool) -> Any:
        """Open and return a session in autocommit."""
        named, jars = self.driver()
        name = named or self.facts.driver
        if name is None:
            raise UsageError(
                f"no JDBC driver is known for {self._base}", hint="write driver: {name, path} in the profile"
            )
        jdbc_machine.driver(name, tuple(jars))
        with raised():
            opened = jdbc_machine.connect(name, jars, self.url(), self.properties(label))
        return Session(opened, self.facts.fetch_size)

    def set_up(self, connection: Any, write: bool) -> None:
        """Apply the dialect's settings to a new database session; make it read-only unless ``write``."""
        if not write:
            connection.only_read()
        super().set_up(connection, write)

    def make_read_only(self, connection: Any) -> None:
        """Make a session read-only by the dialect's statements, as far as the server knows them.

        A server that refuses one is read all the same: hdm rolls its transactions back.
        """
        for statement in self.dialect.read_only_session:
            try:
                self.run(connection, statement)
            except (PermanentError, UsageError) as error:
                _LOG.info("%s takes no %s: %s", self.dialect.name, statement, error.message)

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Turn autocommit off, so that the driver begins a transaction with the next statement.

        PostgreSQL's driver would keep a whole result in memory otherwise.
        """
        with self.classified():
            connection.begin()
        if not write and self.dialect.read_only_transaction:
            self.run(connection, self.dialect.read_only_transaction)

    # -- catalogue -----------------------------------------------------------------

    @property
    def questions(self) -> CatalogueSql:
        """The SQL that reads the system's own catalogue, where the dialect has it."""
        return catalogue_sql(self._base)

    @property
    def _asks_catalogue(self) -> bool:
        return self.dialect.catalog_queries is not None

    def default_schema(self) -> str | None:
        """Return the schema of tables that are named without one; None if the server alone knows it.

        Where schema and database are the same thing, it is the database in the URL.
        """
        if self.dialect.schemas_are_databases:
            return _server(self.url())[2]
        return super().default_schema() if self._asks_catalogue else self.dialect.default_schema or None

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name, by the host and the database in the URL, without its options."""
        host, port, database = _server(self.url())
        parts = [part for part in path if part]
        if host is None:
            return Dataset(f"{self.dialect.name}://{_place(self.url())}", ".".join(parts))
        if database and not self.dialect.schemas_are_databases:
            parts = [database, *parts]
        return Dataset(f"{self.dialect.name}://{host}{f':{port}' if port else ''}", ".".join(parts))

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """Return a table as the dialect's catalogue SQL describes it, else as the driver does."""
        if self._asks_catalogue:
            return super().find(connection, path)
        with self.calling(connection):
            return jdbc_tables.described(connection, self.dialect, path, self.dataset)

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """Return a digest of the storage of a table's rows; None where the dialect cannot tell it."""
        return super().relation(connection, origin, path) if self._asks_catalogue else None

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query as the driver describes them."""
        with self.calling(connection):
            return jdbc_tables.columns_of_query(connection, self.dialect, sql)

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        with self.calling(connection):
            names = jdbc_tables.names_like(connection, path, prefix)
        return [(*path[:-1], name) for name in names]

    def edges(
        self, connection: Any, origin: str, column: Column, where: str, step: int, rows: int
    ) -> list[str]:
        """Return the column's value at about every ``step``-th row, in ascending order, as text.

        Where the system cannot number rows, all values are read in their order.
        """
        if self.facts.numbers_rows:
            return super().edges(connection, origin, column, where, step, rows)
        dialect, name = self.dialect, self.dialect.quote(column.name)
        only = f"{name} IS NOT NULL{' AND ' + where if where else ''}"
        value = dialect.text_of(name, column)
        sql = f"SELECT {value} FROM {origin} WHERE {only} ORDER BY {dialect.comparable(column)}"
        found: list[str] = []
        passed = 0
        with self.calling(connection):
            cursor = connection.cursor()
            cursor.execute(sql)
        try:
            while True:
                with self.calling(connection):
                    more = cursor.fetchmany(step)
                passed += len(more)
                if not more:
                    return found
                if passed % step == 0:
                    found.append(str(more[-1][0]))
        finally:
            cursor.close()

    # -- rows ----------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches of about 8 MiB; bytes are read as such by their column."""
        at = frozenset(
            n
            for n, column in enumerate(columns)
            if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
        )
        yield from super().stream(_ReadsBytes(connection, at), sql, columns)

    def decoder(self, column: Column) -> row_codec.Decoder:
        """Return the function that converts the driver's texts of a column to an Arrow array."""
        decode = dbapi_codec.decoder(column)
        if not pa.types.is_time(column.type) and not (pa.types.is_timestamp(column.type) and column.type.tz):
            return decode
        return lambda values, kind: decode([None if one is None else _clock(one) for one in values], kind)

    def mark(self, column: Column, number: int) -> str:
        """Return the placeholder for one value of an INSERT, with a cast if the server needs one."""
        kept = pa.types.is_string(column.type) and column.kind.value == "text"
        if not self.facts.casts or kept or pa.types.is_binary(column.type):
            return "?"
        return f"CAST(? AS {self.dialect.stored(column).native})"

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: the connection, and the versions of driver, server and Java."""
        found = super().probe()
        if not all(ok for _, ok, _ in found):
            return found
        connection = self.connect("hdm:doctor")
        try:
            with self.calling(connection), raised():
                meta = connection.java.getMetaData()
                driver = f"{meta.getDriverName()} {meta.getDriverVersion()}"
                server = f"{meta.getDatabaseProductName()} {meta.getDatabaseProductVersion()}"
                java = jdbc_machine.java().JClass("java.lang.System").getProperty("java.version")
        except HdmError as error:
            return [*found, ("driver", False, error.in_one_line)]
        finally:
            connection.close()
        return [*found, ("driver", True, driver), ("server", True, server), ("java", True, str(java))]


class _ReadsBytes:
    """A session whose cursors read the columns at given places as bytes, and no others."""

    def __init__(self, session: Session, at: frozenset[int]) -> None:
        self.session, self.at = session, at

    def cursor(self) -> Any:
        """Return a new cursor."""
        made = self.session.cursor()
        made.bytes_at = self.at
        return made


def _server(url: str) -> tuple[str | None, str | None, str | None]:
    """Return host, port and database of a JDBC URL; the host is None for a database in this process.

    SQL Server names the database by ``;databaseName=``, Teradata by ``/DATABASE=``. What else stands in the
    URL, such as ``PASSWORD=`` after a comma or a colon, is in none of them.
    """
    found = _SERVER.search(url)
    if found is None or not found[1]:
        return None, None, None
    named = re.search(r"[;/,]\s*database(?:Name)?=([^;,]*)", url, re.IGNORECASE)
    return found[1], found[2], named[1] if named else found[3]


def _place(url: str) -> str:
    """Return a URL without a host after ``//``, without its options and what logs in before an ``@``."""
    place = url.removeprefix("jdbc:").partition(":")[2]
    place = _ORACLE_LOGIN.sub(r"\1:@", place)
    return _SECRET.sub("", re.split(r"[;?]", place)[0])


def _clock(text: str) -> str:
    """Return a text with hours and zone as in ``01:02:03+00:00``; some write ``1:02`` and ``+0:00``."""
    full = text if len(text) < 2 or text[1] != ":" else f"0{text}"
    return _APART.sub(r"\1", _SHORT_ZONE.sub(r"\g<1>0\2:\3", full))
