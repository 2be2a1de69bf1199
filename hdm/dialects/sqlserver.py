"""The SQL of SQL Server and Azure SQL: bracketed names, CONVERT styles, numbered errors.

Types: https://learn.microsoft.com/sql/t-sql/data-types/data-types-transact-sql. Styles:
https://learn.microsoft.com/sql/t-sql/functions/cast-and-convert-transact-sql.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa

from hdm.dialects import referring
from hdm.dialects.native_type import is_read_coarser
from hdm.dialects.sqlserver_errors import ERRORS, HINTS
from hdm.dialects.sqlserver_facts import SQLServerFacts
from hdm.dialects.sqlserver_merging import SQLServerMerging
from hdm.dialects.sqlstates import STATES
from hdm.dialects.types import INTEGERS, SECONDS, Fidelity, Stored
from hdm.errors import HdmError
from hdm.model import Column, Kind

_NAME = re.compile(r"\s*([a-z0-9_ ]*?)\s*(?:\(\s*(\d+|max)\s*(?:,\s*(\d+)\s*)?\))?\s*\Z")
_NUMBERED = re.compile(r"\((\d+)\) \(SQL|Native error: (\d+)")
_STATE = re.compile(r"(?:State: |\[|^)([0-9A-Z]{5})\b")
_KINDS: dict[str, Kind] = {
    "bit": Kind.BOOLEAN, "tinyint": Kind.INT16, "smallint": Kind.INT16, "int": Kind.INT32,
    "bigint": Kind.INT64, "real": Kind.FLOAT32, "float": Kind.FLOAT64, "date": Kind.DATE,
    "char": Kind.TEXT, "varchar": Kind.TEXT, "nchar": Kind.TEXT, "nvarchar": Kind.TEXT,
    "text": Kind.TEXT, "ntext": Kind.TEXT, "sysname": Kind.TEXT,
    "binary": Kind.BINARY, "varbinary": Kind.BINARY, "image": Kind.BINARY,
    "rowversion": Kind.BINARY, "timestamp": Kind.BINARY,
    "uniqueidentifier": Kind.UUID, "json": Kind.JSON, "xml": Kind.OTHER, "sql_variant": Kind.OTHER,
    "hierarchyid": Kind.OTHER, "geography": Kind.OTHER, "geometry": Kind.OTHER, "vector": Kind.OTHER,
}  # fmt: skip
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "bit", Kind.INT8: "smallint", Kind.INT16: "smallint", Kind.INT32: "int",
    Kind.INT64: "bigint", Kind.FLOAT32: "real", Kind.FLOAT64: "float(53)", Kind.DATE: "date",
    Kind.UUID: "uniqueidentifier",
}  # fmt: skip
_FINE = {"datetime": 3, "smalldatetime": 0}
ROW_END = "row end"
"""What the catalogue query says of the column that ends a row's period in a system-versioned table."""
_LONG = ("text", "ntext", "image", "xml")


class SQLServerDialect(SQLServerFacts, SQLServerMerging):
    """The SQL of SQL Server 2016 or later, Azure SQL Database and Managed Instance."""

    name = "sqlserver"
    grants_script = "sqlserver"
    sqlglot = "tsql"
    plain_strings = True
    quote_marks = ("[", "]")
    ignores_case = "all"  # the collation of most databases; stricter than needed if one is case-sensitive
    composes_names = True
    referring_keys: ClassVar[str | None] = referring.SQLSERVER
    all_keys: ClassVar[str | None] = referring.SQLSERVER_ALL
    bracket_names = True
    max_identifier = 128
    identifier_unit = "characters"
    max_path = 3
    present = "SYSUTCDATETIME()"
    passing_locks = " WITH (READPAST)"
    null_safe = "EXISTS (SELECT {a} INTERSECT SELECT {b})"
    exact_text = "CAST(CAST({} AS NVARCHAR(MAX)) AS VARBINARY(MAX))"
    temporary_table = "CREATE TABLE"
    """Creates a temporary table if the name starts with ``#``."""
    adds_column = "ADD"
    text_type = "nvarchar(max)"
    key_text_type = "nvarchar(128)"
    session_settings: ClassVar[Mapping[str, str]] = {
        "XACT_ABORT": "ON",
        "LOCK_TIMEOUT": "900000",
        "NOCOUNT": "OFF",
        "LANGUAGE": "us_english",
        "DATEFORMAT": "ymd",
        "DATEFIRST": "7",
        "TEXTSIZE": "2147483647",
        "ROWCOUNT": "0",
        "NUMERIC_ROUNDABORT": "OFF",
        "ANSI_NULLS": "ON",
        "ANSI_PADDING": "ON",
        "ANSI_WARNINGS": "ON",
        "ARITHABORT": "ON",
        "CONCAT_NULL_YIELDS_NULL": "ON",
        "QUOTED_IDENTIFIER": "ON",
    }
    """https://learn.microsoft.com/sql/t-sql/statements/set-statements-transact-sql."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    states: ClassVar[Mapping[str, type[HdmError]]] = STATES
    repeats_unknown = False

    @property
    def session(self) -> tuple[str, ...]:
        """The SQL statements with which every session starts, as one batch."""
        return ("; ".join(super().session),)

    def set_session(self, name: str, value: str) -> str:
        """Return the SET statement for a setting, which has no equals sign."""
        return f"SET {name} {value}"

    def qualify(self, path: Sequence[str]) -> str:
        """Return a full name; that of a temporary table, which has no schema, gets a ``#``."""
        if len(path) == 1 and path[0].startswith("_hdm_stage_"):
            return self.quote("#" + path[0])
        return super().qualify(path)

    # -- values ----------------------------------------------------------------

    def string(self, text: str) -> str:
        """Return a Unicode string literal."""
        return "N" + super().string(text)

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal of the column's type by CONVERT style, so that an index can be used."""
        kind, native = column.kind, self.cast_type(column)
        if kind in INTEGERS:
            return self.number(text, column)
        if kind is Kind.DECIMAL:
            return f"CAST({self.string(text)} AS {native})"
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"CONVERT({native}, {self.string(text)})"
        if kind is Kind.DATE:
            return f"CONVERT({native}, {self.string(text)}, 23)"
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
            return f"CONVERT({native}, {self.string(text)}, 121)"
        if kind is Kind.BINARY:
            return f"CONVERT(varbinary(max), {self.string(text)}, 1)"
        if kind is Kind.UUID:
            return f"CONVERT(uniqueidentifier, {self.string(text)})"
        if _bare(column.native) in ("char", "varchar"):
            # beside N'...' the column would be compared as nvarchar, with another order and without its index
            size = "max" if "max" in column.native.lower() else "8000"
            return f"CAST({self.string(text)} AS varchar({size}))"
        return self.string(text)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL for a value as text: floats by style 3 (17 digits), times by 121, bytes by 1."""
        kind = column.kind
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"CONVERT(varchar(40), {expression}, 3)"
        if kind is Kind.DATE:
            return f"CONVERT(varchar(10), {expression}, 23)"
        if kind is Kind.TIMESTAMPTZ:
            return f"CONVERT(varchar(40), SWITCHOFFSET({expression}, '+00:00'), 121)"
        if kind in (Kind.TIMESTAMP, Kind.TIME):
            return f"CONVERT(varchar(40), {expression}, 121)"
        if kind is Kind.BINARY:
            return f"CONVERT(varchar(max), CONVERT(varbinary(max), {expression}), 1)"
        if kind is Kind.DECIMAL and _bare(column.native) not in ("decimal", "numeric"):
            # style 2 shows all four digits of money, and has no effect on other types
            return f"CONVERT(varchar(60), {expression}, 2)"
        return f"CONVERT(nvarchar(max), {expression})"

    def comparable(self, column: Column) -> str:
        """Return the SQL by which a column is compared.

        A query's text column, whose type is not known, is converted to nvarchar: as a varchar it would be
        sorted in one order, but compared with ``literal``, an nvarchar, in another.
        """
        if column.kind is Kind.TEXT and not column.native:
            return f"CONVERT(nvarchar(4000), {self.quote(column.name)})"
        return super().comparable(column)

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted.

        Not the old long types, and not uniqueidentifier.
        """
        return super().is_sortable(column) and _bare(column.native) not in (*_LONG, "uniqueidentifier")

    def select_expression(self, column: Column) -> str:
        """Return SQL that converts values for which ODBC has no type, or no exact one."""
        name, native = self.quote(column.name), _bare(column.native)
        if column.kind in SECONDS and (pa.types.is_string(column.type) or is_read_coarser(column)):
            here = f"CONVERT(datetime2(7), SWITCHOFFSET({name}, '+00:00'))"
            return f"CONVERT(varchar(40), {here if native == 'datetimeoffset' else name}, 121)"
        if native == "datetimeoffset":
            return f"CONVERT(datetime2(7), SWITCHOFFSET({name}, '+00:00'))"
        if native in ("money", "smallmoney"):
            return f"CONVERT(decimal(19,4), {name})"
        if native == "uniqueidentifier":
            return f"LOWER(CONVERT(char(36), {name}))"
        if native in ("rowversion", "timestamp"):
            return f"CONVERT(binary(8), {name})"
        if native == "hierarchyid":
            return f"CONVERT(nvarchar(4000), {name})"
        if native in ("geography", "geometry"):
            # without its SRID, the text would be read as 4326 (geography) or 0 (geometry)
            return f"'SRID=' + CAST({name}.STSrid AS nvarchar(11)) + ';' + {name}.AsTextZM()"
        if native == "sql_variant":
            return _variant(name)
        if native in ("xml", "json", "text", "ntext", "vector"):
            return f"CONVERT(nvarchar(max), {name})"
        if native == "image":
            return f"CONVERT(varbinary(max), {name})"
        if native in ("time", "datetime2") and (7 if column.precision is None else column.precision) > 6:
            return f"CONVERT(varchar(40), {name}, 121)" if native == "time" else name
        return name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds, rounded up; for a date, in whole days.

        DATEADD takes integers below 2**31, so days and seconds are subtracted apart.
        """
        if column.kind is Kind.DATE:
            return f"DATEADD(day, -{round(amount / 86400):d}, {expression})"
        days, rest = divmod(amount, 86400)
        return f"DATEADD(second, -{-int(-rest // 1):d}, DATEADD(day, -{int(days):d}, {expression}))"

    def modulo(self, expression: str, step: int) -> str:
        """Return SQL for the remainder by ``%``, as there is no MOD()."""
        return f"({expression} % {step:d})"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type.

        tinyint has values 0 to 255, so it travels in 16 bits; float(1..24) is real.
        """
        found = _NAME.match(native.lower())
        name = found[1] if found else native.lower()
        first = int(found[2]) if found and found[2] and found[2] != "max" else None
        second = int(found[3]) if found and found[3] else None
        if name in ("decimal", "numeric"):
            digits = first if first is not None else (precision or 18)
            return (
                Kind.DECIMAL,
                None,
                digits,
                second if first is not None and second is not None else (scale or 0),
            )
        if name in ("money", "smallmoney"):
            return Kind.DECIMAL, None, 19 if name == "money" else 10, 4
        if name in ("datetime", "smalldatetime"):
            return Kind.TIMESTAMP, None, _FINE[name], None
        if name in ("datetime2", "datetimeoffset", "time"):
            kind = {"datetime2": Kind.TIMESTAMP, "time": Kind.TIME}.get(name, Kind.TIMESTAMPTZ)
            return kind, None, first if first is not None else (7 if scale is None else scale), None
        if name == "float" and (first or precision or 53) <= 24:
            return Kind.FLOAT32, None, None, None
        kind = _KINDS.get(name, Kind.OTHER)
        if kind in (Kind.TEXT, Kind.BINARY):
            size = 8 if name in ("rowversion", "timestamp") else (first or length)
            return kind, size if size and size > 0 and name not in _LONG else None, None, None
        return kind, None, None, None

    def column_from_catalog(self, name: str, native: str, **more: Any) -> Column:
        """Return a column from its declaration.

        The column that holds the end of a row's period, with more than six digits of a second, travels as
        text. It is 9999-12-31 in every current row, and no nanoseconds can express that year.
        """
        made = super().column_from_catalog(name, native, **more)
        far = made.generated == ROW_END and (made.precision or 0) > 6
        return replace(made, type=pa.string()) if far else made

    def native(self, column: Column) -> Stored:
        """Return SQL Server's type for another system's column."""
        kind = column.kind
        if kind in _NATIVE:
            weaker = kind is Kind.INT8
            why = "tinyint has no negative numbers: kept in smallint" if weaker else ""
            return Stored(_NATIVE[kind], Fidelity.APPROXIMATED if weaker else Fidelity.EXACT, why)
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= precision:
                return Stored(f"decimal({precision},{scale})")
            return Stored("nvarchar(max)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
            digits = 6 if column.precision is None else column.precision
            name = {Kind.TIMESTAMP: "datetime2", Kind.TIME: "time"}.get(kind, "datetimeoffset")
            fits = Fidelity.EXACT if digits <= 7 else Fidelity.LOSSY
            why = "" if digits <= 7 else f"keeps 7 of {digits} fractional digits"
            return Stored(f"{name}({min(digits, 7)})", fits, why)
        if kind is Kind.BINARY:
            return Stored(f"varbinary({column.length})" if _short(column, 8000) else "varbinary(max)")
        if kind is Kind.TEXT:
            return Stored(
                f"nvarchar({2 * (column.length or 0)})" if _short(column, 2000) else "nvarchar(max)"
            )
        return Stored("nvarchar(max)", Fidelity.APPROXIMATED, "kept as text")

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return CREATE TABLE, without a primary key if one of its columns has no length limit."""
        long = [c.name for c in columns if c.name in key and self.stored(c).native.endswith("(max)")]
        return super().create_table(path, columns, () if long else key, temporary=temporary)

    def stored(self, column: Column) -> Stored:
        """Return the column's own type, but ``binary(8)`` for a rowversion, which cannot be written."""
        if column.origin == self.name and _bare(column.native) in ("rowversion", "timestamp"):
            return Stored("binary(8)", Fidelity.APPROXIMATED, "the server would make a new rowversion")
        if column.origin == self.name and _bare(column.native) == "sql_variant":
            return Stored("sql_variant", Fidelity.LOSSY, "each value's own type becomes nvarchar")
        return super().stored(column)

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Return a call of sp_rename, with the old name quoted and the new one unquoted."""
        self.quote(name)
        return f"EXEC sp_rename {self.string(self.qualify(path))}, {self.string(name)}, 'OBJECT'"

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return an error's number as ``E1205`` if it is a known one, else its SQLSTATE; None without either.

        pyodbc gives ``(sqlstate, '... (1205) (SQLExecDirectW)')``; arrow-odbc ``State: 40001, Native error:
        1205`` in its text.
        """
        text = str(error.args[1] if len(error.args) > 1 else error)
        for found in _NUMBERED.finditer(text):
            numbered = "E" + (found[1] or found[2])
            if numbered == "E547" and "FOREIGN KEY" in text:  # else a CHECK, or a row that others refer to
                return "E547-FK"
            if numbered in self.errors:
                return numbered
        first = error.args[0] if error.args else ""
        if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first):
            return first
        state = _STATE.search(text)
        return state[1] if state else None

    def state(self, error: BaseException) -> str | None:
        """Return the SQLSTATE, which ``code`` gives for a number that is not known."""
        code = self.code(error)
        return None if code is None or code in self.errors else code

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a constraint (2627) or a unique index (2601) is violated."""
        return self.code(error) in ("E2627", "E2601")

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error code that an operator can mend; None for any other."""
        return HINTS.get(code)


_EXACT = (
    ("'datetime', 'smalldatetime', 'datetime2'", "CONVERT(nvarchar(max), CAST({0} AS datetime2(7)), 121)"),
    ("'datetimeoffset'", "CONVERT(nvarchar(max), CAST({0} AS datetimeoffset(7)), 121)"),
    ("'date'", "CONVERT(nvarchar(max), CAST({0} AS date), 23)"),
    ("'time'", "CONVERT(nvarchar(max), CAST({0} AS time(7)), 121)"),
    ("'float', 'real'", "CONVERT(nvarchar(max), CAST({0} AS float), 3)"),
    ("'money', 'smallmoney'", "CONVERT(nvarchar(max), CAST({0} AS decimal(19,4)))"),
    ("'binary', 'varbinary'", "CONVERT(nvarchar(max), CAST({0} AS varbinary(8000)), 1)"),
)


def _variant(name: str) -> str:
    """Convert each sql_variant value by its own type: a plain CONVERT cuts seconds, digits and bytes."""
    base = f"CAST(SQL_VARIANT_PROPERTY({name}, 'BaseType') AS sysname)"
    cases = " ".join(f"WHEN {base} IN ({types}) THEN {shown.format(name)}" for types, shown in _EXACT)
    return f"CASE {cases} ELSE CONVERT(nvarchar(max), {name}) END"


def _bare(native: str) -> str:
    return native.lower().partition("(")[0].strip()


def _short(column: Column, limit: int) -> bool:
    return column.length is not None and 0 < column.length <= limit
