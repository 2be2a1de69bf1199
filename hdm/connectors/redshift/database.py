"""Connects to Amazon Redshift by redshift_connector (https://pypi.org/project/redshift-connector).

All writing goes through S3: rows are written there as Parquet files, and COPY reads what a manifest lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from traceback import walk_tb
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import Field, field_validator

from hdm.arrow import rows as row_codec
from hdm.components.silence import KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL
from hdm.config.tls import is_local
from hdm.connectors.redshift.arriving import Arriving, room
from hdm.connectors.redshift.staging import Put, Staging
from hdm.dialects import grants
from hdm.errors import HdmError, MissingDriver, UsageError
from hdm.files.stores.s3 import S3Store
from hdm.files.stores.s3_connect import S3Profile, connect
from hdm.model import Chunk, Column, Kind
from hdm.sql import DbApiDatabase, SqlProfile, dbapi_codec

_FETCH_BYTES, _FETCH_ROWS, _FIRST_ROWS = 8 * 1024 * 1024, 1000, 64
"""A cluster of one node gives at most 1,000 rows of a cursor at once
(https://docs.aws.amazon.com/redshift/latest/dg/fetch.html)."""
_CURSOR = "hdm_cursor"
_ROLE = (
    r"(default|arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+(,arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+)*)"
)
_HEX = bytes.fromhex


class RedshiftProfile(SqlProfile):
    """Profile entry of a Redshift cluster or workgroup: address, credentials, and the way through S3.

    It has no ``url``. Beyond this host TLS is verified with the driver's own authorities.
    """

    takes_url: ClassVar[bool] = False
    port: int | None = Field(5439, ge=1, le=65535)
    """TCP port on which the cluster or workgroup listens."""
    iam_role: str = Field("default", pattern=rf"^{_ROLE}$")
    """ARN of the role by which Redshift reads S3, or ``default``, the cluster's default role. Several ARNs
    with a comma between them are roles that are assumed in turn. Keys are never written into SQL."""
    staging: str | None = None
    """Folder in S3, ``s3://bucket/folder``, for files and manifests on their way; a sink needs it. It must
    lie in the cluster's own region, and nothing else may be kept there."""
    s3: S3Profile = Field(default_factory=S3Profile)
    """How hdm itself reaches the folder: the keys of an S3 account's profile entry. Left out, boto3 looks for
    credentials."""

    @field_validator("staging")
    @classmethod
    def _is_folder(cls, value: str | None) -> str | None:
        split = urlsplit(value or "s3://bucket")
        if split.scheme != "s3" or len(split.netloc) < 3 or split.query or split.fragment:
            raise ValueError("staging is a folder in S3: s3://bucket/folder")
        return value


class Session:
    """A connection of the driver, and the label of its database session."""

    def __init__(self, inner: Any, label: str) -> None:
        self.inner = inner
        self.label = label

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@contextmanager
def closing_half_open() -> Iterator[None]:
    """Close the socket that the driver leaves open, and shows nobody, if a login in the block fails."""
    try:
        yield
    except Exception as error:
        for frame, _ in walk_tb(error.__traceback__):
            half = getattr(frame.f_locals.get("self"), "_usock", None)
            if half is not None:
                half.close()
        raise


class RedshiftDatabase(DbApiDatabase):
    """Connects to one database of a Redshift cluster or workgroup, reads and writes it."""

    dialect_name = "redshift"
    begin_read = "BEGIN READ ONLY"
    brings_first = True
    keys_act = False
    profile: RedshiftProfile

    def open(self, label: str, *, write: bool) -> Any:
        """Open a connection in autocommit, by verified TLS unless the server is here or ``insecure``."""
        try:
            import redshift_connector
        except ImportError:
            raise MissingDriver(
                "redshift_connector is not installed", hint="pip install 'hdm[redshift]'"
            ) from None
        profile = self.profile
        safe = not profile.insecure and not is_local(profile.host)
        with closing_half_open():
            inner = self._login(redshift_connector, label, safe)
        inner._usock.settimeout(None)  # the limit is for connecting: a COPY may take hours
        inner.autocommit = True
        return Session(inner, label)

    def _login(self, driver: Any, label: str, safe: bool) -> Any:
        profile = self.profile
        return driver.connect(
            host=profile.host,
            port=profile.port,
            database=profile.database,
            user=profile.user,
            password=profile.password.reveal() if profile.password else "",
            ssl=safe,
            sslmode="verify-full" if safe else None,
            application_name=label,
            timeout=30,
            tcp_keepalive=True,
            tcp_keepalive_idle=KEEPALIVE_IDLE,
            tcp_keepalive_interval=KEEPALIVE_INTERVAL,
            tcp_keepalive_count=KEEPALIVE_COUNT,
        )

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return ``(schema, table)`` for a table's name; a bare one gets the profile's schema or ``public``.

        Raises ``UsageError`` if a database in front is not the profile's.
        """
        if len(parts) > 3 or (len(parts) == 3 and parts[0] != self.profile.database):
            raise UsageError(
                f"{'.'.join(parts)} is not in the profile's database {self.profile.database}",
                hint="write schema.table, or a list of parts if a name holds a dot",
            )
        return super().default_path(tuple(parts[-2:]))

    def socket_of(self, connection: Any) -> int | None:
        """Return the file descriptor of the driver's socket; None if the connection is closed."""
        try:
            number = int(connection._usock.fileno())
        except (AttributeError, OSError):
            return None
        return number if number >= 0 else None

    def tag(self, connection: Any, run_id: str, chunk: Chunk, attempt: int) -> None:
        """Set query_group to run, chunk and attempt, which Redshift's query history shows."""
        said = f"hdm run={run_id} chunk={chunk.chunk_id[:12]} attempt={attempt}"
        self.run(connection, f"SET query_group TO {self.dialect.string(said)}")

    # -- reading -----------------------------------------------------------------

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Raise ``UsageError``: a session that only reads cannot ask for a query's columns."""
        raise UsageError(
            "redshift does not tell the columns of a query to a session that only reads",
            hint="make a view of the query, and write table_name: with its name",
        )

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches, fetched from a cursor, in the open transaction.

        Without a cursor, the driver would hold all rows in memory. The cursor reads one snapshot.
        """
        decoders = {column.name: self.decoder(column) for column in columns}
        self.run(connection, f"DECLARE {_CURSOR} CURSOR FOR {sql}")
        step = _FIRST_ROWS
        while found := self.run(connection, f"FETCH FORWARD {step} FROM {_CURSOR}"):
            batch = row_codec.to_batch(found, columns, decoders)
            step = max(min(_FETCH_ROWS, _FETCH_BYTES // max(batch.nbytes // batch.num_rows, 1)), 1)
            del found
            yield batch
        self.run(connection, f"CLOSE {_CURSOR}")

    def decoder(self, column: Column) -> row_codec.Decoder:
        """Return the function that converts the driver's values; VARBYTE comes as hex digits."""
        decode = dbapi_codec.decoder(column)
        if column.kind is not Kind.BINARY:
            return decode
        return lambda values, kind: decode([None if one is None else _HEX(one) for one in values], kind)

    # -- writing -----------------------------------------------------------------

    @cached_property
    def store(self) -> S3Store:
        """The folder in S3 through which rows come; ``UsageError`` if the profile names none."""
        if self.profile.staging is None:
            raise UsageError(
                "Redshift loads from S3, and the profile names no folder there",
                hint="write staging: s3://bucket/folder in the profile",
            )
        split = urlsplit(self.profile.staging)
        return S3Store(lambda: connect(self.profile.s3), split.netloc, split.path)

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Write batches to S3 and load them into the table at once; return the number of rows."""
        return self.bring(connection, path, columns, batches)()

    def bring(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> Callable[[], int]:
        """Write batches to S3, COPY them into a temporary table; return the function that inserts from it.

        Only that function runs in the transaction that holds the ledger, so that others wait for it shortly.
        """
        natives = self.natives(connection, path)
        limits = {c.name: room(natives.get(self.dialect.folded(c.name), "")) for c in columns}
        with Staging(self, connection.label) as staging:
            files = staging.encode(columns, batches, limits)
            return self.arrive(connection, path, staging, Arriving.of(columns), files, natives)

    def arrive(
        self,
        connection: Any,
        path: Sequence[str],
        staging: Staging,
        arriving: Arriving,
        files: Sequence[Put],
        natives: Mapping[str, str],
    ) -> Callable[[], int]:
        """COPY files into a new temporary table; return the function that inserts its rows into ``path``.

        ``natives`` are the types of its columns. Raises ``RejectedRows`` if Redshift counts other rows than
        the files have.
        """
        rows = sum(file.rows for file in files)
        if not rows:
            return lambda: 0
        beside = staging.copy(connection, arriving, files)
        insert = arriving.insert(self, path, beside, natives)
        return lambda: self.change(connection, insert)

    def natives(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the columns of a table, temporary or not, and their types as Redshift prints them."""
        place = "n.nspname = %s" if len(path) > 1 else "pg_table_is_visible(c.oid)"
        found = self.run(
            connection,
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
            f"WHERE {place} AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
            tuple(self.dialect.folded_table(part) for part in path[-2:]),
        )
        return {str(name): str(native) for name, native in found}

    # -- rights ------------------------------------------------------------------

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, as the grants script calls it, else False; None if not known.

        https://docs.aws.amazon.com/redshift/latest/dg/r_HAS_TABLE_PRIVILEGE.html and its neighbours.
        """
        word, _, on = right.partition(" on the ")
        if right == grants.SELECT:
            return super().has_right(connection, path, right)
        asked: tuple[str, tuple[str, ...]] | None = None
        if on == "table":
            asked = ("has_table_privilege(%s, %s)", (self.dialect.qualify(path), word))
        elif on == "schema":
            asked = ("has_schema_privilege(%s, %s)", (path[-2], word))
        elif on == "database" and self.profile.database:
            asked = ("has_database_privilege(%s, %s)", (self.profile.database, word))
        elif on == "role" and self.profile.iam_role.startswith("arn:"):
            role = self.profile.iam_role.partition(",")[0]
            asked = ("has_assumerole_privilege(current_user, %s, 'COPY')", (role,))
        if asked is None:
            return None
        with suppress(HdmError):
            return bool(self.run(connection, f"SELECT {asked[0]}", asked[1])[0][0])
        with suppress(HdmError):
            self.rollback(connection)
        return None

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: connection, version, and the folder in S3 if one is named."""
        found = super().probe()
        if found[0][1]:
            connection = self.connect("hdm:doctor")
            try:
                found.append(("version", True, str(self.run(connection, "SELECT version()")[0][0])[:120]))
            finally:
                connection.close()
        if self.profile.staging is not None:
            try:
                self.store.look()
                found.append(("staging", True, self.store.root))
            except HdmError as error:
                found.append(("staging", False, error.in_one_line))
        return found
