"""DuckDB's SQL: strict types, keys enforced, one process per database file.

Types: https://duckdb.org/docs/stable/sql/data_types/overview.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from hdm.dialects import referring
from hdm.dialects.base import Dialect
from hdm.dialects.duckdb_facts import DuckDBFacts
from hdm.dialects.duckdb_hashing import DuckDBHashing
from hdm.dialects.types import TEXTS, Fidelity, Stored
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UsageError,
)
from hdm.model import Column, Condition, Kind

PAGE_ROWS = 2_048
"""Rows in a ``@page``; DuckDB's own vectors have as many."""

_TINY = "1e-37"
"""A number that FLOAT and DOUBLE tell from zero."""
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*,\s*(\d+)\s*\)\Z")
_UNTOLD = re.compile(r"\b(UNION|VARIANT)\b", re.IGNORECASE)
_KINDS: dict[str, tuple[Kind, int | None, int | None]] = {
    "BOOLEAN": (Kind.BOOLEAN, None, None),
    "TINYINT": (Kind.INT8, None, None),
    "SMALLINT": (Kind.INT16, None, None),
    "INTEGER": (Kind.INT32, None, None),
    "BIGINT": (Kind.INT64, None, None),
    "UTINYINT": (Kind.INT16, None, None),
    "USMALLINT": (Kind.INT32, None, None),
    "UINTEGER": (Kind.INT64, None, None),
    "UBIGINT": (Kind.DECIMAL, 20, 0),
    "HUGEINT": (Kind.DECIMAL, 39, 0),
    "UHUGEINT": (Kind.DECIMAL, 39, 0),
    "BIGNUM": (Kind.DECIMAL, None, None),
    "VARINT": (Kind.DECIMAL, None, None),
    "DECIMAL": (Kind.DECIMAL, 18, 3),
    "FLOAT": (Kind.FLOAT32, None, None),
    "DOUBLE": (Kind.FLOAT64, None, None),
    "VARCHAR": (Kind.TEXT, None, None),
    "BLOB": (Kind.BINARY, None, None),
    "DATE": (Kind.DATE, None, None),
    "TIME": (Kind.TIME, 6, None),
    "TIME_NS": (Kind.TIME, 9, None),
    "TIME WITH TIME ZONE": (Kind.TIMETZ, 6, None),
    "TIMESTAMP": (Kind.TIMESTAMP, 6, None),
    "TIMESTAMP_S": (Kind.TIMESTAMP, 0, None),
    "TIMESTAMP_MS": (Kind.TIMESTAMP, 3, None),
    "TIMESTAMP_NS": (Kind.TIMESTAMP, 9, None),
    "TIMESTAMP WITH TIME ZONE": (Kind.TIMESTAMPTZ, 6, None),
    "INTERVAL": (Kind.INTERVAL, None, None),
    "UUID": (Kind.UUID, None, None),
    "JSON": (Kind.JSON, None, None),
    "BIT": (Kind.BIT, None, None),
}
_CASTS = {
    "TIMESTAMP_S": "TIMESTAMP", "TIMESTAMP_MS": "TIMESTAMP", "UTINYINT": "SMALLINT",
    "USMALLINT": "INTEGER", "UINTEGER": "BIGINT", "UBIGINT": "DECIMAL(20,0)", "HUGEINT": "VARCHAR",
    "UHUGEINT": "VARCHAR", "BIGNUM": "VARCHAR", "VARINT": "VARCHAR",
}  # fmt: skip
_AS_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KEEPS: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("BOOLEAN"), Kind.INT8: Stored("TINYINT"), Kind.INT16: Stored("SMALLINT"),
    Kind.INT32: Stored("INTEGER"), Kind.INT64: Stored("BIGINT"), Kind.FLOAT32: Stored("FLOAT"),
    Kind.FLOAT64: Stored("DOUBLE"), Kind.BINARY: Stored("BLOB"), Kind.DATE: Stored("DATE"),
    Kind.TIMETZ: Stored("VARCHAR", *_AS_TEXT), Kind.UUID: Stored("UUID"), Kind.JSON: Stored("JSON"),
    Kind.ENUM: Stored("VARCHAR", Fidelity.APPROXIMATED, "its labels are not enforced"),
}  # fmt: skip


class DuckDBDialect(DuckDBHashing, DuckDBFacts, Dialect):
    """The SQL of DuckDB 1.4 or later."""

    name = "duckdb"
    sqlglot = "duckdb"
    ignores_case = "ascii"
    plain_strings = True
    max_identifier = 1_000_000
    all_keys = referring.DUCKDB_ALL
    identifier_unit = "characters"
    max_path = 3
    page_ranges = True
    exact_text = "encode(CAST({} AS VARCHAR))"
    row_address = "rowid"
    session_settings: ClassVar[Mapping[str, str]] = {"TimeZone": "'UTC'"}
    """The only setting needed: a file keeps no settings, and each process starts with DuckDB's defaults."""
    looks_back = True
    clock = "SELECT CAST(now() AT TIME ZONE 'UTC' AS VARCHAR)"
    key_text_type = "VARCHAR"
    catalog = ""
    """The catalog name of the open file: the file's name without its ending."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = {
        "TransactionException": Deadlock,
        "SerializationException": TransientError,
        "InterruptException": TransientError,
        "OutOfMemoryException": TransientError,
        "IOException": ConnectionLost,
        "ConnectionException": ConnectionLost,
        "ConstraintException": RejectedRows,
        "ForeignKeyException": RejectedRows,
        "ConversionException": RejectedRows,
        "OutOfRangeException": RejectedRows,
        "InvalidInputException": RejectedRows,
        "InvalidTypeException": RejectedRows,
        "TypeMismatchException": RejectedRows,
        "CatalogException": SchemaDrift,
        "BinderException": SchemaDrift,
        "PermissionException": UsageError,
        "ParserException": PermanentError,
        "SyntaxException": PermanentError,
        "NotImplementedException": PermanentError,
        "FatalException": PermanentError,
        "InternalException": PermanentError,
    }

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type as ``duckdb_columns()`` names it.

        Structures travel as DuckDB's text.
        """
        name = native.strip()
        upper = name.upper()
        if upper.endswith("]"):
            return Kind.ARRAY, None, None, None
        if upper.startswith("ENUM("):
            return Kind.ENUM, None, None, None
        found = _DECIMAL.match(upper)
        if found:
            return Kind.DECIMAL, None, int(found[1]), int(found[2])
        kind, digits, decimals = _KINDS.get(upper, (Kind.OTHER, None, None))
        return kind, None, digits, decimals

    def native(self, column: Column) -> Stored:
        """Return DuckDB's type for another system's column; lengths and enum labels are not enforced."""
        kind, digits = column.kind, column.precision
        if kind in _KEEPS:
            return _KEEPS[kind]
        if kind is Kind.TEXT:
            return Stored("VARCHAR")
        if kind is Kind.DECIMAL:
            return _decimal(column)
        fine = digits is not None and digits > 6
        if kind is Kind.TIME:
            return Stored("TIME_NS" if fine else "TIME")
        if kind is Kind.TIMESTAMP:
            return Stored("TIMESTAMP_NS" if fine else "TIMESTAMP")
        if kind is Kind.TIMESTAMPTZ:
            lossy = (Fidelity.LOSSY, "it keeps 6 fractional digits of seconds") if fine else ()
            return Stored("TIMESTAMP WITH TIME ZONE", *lossy)
        if kind is Kind.BIT and column.native.lower().startswith("bit(") and column.length:
            return Stored("BIT", Fidelity.APPROXIMATED, "its length is not enforced")
        return Stored("VARCHAR", *_AS_TEXT)

    def stored(self, column: Column) -> Stored:
        """Return the column's own type, or text for a union or variant, whose values lose their types."""
        if column.origin == self.name and _UNTOLD.search(column.native) and column.kind is not Kind.ENUM:
            return Stored("VARCHAR", Fidelity.LOSSY, "text does not keep the type inside it")
        return super().stored(column)

    def select_expression(self, column: Column) -> str:
        """Return SQL that casts what DuckDB delivers inexactly: wide integers, structures, coarse times."""
        quoted = self.quote(column.name)
        if column.kind in TEXTS and column.kind is not Kind.TEXT:
            as_text = f"CAST({quoted} AS VARCHAR)"
            # without the test, a NULL union would become the text 'NULL'
            whole = _UNTOLD.search(column.native) and column.kind is not Kind.ENUM
            return f"CASE WHEN {quoted} IS NOT NULL THEN {as_text} END" if whole else as_text
        cast = _CASTS.get(column.native.upper())
        return f"CAST({quoted} AS {cast})" if cast else quoted

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal: bytes from hexadecimal digits, all else cast from text."""
        if column.kind is Kind.BINARY:
            return f"from_hex({self.string(text)})"
        return super().literal(text, column)

    def string(self, text: str) -> str:
        """Return a string literal; a NUL, which no literal may contain, is appended by chr(0)."""
        parts = [super(DuckDBDialect, self).string(part) for part in text.split("\0")]
        return parts[0] if len(parts) == 1 else "(" + " || chr(0) || ".join(parts) + ")"

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as exact text; bytes as hexadecimal digits."""
        if column.kind is Kind.BINARY:
            return f"hex({expression})"
        return super().text_of(expression, column)

    def physical(self, one: Condition) -> str:
        """Return a SQL condition on ``rowid`` for a range of ``@page``.

        Raises ``UsageError`` for another pseudo-column or comparison.
        """
        if one.column != "@page" or one.value is None or not one.value.isdigit():
            return super().physical(one)
        if one.op not in (">=", "<"):
            raise UsageError(f"not a page condition: {one.op!r}", hint="plan again")
        return f"rowid {one.op} {int(one.value) * PAGE_ROWS}"

    def turn_zeros(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        floats: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool = False,
        exact: Collection[str] = (),
        newest: str | None = None,
    ) -> str:
        """Return an UPDATE after which a merge of ``stage`` can change the sign of zeros in ``floats``.

        DuckDB leaves out the change of a value to an equal one, and 0.0 equals -0.0. Where only the sign
        differs, the row first gets a number so small that hardly any CHECK refuses it. The other words are
        those of ``merge``.
        """
        wrong = {name: self._other_zero(self.quote(name)) for name in floats}
        put = ", ".join(
            f"{self.quote(name)} = CASE WHEN {test} THEN {_TINY} ELSE t.{self.quote(name)} END"
            for name, test in wrong.items()
        )
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
        return (
            f"UPDATE {self.qualify(target)} AS t SET {put} FROM {self.qualify(stage)} AS s "
            f"WHERE {self.keyed(key, null_keys)} AND {same}{guard} AND ({' OR '.join(wrong.values())})"
        )

    def _other_zero(self, name: str) -> str:
        return f"(t.{name} = 0 AND s.{name} = 0 AND signbit(t.{name}) <> signbit(s.{name}))"

    def qualify(self, path: Sequence[str]) -> str:
        """Return the table's full name, with the catalogue if it and the schema have the same name.

        Such a name alone could mean either (https://duckdb.org/docs/stable/sql/statements/attach, name
        qualification).
        """
        doubled = len(path) == 2 and path[0].casefold() == self.catalog.casefold() and self.catalog != "main"
        return super().qualify((self.catalog, *path) if doubled else path)

    def code(self, error: BaseException) -> str | None:
        """Return the name of the error's class, e.g. ``ConstraintException``.

        A violated foreign key is ``ForeignKeyException``. None for a class of another kind.
        """
        name = type(error).__name__
        if name == "ConstraintException" and "foreign key" in str(error).lower():
            return "ForeignKeyException"
        return name if name.endswith("Exception") else None

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a PRIMARY KEY or UNIQUE constraint is violated."""
        return self.code(error) in ("ConstraintException", "TransactionException") and (
            "duplicate key" in str(error).lower()
        )

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about a common class of error; None for any other."""
        return _HINTS.get(code)


_HINTS = {
    "IOException": "close the other process that holds the database file; check path and free space",
    "ConstraintException": "a row breaks a key or a NOT NULL: use mode merge, or remove it",
    "ForeignKeyException": "load the table that is referred to first. DuckDB cannot change a row that is "
    "referred to where an index, a unique key or a list hangs on the changed column: drop that index, or the "
    "foreign key",
    "TransactionException": "another transaction changed the same rows: tried again",
}


def _decimal(column: Column) -> Stored:
    precision, scale = column.precision, column.scale or 0
    if precision is None:
        return Stored("VARCHAR", *_AS_TEXT)
    whole = max(precision, scale) if scale >= 0 else precision - scale
    if whole > 38:
        return Stored("VARCHAR", *_AS_TEXT)
    return Stored(f"DECIMAL({whole},{max(scale, 0)})")
