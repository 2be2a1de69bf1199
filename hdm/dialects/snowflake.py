"""Snowflake's SQL: keys are not enforced, DDL commits, semi-structured values are VARIANTs.

Types: https://docs.snowflake.com/en/sql-reference/intro-summary-data-types.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.native_type import words_and_numbers
from hdm.dialects.snowflake_errors import ERRORS, HINTS
from hdm.dialects.snowflake_facts import SnowflakeFacts
from hdm.dialects.sqlstates import STATES
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import HdmError
from hdm.model import Column, Kind

_CODE = re.compile(r"\b(\d{6})\b")
_KINDS: dict[str, Kind] = {
    "BOOLEAN": Kind.BOOLEAN, "FLOAT": Kind.FLOAT64, "DOUBLE": Kind.FLOAT64, "REAL": Kind.FLOAT64,
    "DATE": Kind.DATE, "VARIANT": Kind.JSON, "OBJECT": Kind.JSON, "ARRAY": Kind.ARRAY,
    "BINARY": Kind.BINARY, "VARBINARY": Kind.BINARY, "UUID": Kind.UUID,
    "TEXT": Kind.TEXT, "VARCHAR": Kind.TEXT, "CHAR": Kind.TEXT, "STRING": Kind.TEXT,
    "GEOGRAPHY": Kind.OTHER, "GEOMETRY": Kind.OTHER, "VECTOR": Kind.OTHER, "FILE": Kind.OTHER,
}  # fmt: skip
_STAMPS = {
    "TIMESTAMP_NTZ": Kind.TIMESTAMP, "DATETIME": Kind.TIMESTAMP, "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP_LTZ": Kind.TIMESTAMPTZ, "TIMESTAMP_TZ": Kind.TIMESTAMPTZ, "TIME": Kind.TIME,
}  # fmt: skip
_GREATEST = (8_388_608, 67_108_864, 16_777_216, 134_217_728)
"""The lengths of BINARY and VARCHAR columns that were declared without one, before and since 2025."""
_LONGEST_TEXT, _LONGEST_BINARY = 134_217_728, 67_108_864
"""The greatest lengths of VARCHAR and BINARY; without a length they take 16 MB and 8 MB only.

https://docs.snowflake.com/en/sql-reference/data-types-text
"""
_NUMBERS = frozenset(
    [
        "NUMBER",
        "DECIMAL",
        "NUMERIC",
        "INT",
        "INTEGER",
        "BIGINT",
        "SMALLINT",
        "TINYINT",
        "BYTEINT",
    ]
)
_INTEGERS = {Kind.INT8: 3, Kind.INT16: 5, Kind.INT32: 10, Kind.INT64: 19}
_STAMP = "YYYY-MM-DD HH24:MI:SS.FF9"


class SnowflakeDialect(SnowflakeFacts, Dialect):
    """The SQL of Snowflake, with names always quoted, so that they keep their case."""

    name = "snowflake"
    session_settings: ClassVar[Mapping[str, str]] = {
        "TIMEZONE": "UTC",
        "ROWS_PER_RESULTSET": "0",
        "QUOTED_IDENTIFIERS_IGNORE_CASE": "false",
        "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
        "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
        "DATE_INPUT_FORMAT": "AUTO",
        "TIME_INPUT_FORMAT": "AUTO",
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
        "TIME_OUTPUT_FORMAT": "HH24:MI:SS.FF9",
        "TIMESTAMP_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
        "BINARY_INPUT_FORMAT": "HEX",
        "BINARY_OUTPUT_FORMAT": "HEX",
        "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
        "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
        "WEEK_START": "0",
    }
    """The parameters that the driver sets when a session begins.

    https://docs.snowflake.com/en/sql-reference/parameters.
    """
    sqlglot = "snowflake"
    grants_script = "snowflake"
    line_comments = ("//",)
    max_identifier = 255
    identifier_unit = "characters"
    max_path = 3
    paramstyle = "qmark"
    enforces_keys = False
    transactional_ddl = False
    null_safe = "EQUAL_NULL({a}, {b})"
    exact_text = "HEX_ENCODE({})"
    temporary_table = "CREATE TEMPORARY TABLE"
    kinds: ClassVar[Mapping[str, Kind]] = {**_KINDS, **_STAMPS, **dict.fromkeys(_NUMBERS, Kind.DECIMAL)}
    text_type = "VARCHAR(134217728)"
    """The longest text, and not the 16 MB of a VARCHAR without a length."""
    bigint_type = "NUMBER(19,0)"
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    states: ClassVar[Mapping[str, type[HdmError]]] = STATES
    repeats_unknown = False

    # -- values ----------------------------------------------------------------

    def string(self, text: str) -> str:
        """Return a string literal, with backslashes doubled, because they are escapes in Snowflake."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def day(self, day: date, column: Column) -> str:
        """Return the beginning of a day as text, with the nine fractional digits that ``literal`` expects."""
        return super().day(day, column) + ("" if column.kind is Kind.DATE else ".000000000")

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal: numbers bare, and all else cast by an explicit format."""
        kind = column.kind
        if kind in INTEGERS or kind is Kind.DECIMAL:
            return self.number(text, column)
        if kind is Kind.TIMESTAMP:
            return f"TO_TIMESTAMP_NTZ({self.string(text)}, '{_STAMP}')"
        if kind is Kind.TIMESTAMPTZ:
            return f"TO_TIMESTAMP_TZ({self.string(text)} || ' +0000', '{_STAMP} TZHTZM')"
        if kind is Kind.TIME:
            return f"TO_TIME({self.string(text)}, 'HH24:MI:SS.FF9')"
        if kind is Kind.DATE:
            return f"TO_DATE({self.string(text)}, 'YYYY-MM-DD')"
        if kind is Kind.BINARY:
            return f"TO_BINARY({self.string(text)}, 'HEX')"
        if kind is Kind.FLOAT64:
            return f"TO_DOUBLE({self.string(text)})"
        return self.string(text)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text by an explicit format, with zones converted to UTC."""
        kind = column.kind
        if kind is Kind.TIMESTAMP:
            return f"TO_CHAR({expression}, '{_STAMP}')"
        if kind is Kind.TIMESTAMPTZ:
            return f"TO_CHAR(CONVERT_TIMEZONE('UTC', {expression}), '{_STAMP}')"
        if kind is Kind.TIME:
            return f"TO_CHAR({expression}, 'HH24:MI:SS.FF9')"
        if kind is Kind.DATE:
            return f"TO_CHAR({expression}, 'YYYY-MM-DD')"
        if kind is Kind.BINARY:
            return f"TO_CHAR({expression}, 'HEX')"
        return f"TO_CHAR({expression})"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted.

        Not floats: TO_CHAR shows fewer digits than they have.
        """
        return super().is_sortable(column) and column.kind is not Kind.FLOAT64

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads semi-structured values as JSON text, and times with a zone in UTC.

        Geographies are read as EWKT text, vectors as JSON.
        """
        name, native = self.quote(column.name), column.native.upper().partition("(")[0].strip()
        if native == "VARIANT" or column.native.upper() in ("OBJECT", "ARRAY"):
            return f"TO_JSON({name})"
        if native in ("OBJECT", "ARRAY", "MAP"):  # structured: TO_JSON takes the semi-structured type
            return f"TO_JSON({name}::{'OBJECT' if native == 'MAP' else native})"
        if native in ("GEOGRAPHY", "GEOMETRY"):
            return f"ST_ASEWKT({name})"
        if native == "VECTOR":
            return f"TO_JSON({name}::ARRAY)"
        if column.kind is Kind.OTHER:
            return f"TO_VARCHAR({name})"
        if column.kind is Kind.TIMESTAMPTZ:
            return f"CONVERT_TIMEZONE('UTC', {name})::TIMESTAMP_NTZ"
        return name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds.

        The amount is rounded to the microsecond; for a date, to whole days.
        """
        if column.kind is Kind.DATE:
            return f"DATEADD(day, -{round(amount / 86400):d}, {expression})"
        return f"DATEADD(microsecond, -{round(amount * 1_000_000):d}, {expression})"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type as Snowflake's catalogue or DDL names it."""
        words, numbers = words_and_numbers(native)
        if numbers is None or words not in self.kinds:  # ARRAY(NUMBER(38,0)), VARCHAR(20) COLLATE 'de'
            native = native.partition("(")[0]
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.DECIMAL:
            return kind, None, 38 if precision is None else precision, scale or 0
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
            return kind, None, 9 if precision is None else precision, None
        return kind, None if length in _GREATEST else length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return Snowflake's type for another system's column, and what is lost in it, if anything is."""
        kind = column.kind
        if kind in _INTEGERS:
            return Stored(f"NUMBER({_INTEGERS[kind]},0)")
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= min(precision, 37):
                return Stored(f"NUMBER({precision},{scale})")
            return Stored(self.text_type, Fidelity.APPROXIMATED, "beyond NUMBER's 38 digits: kept as text")
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return Stored("FLOAT")
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.TIME):
            digits = 6 if column.precision is None else min(column.precision, 9)
            name = {Kind.TIMESTAMP: "TIMESTAMP_NTZ", Kind.TIMESTAMPTZ: "TIMESTAMP_TZ"}.get(kind, "TIME")
            return Stored(f"{name}({digits})")
        if kind is Kind.BOOLEAN:
            return Stored("BOOLEAN")
        if kind is Kind.DATE:
            return Stored("DATE")
        if kind is Kind.BINARY:
            return Stored(f"BINARY({min(column.length or _LONGEST_BINARY, _LONGEST_BINARY)})")
        if kind is Kind.TEXT:
            return Stored(f"VARCHAR({min(column.length or _LONGEST_TEXT, _LONGEST_TEXT)})")
        return Stored(self.text_type, Fidelity.APPROXIMATED, "kept as text, character for character")

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Return the ALTER TABLE that renames a table, with the schema in the new name too."""
        return f"ALTER TABLE {self.qualify(path)} RENAME TO {self.qualify((*path[:-1], name))}"

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
        """Return one MERGE statement, which takes one of several rows of ``stage`` with the same key."""
        rest = [name for name in columns if name not in key]
        only = self.keyed(key, null_keys, alias="")
        one = f"ROW_NUMBER() OVER (PARTITION BY {self.names(key)} ORDER BY {self.names(key)}) = 1"
        staged = f"SELECT {self.names(columns)} FROM {self.qualify(stage)} WHERE {only} QUALIFY {one}"
        update = ""
        if rest:
            pairs = ", ".join(f"t.{self.quote(name)} = s.{self.quote(name)}" for name in rest)
            guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
            update = f"WHEN MATCHED{guard} THEN UPDATE SET {pairs} "
        return [
            f"MERGE INTO {self.qualify(target)} AS t USING ({staged}) AS s "
            f"ON {self.match('t', 's', key, null_safe=null_keys, exact=exact)} {update}"
            f"WHEN NOT MATCHED THEN INSERT ({self.names(columns)}) "
            f"VALUES ({', '.join('s.' + self.quote(n) for n in columns)})"
        ]

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return no statements: ``merge`` itself takes one row per key.

        The portable statements would create a table, which commits in Snowflake.
        """
        return []

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table with the target's own types, VARIANT included."""
        names = self.names(column.name for column in columns)
        named = self.qualify(target)
        return f"{self.temporary_table} {self.qualify(path)} AS SELECT {names} FROM {named} WHERE 1 = 0"

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return an error's six-digit code; without one, its SQLSTATE, or None.

        For HTTP failures the connector gives 290000 plus the status.
        """
        number = getattr(error, "errno", None)
        if isinstance(number, int) and number > 0:
            return f"{number:06d}"
        found = _CODE.search(str(error.args[0] if error.args else ""))
        return found[1] if found else self.state(error)

    def state(self, error: BaseException) -> str | None:
        """Return the SQLSTATE, which the connector gives beside the number."""
        return getattr(error, "sqlstate", None) or None

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error code that an operator can mend; None for any other."""
        return HINTS.get(code)
