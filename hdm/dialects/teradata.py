"""The SQL of Teradata Vantage, in ANSI mode: https://docs.teradata.com.

In Teradata mode, texts that are too long are cut silently, and CREATE TABLE makes SET tables, which
drop rows that are there already. hdm's sessions are in ANSI mode, and its DDL names MULTISET.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from hdm.dialects.ansi import AnsiDialect
from hdm.dialects.base import PAGE
from hdm.dialects.sqlstates import STATES
from hdm.dialects.teradata_errors import ERRORS, HINTS, number_of, state_of
from hdm.dialects.teradata_facts import TeradataFacts
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import HdmError
from hdm.model import Column, Condition, Kind

INDEX_MARK = "HDM_PRIMARY_INDEX"
"""Stands in a condition on hash buckets for the columns of the table's primary index."""
_KINDS: dict[str, Kind] = {
    "BYTEINT": Kind.INT8, "SMALLINT": Kind.INT16, "INTEGER": Kind.INT32, "INT": Kind.INT32,
    "BIGINT": Kind.INT64, "FLOAT": Kind.FLOAT64, "REAL": Kind.FLOAT64, "DOUBLE PRECISION": Kind.FLOAT64,
    "DECIMAL": Kind.DECIMAL, "NUMERIC": Kind.DECIMAL, "NUMBER": Kind.DECIMAL, "CHAR": Kind.TEXT,
    "CHARACTER": Kind.TEXT, "VARCHAR": Kind.TEXT, "CLOB": Kind.TEXT, "BYTE": Kind.BINARY,
    "VARBYTE": Kind.BINARY, "BLOB": Kind.BINARY, "DATE": Kind.DATE, "TIME": Kind.TIME,
    "TIME WITH TIME ZONE": Kind.TIMETZ, "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ, "JSON": Kind.JSON, "ARRAY": Kind.ARRAY,
}  # fmt: skip
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "BYTEINT", Kind.INT8: "BYTEINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "FLOAT", Kind.FLOAT64: "FLOAT", Kind.DATE: "DATE",
}  # fmt: skip
_LONGEST = 32_000
_FETCHED_AS_CLOB = (Kind.JSON, Kind.ARRAY)


class TeradataDialect(TeradataFacts, AnsiDialect):
    """The SQL of Teradata 16.20 or later."""

    name = "teradata"
    sqlglot = "teradata"
    grants_script = "teradata"
    ignores_case = "all"
    max_path = 2
    page_ranges = True
    """Pages are hash buckets of the primary index, so a row stays on its page unless its index changes."""
    text_type = "VARCHAR(32000)"
    temporary_table = "CREATE MULTISET VOLATILE TABLE"
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    states: ClassVar[Mapping[str, type[HdmError]]] = STATES
    repeats_unknown = False
    clock = "SELECT TO_CHAR(CURRENT_TIMESTAMP AT TIME ZONE 'GMT', 'YYYY-MM-DD HH24:MI:SS')"
    session_statements = ("SET TIME ZONE 'GMT'",)

    # -- values ----------------------------------------------------------------

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal; dates and times as ANSI literals, which no session's format changes."""
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            return self.number(text, column)
        if column.kind is Kind.TEXT:
            return self.string(text)
        if column.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP):
            return f"{column.kind.value.upper()} {self.string(text)}"
        return super().literal(text, column)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text, timestamps with all six digits of a second."""
        if column.kind is Kind.TEXT:
            return expression
        if column.kind is Kind.DATE:
            return f"TO_CHAR({expression}, 'YYYY-MM-DD')"
        if column.kind is Kind.TIMESTAMP:
            return f"TO_CHAR({expression}, 'YYYY-MM-DD HH24:MI:SS.FF6')"
        if column.kind is Kind.DECIMAL:
            return f"TO_CHAR({expression})"
        return f"TRIM(CAST({expression} AS VARCHAR(64)))"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not texts, floats and times with zones.

        A text column that is NOT CASESPECIFIC is sorted without case, but is compared with a literal by case
        in ANSI mode, so ranges could overlap.
        """
        unsure = (Kind.TEXT, Kind.FLOAT32, Kind.FLOAT64, Kind.TIMESTAMPTZ, Kind.UUID)
        return super().is_sortable(column) and column.kind not in unsure

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads a CHAR without the blanks that the encoding adds, and JSON as a CLOB.

        The driver pads a CHAR to three bytes for each character ("Character Export Width").
        """
        name = self.quote(column.name)
        if column.native.upper().startswith("CHAR") and column.length:
            return f"CAST({name} AS VARCHAR({column.length}))"
        return f"CAST({name} AS CLOB)" if column.kind in _FETCHED_AS_CLOB else name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds; for a date, minus whole days."""
        if column.kind is Kind.DATE:
            return f"({expression} - {round(amount / 86400):d})"
        micros = round(amount * 1_000_000)
        days, rest = divmod(micros, 86_400_000_000)
        hours, rest = divmod(rest, 3_600_000_000)
        minutes, rest = divmod(rest, 60_000_000)
        clock = f"{days:d} {hours:02d}:{minutes:02d}:{rest // 1_000_000:02d}.{rest % 1_000_000:06d}"
        return f"({expression} - INTERVAL '{clock}' DAY TO SECOND)"

    def modulo(self, expression: str, step: int) -> str:
        """Return SQL for the remainder by the operator MOD."""
        return f"({expression} MOD {step:d})"

    def physical(self, one: Condition) -> str:
        """Return a SQL condition on hash buckets for a range of ``@page``.

        ``INDEX_MARK`` in it stands for the columns of the table's primary index.
        """
        if one.column != PAGE or one.op not in (">=", "<") or not (one.value or "").isdigit():
            return super().physical(one)
        return f"HASHBUCKET(HASHROW({INDEX_MARK})) {one.op} {int(one.value or 0)}"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type as ``DBC.ColumnsV`` tells it.

        Periods, UDTs and XML are of kind OTHER and travel as the driver's text.
        """
        native = re.sub(r"\s+CHARACTER SET \w+", "", native, flags=re.IGNORECASE)
        if native.upper().startswith("INTERVAL"):
            return Kind.INTERVAL, None, None, None
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.DECIMAL and precision is None and not native.upper().startswith("NUMBER"):
            return kind, None, 5, 0
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and precision is None:
            precision = 6
        if kind in (Kind.TEXT, Kind.BINARY) and re.match(r"(CHAR|BYTE)\w*\Z", native.upper()):
            length = 1
        return kind, length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return Teradata's type for another system's column; texts are UNICODE."""
        kind = column.kind
        if kind in _NATIVE:
            why = {Kind.BOOLEAN: "kept as 0 and 1", Kind.FLOAT32: "kept as a double"}.get(kind, "")
            return Stored(_NATIVE[kind], Fidelity.APPROXIMATED if why else Fidelity.EXACT, why)
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= precision:
                return Stored(f"DECIMAL({precision},{scale})")
            return Stored("VARCHAR(256)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            digits = 6 if column.precision is None else column.precision
            word = f"{'TIME' if kind is Kind.TIME else 'TIMESTAMP'}({min(digits, 6)})"
            word += " WITH TIME ZONE" if kind is Kind.TIMESTAMPTZ else ""
            return Stored(word, Fidelity.LOSSY, f"keeps 6 of {digits} digits") if digits > 6 else Stored(word)
        if kind is Kind.BINARY:
            fits = column.length is not None and 0 < column.length <= 64_000
            return Stored(f"VARBYTE({column.length})" if fits else "BLOB")
        fits = kind is Kind.TEXT and column.length is not None and 0 < column.length <= _LONGEST
        if kind is Kind.TEXT:
            return Stored(
                f"VARCHAR({column.length}) CHARACTER SET UNICODE" if fits else "CLOB CHARACTER SET UNICODE"
            )
        return Stored("VARCHAR(32000) CHARACTER SET UNICODE", Fidelity.APPROXIMATED, "kept as text")

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return CREATE MULTISET TABLE; a temporary one keeps its rows after a commit."""
        made = super().create_table(path, columns, key, temporary=temporary)
        if temporary:
            return made + " ON COMMIT PRESERVE ROWS"
        return made.replace("CREATE TABLE", "CREATE MULTISET TABLE", 1)

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Return the RENAME TABLE statement."""
        return f"RENAME TABLE {self.qualify(path)} TO {self.qualify((*path[:-1], name))}"

    def drop_table(self, path: Sequence[str]) -> str:
        """Return the DROP TABLE statement, which fails if the table is not there."""
        return f"DROP TABLE {self.qualify(path)}"

    def first(self, sql: str) -> str:
        """Return a query limited to at most one row, by TOP."""
        return sql.replace("SELECT", "SELECT TOP 1", 1)

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return the number of an error; None if the server did not give one."""
        return number_of(error)

    def state(self, error: BaseException) -> str | None:
        """Return the SQLSTATE of an error of the driver's own, which has no number of the database."""
        return state_of(error)

    def hint(self, code: str) -> str | None:
        """Return a hint on what an operator can do about an error; None for any other."""
        return HINTS.get(code)
