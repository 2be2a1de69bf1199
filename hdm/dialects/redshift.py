"""The SQL of Amazon Redshift: keys are not enforced, VARCHAR counts bytes, JSON is SUPER.

https://docs.aws.amazon.com/redshift/latest/dg/c_Supported_data_types.html.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from hdm.dialects.base import Dialect
from hdm.dialects.redshift_errors import ERRORS, HINTS, TEXTS
from hdm.dialects.redshift_facts import RedshiftFacts
from hdm.dialects.types import Fidelity, Stored
from hdm.errors import ConnectionLost, HdmError, UsageError
from hdm.model import Column, Kind

_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KINDS = {
    "BOOLEAN": Kind.BOOLEAN, "SMALLINT": Kind.INT16, "INTEGER": Kind.INT32, "BIGINT": Kind.INT64,
    "REAL": Kind.FLOAT32, "DOUBLE PRECISION": Kind.FLOAT64, "DECIMAL": Kind.DECIMAL, "NUMERIC": Kind.DECIMAL,
    "DATE": Kind.DATE, "TIME": Kind.TIME, "TIME WITHOUT TIME ZONE": Kind.TIME, "TIMETZ": Kind.TIMETZ,
    "TIME WITH TIME ZONE": Kind.TIMETZ, "TIMESTAMP": Kind.TIMESTAMP, "TIMESTAMP WITHOUT TIME ZONE":
    Kind.TIMESTAMP, "TIMESTAMPTZ": Kind.TIMESTAMPTZ, "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
    "VARCHAR": Kind.TEXT, "CHARACTER VARYING": Kind.TEXT, "CHAR": Kind.TEXT, "CHARACTER": Kind.TEXT,
    "BPCHAR": Kind.TEXT, "TEXT": Kind.TEXT, "VARBYTE": Kind.BINARY, "BINARY VARYING": Kind.BINARY,
    "VARBINARY": Kind.BINARY, "SUPER": Kind.JSON,
}  # fmt: skip
_FIXED: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("BOOLEAN"), Kind.INT8: Stored("SMALLINT"), Kind.INT16: Stored("SMALLINT"),
    Kind.INT32: Stored("INTEGER"), Kind.INT64: Stored("BIGINT"), Kind.FLOAT32: Stored("REAL"),
    Kind.FLOAT64: Stored("DOUBLE PRECISION"), Kind.DATE: Stored("DATE"),
    Kind.UUID: Stored("VARCHAR(36)", *_TEXT), Kind.JSON: Stored("SUPER", Fidelity.APPROXIMATED, "re-parsed"),
    Kind.INTERVAL: Stored("VARCHAR(128)", *_TEXT),
    Kind.TIMETZ: Stored("TIMETZ", Fidelity.LOSSY, "it keeps UTC, not the offset"),
    Kind.ENUM: Stored("VARCHAR(1024)", Fidelity.APPROXIMATED, "its labels are not enforced"),
}  # fmt: skip
_AS_TEXT = (Kind.DECIMAL, Kind.TIME, Kind.TIMETZ, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
LONGEST_TEXT, LONGEST_BINARY = 65_535, 16_777_216
"""The most bytes of a VARCHAR and of a VARBYTE."""
_SHOWN = ("08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57")
"""SQLSTATE classes whose message names objects, never values."""


class RedshiftDialect(RedshiftFacts, Dialect):
    """The SQL of Redshift, which folds names to lower case; VARCHAR counts bytes, at most 65,535."""

    name = "redshift"
    sqlglot = "redshift"
    grants_script = "redshift"
    ignores_case = "ascii"  # https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
    max_identifier = 127
    max_path = 3
    paramstyle = "format"
    enforces_keys = False
    kinds: ClassVar[Mapping[str, Kind]] = _KINDS
    text_type = "VARCHAR(65535)"
    clock = "SELECT TO_CHAR(GETDATE(), 'YYYY-MM-DD HH24:MI:SS')"
    present = "SYSDATE"
    """CURRENT_TIMESTAMP is a function of the leader node only."""
    # there is no IS NOT DISTINCT FROM
    null_safe = "({a} = {b} OR ({a} IS NULL AND {b} IS NULL))"
    # a database may ignore case (COLLATE CASE_INSENSITIVE), and blanks at the end
    exact_text = "MD5({})"
    head_lock = "LOCK TABLE {}"
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    session_settings: ClassVar[Mapping[str, str]] = {
        "timezone": "'UTC'",
        "datestyle": "'ISO, YMD'",
        "extra_float_digits": "2",
        "statement_timeout": "0",
        "enable_case_sensitive_identifier": "off",
        "json_parse_truncate_strings": "off",
        "json_parse_dedup_attributes": "off",
    }
    """https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html"""

    def set_session(self, name: str, value: str) -> str:
        """Return the SET statement that gives a setting its value until the session ends."""
        return f"SET {name} TO {value}"

    # -- values ----------------------------------------------------------------

    def string(self, text: str) -> str:
        """Return a string literal, with backslashes doubled, because they are escapes in Redshift."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not floats, whose text may lack digits."""
        return super().is_sortable(column) and column.kind not in (Kind.FLOAT32, Kind.FLOAT64)

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads SUPER as JSON text, VARBYTE as hex digits, decimals and times as text.

        redshift_connector 2.2 rounds decimals to 28 digits where the server sends them in binary.
        """
        name = self.quote(column.name)
        if column.kind is Kind.JSON:
            return f"JSON_SERIALIZE({name})"
        if column.kind is Kind.BINARY:
            return f"TO_HEX({name})"
        if column.kind in _AS_TEXT:
            return f"CAST({name} AS VARCHAR(64))"
        if column.kind is Kind.OTHER:
            return f"CAST({name} AS VARCHAR(65535))"
        return name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds, rounded to the microsecond; whole days for
        a date."""
        if column.kind is Kind.DATE:
            return f"({expression} - {round(amount / 86400):d})"
        return f"({expression} - INTERVAL '{amount:.6f} seconds')"

    # -- types -----------------------------------------------------------------

    def native(self, column: Column) -> Stored:
        """Return Redshift's type for another system's column.

        Lengths of text are multiplied by four, the bytes that a character of UTF-8 may need.
        """
        kind = column.kind
        if kind in _FIXED:
            return _FIXED[kind]
        if kind is Kind.DECIMAL:
            precision, scale = column.precision, column.scale or 0
            if precision is not None and precision <= 38 and 0 <= scale <= min(precision, 37):
                return Stored(f"DECIMAL({precision},{scale})")
            return Stored("VARCHAR(65535)", Fidelity.APPROXIMATED, "beyond 38 digits: kept as text")
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            name = {Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP"}.get(kind, "TIMESTAMPTZ")
            lossy = (column.precision or 0) > 6
            return Stored(name, Fidelity.LOSSY, "it keeps microseconds") if lossy else Stored(name)
        if kind is Kind.TEXT:
            length = None if column.length is None else column.length * 4
            return _sized("VARCHAR", length, LONGEST_TEXT)
        if kind is Kind.BINARY:
            return _sized("VARBYTE", column.length, LONGEST_BINARY)
        return Stored("VARCHAR(65535)", *_TEXT)

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table with the target's own types; all may be NULL."""
        names = self.names(column.name for column in columns)
        empty = f"SELECT {names} FROM {self.qualify(target)} WHERE 1 = 0"
        return f"{self.temporary_table} {self.qualify(path)} AS {empty}"

    # -- merging: correlated subqueries with OR are refused, so tables are joined ------

    def insert_missing(
        self, into: str, of: str, columns: Sequence[str], key: Sequence[str], same: str, only: str
    ) -> str:
        """Return the INSERT of a merge, for rows of table ``of`` (s) that match no row of ``into`` (t)."""
        there = f"(SELECT {self.names(key)}, 1 AS hdm_there FROM {into}) AS t"
        return (
            f"INSERT INTO {into} ({self.names(columns)}) "
            f"SELECT {', '.join('s.' + self.quote(name) for name in columns)} FROM {of} AS s "
            f"LEFT JOIN {there} ON {same} WHERE {only} AND t.hdm_there IS NULL"
        )

    def found(
        self,
        target: Sequence[str],
        stage: Sequence[str],
        key: Sequence[str],
        *,
        null_keys: bool,
        exact: Collection[str],
        older_than: str | None = None,
    ) -> str:
        """Return a query that counts the rows of table ``stage``, one per key, whose key is in ``target``."""
        same = self.match("t", "s", key, null_safe=null_keys, exact=exact)
        only = self.keyed(key, null_keys)
        older = f" AND {self.older('s', 't', older_than)}" if older_than else ""
        keys = ", ".join(f"s.{self.quote(name)}" for name in key)
        matched = (
            f"SELECT DISTINCT {keys} FROM {self.qualify(stage)} AS s "
            f"JOIN {self.qualify(target)} AS t ON {same} WHERE {only}{older}"
        )
        return f"SELECT COUNT(*) FROM {self.derived(matched)}"

    def delete_matched(
        self, target: Sequence[str], stage: Sequence[str], key: Sequence[str], exact: Collection[str]
    ) -> str:
        """Return the statement that deletes the rows of ``target`` whose key a row of ``stage`` has."""
        into, table = self.qualify(target), self.quote(target[-1])
        same = self.match(table, "s", key, null_safe=False, exact=exact)
        return f"DELETE FROM {into} USING {self.qualify(stage)} AS s WHERE {same}"

    def drop_older(self, stage: Sequence[str], key: Sequence[str], newest: str) -> list[str]:
        """Return SQL that keeps, for each key in table ``stage``, only the rows with the greatest cursor."""
        of, table, mark = self.qualify(stage), self.quote(stage[-1]), self.quote(newest)
        most = f"SELECT {self.names(key)}, MAX({mark}) AS hdm_newest FROM {of} GROUP BY {self.names(key)}"
        same = self.match(table, "m", key, null_safe=True)
        older = f"({table}.{mark} IS NULL OR {table}.{mark} < m.hdm_newest)"
        return [f"DELETE FROM {of} USING ({most}) AS m WHERE {same} AND m.hdm_newest IS NOT NULL AND {older}"]

    def conflicts(self, stage: Sequence[str], columns: Sequence[Column], key: Sequence[str]) -> str:
        """Return a query that gives a row if table ``stage`` has different rows with the same key.

        SUPER is compared as its text.
        """
        shown = ", ".join(
            f"JSON_SERIALIZE({self.quote(one.name)}) AS {self.quote(one.name)}"
            if one.kind is Kind.JSON
            else self.quote(one.name)
            for one in columns
        )
        distinct = self.derived(f"SELECT DISTINCT {shown} FROM {self.qualify(stage)}")
        return self.first(f"SELECT 1 FROM {distinct} GROUP BY {self.names(key)} HAVING COUNT(*) > 1")

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps one row of table ``stage`` per key; they must be equal in ``columns``."""
        of, spare = self.qualify(stage), self.qualify((*stage[:-1], stage[-1] + "_1"))
        every, by = self.names([*columns, *rest]), self.names(key)
        ranked = (
            f"SELECT {every}, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY {self.names([*key, *rest])}) "
            f"AS hdm_n FROM {of}"
        )
        one = f"SELECT {every} FROM {self.derived(ranked)} WHERE hdm_n = 1"
        return [
            f"{self.temporary_table} {spare} AS {one}",
            f"DELETE FROM {of}",
            f"INSERT INTO {of} ({every}) SELECT {every} FROM {spare}",
            self.drop_temporary(spare),
        ]

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return an error's SQLSTATE; of an XX000, a word for what its text says, if that is known."""
        said = _fields(error)
        state = said.get("C")
        if state in (None, "XX000"):
            text = " ".join(str(said.get(field, "")) for field in "MD") if said else str(error)
            for known, word in TEXTS:
                if said and known.search(text.strip()):
                    return word
        return state

    def describe_error(self, error: BaseException) -> str:
        """Return an error's SQLSTATE or word, and its text if that cannot quote values."""
        code, said = self.code(error) or "", _fields(error)
        text = f"Redshift {code} {type(error).__name__}".replace("  ", " ")
        return f"{text}: {said['M']}" if code.startswith(_SHOWN) and said.get("M") else text

    def classify(self, error: BaseException) -> HdmError:
        """Translate a driver's error; one without a SQLSTATE is a broken or refused connection."""
        if not isinstance(error, HdmError) and self.code(error) is None:
            text = str(error)
            if "authentication" in text.lower() or "password" in text.lower():
                return UsageError("Redshift refuses the login", hint="check user and password in the profile")
            if type(error).__name__ in ("InterfaceError", "OperationalError", "error", "struct.error"):
                return ConnectionLost(f"Redshift cannot be reached or went away ({type(error).__name__})")
        return super().classify(error)

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error; None if there is none."""
        return HINTS.get(code)


def _fields(error: BaseException) -> dict[str, Any]:
    """Return the fields of the server's ErrorResponse, by their letters; empty if the driver made the error.

    https://www.postgresql.org/docs/current/protocol-error-fields.html
    """
    first = error.args[0] if error.args else None
    return first if isinstance(first, dict) else {}


def _sized(name: str, size: int | None, most: int) -> Stored:
    if size is not None and size <= most:
        return Stored(f"{name}({size})")
    return Stored(f"{name}({most})", Fidelity.APPROXIMATED, f"longer values than {most} bytes fail")
