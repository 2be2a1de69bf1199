"""The SQL of the standard (ISO/IEC 9075), for systems of which hdm knows no more than that.

Only statements that most systems share are written. What a system lacks is refused by the system itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import HdmError
from hdm.model import Column, Kind

KINDS: dict[str, Kind] = {
    "BOOLEAN": Kind.BOOLEAN, "BOOL": Kind.BOOLEAN, "TINYINT": Kind.INT8, "SMALLINT": Kind.INT16,
    "INTEGER": Kind.INT32, "INT": Kind.INT32, "BIGINT": Kind.INT64, "REAL": Kind.FLOAT32,
    "DOUBLE": Kind.FLOAT64, "DOUBLE PRECISION": Kind.FLOAT64, "FLOAT": Kind.FLOAT64,
    "NUMERIC": Kind.DECIMAL, "DECIMAL": Kind.DECIMAL, "CHARACTER": Kind.TEXT, "CHAR": Kind.TEXT,
    "VARCHAR": Kind.TEXT, "CHARACTER VARYING": Kind.TEXT, "CHAR VARYING": Kind.TEXT, "CLOB": Kind.TEXT,
    "CHARACTER LARGE OBJECT": Kind.TEXT, "LONGVARCHAR": Kind.TEXT, "NCHAR": Kind.TEXT,
    "NVARCHAR": Kind.TEXT, "NATIONAL CHARACTER": Kind.TEXT, "NATIONAL CHARACTER VARYING": Kind.TEXT,
    "NCLOB": Kind.TEXT, "BINARY": Kind.BINARY, "VARBINARY": Kind.BINARY, "BINARY VARYING": Kind.BINARY,
    "LONGVARBINARY": Kind.BINARY, "BLOB": Kind.BINARY, "BINARY LARGE OBJECT": Kind.BINARY,
    "DATE": Kind.DATE, "TIME": Kind.TIME, "TIME WITHOUT TIME ZONE": Kind.TIME,
    "TIME WITH TIME ZONE": Kind.TIMETZ, "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMP WITHOUT TIME ZONE": Kind.TIMESTAMP, "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
    "UUID": Kind.UUID, "JSON": Kind.JSON, "ARRAY": Kind.ARRAY,
}  # fmt: skip
"""A type's words -> its kind; any other type travels as text."""
WORDS: dict[Kind, str] = {
    Kind.BOOLEAN: "BOOLEAN", Kind.INT8: "SMALLINT", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
    Kind.INT64: "BIGINT", Kind.FLOAT32: "REAL", Kind.FLOAT64: "DOUBLE PRECISION", Kind.DATE: "DATE",
}  # fmt: skip
_TEXTS = (Kind.TEXT, Kind.UUID)


class AnsiDialect(Dialect):
    """The SQL that the standard and most systems share: quoted names, CAST, MERGE, FETCH FIRST."""

    name = "ansi"
    max_identifier = 128
    identifier_unit = "characters"
    max_path = 3
    plain_strings = True
    transactional_ddl = False
    plain_stage = True
    null_safe = "({a} = {b} OR ({a} IS NULL AND {b} IS NULL))"
    temporary_table = "CREATE LOCAL TEMPORARY TABLE"
    text_type = "VARCHAR(4000)"
    long_text: ClassVar[str] = "CLOB"
    """The type of texts without a declared length."""
    long_binary: ClassVar[str] = "BLOB"
    """The type of bytes without a declared length."""
    digits: ClassVar[int] = 38
    """Most digits of a decimal."""
    fraction: ClassVar[int] = 9
    """Most digits of a fraction of a second."""
    length: ClassVar[int] = 4000
    """Greatest length of VARCHAR and VARBINARY; what is longer becomes a large object."""
    words: ClassVar[Mapping[Kind, str]] = WORDS
    """The system's word for each kind that needs no numbers."""
    kinds: ClassVar[Mapping[str, Kind]] = KINDS
    errors: ClassVar[Mapping[str, type[HdmError]]] = {}

    # -- values ----------------------------------------------------------------

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal: a plain one of numbers and texts, else a CAST of a text."""
        if column.kind in INTEGERS or column.kind is Kind.DECIMAL:
            return self.number(text, column)
        return self.string(text) if column.kind is Kind.TEXT else super().literal(text, column)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text; a text as it is."""
        return expression if column.kind is Kind.TEXT else f"CAST({expression} AS VARCHAR(128))"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not floats, large objects and times with zones.

        The text of a float need not be exact, and that of a time with a zone has many forms.
        """
        large = column.native.upper().startswith((self.long_text, "CLOB", "NCLOB", "LONG"))
        unsure = (Kind.FLOAT32, Kind.FLOAT64, Kind.TIMESTAMPTZ)
        return super().is_sortable(column) and column.kind not in unsure and not large

    # -- types -----------------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type; a clock time without digits has none.

        A timestamp without digits has six.
        """
        kind, length, precision, scale = super().kind(native, length, precision, scale)
        if kind is Kind.TIME and precision is None:
            precision = 0
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and precision is None:
            precision = 6
        return kind, length, precision, scale

    def native(self, column: Column) -> Stored:
        """Return the standard's type for another system's column."""
        kind = column.kind
        if kind in self.words:
            return Stored(self.words[kind])
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= self.digits and 0 <= scale <= precision:
                return Stored(f"DECIMAL({precision},{scale})")
            return Stored("VARCHAR(256)", Fidelity.APPROXIMATED, f"beyond {self.digits} digits: kept as text")
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return self._clock(kind, 6 if column.precision is None else column.precision)
        if kind is Kind.BINARY:
            fits = column.length is not None and column.length <= self.length
            return Stored(f"VARBINARY({column.length})" if fits else self.long_binary)
        if kind is Kind.UUID:
            return Stored("VARCHAR(36)", Fidelity.APPROXIMATED, "kept as text")
        if kind is Kind.TEXT and column.length is not None and column.length <= self.length:
            return Stored(f"VARCHAR({column.length})")
        if kind is Kind.TEXT:
            return Stored(self.long_text)
        return Stored(self.long_text, Fidelity.APPROXIMATED, "kept as text")

    def _clock(self, kind: Kind, digits: int) -> Stored:
        kept = min(digits, self.fraction)
        zone = " WITH TIME ZONE" if kind is Kind.TIMESTAMPTZ else ""
        word = f"{'TIME' if kind is Kind.TIME else 'TIMESTAMP'}({kept}){zone}"
        if kept < digits:
            return Stored(word, Fidelity.LOSSY, f"keeps {kept} of {digits} digits of a second")
        return Stored(word)

    # -- merging ---------------------------------------------------------------

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
        """Return one MERGE statement; equal rows of the stage count once."""
        rest = [name for name in columns if name not in key]
        names, of = self.names(columns), self.qualify(stage)
        staged = f"SELECT DISTINCT {names} FROM {of} WHERE {self.keyed(key, null_keys, alias='')}"
        update = ""
        if rest:
            pairs = ", ".join(f"{self.quote(name)} = s.{self.quote(name)}" for name in rest)
            guard = f" AND {self.not_older('s', 't', newest)}" if newest else ""
            update = f"WHEN MATCHED{guard} THEN UPDATE SET {pairs} "
        return [
            f"MERGE INTO {self.qualify(target)} AS t USING ({staged}) AS s "
            f"ON ({self.match('t', 's', key, null_safe=null_keys, exact=exact)}) {update}"
            f"WHEN NOT MATCHED THEN INSERT ({names}) "
            f"VALUES ({', '.join('s.' + self.quote(name) for name in columns)})"
        ]

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return no statement, since ``merge`` itself takes one of several equal rows of the stage."""
        return []

    def first(self, sql: str) -> str:
        """Return a query limited to at most one row."""
        return f"{sql} FETCH FIRST 1 ROWS ONLY"

    # -- errors ----------------------------------------------------------------

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a row with this key exists already (SQLSTATE 23505)."""
        return getattr(error, "sqlstate", None) == "23505"
