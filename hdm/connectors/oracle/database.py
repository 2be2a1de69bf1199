"""Connects to Oracle and Exadata by python-oracledb: reads Arrow data frames, writes arrays of values.

All chunks of a table read ``AS OF SCN``. Any database session may use an SCN, and it stays valid as long as
the database keeps the undo data. https://python-oracledb.readthedocs.io
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from hdm.config.secrets import Secret
from hdm.config.tls import is_local
from hdm.connectors.oracle import binds, granted
from hdm.connectors.oracle.catalogue import OracleCatalogue
from hdm.connectors.oracle.frames import hold_to_decimals, naming
from hdm.errors import ConnectionLost, HdmError, MissingDriver, UsageError
from hdm.model import Chunk, Column, Dataset, Table
from hdm.sql import SqlProfile
from hdm.sql import odbc_codec as casting
from hdm.sql.profile import OwnDriver

_BATCH_BYTES, _INSERT_ROWS = 32 * 1024 * 1024, 5000
_LOB_BYTES = 64 * 1024
"""Bytes assumed per value of a LOB when the number of rows of a data frame is chosen."""

_ROWID_LENGTH = 18
_SAMPLED_ROWS, _WORTH_SAMPLING = 20_000, 50.0
"""Rows of each part that are sampled to cut a table by ROWID, and the percentage from which all are read."""
_TCPS = re.compile(r"\btcps\b", re.IGNORECASE)


class OracleProfile(SqlProfile, OwnDriver):
    """Profile entry of an Oracle service: ``service_name`` (or ``database``), ``sid`` or a whole ``dsn``.

    ``protocol`` is tcps unless the server is on this machine or ``insecure: true``.
    """

    takes_url: ClassVar[bool] = False
    service_name: str | None = None
    """Name of the service to connect to; left out, ``database``, unless ``sid`` is given."""
    sid: str | None = None
    """SID of the instance, for servers that have no service name."""
    dsn: str | None = None
    """A whole connect descriptor, EZConnect string or name in tnsnames.ora; ``host``, ``port`` and the rest
    are not used then."""
    protocol: str | None = Field(None, pattern="^(tcp|tcps)$")
    """``tcp`` or ``tcps`` (TLS); left out, ``tcps`` unless the server is on this machine or ``insecure:
    true``."""
    wallet_location: str | None = None
    """Folder of the wallet (ewallet.pem) with certificates for TLS; left out, those of the system."""
    wallet_password: Secret | None = None
    """Password of the wallet's private key, where it is encrypted."""
    config_dir: str | None = None
    """Folder of tnsnames.ora, and in thick mode of sqlnet.ora; used with ``dsn`` or ``thick``."""
    ssl_server_cert_dn: str | None = None
    """Distinguished name that the server's certificate must have; left out, it must name the host."""
    call_timeout: int = Field(14_400, ge=0)
    """Seconds for which one call waits for the server, a lock of others included; 0: for ever."""
    thick: bool = False
    """Uses Oracle's client libraries, which must be installed, in the place of the driver's own protocol."""
    lib_dir: str | None = None
    """Folder of the client libraries for ``thick``; left out, the system looks for them."""


class OracleDatabase(OracleCatalogue):
    """Connects to one Oracle service, reads and writes it.

    DDL commits, so tables are created before the load's transaction begins.
    """

    dialect_name = "oracle"
    snapshots = True
    scn: str | None = None
    """The SCN at which this source reads; it is written into the text of every query."""

    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return a table's OpenLineage name: ``oracle://host:port`` and ``service.schema.table``."""
        profile: OracleProfile = self.profile
        service = profile.service_name or profile.database or profile.sid or ""
        name = ".".join(part for part in (service, *path) if part)
        return Dataset(f"oracle://{profile.host}:{profile.port or 1521}", name)

    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name; a bare one gets the profile's schema, else the user's own, in front."""
        if len(parts) > 1:
            return tuple(parts)
        owner = self.profile.schema_name or str(self.profile.user or "").upper()
        return (owner, *parts) if owner else tuple(parts)

    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a database session in the driver's thin mode, or in thick mode with ``thick: true``.

        LOBs are fetched as values.
        """
        try:
            import oracledb
        except ImportError:
            raise MissingDriver("oracledb is not installed", hint="pip install 'hdm[oracle]'") from None
        profile: OracleProfile = self.profile
        with self.connecting():
            if profile.thick:
                oracledb.init_oracle_client(lib_dir=profile.lib_dir, config_dir=profile.config_dir)
            connection = oracledb.connect(**self.arguments())
            connection.module, connection.action = "hdm", label[:32]
            connection.outputtypehandler = _lobs_as_values(oracledb)
            connection.call_timeout = profile.call_timeout * 1000  # milliseconds
            for statement in self.dialect.session:
                self.run(connection, statement)
        return connection

    def arguments(self) -> dict[str, Any]:
        """Return the arguments for ``oracledb.connect``, among them the password: never log them.

        Raises ``UsageError`` if ``dsn`` is a whole address that does not ask for TLS, unless ``insecure:
        true``.
        """
        profile: OracleProfile = self.profile
        local = profile.insecure or is_local(profile.host)
        made: dict[str, Any] = {
            "user": profile.user,
            "password": profile.password.reveal() if profile.password else None,
            "tcp_connect_timeout": 30,
            "expire_time": 1,
            "wallet_location": profile.wallet_location,
            "wallet_password": profile.wallet_password.reveal() if profile.wallet_password else None,
            "ssl_server_dn_match": not profile.insecure,
            "ssl_server_cert_dn": profile.ssl_server_cert_dn,
        }
        if profile.dsn:
            clear = "/" in profile.dsn or "(" in profile.dsn  # else it is a name in tnsnames.ora
            if clear and not profile.insecure and not _TCPS.search(profile.dsn):
                raise UsageError(
                    "dsn does not ask for TLS", hint="write tcps://... or (PROTOCOL=tcps), or insecure: true"
                )
            return made | {"dsn": profile.dsn, "config_dir": profile.config_dir}
        return made | {
            "host": profile.host,
            "port": profile.port or 1521,
            "service_name": profile.service_name or (None if profile.sid else profile.database),
            "sid": profile.sid,
            "protocol": profile.protocol or ("tcp" if local else "tcps"),
        }

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """Begin a read-only transaction for reading; a writing one begins with its first statement."""
        if not write:
            self.run(connection, self.dialect.read_only_transaction)

    # -- catalogue -------------------------------------------------------------

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return a query's columns, found by parsing it; expressions without precision are text."""
        with self.classified():
            cursor = connection.cursor()
            cursor.parse(sql)
            found = cursor.description
            cursor.close()
        return tuple(self._described(info) for info in found)

    def _described(self, info: Any) -> Column:
        native = str(info.type_code.name).removeprefix("DB_TYPE_")
        native = {
            "VARCHAR": "VARCHAR2", "NVARCHAR": "NVARCHAR2", "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE",
            "TIMESTAMP_LTZ": "TIMESTAMP WITH LOCAL TIME ZONE", "LONG_RAW": "LONG RAW",
            "INTERVAL_DS": "INTERVAL DAY TO SECOND", "INTERVAL_YM": "INTERVAL YEAR TO MONTH",
        }.get(native, native)  # fmt: skip
        number = native == "NUMBER" and info.precision and info.scale is not None and info.scale >= 0
        if number:
            native = f"NUMBER({info.precision},{info.scale})"
        if native.startswith("TIMESTAMP"):  # the scale is the number of digits of a second
            native = f"TIMESTAMP({info.scale or 0}){native.removeprefix('TIMESTAMP')}"
        return self.dialect.column_from_catalog(
            str(info.name), native, nullable=bool(info.null_ok), length=info.internal_size
        )

    def tables_like(self, connection: Any, path: Sequence[str], prefix: str) -> list[tuple[str, ...]]:
        """Return the tables in the schema of ``path`` whose names start with ``prefix``."""
        rows = self.run(connection, "SELECT table_name FROM all_tables WHERE owner = :1", (path[-2],))
        return [(*path[:-1], str(name)) for (name,) in rows if str(name).startswith(prefix)]

    # -- privileges ------------------------------------------------------------

    def has_right(self, connection: Any, path: Sequence[str], right: str) -> bool | None:
        """Return True if the user has a right, else False; reading, also AS OF an SCN, is tried.

        None for the rights to make tables in the schema of another user.
        """
        return granted.has_right(self, connection, path, right)

    def grant_names(self, connection: Any, path: Sequence[str]) -> dict[str, str]:
        """Return the names for the grants script, the user and its tablespace as the server calls them."""
        return super().grant_names(connection, path) | granted.own_names(self, connection)

    # -- snapshots -------------------------------------------------------------

    @contextmanager
    def snapshot(self, path: Sequence[str] | None) -> Iterator[str | None]:
        """Give the ``with`` block the current SCN as the snapshot's token; None for a query.

        Nothing is kept open. Raises ``UsageError`` if the user may not ask for the SCN.
        """
        if path is None:
            yield None
            return
        connection = self.connect("hdm:snapshot")
        try:
            rows = self.current_scn(connection)
        finally:
            connection.close()
        yield str(rows[0][0])

    def current_scn(self, connection: Any) -> list[tuple[Any, ...]]:
        """Return the current SCN from V$DATABASE or DBMS_FLASHBACK.

        Raises ``UsageError`` without a grant on either. TIMESTAMP_TO_SCN needs no grant, but its SCN is up to
        three seconds old: rows that were committed since would not be read, although the watermark passes
        them.
        """
        try:
            return self.run(connection, "SELECT TO_CHAR(current_scn) FROM v$database")
        except ConnectionLost:
            raise
        except HdmError:  # no SELECT on V_$DATABASE; releases differ in the error that they give
            pass
        try:
            return self.run(connection, "SELECT TO_CHAR(dbms_flashback.get_system_change_number) FROM dual")
        except ConnectionLost:
            raise
        except HdmError as error:
            raise UsageError(
                f"oracle: the profile's user may not ask for the current SCN ({error.message})",
                hint="GRANT SELECT ON sys.v_$database TO it, or GRANT EXECUTE ON dbms_flashback TO it",
            ) from None

    def join(self, connection: Any, token: str, table: Table, chunk: Chunk | None) -> bool:
        """Make this connection's queries read as of the SCN in ``token``; return True.

        The text of the queries then contains the SCN.
        """
        self.scn = checked_scn(token)
        return True

    # -- rows ------------------------------------------------------------------

    def stream(self, connection: Any, sql: str, columns: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a SELECT as batches of the columns' types, from the driver's data frames.

        Decimals are exact. Raises ``UnrepresentableValue`` for a date before the year 1 or after 9999, and
        for a number that the driver would round.
        """
        width = sum(min(binds.width(column), _LOB_BYTES) for column in columns)
        size = max(min(_BATCH_BYTES // max(width, 1), 50_000), 16)
        with naming(self.classified, columns):
            frames = iter(connection.fetch_df_batches(sql, size=size, fetch_decimals=True))
        while True:
            with naming(self.classified, columns):
                frame = next(frames, None)
            if frame is None:
                return
            for batch in pa.table(frame).to_batches():
                hold_to_decimals(batch, columns)
                if batch.num_rows:
                    yield casting.carried(batch, columns)

    def load(
        self,
        connection: Any,
        path: Sequence[str],
        columns: Sequence[Column],
        batches: Iterator[pa.RecordBatch],
    ) -> int:
        """Insert batches by arrays of bound values, and return how many rows Oracle stored.

        Dates, timestamps and decimals are bound as text with explicit formats, floats as BINARY_DOUBLE or
        BINARY_FLOAT. LOBs are bound last (ORA-24816). If the database's character set is not Unicode, a text
        with a character that it lacks raises ``UnrepresentableValue``, unless its column is of the national
        character set.
        """
        import oracledb

        order = sorted(range(len(columns)), key=lambda n: binds.is_long(columns[n]))
        ordered = [columns[n] for n in order]
        marks = [binds.mark(column, number) for number, column in enumerate(ordered, 1)]
        names = self.dialect.names(column.name for column in ordered)
        sql = f"INSERT INTO {self.dialect.qualify(path)} ({names}) VALUES ({', '.join(marks)})"
        charset = str(self.run(connection, binds.CHARSET)[0][0])
        held = None if charset in binds.UNICODE else self.find(connection, path)
        kept = held.columns if held is not None else ()
        national = frozenset(column.name for column in kept if column.native.startswith(binds.NATIONAL))
        sizes = binds.input_sizes(oracledb, ordered, national)
        taken = 0
        with self.classified():
            cursor = connection.cursor()
            for batch in batches:
                values = [binds.cells(batch.column(n)) for n in order]
                for column, cells in zip(ordered, values, strict=True):
                    if column.name not in national:
                        binds.hold_to(charset, column, cells)
                rows = [list(row) for row in zip(*values, strict=True)]
                for start in range(0, len(rows), _INSERT_ROWS):
                    cursor.setinputsizes(*sizes)
                    cursor.executemany(sql, rows[start : start + _INSERT_ROWS])
                    taken += int(cursor.rowcount)
            cursor.close()
        return taken

    def rowid_ranges(self, connection: Any, origin: str, pieces: int, rows: int) -> list[str]:
        """Return the ROWIDs at which all but the first of about ``pieces`` equal parts of a table begin.

        They are in order. Of a table with many rows (``rows``) a sample of its blocks is read, else all
        ROWIDs; no grant on DBA_EXTENTS is needed. Empty for a table that is organised by an index, which has
        no physical ROWIDs.
        """
        percent = 100 * _SAMPLED_ROWS * pieces / max(rows, 1)
        if percent < _WORTH_SAMPLING:
            table = origin.rpartition(" AS OF SCN ")[0] or origin  # at any SCN, the ranges hold every address
            try:
                found = self._tiles(connection, f"{table} SAMPLE BLOCK ({percent:.6f})", pieces)
            except ConnectionLost:
                raise
            except HdmError:  # not a table of which blocks can be sampled
                found = []
            if 2 * len(found) >= pieces - 1:
                return found
        return self._tiles(connection, origin, pieces)

    def _tiles(self, connection: Any, origin: str, pieces: int) -> list[str]:
        """Return the least ROWID in each of ``pieces`` equal parts of ``origin``'s rows, but the first."""
        tiles = f"SELECT ROWID AS rid, NTILE({pieces:d}) OVER (ORDER BY ROWID) AS tile FROM {origin}"
        sql = (
            f"SELECT ROWIDTOCHAR(MIN(rid)) FROM {self.dialect.derived(tiles)} "
            "WHERE tile > 1 GROUP BY tile ORDER BY tile"
        )
        found = [str(row[0]) for row in self.run(connection, sql)]
        # a table organised by an index has ROWIDs of another length
        return found if all(len(one) == _ROWID_LENGTH for one in found) else []


def checked_scn(token: str) -> str:
    """Return a snapshot's token if it is a number; else raise ``UsageError``."""
    if not token.isdigit():
        raise UsageError("the chunk's snapshot is no SCN", hint="plan the job again")
    return token


def _lobs_as_values(oracledb: Any) -> Any:
    kinds = {
        oracledb.DB_TYPE_CLOB: oracledb.DB_TYPE_LONG,
        oracledb.DB_TYPE_NCLOB: oracledb.DB_TYPE_LONG_NVARCHAR,
        oracledb.DB_TYPE_BLOB: oracledb.DB_TYPE_LONG_RAW,
    }

    def handler(cursor: Any, metadata: Any) -> Any:
        wanted = kinds.get(metadata.type_code)
        return cursor.var(wanted, arraysize=cursor.arraysize) if wanted is not None else None

    return handler
