"""IBM Netezza Performance Server: rows live on data slices, and a transaction id marks each.

https://www.ibm.com/docs/en/netezza (data types, system views, SQL limits). It has no sqlglot
dialect; it descends from PostgreSQL 7, so most of its SQL reads like that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from hdm.dialects.base import PAGE, Dialect
from hdm.dialects.netezza_facts import NetezzaFacts
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)
from hdm.model import Column, Condition, Kind

_NAME = re.compile(r"\s*([A-Z0-9_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)\s*(.*))?\Z")
_STATE = re.compile(r"\b(08[0-9A-Z]{3}|HYT0\d|40001|28000|IM\d{3}|2[23][0-9A-Z]{3}|42S\d\d|42000)\b")
_KINDS: dict[str, Kind] = {
    "BYTEINT": Kind.INT8, "SMALLINT": Kind.INT16, "INTEGER": Kind.INT32, "BIGINT": Kind.INT64,
    "INT1": Kind.INT8, "INT2": Kind.INT16, "INT4": Kind.INT32, "INT8": Kind.INT64, "INT": Kind.INT32,
    "REAL": Kind.FLOAT32, "DOUBLE PRECISION": Kind.FLOAT64, "DOUBLE": Kind.FLOAT64,
    "BOOLEAN": Kind.BOOLEAN, "BOOL": Kind.BOOLEAN, "DATE": Kind.DATE, "TIME": Kind.TIME,
    "TIMESTAMP": Kind.TIMESTAMP, "TIME WITH TIME ZONE": Kind.TIMETZ, "TIMETZ": Kind.TIMETZ,
    "INTERVAL": Kind.INTERVAL, "CHARACTER": Kind.TEXT, "CHAR": Kind.TEXT, "VARCHAR": Kind.TEXT,
    "CHARACTER VARYING": Kind.TEXT, "NCHAR": Kind.TEXT, "NVARCHAR": Kind.TEXT,
    "NATIONAL CHARACTER": Kind.TEXT, "NATIONAL CHARACTER VARYING": Kind.TEXT,
    "VARBINARY": Kind.BINARY, "BINARY VARYING": Kind.BINARY, "ST_GEOMETRY": Kind.BINARY,
    "JSON": Kind.JSON, "JSONB": Kind.JSON,
}  # fmt: skip
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "BYTEINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "REAL", Kind.FLOAT64: "DOUBLE PRECISION", Kind.DATE: "DATE",
}  # fmt: skip
_WORDS: tuple[tuple[str, str], ...] = (
    # nzpy gives no codes but the server's own words; these beginnings are in IBM's documentation.
    ("password authentication failed", "AUTH"),
    ("permission denied", "DENIED"),
    ("does not exist", "MISSING"),
    ("not found", "MISSING"),
    ("concurrent update or delete", "SERIAL"),
    ("could not serialize", "SERIAL"),
    ("deadlock", "SERIAL"),
    ("numeric overflow", "VALUE"),
    ("overflow", "VALUE"),
    ("cannot insert null", "VALUE"),
    ("value too large", "VALUE"),
    ("bad external", "VALUE"),
    ("transaction rolled back by client", "LOST"),
    ("session was aborted", "LOST"),
    ("server closed the connection", "LOST"),
    ("connection refused", "LOST"),
    ("connection reset", "LOST"),
    ("timed out", "LOST"),
    ("system is not online", "PAUSED"),
    ("system is paused", "PAUSED"),
    ("too many clients", "FULL"),
    ("job limit", "FULL"),
    ("disk full", "SPACE"),
    ("no space", "SPACE"),
)


class NetezzaDialect(NetezzaFacts, Dialect):
    """Netezza 7.2 or later. Keys are declared but not enforced."""

    name = "netezza"
    max_identifier = 128
    max_path = 3
    paramstyle = "qmark"
    enforces_keys = False
    page_ranges = True
    """Data slices: an UPDATE leaves a row on its slice, so slices stay disjoint between sessions."""
    zoneless = True
    null_safe = "({a} = {b} OR ({a} IS NULL AND {b} IS NULL))"
    temporary_table = "CREATE TEMP TABLE"
    text_type = "VARCHAR(64000)"
    session_settings: ClassVar[Mapping[str, str]] = {"DATESTYLE": "'ISO'", "TIMEZONE": "'UTC'"}
    """A user's ROWSETLIMIT, which cuts answers short, is no setting of the session: it is to be 0."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = {
        "AUTH": UsageError, "DENIED": UsageError, "MISSING": SchemaDrift, "SERIAL": Deadlock,
        "VALUE": RejectedRows, "LOST": ConnectionLost, "PAUSED": ConnectionLost, "FULL": Throttled,
        "SPACE": TransientError,
        "08": ConnectionLost, "HYT": ConnectionLost, "40001": Deadlock, "28": UsageError, "IM": UsageError,
        "22": RejectedRows, "23": RejectedRows, "42S": SchemaDrift, "42": PermanentError,
    }  # fmt: skip

    # -- values ----------------------------------------------------------------

    def literal(self, text: str, column: Column) -> str:
        """Cast in the column's own type; binary as a hexadecimal literal."""
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            return self.number(text, column)
        if column.kind is Kind.TEXT:
            return self.string(text)
        return super().literal(text, column)

    def text_of(self, expression: str, column: Column) -> str:
        """Floats with 17 digits, timestamps with all six fractional ones."""
        if column.kind is Kind.TIMESTAMP:
            return f"TO_CHAR({expression}, 'YYYY-MM-DD HH24:MI:SS.US')"
        if column.kind is Kind.FLOAT64:
            return f"TO_CHAR({expression}, '9.9999999999999999EEEE')"
        return f"CAST({expression} AS VARCHAR(16000))"

    def is_sortable(self, column: Column) -> bool:
        """Floats are left out: their text is not exact in every release."""
        return super().is_sortable(column) and column.kind not in (Kind.FLOAT32, Kind.FLOAT64)

    def select_expression(self, column: Column) -> str:
        """Kinds that travel as text are rendered by the server."""
        name = self.quote(column.name)
        if column.kind in (Kind.INTERVAL, Kind.TIMETZ, Kind.JSON, Kind.OTHER):
            return f"CAST({name} AS VARCHAR(16000))"
        return name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Intervals keep whole microseconds."""
        if column.kind is Kind.DATE:
            return f"({expression} - {round(amount / 86400):d})"
        return f"({expression} - INTERVAL '{amount:.6f} seconds')"

    def physical(self, one: Condition) -> str:
        """``@page`` counts data slices from 0; the system counts them from 1."""
        if one.column != PAGE or one.op not in (">=", "<") or not (one.value or "").isdigit():
            return super().physical(one)
        return f"DATASLICEID {one.op} {int(one.value or 0) + 1}"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """By ``format_type`` as ``_v_relation_column`` shows it, e.g. NUMERIC(18,2)."""
        found = _NAME.match(native.upper())
        name = f"{found[1]} {found[4] or ''}".strip() if found else native.upper()
        first = int(found[2]) if found and found[2] else None
        if name in ("NUMERIC", "DECIMAL"):
            digits = first if first is not None else (precision or 18)
            return Kind.DECIMAL, None, digits, int(found[3] or 0) if found and found[2] else (scale or 0)
        kind = _KINDS.get(name, Kind.OTHER)
        if kind in (Kind.TEXT, Kind.BINARY):
            return kind, first or length, None, None
        if kind in (Kind.TIME, Kind.TIMESTAMP):
            return kind, None, 6, None
        return kind, None, None, None

    def native(self, column: Column) -> Stored:
        """NVARCHAR for all text, since VARCHAR holds Latin-9 only; a row has 65535 bytes at most."""
        kind = column.kind
        if kind in _NATIVE:
            return Stored(_NATIVE[kind])
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= precision:
                return Stored(f"NUMERIC({precision},{scale})")
            return Stored("VARCHAR(256)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind is Kind.TIMESTAMPTZ:
            return Stored("TIMESTAMP", Fidelity.APPROXIMATED, "kept in UTC, without zone")
        if kind in (Kind.TIME, Kind.TIMESTAMP):
            fine = column.precision is not None and column.precision > 6
            why = f"keeps 6 of {column.precision} fractional digits" if fine else ""
            return Stored(kind.value.upper(), Fidelity.LOSSY if fine else Fidelity.EXACT, why)
        if kind is Kind.BINARY:
            size = min(column.length or 64000, 64000)
            fits = column.length is not None and column.length <= 64000
            why = "" if fits else "longer values than 64000 bytes are refused"
            return Stored(f"VARBINARY({size})", Fidelity.EXACT if fits else Fidelity.APPROXIMATED, why)
        if kind is Kind.UUID:
            return Stored("VARCHAR(36)", Fidelity.APPROXIMATED, "kept as text")
        if kind is Kind.TEXT and column.length is not None and column.length <= 16000:
            return Stored(f"NVARCHAR({column.length})")
        return Stored("NVARCHAR(4000)", Fidelity.APPROXIMATED, "longer values than 4000 are refused")

    def drop_table(self, path: Sequence[str]) -> str:
        """The words IF EXISTS come last here."""
        return f"DROP TABLE {self.qualify(path)} IF EXISTS"

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Spread at random, so that no key value can pile rows up on one slice."""
        return super().create_table(path, columns, key, temporary=temporary) + " DISTRIBUTE ON RANDOM"

    def merge(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        columns: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool = False,
        exact: Collection[str] = (),
        newest: str | None = None,
    ) -> list[str]:
        """Netezza's UPDATE names its target without AS."""
        statements = super().merge(
            target, stage, columns, key, null_keys=null_keys, exact=exact, newest=newest
        )
        if len(statements) > 1:
            into, of = self.qualify(target), self.qualify(stage)
            statements[0] = statements[0].replace(f"UPDATE {into} AS t SET", f"UPDATE {into} t SET", 1)
            statements[0] = statements[0].replace(f" FROM {of} AS s ", f" FROM {of} s ", 1)
        return statements

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """By row address; rows of one key are known to be the same."""
        of = self.qualify(stage)
        return [
            f"DELETE FROM {of} WHERE ROWID NOT IN (SELECT MIN(ROWID) FROM {of} GROUP BY {self.names(key)})"
        ]

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """An SQLSTATE from ODBC, or a class of our own by the server's words."""
        text = " ".join(str(part) for part in error.args) or str(error)
        low = text.lower()
        for words, code in _WORDS:
            if words in low:
                return code
        found = _STATE.search(text)
        return found[1] if found else None

    def hint(self, code: str) -> str | None:
        """What to do about the classes that an operator can mend."""
        return {
            "AUTH": "correct user and password in the profile",
            "DENIED": "grant LIST and SELECT on the table (and CREATE EXTERNAL TABLE to unload)",
            "PAUSED": "bring the system online: nzstart, or nzsystem resume",
            "SERIAL": "another transaction holds the rows; it is tried again",
        }.get(code)
