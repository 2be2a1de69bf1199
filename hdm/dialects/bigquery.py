"""BigQuery's SQL: keys are not enforced, no DDL within a transaction, values as query parameters.

Types: https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import ClassVar

from hdm.dialects import bigquery_errors
from hdm.dialects.base import Dialect
from hdm.dialects.traits import NONE, Traits
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import HdmError, UsageError
from hdm.model import Column, Kind

_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KINDS = {
    "BOOL": Kind.BOOLEAN, "INT64": Kind.INT64, "FLOAT64": Kind.FLOAT64, "NUMERIC": Kind.DECIMAL,
    "BIGNUMERIC": Kind.DECIMAL, "DATE": Kind.DATE, "TIME": Kind.TIME, "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMPTZ, "STRING": Kind.TEXT, "BYTES": Kind.BINARY, "JSON": Kind.JSON,
}  # fmt: skip
_NESTED = {"ARRAY<": Kind.ARRAY, "STRUCT<": Kind.JSON}
_DIGITS = {"NUMERIC": (38, 9), "BIGNUMERIC": (76, 38)}
"""Digits in all and after the point of a decimal type that is declared without any."""
_STAMP = "%E4Y-%m-%d %H:%M:%E6S"
_NAME = re.compile(r"[^\W]+\Z", re.ASCII)
_FIXED: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("BOOL"), Kind.FLOAT32: Stored("FLOAT64"), Kind.FLOAT64: Stored("FLOAT64"),
    Kind.DATE: Stored("DATE"), Kind.JSON: Stored("JSON", Fidelity.APPROXIMATED, "re-parsed"),
    Kind.ENUM: Stored("STRING", Fidelity.APPROXIMATED, "its labels are not enforced"),
}  # fmt: skip


class BigQueryDialect(Dialect):
    """The SQL of BigQuery: names in backticks, strings with backslash escapes."""

    name = "bigquery"
    sqlglot = "bigquery"
    quote_marks = ("`", "`")
    ignores_case = "all"
    ignores_case_of_tables = "no"
    line_comments = ("#",)
    max_identifier = 300
    identifier_unit = "characters"
    max_path = 3
    enforces_keys = False
    transactional_ddl = False
    plain_stage = True
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    text_type = key_text_type = "STRING"
    bigint_type = "INT64"
    grants_script = "bigquery"
    present = "CURRENT_DATETIME('UTC')"
    clock = "SELECT FORMAT_TIMESTAMP('%E4Y-%m-%d %H:%M:%E6S', CURRENT_TIMESTAMP(), 'UTC')"
    temporary_table = "CREATE TEMP TABLE"
    every_row = " WHERE TRUE"
    # a join takes an equality of both sides, which IS NOT DISTINCT FROM is not
    null_safe = "TO_JSON_STRING({a}) = TO_JSON_STRING({b})"
    errors: ClassVar[Mapping[str, type[HdmError]]] = bigquery_errors.ERRORS
    repeats_unknown = False
    # https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
    traits = Traits(
        fk="declared", keys_enforced=False, check=False, index=False, identity="none", generated=NONE,
        sequences=False, comments="option", actions=NONE, update_actions=False, distribution="clustering",
    )  # fmt: skip
    default_schema = "hdm"
    widen_clause = "ALTER COLUMN {name} SET DATA TYPE {type}"

    def quote(self, name: str) -> str:
        """Return a name in backticks.

        Raises ``UsageError`` if it contains a backtick, a backslash or a dot, which parts a name within
        backticks, too.
        """
        if any(mark in name for mark in "`\\."):
            raise UsageError(f"bigquery cannot have the name {name!r}", hint="give it another by a rule")
        return super().quote(name)

    def refusal(self, name: str) -> str | None:
        """Return why BigQuery cannot have a name, such as a character in it; None if it can.

        https://cloud.google.com/bigquery/docs/schemas#column_names
        """
        return None if _NAME.match(name) else "names are made of letters, digits and underscores"

    def string(self, text: str) -> str:
        """Return a string literal with backslash escapes."""
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal: whole numbers and texts bare, bytes of hex digits, all else cast.

        A bare number with a point would be a FLOAT64.
        """
        if column.kind in INTEGERS:
            return self.number(text, column)
        if column.kind is Kind.TEXT:
            return self.string(text)
        if column.kind is Kind.BINARY:
            return f"FROM_HEX({self.string(text)})"
        if column.kind is Kind.TIMESTAMPTZ:
            return f"TIMESTAMP({self.string(text)}, 'UTC')"
        if column.kind is Kind.DECIMAL:
            self.number(text, column)
        return super().literal(text, column)

    def cast_type(self, column: Column) -> str:
        """Return the SQL type to which a text is cast, without length and digits."""
        return super().cast_type(column).partition("(")[0]

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text: moments in UTC with six digits of a second, bytes as hex
        digits."""
        kind = column.kind
        if kind is Kind.TEXT:
            return expression
        if kind is Kind.TIMESTAMP:
            return f"FORMAT_DATETIME('{_STAMP}', {expression})"
        if kind is Kind.TIMESTAMPTZ:
            return f"FORMAT_TIMESTAMP('{_STAMP}', {expression}, 'UTC')"
        if kind is Kind.BINARY:
            return f"TO_HEX({expression})"
        return super().text_of(expression, column)

    def day(self, day: date, column: Column) -> str:
        """Return the beginning of a day as text, with six digits of a second unless it is a date."""
        return super().day(day, column) + ("" if column.kind is Kind.DATE else ".000000")

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not floats, whose text is not exact."""
        return super().is_sortable(column) and column.kind not in (Kind.FLOAT32, Kind.FLOAT64)

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds, rounded to microseconds or to days."""
        if column.kind is Kind.DATE:
            return f"DATE_SUB({expression}, INTERVAL {round(amount / 86400):d} DAY)"
        how = "DATETIME_SUB" if column.kind is Kind.TIMESTAMP else "TIMESTAMP_SUB"
        return f"{how}({expression}, INTERVAL {round(amount * 1_000_000):d} MICROSECOND)"

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads arrays, structs and JSON as JSON text, and other special types as text."""
        name = self.quote(column.name)
        word = column.native.upper()
        if column.kind in (Kind.JSON, Kind.ARRAY):
            return f"TO_JSON_STRING({name})"
        if word == "GEOGRAPHY":
            return f"ST_ASTEXT({name})"
        if column.kind is Kind.OTHER:
            return f"CAST({name} AS STRING)" if word == "INTERVAL" else f"FORMAT('%t', {name})"
        return name

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type; dates with times have six digits of a second.

        An array is read as JSON text, a STRUCT as JSON.
        """
        for start, nested in _NESTED.items():
            if native.upper().replace(" ", "").startswith(start):
                return nested, None, None, None
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.DECIMAL and precision is None:
            precision, scale = _DIGITS[native.upper().partition("(")[0].strip()]
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            precision = 6
        return kind, length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return BigQuery's type for another system's column.

        NUMERIC holds 29 digits before the point and 9 after it, BIGNUMERIC 38 and 38.
        """
        kind = column.kind
        if kind in _FIXED:
            return _FIXED[kind]
        if kind in INTEGERS:
            return Stored("INT64")
        if kind is Kind.DECIMAL:
            return _decimal(column)
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            name = {Kind.TIME: "TIME", Kind.TIMESTAMP: "DATETIME"}.get(kind, "TIMESTAMP")
            lossy = (column.precision or 0) > 6
            return Stored(name, Fidelity.LOSSY, "it keeps microseconds") if lossy else Stored(name)
        if kind is Kind.TEXT:
            return Stored(f"STRING({column.length})" if column.length else "STRING")
        if kind is Kind.BINARY:
            return Stored(f"BYTES({column.length})" if column.length else "BYTES")
        return Stored("STRING", *_TEXT)

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return a CREATE TABLE statement without a key: BigQuery would trust it and not enforce it."""
        return super().create_table(path, columns, (), temporary=temporary)

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for an ordinary table with the target's own types, which expires.

        A load job can fill no temporary table.
        """
        expires = "OPTIONS (expiration_timestamp = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL 2 DAY))"
        shown = f"SELECT {self.names(column.name for column in columns)} FROM {self.qualify(target)}"
        return f"CREATE OR REPLACE TABLE {self.qualify(path)} {expires} AS {shown} WHERE FALSE"

    # -- merging ---------------------------------------------------------------

    def alias(self, name: str) -> str:
        """Return the SQL that gives a table an alias, as DELETE takes it, too."""
        return name

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
        one = f"ROW_NUMBER() OVER (PARTITION BY {self.names(key)}) = 1"
        staged = f"SELECT {self.names(columns)} FROM {self.qualify(stage)} WHERE {only} QUALIFY {one}"
        update = ""
        if rest:
            pairs = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in rest)
            guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
            update = f"WHEN MATCHED{guard} THEN UPDATE SET {pairs} "
        return [
            f"MERGE INTO {self.qualify(target)} AS t USING ({staged}) AS s "
            f"ON {self.match('t', 's', key, null_safe=null_keys, exact=exact)} {update}"
            f"WHEN NOT MATCHED THEN INSERT ({self.names(columns)}) "
            f"VALUES ({', '.join('s.' + self.quote(name) for name in columns)})"
        ]

    def conflicts(self, stage: Sequence[str], columns: Sequence[Column], key: Sequence[str]) -> str:
        """Return a query for different rows with one key, in which JSON is compared as text.

        JSON cannot be grouped or made distinct.
        """
        shown = ", ".join(
            f"TO_JSON_STRING({self.quote(c.name)}) AS {self.quote(c.name)}"
            if c.kind in (Kind.JSON, Kind.ARRAY) and not c.native.upper().startswith("STRING")
            else self.quote(c.name)
            for c in columns
        )
        distinct = self.derived(f"SELECT DISTINCT {shown} FROM {self.qualify(stage)}")
        return self.first(f"SELECT 1 FROM {distinct} GROUP BY {self.names(key)} HAVING COUNT(*) > 1")

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return no statements: ``merge`` itself takes one row for each key."""
        return []

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return an error's ``reason``, refined by its text; without one, the status of HTTP, or None.

        https://cloud.google.com/bigquery/docs/error-messages.
        """
        return bigquery_errors.code(error)

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error code that an operator can mend; None for any other."""
        return bigquery_errors.HINTS.get(code)


def _decimal(column: Column) -> Stored:
    precision, scale = column.precision, column.scale or 0
    if precision is None or scale < 0:
        return Stored("STRING", Fidelity.APPROXIMATED, "a number without bound: kept as text")
    precision = max(precision, scale)  # NUMERIC(2,5), with which Oracle means 0.000nn, is refused
    if scale <= 9 and precision - scale <= 29:
        return Stored(f"NUMERIC({precision},{scale})")
    if scale <= 38 and precision - scale <= 38:
        return Stored(f"BIGNUMERIC({precision},{scale})")
    return Stored("STRING", Fidelity.APPROXIMATED, "beyond BIGNUMERIC's digits: kept as text")
