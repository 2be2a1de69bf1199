"""Connects to Netezza by nzpy (https://pypi.org/project/nzpy).

Netezza's sessions cannot share a snapshot. A table is cut by data slices (or by key), and each chunk is one
statement, which reads as of one moment. Each row lies in exactly one chunk: an UPDATE writes a new version of
the row with another rowid and createxid, but on the same data slice, and distribution keys cannot be updated.
``createxid`` and ``deletexid`` are not used to read an earlier state, because a transaction that was open
when the bound was taken could be seen in part.

nzpy stays in autocommit, and hdm sends BEGIN, COMMIT and ROLLBACK as statements: nzpy itself sends BEGIN
before the first transaction of a session only, since it never learns that one ended (1.17.8). nzpy's own
attribute ``in_transaction`` of the connection records whether a transaction is open.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa

from hdm.arrow import rows as row_codec
from hdm.arrow import temporal
from hdm.components.silence import keep_alive
from hdm.config.tls import is_local
from hdm.connectors.netezza import literals, login
from hdm.connectors.netezza.granted import TriesRights
from hdm.connectors.netezza.jdbc import NetezzaJdbcDatabase
from hdm.connectors.netezza.loading import BringsFirst
from hdm.connectors.netezza.merging import MovesRows
from hdm.connectors.netezza.odbc import NetezzaOdbcDatabase
from hdm.connectors.netezza.profile import NetezzaProfile
from hdm.errors import ConnectionLost, HdmError, MissingDriver, UsageError
from hdm.model import Column, Table
from hdm.sql import Database, DbApiDatabase
from hdm.sql.jdbc_driver import JdbcDriver

_SECURED, _OPEN = 3, 0
"""nzpy's securityLevel: 3 insists on TLS, 0 prefers plain."""
_LOGIN_SECONDS = 30
_SHORT_YEAR = re.compile(r"\d{1,3}-")


class NetezzaDatabase(BringsFirst, MovesRows, TriesRights, DbApiDatabase):
    """Connects to one Netezza database by nzpy, reads and writes it."""

    dialect_name = "netezza"
    remote = "python"

    @classmethod
    def reached(cls, profile: Any) -> Database:
        """Return the database by the ODBC or JDBC driver that the profile names, else the one by nzpy."""
        if isinstance(profile.driver, JdbcDriver):
            return NetezzaJdbcDatabase(profile)
        return NetezzaOdbcDatabase(profile) if profile.driver else cls(profile)

    def open(self, label: str, *, write: bool) -> Any:
        """Open a connection, by TLS unless the server is on this machine or ``insecure: true``.

        Raises ``UsageError`` if TLS is required and the profile has no ``ca_certs``.
        """
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
        with login.reasons(str(profile.database)):
            connection = nzpy.connect(
                user=profile.user,
                password=profile.password.reveal() if profile.password else None,
                host=profile.host,
                port=profile.port,
                database=profile.database,
                securityLevel=_OPEN if plain else _SECURED,
                ssl={"ca_certs": profile.ca_certs} if profile.ca_certs else None,
                timeout=_LOGIN_SECONDS,
                char_varchar_encoding=literals.LATIN,
                logLevel=30,  # warnings, which ``login`` collects; nothing prints them
                logOptions=nzpy.LogOptions.Disabled,
                # without a CA, nzpy refuses TLS unless it may skip verification
                **({"skipCertVerification": True} if profile.insecure else {}),
            )
            connection.autocommit, connection.in_transaction = True, False
            connection.close = partial(_close, connection.close)
        sock = getattr(connection, "_usock", None)  # private to nzpy; a detached socket under TLS
        if sock is not None and sock.fileno() >= 0:
            sock.settimeout(None)
            keep_alive(sock.fileno())
        self._named(connection, label)
        return connection

    def set_up(self, connection: Any, write: bool) -> None:
        """Apply the dialect's settings one by one, then make the session read-only unless ``write``."""
        for name, setting in self.dialect.session_settings.items():
            self._set(connection, name, setting)
        if not write:
            self.make_read_only(connection)

    def _set(self, connection: Any, name: str, setting: str) -> None:
        """Apply one setting.

        A refused TIMEZONE is ignored: no column of Netezza has a zone, so no value depends on it.
        """
        try:
            self.run(connection, self.dialect.set_session(name, setting))
        except ConnectionLost:
            raise
        except HdmError:
            if name != "TIMEZONE":
                raise

    def _named(self, connection: Any, label: str) -> None:
        """Set the name that _V_SESSION shows, since nzpy sends none.

        Older servers refuse it, which is ignored.
        """
        with suppress(HdmError):
            shown = re.sub(r"[^\w:.-]", "_", label[:60])
            self.run(connection, f"SET CLIENT_APPLICATION_NAME = '{shown}'")

    def begin(self, connection: Any, *, write: bool = False) -> None:
        """With ``write``, begin a transaction, unless one is open; without, do nothing.

        Reading needs none: each statement reads as of one moment, and a transaction would take one of the 63
        that all sessions together may have
        (https://www.ibm.com/docs/en/SSTNZ3/barracuda/admin/c_sysadm_concur_trans_serial_queue.html).
        """
        if write and not connection.in_transaction:
            self.run(connection, "BEGIN")
            connection.in_transaction = True

    def commit(self, connection: Any) -> None:
        """Commit the transaction if one is open."""
        if connection.in_transaction:
            self.run(connection, "COMMIT")
            connection.in_transaction = False

    def rollback(self, connection: Any) -> None:
        """Roll back the transaction if one is open."""
        if connection.in_transaction:
            self.run(connection, "ROLLBACK")
            connection.in_transaction = False

    def execute(self, cursor: Any, sql: str, values: Sequence[Any] = ()) -> None:
        """Execute a statement, with its values written into the text as literals; see ``literals``."""
        cursor.execute(literals.bound(sql, values, self.dialect.string) if values else sql)

    def query_columns(self, connection: Any, sql: str) -> tuple[Column, ...]:
        """Return the columns of a query, as the catalogue describes an empty temporary table made of it."""
        name = f"_HDM_QUERY_{uuid.uuid4().hex}".upper()
        self.run(connection, f'CREATE TEMP TABLE "{name}" AS SELECT * FROM ({sql}) AS hdm_q LIMIT 0')
        rows = self.run(
            connection,
            "SELECT ATTNAME, FORMAT_TYPE FROM _V_RELATION_COLUMN WHERE NAME = ? ORDER BY ATTNUM",
            (name,),
        )
        self.run(connection, f'DROP TABLE "{name}"')
        return tuple(self.dialect.column_from_catalog(str(n), str(t)) for n, t in rows)

    def pages(self, connection: Any, table: Table) -> int:
        """Return the number of data slices, each of which can be read by itself.

        0 for a view or a query, whose rows have no DATASLICEID.
        """
        if self.relation(connection, "", table.path) is None:
            return 0
        return int(self.run(connection, "SELECT COUNT(*) FROM _V_DSLICE")[0][0])

    def probe(self) -> list[tuple[str, bool, str]]:
        """Return results for ``hdm doctor``: the connection, and in which schema names without one are.

        A database's own default schema is its owner's, and need not be hdm's default, ADMIN.
        """
        found = super().probe()
        if all(ok for _, ok, _ in found) and not self.profile.schema_name:
            connection = self.connect("hdm:doctor")
            try:
                own = str(self.run(connection, "SELECT CURRENT_SCHEMA")[0][0])
            finally:
                connection.close()
            said = f"names without one are in {self.default_schema()}; the database's own is {own}"
            same = own.upper() == self.default_schema()
            found.append(("schema", same, said if same else f"{said}: write schema: in the profile"))
        return found

    # -- rows ------------------------------------------------------------------

    def decoder(self, column: Column) -> row_codec.Decoder:
        """Return the function that converts the driver's values of a column, the same for all columns."""
        return _decode

    def checked(self, rows: Sequence[Sequence[Any]], columns: Sequence[Column]) -> None:
        """Raise ``UnrepresentableValue`` if a value that was cast to text may have been truncated."""
        for number, column in enumerate(columns):
            if literals.is_cast(column):
                wide = (row[number] is not None and len(row[number]) >= literals.CAST_WIDTH for row in rows)
                if any(wide):
                    raise literals.cut(column)

    def mark(self, column: Column, number: int) -> str:
        """Return the SQL that stands for a column's value in VALUES; see ``literals.mark``."""
        return literals.mark(column, self.dialect.stored(column).native)

    def insert(self, cursor: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Send one INSERT per row and return how many rows the server took; see ``loading`` for files."""
        taken = 0
        for row in rows:
            self.execute(cursor, sql, row)
            taken += 1 if cursor.rowcount < 0 else int(cursor.rowcount)  # -1: not known, but no error
        return taken


def _close(close: Callable[[], None]) -> None:
    """Close a session even if it is lost: nzpy's own ``close`` would raise and hide why it was lost."""
    with suppress(Exception):
        close()


def _decode(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Convert nzpy's values to Arrow: numbers come as Python's own, all else as text, bytes too."""
    first = next((value for value in values if value is not None), None)
    if pa.types.is_string(kind):
        return pa.array([None if v is None else _text(v) for v in values], kind)
    if isinstance(first, str) and pa.types.is_temporal(kind):
        return temporal.from_texts(pa.array([_year(v) for v in values], pa.string()), kind)
    if isinstance(first, str) and pa.types.is_boolean(kind):
        return pa.array([None if v is None else _flag(v) for v in values], kind)
    if pa.types.is_binary(kind):
        return pa.array([v.encode(literals.LATIN) if isinstance(v, str) else v for v in values], kind)
    if isinstance(first, str):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def _year(value: str | None) -> str | None:
    """Return a date's text with a year of four digits: nzpy writes 0001-01-01 as 01-01-01."""
    return "0" * (4 - value.index("-")) + value if value and _SHORT_YEAR.match(value) else value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _flag(value: str) -> bool:
    if value.lower() not in ("t", "true", "1", "f", "false", "0"):
        raise ValueError("no boolean")
    return value.lower() in ("t", "true", "1")
