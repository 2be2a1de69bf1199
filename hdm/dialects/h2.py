"""The SQL of H2 2.x, a database in Java: https://www.h2database.com/html/commands.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hdm.dialects.ansi import KINDS, WORDS, AnsiDialect
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.sqlstates import by_code
from hdm.dialects.types import Stored
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UsageError,
)
from hdm.model import Column, Kind


class H2Dialect(AnsiDialect):
    """The SQL of H2 2.x in its regular mode; DDL commits, keys are enforced."""

    name = "h2"
    max_identifier = 256
    temporary_table = "CREATE LOCAL TEMPORARY TABLE"
    row_address = "_ROWID_"
    clock = "SELECT FORMATDATETIME(CURRENT_TIMESTAMP, 'yyyy-MM-dd HH:mm:ss', 'en', 'UTC')"
    long_text = "CHARACTER LARGE OBJECT"
    long_binary = "BINARY LARGE OBJECT"
    digits = 100_000
    length = 1_000_000
    words: ClassVar[Mapping[Kind, str]] = WORDS | {Kind.INT8: "TINYINT", Kind.UUID: "UUID"}
    kinds: ClassVar[Mapping[str, Kind]] = KINDS | {"DECFLOAT": Kind.DECIMAL, "VARCHAR_IGNORECASE": Kind.TEXT}
    default_schema = "PUBLIC"
    jdbc = JdbcFacts(driver="org.h2.Driver", exact_temporals=True)
    # https://www.h2database.com/javadoc/org/h2/api/ErrorCode.html
    errors: ClassVar[Mapping[str, type[HdmError]]] = by_code(
        (ConnectionLost, "90067 90098 90121 90043 08000 08001"),
        (Deadlock, "40001"),
        (TransientError, "HYT00 50200 57014 90020 90031 90039"),
        (UsageError, "28000 90013 90096 90040 90011 90046 90146 90124"),
        (RejectedRows, "22001 22003 22004 22007 22012 22018 22025 23502 23503 23505 23506 23513"),
        (SchemaDrift, "42S02 42S03 42S04 42S22 90079"),
    )

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type; a DECFLOAT has digits without bound."""
        if native.upper().startswith("DECFLOAT"):
            return Kind.DECIMAL, None, None, None
        return super().kind(native, length, precision, scale)

    def native(self, column: Column) -> Stored:
        """Return H2's type for another system's column; a decimal without bound is a DECFLOAT."""
        if column.kind is Kind.DECIMAL and column.precision is None:
            return Stored("DECFLOAT(100000)")
        return super().native(column)

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps, for each key, the row of table ``stage`` with the lowest ``_ROWID_``.

        Rows with the same key must be equal already.
        """
        of = self.qualify(stage)
        least = f"SELECT MIN(_ROWID_) FROM {of} GROUP BY {self.names(key)}"
        return [f"DELETE FROM {of} WHERE _ROWID_ NOT IN ({least})"]
