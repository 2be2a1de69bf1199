"""Oracle's SQL: one NUMBER for all numbers, '' is NULL, DATE has a time, DDL commits.

Data types: https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Data-Types.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import ClassVar

from hdm.dialects import referring
from hdm.dialects.native_type import is_read_coarser
from hdm.dialects.oracle_errors import ERRORS, HINTS, code_of
from hdm.dialects.oracle_facts import OracleFacts
from hdm.dialects.oracle_merging import OracleMerging
from hdm.dialects.types import INTEGERS, SECONDS, Fidelity, Stored
from hdm.errors import HdmError, UsageError
from hdm.model import Column, Condition, Kind

ROWID = "@rowid"
"""The pseudo-column of row addresses in ``Condition``; its values are ROWIDs as text."""
_NAME = re.compile(r"\s*([A-Z0-9_ .]*?)\s*(?:\(\s*(\d+|\*)\s*(?:CHAR|BYTE)?\s*(?:,\s*(-?\d+)\s*)?\)(.*))?\Z")
_ROWID = re.compile(r"[A-Za-z0-9+/]{18}\Z")
_KINDS: dict[str, Kind] = {
    "BINARY_FLOAT": Kind.FLOAT32, "BINARY_DOUBLE": Kind.FLOAT64,
    "VARCHAR2": Kind.TEXT, "NVARCHAR2": Kind.TEXT, "CHAR": Kind.TEXT, "NCHAR": Kind.TEXT,
    "VARCHAR": Kind.TEXT, "CLOB": Kind.TEXT, "NCLOB": Kind.TEXT, "LONG": Kind.TEXT,
    "RAW": Kind.BINARY, "BLOB": Kind.BINARY, "LONG RAW": Kind.BINARY,
    "BOOLEAN": Kind.BOOLEAN, "JSON": Kind.JSON, "ROWID": Kind.OTHER, "UROWID": Kind.OTHER,
}  # fmt: skip
_SCALED = re.compile(r"NUMBER\((\d+),(-?\d+)\)")
_DIGITS = {Kind.INT8: 3, Kind.INT16: 5, Kind.INT32: 10, Kind.INT64: 19}
_LOBS = ("CLOB", "NCLOB", "BLOB", "LONG", "XMLTYPE", "JSON", "BFILE")
_OTHERS = ("ROWID", "UROWID", "XMLTYPE", "TEXT")
"""Types of kind OTHER that are read as text; TEXT is none of Oracle's, but a word of ``types:``."""
_DATE, _STAMP = "SYYYY-MM-DD HH24:MI:SS", "SYYYY-MM-DD HH24:MI:SS.FF9"
_MARKS = "NLS_NUMERIC_CHARACTERS='.,'"
_EMPTY = "Oracle keeps '' as NULL"


class OracleDialect(OracleFacts, OracleMerging):
    """The SQL of Oracle Database 12.2 or later, and Exadata; DDL statements commit the transaction."""

    name = "oracle"
    grants_script = "oracle"
    sqlglot = "oracle"
    referring_keys = referring.ORACLE
    all_keys = referring.ORACLE_ALL
    plain_strings = True
    max_identifier = 128
    max_path = 2
    paramstyle = "numeric"
    transactional_ddl = False
    null_safe = "DECODE({a}, {b}, 1, 0) = 1"
    exact_text = "NLSSORT({}, 'NLS_SORT=BINARY')"
    temporary_table = "CREATE PRIVATE TEMPORARY TABLE"
    adds_column = "ADD"
    from_nothing = " FROM dual"
    empty_is_null = True
    text_type = "VARCHAR2(4000)"
    bigint_type = "NUMBER(19)"
    key_text_type = "VARCHAR2(128)"
    session_settings: ClassVar[Mapping[str, str]] = {
        "TIME_ZONE": "'UTC'",
        "NLS_NUMERIC_CHARACTERS": "'.,'",
        "NLS_CALENDAR": "'GREGORIAN'",
        "NLS_COMP": "BINARY",
        "NLS_SORT": "BINARY",
        "NLS_DATE_LANGUAGE": "'AMERICAN'",
        "NLS_DATE_FORMAT": "'SYYYY-MM-DD HH24:MI:SS'",
        "NLS_TIMESTAMP_FORMAT": "'SYYYY-MM-DD HH24:MI:SS.FF9'",
        "NLS_TIMESTAMP_TZ_FORMAT": "'SYYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM'",
    }
    """https://docs.oracle.com/en/database/oracle/oracle-database/23/nlspg/setting-up-globalization-support-environment.html."""
    errors: ClassVar[Mapping[str, type[HdmError]]] = ERRORS
    repeats_unknown = False

    def set_session(self, name: str, value: str) -> str:
        """Return the ALTER SESSION statement that gives a setting its value until the session ends."""
        return f"ALTER SESSION SET {name} = {value}"

    # -- names and values ------------------------------------------------------

    def quote(self, name: str) -> str:
        """Return a quoted name; raise ``UsageError`` for a double quote, which no name can contain."""
        if '"' in name:
            raise UsageError(f"oracle cannot have a double quote in a name: {name!r}", hint="rename it")
        return super().quote(name)

    def qualify(self, path: Sequence[str]) -> str:
        """Return a table's full name; a private temporary table's name gets Oracle's prefix for these."""
        if len(path) == 1 and path[0].startswith("_hdm_stage_"):
            return self.quote("ORA$PTT_" + path[0])
        return super().qualify(path)

    def derived(self, sql: str) -> str:
        """Return a query as a table expression, without ``AS``, which Oracle does not allow here."""
        return f"({sql}) hdm_q"

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal with an explicit format, so that the session's NLS settings do not matter."""
        kind = column.kind
        if kind in INTEGERS or kind is Kind.DECIMAL:
            return self.number(text, column)
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"TO_BINARY_DOUBLE({self.string(text)})"
        if kind is Kind.TIMESTAMP and column.native.upper() == "DATE":
            return f"TO_DATE({self.string(text)}, '{_DATE}')"
        if kind in (Kind.DATE, Kind.TIMESTAMP):
            return f"TO_TIMESTAMP({self.string(text)}, '{_STAMP}')"
        if kind is Kind.TIMESTAMPTZ:
            return f"FROM_TZ(TO_TIMESTAMP({self.string(text)}, '{_STAMP}'), 'UTC')"
        if kind is Kind.BINARY:
            return f"HEXTORAW({self.string(text)})"
        return self.string(text)

    def day(self, day: date, column: Column) -> str:
        """Return the beginning of a day as text, with the nine digits of a second that ``text_of`` gives."""
        return f"{day.isoformat()} 00:00:00" + ("" if column.native.upper() == "DATE" else ".000000000")

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text by an explicit format, numbers with all their digits."""
        kind = column.kind
        if kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"TO_CHAR({expression}, '9.9999999999999999EEEE', '{_doubled(_MARKS)}')"
        if kind in INTEGERS or kind is Kind.DECIMAL:
            return f"TO_CHAR({expression}, 'TM9', '{_doubled(_MARKS)}')"
        if kind is Kind.TIMESTAMP and column.native.upper() == "DATE":
            return f"LTRIM(TO_CHAR({expression}, '{_DATE}'))"
        if kind in (Kind.DATE, Kind.TIMESTAMP):
            return f"LTRIM(TO_CHAR({expression}, '{_STAMP}'))"
        if kind is Kind.TIMESTAMPTZ:
            return f"LTRIM(TO_CHAR(SYS_EXTRACT_UTC({expression}), '{_STAMP}'))"
        if kind is Kind.BINARY:
            return f"RAWTOHEX({expression})"
        return f"CAST({expression} AS VARCHAR2(4000))"

    def is_sortable(self, column: Column) -> bool:
        """Return True if a column's values can be sorted; not LOBs, which cannot be compared."""
        return super().is_sortable(column) and _bare(column.native) not in _LOBS

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads a column as text where the driver would falsify it or Arrow has no type.

        Timestamps with a zone are read in UTC. The driver's data frames falsify numbers with a scale that is
        negative or beyond the precision (they arrive unscaled), refuse those with 38 digits after the point,
        and falsify seconds with more than six digits (cut; outside of 1677 to 2262 they wrap around). Numbers
        without bound, XML, JSON and intervals have no Arrow type. A date that ``types:`` makes a text is read
        as one, since the driver knows only the years 1 to 9999.
        """
        name, native, kind = self.quote(column.name), _bare(column.native), column.kind
        if kind is Kind.TEXT and (native == "DATE" or native.startswith("TIMESTAMP")):
            return self.text_of(name, self.column_from_catalog(column.name, column.native))
        if kind is Kind.DECIMAL and (column.precision is None or _scales(column.native)):
            text = f"TO_CHAR({name}, 'TM9', '{_doubled(_MARKS)}')"
            return rf"REGEXP_REPLACE({text}, '^(-?)\.', '\10.')"
        if kind in SECONDS and ((column.precision or 0) > 6 or is_read_coarser(column)):
            return self.text_of(name, column)
        if kind is Kind.TIMESTAMPTZ:
            return f"CAST(SYS_EXTRACT_UTC({name}) AS TIMESTAMP({column.precision or 0}))"
        if native == "XMLTYPE":
            return f"XMLSERIALIZE(CONTENT {name} AS CLOB)"
        if kind is Kind.JSON:
            return f"JSON_SERIALIZE({name} RETURNING CLOB)"
        if kind is Kind.INTERVAL:
            return f"TO_CHAR({name})"
        if native in ("ROWID", "UROWID"):
            return f"CAST({name} AS VARCHAR2(4000))"
        return name

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus ``amount`` seconds, for DATE and TIMESTAMP."""
        return f"({expression} - NUMTODSINTERVAL({amount:.6f}, 'SECOND'))"

    def physical(self, one: Condition) -> str:
        """Return a SQL condition on a range of row addresses, which Oracle scans directly."""
        if one.column != ROWID or one.op not in (">=", "<") or not _ROWID.match(one.value or ""):
            return super().physical(one)
        return f"ROWID {one.op} CHARTOROWID({self.string(one.value or '')})"

    # -- types and tables ------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type.

        NUMBER without precision is a decimal without bound, which travels as text.
        """
        found = _NAME.match(native.upper())
        name = found[1] if found else native.upper()
        first = int(found[2]) if found and found[2] and found[2] != "*" else None
        rest = found[4] or "" if found else ""
        if name == "NUMBER":
            if found and found[2]:
                precision, scale = first, int(found[3] or 0)
            if precision is None and scale is not None:
                precision = 38
            if precision is not None and scale is not None and not 0 <= scale <= precision:
                # NUMBER(5,-2) has seven digits, of which two are 0; NUMBER(3,5) has five after the point
                precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
                if precision > 38:
                    precision = scale = None
            return Kind.DECIMAL, None, precision, (scale or 0) if precision is not None else None
        if name == "FLOAT":
            return Kind.DECIMAL, None, None, None
        if name == "DATE":
            return Kind.TIMESTAMP, None, 0, None
        if name == "TIMESTAMP":
            digits = first if first is not None else (6 if scale is None else scale)
            zoned = "TIME ZONE" in rest or "TIME ZONE" in name
            return (Kind.TIMESTAMPTZ if zoned else Kind.TIMESTAMP), None, digits, None
        if name.startswith("TIMESTAMP WITH"):
            return Kind.TIMESTAMPTZ, None, 6 if scale is None else scale, None
        if name.startswith("INTERVAL"):
            return Kind.INTERVAL, None, None, None
        kind = _KINDS.get(name, Kind.OTHER)
        if kind in (Kind.TEXT, Kind.BINARY):
            bound = None if name in _LOBS or name == "LONG RAW" else (first or length)
            return kind, bound, None, None
        return kind, None, None, None

    def native(self, column: Column) -> Stored:
        """Return Oracle's type for another system's column; texts lose the difference between '' and NULL."""
        kind = column.kind
        if kind in INTEGERS:
            return Stored(f"NUMBER({_DIGITS[kind]})")
        if kind is Kind.DECIMAL:
            return _number(column)
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            digits = 6 if column.precision is None else min(column.precision, 9)
            return Stored(f"TIMESTAMP({digits})" + (" WITH TIME ZONE" if kind is Kind.TIMESTAMPTZ else ""))
        if kind is Kind.BINARY:
            small = column.length is not None and column.length <= 2000
            return Stored(f"RAW({column.length})" if small else "BLOB", *_lossy("Oracle keeps b'' as NULL"))
        if kind is Kind.BOOLEAN:
            return Stored("NUMBER(1)", Fidelity.APPROXIMATED, "it becomes 0 and 1")
        if kind is Kind.TIME:
            return Stored("VARCHAR2(18)", Fidelity.APPROXIMATED, "Oracle has no time of day: kept as text")
        if kind is Kind.UUID:
            return Stored("VARCHAR2(36)", Fidelity.APPROXIMATED, "kept as text")
        if kind is Kind.DATE:
            return Stored("DATE", Fidelity.APPROXIMATED, "Oracle's DATE also has a time of day: midnight")
        if kind is Kind.FLOAT32:
            return Stored("BINARY_FLOAT")
        if kind is Kind.FLOAT64:
            return Stored("BINARY_DOUBLE")
        if kind is Kind.TEXT and column.length and column.length <= 1000:
            return Stored(f"VARCHAR2({column.length} CHAR)", *_lossy(_EMPTY))
        return Stored("CLOB", *_lossy(_EMPTY))

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return CREATE TABLE; a private temporary table gets no key and lives until the session ends.

        Key columns that would be CLOB become VARCHAR2, since no LOB can be in a key (ORA-02329).
        """
        if not temporary:
            kept = [_of_key(c) if c.name in key and self.stored(c).native == "CLOB" else c for c in columns]
            return super().create_table(path, kept, key)
        sql = super().create_table(path, columns, (), temporary=True)
        return sql + " ON COMMIT PRESERVE DEFINITION"

    def drop_table(self, path: Sequence[str]) -> str:
        """Return a block that drops the table if it exists, since IF EXISTS is new in 23ai."""
        drop = self.string(f"DROP TABLE {self.qualify(path)} PURGE")
        return (
            f"BEGIN EXECUTE IMMEDIATE {drop}; "
            "EXCEPTION WHEN OTHERS THEN IF SQLCODE != -942 THEN RAISE; END IF; END;"
        )

    # -- errors ----------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return an error's code, ``ORA-00001`` or the driver's own ``DPY-4011``; None if it has none.

        If it only says that another error happened inside, that error's code.
        """
        return code_of(error)

    def may_pass(self, error: BaseException) -> bool:
        """Return True if the driver says that an error is recoverable, or by its class that it may pass."""
        told = getattr(error.args[0] if error.args else None, "isrecoverable", False)
        return bool(told) or super().may_pass(error)

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a unique constraint is violated (ORA-00001)."""
        return self.code(error) == "ORA-00001"

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about an error code that an operator can mend; None for any other."""
        return HINTS.get(code)


def is_readable(column: Column) -> bool:
    """Return True if the driver's data frames can hold a column; not objects, collections, BFILE, VECTOR."""
    return column.kind is not Kind.OTHER or _bare(column.native) in _OTHERS


def _scales(native: str) -> bool:
    """Whether a NUMBER's scale is negative, beyond its precision, or 38."""
    found = _SCALED.fullmatch(native.upper().replace(" ", ""))
    return found is not None and not 0 <= int(found[2]) <= min(int(found[1]), 37)


def _of_key(column: Column) -> Column:
    """Return a text column with a type that a key can have; Oracle refuses longer values with an error."""
    return replace(column, native="VARCHAR2(1000 CHAR)", origin="oracle", length=1000)


def _bare(native: str) -> str:
    return native.upper().partition("(")[0].strip()


def _doubled(text: str) -> str:
    return text.replace("'", "''")


def _lossy(why: str) -> tuple[Fidelity, str]:
    return Fidelity.LOSSY, why


def _number(column: Column) -> Stored:
    precision, scale = column.precision, column.scale or 0
    if precision is None:
        return Stored(
            "NUMBER", Fidelity.LOSSY, "NUMBER holds 38 to 40 significant digits, no NaN or infinity"
        )
    if precision > 38:
        return Stored("NUMBER", Fidelity.LOSSY, f"NUMBER holds 38 to 40 of {precision} digits")
    return Stored(f"NUMBER({precision},{scale})")
