"""The SQL of SAP HANA 2 and HANA Cloud: https://help.sap.com/docs/hana-cloud-database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.hana_facts import HanaFacts
from hdm.dialects.sqlstates import by_code
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.dialects.user_input import DENIED, WRITES
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
from hdm.model import Column, Kind

_KINDS: dict[str, Kind] = {
    "BOOLEAN": Kind.BOOLEAN, "TINYINT": Kind.INT16, "SMALLINT": Kind.INT16, "INTEGER": Kind.INT32,
    "BIGINT": Kind.INT64, "REAL": Kind.FLOAT32, "DOUBLE": Kind.FLOAT64, "FLOAT": Kind.FLOAT64,
    "DECIMAL": Kind.DECIMAL, "SMALLDECIMAL": Kind.DECIMAL, "CHAR": Kind.TEXT, "NCHAR": Kind.TEXT,
    "VARCHAR": Kind.TEXT, "NVARCHAR": Kind.TEXT, "ALPHANUM": Kind.TEXT, "SHORTTEXT": Kind.TEXT,
    "CLOB": Kind.TEXT, "NCLOB": Kind.TEXT, "TEXT": Kind.TEXT, "BINTEXT": Kind.TEXT, "BINARY": Kind.BINARY,
    "VARBINARY": Kind.BINARY, "BLOB": Kind.BINARY, "DATE": Kind.DATE, "TIME": Kind.TIME,
    "SECONDDATE": Kind.TIMESTAMP, "TIMESTAMP": Kind.TIMESTAMP,
}  # fmt: skip
"""TINYINT holds 0 to 255, so that a signed byte would not do."""
_NATIVE: dict[Kind, str] = {
    Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "SMALLINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "REAL", Kind.FLOAT64: "DOUBLE", Kind.DATE: "DATE",
}  # fmt: skip
_DIGITS = 7
"""Digits of a second that a TIMESTAMP keeps."""
_HINTS = {
    "258": DENIED,
    "10": "correct user and password in the profile",
    "414": "the user must change the password first",
    "146": "another transaction holds the lock; it is tried again",
    "7": WRITES,
}


class HanaDialect(HanaFacts, Dialect):
    """The SQL of SAP HANA, which keeps names as they are quoted."""

    name = "hana"
    grants_script = "hana"
    plain_strings = True
    max_identifier = 127
    identifier_unit = "characters"
    transactional_ddl = False
    text_type = "NVARCHAR(5000)"
    temporary_table = "CREATE LOCAL TEMPORARY TABLE"
    null_safe = "({a} = {b} OR ({a} IS NULL AND {b} IS NULL))"
    from_nothing = " FROM DUMMY"
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    clock = "SELECT TO_VARCHAR(CURRENT_UTCTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS') FROM DUMMY"
    repeats_unknown = False
    # SYS.M_ERROR_CODES; "SQL Error Codes" of the reference guide
    errors: ClassVar[Mapping[str, type[HdmError]]] = by_code(
        (Deadlock, "133"),
        (TransientError, "129 131 138 139 142 143 146 149 4 613"),
        (ConnectionLost, "-10108 -10709 -10806 -10807 -10821 -709 -813 600 601 602"),
        (UsageError, "10 258 332 331 414 415 416 591 663 7"),
        (SchemaDrift, "259 260 397"),
        (RejectedRows, "274 287 301 303 304 305 306 309 314 339 411 412 461 462"),
        (PermanentError, "257 262 264 266 267 268 270 273 276 288 289 328"),
    )

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal; numbers and texts plain, else converted with an explicit format."""
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            return self.number(text, column)
        if column.kind is Kind.TEXT:
            return self.string(text)
        if column.kind is Kind.DATE:
            return f"TO_DATE({self.string(text)}, 'YYYY-MM-DD')"
        if column.kind is Kind.TIME:
            return f"TO_TIME({self.string(text)}, 'HH24:MI:SS')"
        if column.kind is Kind.TIMESTAMP:
            return f"TO_TIMESTAMP({self.string(text)}, 'YYYY-MM-DD HH24:MI:SS.FF7')"
        return super().literal(text, column)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text; a timestamp with all seven digits of a second."""
        if column.kind is Kind.TEXT:
            return expression
        forms = {
            Kind.DATE: "YYYY-MM-DD",
            Kind.TIME: "HH24:MI:SS",
            Kind.TIMESTAMP: "YYYY-MM-DD HH24:MI:SS.FF7",
        }
        form = forms.get(column.kind)
        return f"TO_VARCHAR({expression}, '{form}')" if form else f"TO_VARCHAR({expression})"

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads a timestamp as text, since the driver's own value has six digits of seven."""
        name = self.quote(column.name)
        if column.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP):
            return self.text_of(name, column)
        if column.kind is Kind.DECIMAL and column.precision is None:
            return f"TO_VARCHAR({name})"
        return f"TO_NVARCHAR({name})" if column.kind is Kind.OTHER else name

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not floats and large texts."""
        large = column.native.upper().startswith(("CLOB", "NCLOB", "TEXT", "BINTEXT"))
        return super().is_sortable(column) and column.kind not in (Kind.FLOAT32, Kind.FLOAT64) and not large

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds; for a date, minus whole days."""
        if column.kind is Kind.DATE:
            return f"ADD_DAYS({expression}, -{round(amount / 86400):d})"
        return f"ADD_SECONDS({expression}, -{amount:.6f})"

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type; a DECIMAL without digits has no bound.

        Spatial types and arrays are of kind OTHER and travel as text.
        """
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.TIMESTAMP:
            return kind, None, 0 if native.upper().startswith("SECONDDATE") else _DIGITS, None
        if kind is Kind.TIME:
            return kind, None, 0, None
        return kind, length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return HANA's type for another system's column."""
        kind = column.kind
        if kind in _NATIVE:
            return Stored(_NATIVE[kind])
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= precision:
                return Stored(f"DECIMAL({precision},{scale})")
            return Stored("NVARCHAR(256)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            digits = 6 if column.precision is None else column.precision
            if digits > _DIGITS:
                return Stored("TIMESTAMP", Fidelity.LOSSY, f"keeps {_DIGITS} of {digits} digits of a second")
            zoned = kind is Kind.TIMESTAMPTZ
            return Stored(
                "TIMESTAMP", *((Fidelity.APPROXIMATED, "kept in UTC, without zone") if zoned else ())
            )
        if kind is Kind.TIME:
            whole = column.precision == 0
            return Stored("TIME", *(() if whole else (Fidelity.LOSSY, "keeps no fraction of a second")))
        if kind is Kind.BINARY:
            fits = column.length is not None and 0 < column.length <= 5000
            return Stored(f"VARBINARY({column.length})" if fits else "BLOB")
        if kind is Kind.TEXT:
            fits = (
                column.length is not None and 0 < column.length <= 2500
            )  # a character may be two of its units
            return Stored(f"NVARCHAR({2 * (column.length or 0)})" if fits else "NCLOB")
        return Stored("NCLOB", Fidelity.APPROXIMATED, "kept as text")

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return the number of an error of hdbcli; None if it has none."""
        number = getattr(error, "errorcode", None)
        if number is None and error.args and isinstance(error.args[0], int):
            number = error.args[0]
        return None if number is None else str(number)

    def hint(self, code: str) -> str | None:
        """Return a hint on what an operator can do about an error; None for any other."""
        return _HINTS.get(code)
