"""SQLite's SQL: declared types are only hints (affinity), so hdm checks the values.

Affinity rules: https://sqlite.org/datatype3.html. A type whose name contains ``TEXT`` but not ``INT`` has
TEXT affinity, which keeps every digit; therefore decimals are declared as ``DECIMAL_TEXT(38,18)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects import referring
from hdm.dialects.base import Dialect
from hdm.dialects.sqlite_facts import SQLiteFacts
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Column, Kind

_DECLARED = re.compile(r"\s*([^()]*?)\s*(?:\(\s*([+-]?\d+)\s*(?:,\s*([+-]?\d+)\s*)?\)\s*(.*))?\Z")
_KINDS: dict[str, Kind] = {
    "BOOL": Kind.BOOLEAN, "BOOLEAN": Kind.BOOLEAN,
    "TINYINT": Kind.INT8, "SMALLINT": Kind.INT16, "INT2": Kind.INT16, "INT8": Kind.INT64,
    "FLOAT4": Kind.FLOAT32, "FLOAT": Kind.FLOAT64, "REAL": Kind.FLOAT64,
    "DATE": Kind.DATE, "TIME": Kind.TIME, "DATETIME": Kind.TIMESTAMP, "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ, "TIMESTAMPTZ": Kind.TIMESTAMPTZ,
    "DECIMAL": Kind.DECIMAL, "NUMERIC": Kind.DECIMAL, "DECIMAL_TEXT": Kind.DECIMAL,
    "UUID": Kind.UUID, "UUID_TEXT": Kind.UUID, "JSON": Kind.JSON, "JSON_TEXT": Kind.JSON,
    "DURATION_TEXT": Kind.INTERVAL, "TIMETZ_TEXT": Kind.TIMETZ, "ARRAY_TEXT": Kind.ARRAY,
    "BIT_TEXT": Kind.BIT, "ENUM_TEXT": Kind.ENUM, "BINARY": Kind.BINARY, "VARBINARY": Kind.BINARY,
    "BYTEA": Kind.BINARY, "": Kind.OTHER, "OTHER_TEXT": Kind.OTHER,
}  # fmt: skip
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "TINYINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "FLOAT4", Kind.FLOAT64: "DOUBLE", Kind.BINARY: "BLOB",
    Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMETZ: "TIMETZ_TEXT", Kind.INTERVAL: "DURATION_TEXT",
    Kind.UUID: "UUID_TEXT", Kind.JSON: "JSON_TEXT", Kind.ARRAY: "ARRAY_TEXT", Kind.BIT: "BIT_TEXT",
    Kind.ENUM: "ENUM_TEXT", Kind.OTHER: "OTHER_TEXT",
}  # fmt: skip


class SQLiteDialect(SQLiteFacts, Dialect):
    """The SQL of SQLite 3.24 or later, which stores any value in any column, except in STRICT tables."""

    name = "sqlite"
    sqlglot = "sqlite"
    ignores_case = "ascii"
    referring_keys = referring.SQLITE
    plain_strings = True
    bracket_names = True
    max_identifier = 1_000_000
    identifier_unit = "characters"
    enforces_lengths = False
    looks_back = True
    clock = "SELECT strftime('%Y-%m-%d %H:%M:%S', 'now')"
    null_safe = "{a} IS {b}"
    text_type = "TEXT"
    key_text_type = "TEXT"
    temporary_table = "CREATE TEMP TABLE"
    exact_text = "{} COLLATE BINARY"
    may_skip_rows = True
    row_address = "rowid"
    errors: ClassVar[Mapping[str, type[HdmError]]] = {
        "SQLITE_BUSY": Deadlock,
        "SQLITE_LOCKED": Deadlock,
        "SQLITE_CANTOPEN": ConnectionLost,
        "SQLITE_IOERR": ConnectionLost,
        "SQLITE_FULL": ConnectionLost,
        "SQLITE_CONSTRAINT": RejectedRows,
        "SQLITE_MISMATCH": RejectedRows,
        "SQLITE_TOOBIG": RejectedRows,
        "SQLITE_SCHEMA": SchemaDrift,
        "SQLITE_READONLY": UsageError,
        "SQLITE_AUTH": UsageError,
        "SQLITE_NOTADB": UsageError,
        "SQLITE_CORRUPT": PermanentError,
        "SQLITE_ERROR": PermanentError,
    }

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a declared type, by name or by affinity."""
        found = _DECLARED.match(native.upper())
        name, first, second = (found[1], found[2], found[3]) if found else (native.upper(), None, None)
        name = " ".join(f"{name} {found[4] if found and found[4] else ''}".split())
        kind = _KINDS.get(name) or _by_affinity(name)
        size = int(first) if first else None
        if kind is Kind.DECIMAL:
            return kind, None, size, (int(second or 0) if size is not None else None)
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return kind, None, size, None
        if kind in (Kind.TEXT, Kind.BINARY, Kind.BIT):
            return kind, size, None, None
        return kind, None, None, None

    def native(self, column: Column) -> Stored:
        """Return SQLite's type for another system's column.

        Every kind is stored exactly (but -0.0 becomes 0.0); lengths and labels are not enforced.
        """
        kind = column.kind
        if kind is Kind.DECIMAL:
            if column.precision is None:
                return Stored("DECIMAL_TEXT")
            return Stored(f"DECIMAL_TEXT({column.precision},{column.scale or 0})")
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            digits = f"({column.precision})" if column.precision is not None else ""
            zone = " WITH TIME ZONE" if kind is Kind.TIMESTAMPTZ else ""
            return Stored(f"TIMESTAMP{zone}{digits}")
        if kind is Kind.TIME and column.precision is not None and column.precision > 6:
            return Stored(f"TIME({column.precision})")
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return Stored(_NATIVE[kind], Fidelity.APPROXIMATED, "zero loses its sign")
        if kind is Kind.TEXT:
            return Stored(f"VARCHAR({column.length})" if column.length else "TEXT")
        return Stored(_NATIVE[kind])

    def stored(self, column: Column) -> Stored:
        """Return the column's own type.

        For a column without a declared type it is text, so that numbers become text.
        """
        if column.origin == self.name and column.kind is Kind.OTHER:
            return Stored("OTHER_TEXT", Fidelity.LOSSY, "it has no declared type: values arrive as text")
        return super().stored(column)

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted.

        Not decimals that are stored as text: '9' comes after '10'.
        """
        as_text = column.kind is Kind.DECIMAL and "TEXT" in column.native.upper()
        return super().is_sortable(column) and not as_text

    def forms(self, column: Column) -> str:
        """Return SQL for the form in which a date or timestamp is written, since SQLite stores any text.

        Two values have the same form if the character before the time of day and the zone after it are the
        same; if there is a zone, their lengths must be the same, too. NULL for any other text.
        """
        if column.kind not in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return ""
        name, digit = self.quote(column.name), "[0-9]"
        day = f"{digit * 4}-{digit * 2}-{digit * 2}"
        zone = f"ltrim(substr({name}, 12), '0123456789:.')"
        return (
            f"CASE WHEN typeof({name}) <> 'text' THEN NULL WHEN {name} GLOB '{day}' THEN 'day' "
            f"WHEN {name} GLOB '{day}[ T]{digit * 2}:{digit * 2}*' THEN substr({name}, 11, 1) || {zone} "
            f"|| CASE {zone} WHEN '' THEN '' ELSE length({name}) END END"
        )

    def literal(self, text: str, column: Column) -> str:
        """Return a plain SQL literal: SQLite compares by storage class, which a CAST would change."""
        if column.kind in INTEGERS or column.kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.BOOLEAN):
            return self.number(text, column)
        if column.kind is Kind.DECIMAL and self.is_sortable(column):
            return self.number(text, column)
        return self.string(text)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text; reals with 17 digits, which is exact."""
        as_text = f"CAST({expression} AS TEXT)"
        if column.kind in (Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL):
            exact = f"printf('%!.17g', {expression})"
            return f"CASE typeof({expression}) WHEN 'real' THEN {exact} ELSE {as_text} END"
        return as_text

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds, to the millisecond, SQLite's limit."""
        if column.kind is Kind.DATE:
            return f"date({expression}, '-{amount / 86400:.9f} days')"
        return f"strftime('%Y-%m-%d %H:%M:%f', {expression}, '-{amount:.6f} seconds')"

    def modulo(self, expression: str, step: int) -> str:
        """Return SQL for the remainder by ``%``, as SQLite may lack MOD()."""
        return f"({expression} % {step:d})"

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about a mistake in a profile; None for any other error."""
        return {
            "SQLITE_NOTADB": "the file is no SQLite database: check path in the profile",
            "SQLITE_READONLY": "grant the user write access to the file and its folder",
        }.get(code)

    def code(self, error: BaseException) -> str | None:
        """Return an error's extended name in SQLite, e.g. SQLITE_BUSY; None if it has none."""
        name = getattr(error, "sqlite_errorname", None)
        return str(name) if name else None

    def classify(self, error: BaseException) -> HdmError:
        """Return hdm's error for a driver's error.

        Text that is not UTF-8 fails in the driver, without a code: that is ``UnrepresentableValue``.
        """
        if self.code(error) is None and "Could not decode" in str(error):
            column = re.match(r"Could not decode to UTF-8 column '(.*)' with text ", str(error), re.DOTALL)
            where = f" in column {column[1]}" if column else ""
            return UnrepresentableValue(
                f"a TEXT value is not UTF-8{where}",
                hint="read it as bytes with query: and CAST(column AS BLOB), and types: {column: BLOB}",
            )
        return super().classify(error)

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a PRIMARY KEY or UNIQUE constraint is violated."""
        return self.code(error) in ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")


def _by_affinity(name: str) -> Kind:
    """Return the kind by SQLite's affinity rules: https://sqlite.org/datatype3.html section 3.1."""
    if "INT" in name:
        return Kind.INT64
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return Kind.TEXT
    if "BLOB" in name:
        return Kind.BINARY
    if any(part in name for part in ("REAL", "FLOA", "DOUB")):
        return Kind.FLOAT64
    return Kind.DECIMAL
