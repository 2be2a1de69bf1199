"""Types and DDL of BigQuery, for schemas to be created there; hdm has no connector for it.

https://cloud.google.com/bigquery/docs/reference/standard-sql/data-types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.traits import NONE, Traits
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import UsageError
from hdm.model import Column, Kind

_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KINDS = {
    "BOOL": Kind.BOOLEAN, "INT64": Kind.INT64, "FLOAT64": Kind.FLOAT64, "NUMERIC": Kind.DECIMAL,
    "BIGNUMERIC": Kind.DECIMAL, "DATE": Kind.DATE, "TIME": Kind.TIME, "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMPTZ, "STRING": Kind.TEXT, "BYTES": Kind.BINARY, "JSON": Kind.JSON,
}  # fmt: skip
_NAME = re.compile(r"[^\W]+\Z", re.ASCII)
_FIXED: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("BOOL"), Kind.FLOAT32: Stored("FLOAT64"), Kind.FLOAT64: Stored("FLOAT64"),
    Kind.DATE: Stored("DATE"), Kind.JSON: Stored("JSON", Fidelity.APPROXIMATED, "re-parsed"),
    Kind.ENUM: Stored("STRING", Fidelity.APPROXIMATED, "its labels are not enforced"),
}  # fmt: skip


class BigQueryDialect(Dialect):
    """BigQuery's SQL: identifiers in backticks, strings with backslash escapes."""

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
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    text_type = "STRING"
    # https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language
    traits = Traits(
        fk="declared", keys_enforced=False, check=False, index=False, identity="none", generated=NONE,
        sequences=False, comments="option", actions=NONE, update_actions=False, distribution="clustering",
    )  # fmt: skip
    default_schema = "hdm"
    widen_clause = "ALTER COLUMN {name} SET DATA TYPE {type}"

    def quote(self, name: str) -> str:
        """Return a name in backticks.

        Raises ``UsageError`` if it contains a backtick or backslash.
        """
        if "`" in name or "\\" in name:
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
