"""The SQL of HSQLDB 2.5 or later, a database in Java: https://hsqldb.org/doc/2.0/guide/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from hdm.dialects.ansi import KINDS, WORDS, AnsiDialect
from hdm.dialects.jdbc_facts import JdbcFacts
from hdm.dialects.sqlstates import by_code
from hdm.errors import ConnectionLost, Deadlock, HdmError, RejectedRows, SchemaDrift, UsageError
from hdm.model import Column, Kind


class HsqldbDialect(AnsiDialect):
    """The SQL of HSQLDB; by default it takes texts for equal that differ in blanks at their end."""

    name = "hsqldb"
    from_nothing = " FROM (VALUES(0)) AS hdm_one"
    temporary_table = "DECLARE LOCAL TEMPORARY TABLE"
    exact_text = "CHAR_LENGTH({})"
    """Texts that are equal but for blanks at their end differ in length."""
    long_text = "LONGVARCHAR"
    long_binary = "LONGVARBINARY"
    digits = 1000
    length = 1_000_000
    words: ClassVar[Mapping[Kind, str]] = WORDS | {
        Kind.INT8: "TINYINT", Kind.UUID: "UUID", Kind.FLOAT32: "DOUBLE PRECISION",
    }  # fmt: skip
    kinds: ClassVar[Mapping[str, Kind]] = KINDS | {
        "REAL": Kind.FLOAT64, "VARCHAR_IGNORECASE": Kind.TEXT,
    }  # fmt: skip
    default_schema = "PUBLIC"
    jdbc = JdbcFacts(
        driver="org.hsqldb.jdbc.JDBCDriver",
        numbers_rows=False,
        exact_temporals=True,
        unbounded={Kind.TEXT: "LONGVARCHAR", Kind.BINARY: "LONGVARBINARY"},
    )
    errors: ClassVar[Mapping[str, type[HdmError]]] = by_code(
        (ConnectionLost, "08000 08001 08003 08006 08501 08502"),
        (Deadlock, "40001 40502"),
        (UsageError, "28000 28501 25006 42533 42581"),
        (RejectedRows, "22001 22003 22007 22012 22018 23502 23503 23504 23505 23513 3301"),
        (SchemaDrift, "42501"),
    )

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a session's temporary table, whose rows stay after a commit."""
        return super().create_stage(path, target, columns) + " ON COMMIT PRESERVE ROWS"
