"""A Netezza session by nzpy (https://pypi.org/project/nzpy).

Netezza has no snapshot that sessions share. An UPDATE writes a new row with another rowid and
createxid but on the same data slice, and keys of distribution cannot be updated; so a table is
cut by data slices (or by key), each row lies in one chunk, and each chunk is one statement, which
sees one moment. ``createxid``/``deletexid`` are not used to rebuild a past: a transaction that was
open when the bound was taken could be seen in half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pydantic import field_validator, model_validator

from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.components.silence import keep_alive
from hdm.config.tls import is_local
from hdm.dialects.catalog_queries import catalogue_sql
from hdm.errors import MissingDriver, UsageError
from hdm.model import Column, Dataset, Kind, Table
from hdm.sql import Database, SqlProfile
from hdm.sql.describe import described, relation_of

_FETCH_BYTES, _FETCH_ROWS = 8 * 1024 * 1024, 50_000
_SECURED, _OPEN = 3, 0
"""nzpy's securityLevel: 3 insists on TLS, 0 prefers plain."""


class NetezzaProfile(SqlProfile):
    """What a profile entry for Netezza may hold; there is no ``url``."""

    port: int | None = 5480
    """TCP port on which the server listens; Netezza's own is 5480."""
    driver: Any = None
    """Names an installed ODBC driver to go by; left out, nzpy is used. The ``{name, path}`` of older profiles
    is ignored."""
    ca_certs: str | None = None
    """File (PEM) of the authority that signed the server's certificate; nzpy needs it for another machine
    unless ``insecure: true``."""

    @field_validator("driver")
    @classmethod
    def _name(cls, value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, dict) and set(value) <= {"name", "path"}:
            return None
        raise ValueError("write the name of an ODBC driver, or leave it out")

    @model_validator(mode="after")
    def _by_host(self) -> NetezzaProfile:
        if self.url is not None or not self.host:
            raise ValueError("give host, port, database and user: Netezza has no url")
        return self


class NetezzaDatabase(Database):
    """One database by nzpy."""

    dialect_name = "netezza"

    def dataset(self, path: Sequence[str]) -> Dataset:
        """``netezza://host:port``, ``database.schema.table``."""
        name = ".".join(part for part in (self.profile.database, *path) if part)
        return Dataset(f"netezza://{self.profile.host}:{self.profile.port}", name)

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The profile's schema, else ADMIN, before a bare name."""
        if len(parts) > 1:
            return tuple(parts)
        return (self.profile.schema_name or "ADMIN", *parts)

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """TLS is insisted on unless the server is on this machine or ``insecure: true``."""
        try:
            import nzpy
        except ImportError:
            raise MissingDriver("nzpy is not installed", hint="pip install 'hdm[netezza]'") from None
        profile: NetezzaProfile = self.profile
        plain = profile.insecure or is_local(profile.host)
        if not plain and not profile.ca_certs:
            raise UsageError(
                f"{profile.host}: its certificate cannot be verified without the CA's",
                hint="write ca_certs: with the file of the CA, or insecure: true to go without TLS",
            )
        with self.connecting():
            connection = nzpy.connect(
                user=profile.user,
                password=profile.password.reveal() if profile.password else None,
                host=profile.host,
                port=profile.port,
                database=profile.database,
                securityLevel=_OPEN if plain else _SECURED,
                ssl={"ca_certs": profile.ca_certs} if profile.ca_certs else None,
                application_name=label[:60],
                char_varchar_encoding="utf8",
                logLevel=50,
                logOptions=nzpy.LogOptions.Disabled,
                # without a CA nzpy refuses TLS altogether unless told so
                **({"skipCertVerification": True} if profile.insecure else {}),
            )
            if (sock := getattr(connection, "_usock", None)) is not None:  # the driver's own affair
                keep_alive(sock.fileno())
            connection.autocommit = True
        for statement in self.dialect.session:
            self.run(connection, statement)
        return connection

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """The driver begins with the next statement."""
        connection.autocommit = False

    def commit(self, connection: Any) -> None:
        """Commit, and be in no transaction again."""
        super().commit(connection)
        connection.autocommit = True

    def rollback(self, connection: Any) -> None:
        """Roll back, and be in no transaction again."""
        super().rollback(connection)
        connection.autocommit = True

    # -- catalogue -------------------------------------------------------------

    def find(self, connection: Any, path: Sequence[str]) -> Table | None:
        """From the system views; a name in any case."""
        return described(self, connection, path, catalogue_sql("netezza"))

    def relation(self, connection: Any, origin: str, path: Sequence[str] | None) -> str | None:
        """By the table's object id."""
        return relation_of(self, connection, path, catalogue_sql("netezza"))

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """By a temporary table without rows, which the catalogue then describes."""
        name = "_HDM_QUERY"
        self.run(connection, f'CREATE TEMP TABLE "{name}" AS SELECT * FROM ({sql}) AS hdm_q LIMIT 0')
        rows = self.run(
            connection,
            "SELECT ATTNAME, FORMAT_TYPE FROM _V_RELATION_COLUMN WHERE NAME = ? ORDER BY ATTNUM",
            (name,),
        )
        self.run(connection, f'DROP TABLE "{name}"')
        return tuple(self.dialect.column_from_catalog(str(n), str(t)) for n, t in rows)

    def pages(self, connection: Any, table: Table) -> int:
        """Data slices; each is a range of its own."""
        return int(self.run(connection, "SELECT COUNT(*) FROM _V_DSLICE")[0][0])

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """By _V_TABLE."""
        rows = self.run(connection, "SELECT TABLENAME FROM _V_TABLE WHERE SCHEMA = ?", (path[-2],))
        return [(*path[:-1], str(name)) for (name,) in rows if str(name).startswith(prefix)]

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Driver rows, in batches of bounded bytes."""
        decoders = {column.name: _decode for column in columns}
        with self.classified():
            cursor = connection.cursor()
            cursor.execute(sql)
        step = 64
        while True:
            with self.classified():
                found = cursor.fetchmany(step)
            if not found:
                return
            batch = row_codec.to_batch(found, columns, decoders)
            step = max(min(_FETCH_ROWS, _FETCH_BYTES // max(batch.nbytes // batch.num_rows, 1)), 1)
            yield batch

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Prepared inserts. For bulk, unload and load through external tables is Netezza's own way."""
        names = self.dialect.names(column.name for column in columns)
        marks = ", ".join(self._mark(column) for column in columns)
        sql = f"INSERT INTO {self.dialect.qualify(path)} ({names}) VALUES ({marks})"
        sent = 0
        with self.classified():
            cursor = connection.cursor()
            for batch in batches:
                values = [_cells(array) for array in batch.columns]
                rows = list(zip(*values, strict=True))
                cursor.executemany(sql, rows)
                sent += len(rows)
            cursor.close()
        return sent

    def _mark(self, column: Column) -> str:
        if column.kind is Kind.BINARY:
            return "HEX_TO_BINARY(?)"
        return f"CAST(? AS {self.dialect.stored(column).native})"


def _cells(array: pa.Array) -> list[Any]:
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        return [None if value is None else value.hex() for value in array.to_pylist()]
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp(array.type.unit))
    return row_codec.cells(array)


def _decode(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """nzpy's values: Python's own for numbers and temporals, text for the rest."""
    first = next((value for value in values if value is not None), None)
    if pa.types.is_string(kind):
        return pa.array([None if v is None else _text(v) for v in values], kind)
    if isinstance(first, str) and pa.types.is_temporal(kind):
        return temporal.from_texts(pa.array(values, pa.string()), kind)
    if isinstance(first, str) and pa.types.is_boolean(kind):
        return pa.array([None if v is None else _flag(v) for v in values], kind)
    if isinstance(first, str) and not pa.types.is_binary(kind):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array([bytes(v) if isinstance(v, bytearray) else v for v in values], kind)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _flag(value: str) -> bool:
    if value.lower() not in ("t", "true", "1", "f", "false", "0"):
        raise ValueError("no boolean")
    return value.lower() in ("t", "true", "1")
