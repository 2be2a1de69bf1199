"""The SQL of IBM Netezza Performance Server, which keeps rows on data slices.

https://www.ibm.com/docs/en/netezza (data types, system views, SQL limits). It has no sqlglot dialect; it
descends from PostgreSQL 7, so most of its SQL is similar.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hdm.dialects.base import PAGE, Dialect
from hdm.dialects.native_type import words_and_numbers
from hdm.dialects.netezza_errors import ERRORS, HINTS, code_of, state_of
from hdm.dialects.netezza_facts import NetezzaFacts
from hdm.dialects.sqlstates import STATES
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import HdmError, UnrepresentableValue
from hdm.model import Column, Condition, Kind

_ROW_OCTETS = 65_000
"""Bytes of a row that hdm uses; a row has 65,535 bytes at most, which include a header."""
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
    "JSON": Kind.JSON, "JSONB": Kind.JSON, "NUMERIC": Kind.DECIMAL, "DECIMAL": Kind.DECIMAL,
}  # fmt: skip
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "BYTEINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "REAL", Kind.FLOAT64: "DOUBLE PRECISION", Kind.DATE: "DATE",
}  # fmt: skip


class NetezzaDialect(NetezzaFacts, Dialect):
    """The SQL of Netezza 7.2 or later; keys are declared but not enforced."""

    name = "netezza"
    grants_script = "netezza"
    max_identifier = 128
    max_path = 3
    paramstyle = "qmark"
    enforces_keys = False
    page_ranges = True
    """Pages are data slices: an UPDATE keeps a row on its slice, so slices are disjoint between sessions."""
    zoneless = True
    null_safe = "CASE WHEN {a} = {b} THEN 1 WHEN {a} IS NULL AND {b} IS NULL THEN 1 ELSE 0 END = 1"
    """Equality that also matches NULL with NULL, without OR, which Netezza refuses in some joins."""
    temporary_table = "CREATE TEMP TABLE"
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    text_type = "VARCHAR(64000)"
    session_settings: ClassVar[Mapping[str, str]] = {"DATESTYLE": "'ISO'", "TIMEZONE": "'UTC'"}
    """The settings of a session; a user's ROWSETLIMIT, which cuts results short, must be 0 on the server."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    states: ClassVar[Mapping[str, type[HdmError]]] = STATES
    repeats_unknown = False

    # -- values ----------------------------------------------------------------

    def string(self, text: str) -> str:
        """Return a string literal that is right whether or not the server takes a backslash for an escape.

        Raises ``UnrepresentableValue`` for a NUL, at which nzpy ends a statement.
        """
        if "\0" in text:
            raise UnrepresentableValue("netezza: a text holds a NUL, which Netezza cannot keep")
        parts = [super(NetezzaDialect, self).string(part) for part in text.split("\\")]
        return parts[0] if len(parts) == 1 else "(" + " || CHR(92) || ".join(parts) + ")"

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal of the column's type; bytes as a hexadecimal literal."""
        if column.kind is Kind.BINARY:
            return f"x{super().string(text)}"
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            return self.number(text, column)
        if column.kind is Kind.TEXT:
            return self.string(text)
        return super().literal(text, column)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text, timestamps with all six fractional digits.

        Floats are as the server writes them, which is not exact in every release: TO_CHAR has no EEEE here.
        """
        if column.kind is Kind.TIMESTAMP:
            return f"TO_CHAR({expression}, 'YYYY-MM-DD HH24:MI:SS.US')"
        if column.kind in (Kind.JSON, Kind.OTHER, Kind.TEXT):
            return f"CAST({expression} AS NVARCHAR(16000))"
        return f"CAST({expression} AS VARCHAR(64))"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted.

        Not floats, whose text is not exact in every release.
        """
        return super().is_sortable(column) and column.kind not in (Kind.FLOAT32, Kind.FLOAT64)

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads kinds without an Arrow type as NVARCHAR; VARCHAR holds Latin-9 only."""
        name = self.quote(column.name)
        travels = column.kind in (Kind.JSON, Kind.OTHER, Kind.INTERVAL, Kind.TIMETZ)
        return self.text_of(name, column) if travels else name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds.

        The amount is rounded to the microsecond; for a date, to whole days.
        """
        if column.kind is Kind.DATE:
            return f"({expression} - {round(amount / 86400):d})"
        return f"({expression} - INTERVAL '{amount:.6f} seconds')"

    def physical(self, one: Condition) -> str:
        """Return a SQL condition on data slices for a range of ``@page``.

        ``@page`` counts from 0; Netezza counts slices from 1.
        """
        if one.column != PAGE or one.op not in (">=", "<") or not (one.value or "").isdigit():
            return super().physical(one)
        return f"DATASLICEID {one.op} {int(one.value or 0) + 1}"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type as ``_v_relation_column`` shows it.

        A NUMERIC without digits has 18.
        """
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.DECIMAL:
            return kind, None, precision or 18, scale or 0
        if kind in (Kind.TIME, Kind.TIMESTAMP):
            return kind, None, 6, None
        return kind, length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return Netezza's type for another system's column; text is NVARCHAR, as VARCHAR is Latin-9."""
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
        """Return the DROP TABLE statement, with IF EXISTS at its end as Netezza requires."""
        return f"DROP TABLE {self.qualify(path)} IF EXISTS"

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return CREATE TABLE with random distribution, so that no key value can overload one slice.

        Text columns without a length share the bytes that the other columns leave of a row's 65,535.
        """
        open_ended = [c for c in columns if c.kind is Kind.TEXT and c.length is None and not c.native]
        if open_ended:
            taken = sum(_octets(self.stored(c).native) for c in columns if c not in open_ended)
            share = max(min((_ROW_OCTETS - taken) // (4 * len(open_ended)) - 1, 16_000), 1)
            columns = [replace(c, length=share) if c in open_ended else c for c in columns]
        return super().create_table(path, columns, key, temporary=temporary) + " DISTRIBUTE ON RANDOM"

    def delete_matched(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return the DELETE by ROWID, so that it needs no alias."""
        rows = f"SELECT t.ROWID {self.joined_by_key(target, stage, key, exact)}"
        return f"DELETE FROM {self.qualify(target)} WHERE ROWID IN ({rows})"

    def update_matched(
        self, into: str, of: str, names: Sequence[str], same: str, only: str, guard: str
    ) -> str:
        """Return the UPDATE of a merge, with table aliases that have no AS."""
        assigned = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in names)
        return f"UPDATE {into} t SET {assigned} FROM {of} s WHERE {only} AND {same}{guard}"

    def insert_missing(
        self, into: str, of: str, columns: Sequence[str], key: Sequence[str], same: str, only: str
    ) -> str:
        """Return the INSERT of a merge, with an outer join that finds the missing rows.

        In a correlated NOT EXISTS, Netezza refuses OR and comparisons other than =.
        """
        there = f"(SELECT {self.names(key)}, 1 AS hdm_there FROM {into}) t"
        return (
            f"INSERT INTO {into} ({self.names(columns)}) "
            f"SELECT {', '.join('s.' + self.quote(name) for name in columns)} FROM {of} s "
            f"LEFT JOIN {there} ON {same} WHERE {only} AND t.hdm_there IS NULL"
        )

    def found(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool,
        exact: Collection[str],
        older_than: str | None = None,
    ) -> str:
        """Return a query that counts the rows of ``stage`` whose key exists in the target, by a join.

        Each row is counted once, though keys are not enforced.
        """
        older = f" AND {self.older('s', 't', older_than)}" if older_than else ""
        return (
            f"SELECT COUNT(DISTINCT s.ROWID) FROM {self.qualify(stage)} s JOIN {self.qualify(target)} t "
            f"ON {self.match('t', 's', key, null_safe=null_keys, exact=exact)} "
            f"WHERE {self.keyed(key, null_keys)}{older}"
        )

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps, for each key, the row of table ``stage`` with the lowest ROWID.

        Rows with the same key must be equal already.
        """
        of = self.qualify(stage)
        return [
            f"DELETE FROM {of} WHERE ROWID NOT IN (SELECT MIN(ROWID) FROM {of} GROUP BY {self.names(key)})"
        ]

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return hdm's own code for the server's words, else an error's SQLSTATE from ODBC; None without."""
        return code_of(error)

    def state(self, error: BaseException) -> str | None:
        """Return an error's SQLSTATE; None if the server's own words tell more than it does."""
        state = state_of(error)
        return state if code_of(error) == state else None

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error that an operator can mend; None for any other."""
        return HINTS.get(code)


def _octets(native: str) -> int:
    """Return at least the bytes of a row that a declared column can take."""
    _, numbers = words_and_numbers(native)
    length = numbers[0] if numbers else 0
    if native.startswith("N") and "CHAR" in native:
        return 4 * length + 4
    return length + 4 if "CHAR" in native or "BINARY" in native else 20
