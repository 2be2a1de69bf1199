"""The SQL of PostgreSQL 12 or later.

SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from hdm.dialects import referring
from hdm.dialects.base import PAGE, Dialect
from hdm.dialects.native_type import own_type
from hdm.dialects.postgres_facts import PostgresFacts
from hdm.dialects.postgres_hashing import PostgresHashing
from hdm.dialects.postgres_late import WRITTEN, condition
from hdm.dialects.types import Fidelity, Stored
from hdm.dialects.user_input import DENIED, WRITES
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    HdmError,
    MissingParent,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Column, Condition, Kind

LATE = "@late"
"""The pseudo-column for rows that certain transactions wrote; its value is a list of transaction ids."""
_NATIVE = re.compile(r"(.*?)(?:\((-?\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?((?:\[\])*)\Z", re.DOTALL)
_KINDS: dict[str, Kind] = {
    "boolean": Kind.BOOLEAN, "smallint": Kind.INT16, "integer": Kind.INT32, "bigint": Kind.INT64,
    "oid": Kind.INT64, "real": Kind.FLOAT32, "double precision": Kind.FLOAT64,
    "numeric": Kind.DECIMAL, "money": Kind.DECIMAL, "text": Kind.TEXT, "character varying": Kind.TEXT,
    "character": Kind.TEXT, '"char"': Kind.TEXT, "name": Kind.TEXT, "bpchar": Kind.TEXT,
    "bytea": Kind.BINARY, "date": Kind.DATE, "uuid": Kind.UUID, "json": Kind.JSON, "jsonb": Kind.JSON,
    "bit": Kind.BIT, "bit varying": Kind.BIT,
    "time without time zone": Kind.TIME, "time with time zone": Kind.TIMETZ,
    "timestamp without time zone": Kind.TIMESTAMP, "timestamp with time zone": Kind.TIMESTAMPTZ,
}  # fmt: skip
_OTHER_BUILTIN = {
    "inet", "cidr", "macaddr", "macaddr8", "point", "line", "lseg", "box", "path", "polygon", "circle",
    "tsvector", "tsquery", "xml", "jsonpath", "pg_lsn", "xid8", "int4range", "int8range", "numrange",
    "tsrange", "tstzrange", "daterange", "int4multirange", "int8multirange", "nummultirange",
    "tsmultirange", "tstzmultirange", "datemultirange",
}  # fmt: skip
_PLAIN: dict[Kind, str] = {
    Kind.BOOLEAN: "boolean", Kind.INT8: "smallint", Kind.INT16: "smallint", Kind.INT32: "integer",
    Kind.INT64: "bigint", Kind.FLOAT32: "real", Kind.FLOAT64: "double precision",
    Kind.BINARY: "bytea", Kind.DATE: "date", Kind.UUID: "uuid", Kind.JSON: "json",
}  # fmt: skip
_SHOWN = ("08", "0A", "25", "28", "3D", "3F", "42", "53", "55", "57")
"""SQLSTATE classes whose primary message names objects, never values."""


class PostgresDialect(PostgresHashing, PostgresFacts, Dialect):
    """The SQL of PostgreSQL.

    Its text form of every value is exact, as hdm sets up a session: ISO dates, shortest floats, hex bytes,
    UTC.
    """

    name = "postgres"
    grants_script = "postgres"
    login_rights: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "permission denied for database": ("CONNECT on the database",)
    }
    sqlglot = "postgres"
    plain_strings = True
    paramstyle = "format"
    page_ranges = True
    looks_back = True
    clock = "SELECT clock_timestamp()::text"
    text_type = "text"
    referring_keys = referring.POSTGRES
    all_keys = referring.POSTGRES_ALL
    insert_override = "OVERRIDING SYSTEM VALUE "
    bigint_type = "bigint"
    exact_text = 'CAST({} AS text) COLLATE "C"'
    may_skip_rows = True
    row_address = "ctid"
    temporary_table = "CREATE TEMPORARY TABLE"
    session_settings: ClassVar[Mapping[str, str]] = {
        "row_security": "off",  # an error if a policy would hide rows
        "gin_fuzzy_search_limit": "0",
        "statement_timeout": "0",
        "client_encoding": "'UTF8'",
        "timezone": "'UTC'",
        "datestyle": "'ISO, YMD'",
        "intervalstyle": "'iso_8601'",
        "extra_float_digits": "3",
        "bytea_output": "'hex'",
        "xmloption": "'content'",
        "xmlbinary": "'base64'",
        "array_nulls": "on",
        "quote_all_identifiers": "off",
        "standard_conforming_strings": "on",
        "transform_null_equals": "off",
        "default_transaction_isolation": "'read committed'",
    }
    """https://www.postgresql.org/docs/current/runtime-config-client.html and -compatible.html.

    Two settings are not changed: search_path, by which a user's ``query:`` may find its tables, and
    lc_monetary, which says how many fractional digits stored money has.
    """
    errors: ClassVar[Mapping[str, type[HdmError]]] = {
        "08": ConnectionLost, "57P": ConnectionLost, "58": TransientError, "XX": TransientError,
        "53": TransientError, "53300": Throttled, "53400": Throttled,
        "40": Deadlock, "55P03": Deadlock, "57014": TransientError, "25P03": TransientError,
        "22": RejectedRows, "22021": UnrepresentableValue, "22P05": UnrepresentableValue,
        "23": RejectedRows, "23503": MissingParent,
        "44": RejectedRows, "P0": RejectedRows, "54": RejectedRows,
        "28": UsageError, "3D": UsageError, "3F": UsageError, "42501": UsageError, "25006": UsageError,
        "42": PermanentError, "42P01": SchemaDrift, "42703": SchemaDrift, "42804": SchemaDrift,
        "0A": PermanentError, "55": PermanentError, "2BP01": PermanentError,
    }  # fmt: skip

    def set_session(self, name: str, value: str) -> str:
        """Return the SET statement that gives a setting its value until the session ends."""
        return f"SET {name} TO {value}"

    def physical(self, one: Condition) -> str:
        """Return a SQL condition on block numbers (``@page``) or on transactions (``@late``, ``@written``).

        Block numbers are scanned by TID range in PostgreSQL 14 and later.
        """
        value = one.value or ""
        if one.column == PAGE and value.isdecimal() and one.op in (">=", "<"):
            return f"ctid {one.op} '({int(value)},0)'::tid"
        if one.column == LATE and one.op == "=" and re.fullmatch(r"\d+(,\d+)*", value):
            return f"xmin = ANY ('{{{value}}}'::xid[])"
        if one.column == WRITTEN and one.op == "=" and (written := condition(value)) is not None:
            return written
        return super().physical(one)

    def greatest_decimal(self, column: Column) -> str | None:
        """Return a decimal column's greatest finite value, as text; None for money.

        NaN is above it and, from PostgreSQL 14 on, Infinity.
        """
        if column.native == "money":
            return None
        digits = column.precision or 1000
        return "9" * max(digits - (column.scale or 0), 1) + ("." + "9" * column.scale if column.scale else "")

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads a column as it is, but money as numeric: its text depends on the locale."""
        quoted = self.quote(column.name)
        return f"{quoted}::numeric" if column.native == "money" else quoted

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as text, which is exact in the session's settings."""
        return f"({expression})::text"

    def earlier(self, expression: str, amount: float, column: Column) -> str:
        """Return SQL for ``expression`` minus an interval of ``amount`` seconds."""
        return f"({expression} - interval '{amount:.6f} seconds')"

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a type as ``format_type`` prints it."""
        found = _NATIVE.match(native)
        assert found is not None
        name, first, second = found[1].strip() + (found[4] or ""), found[2], found[3]
        if found[5]:
            return Kind.ARRAY, None, None, None
        if name.startswith("interval"):
            return Kind.INTERVAL, None, int(first) if first else None, None
        kind = _KINDS.get(name, Kind.OTHER)
        number = int(first) if first is not None else None
        if kind is Kind.DECIMAL:
            digits = number if number is not None else precision
            return kind, None, digits, (int(second or 0) if number is not None else scale)
        if kind in (Kind.TIME, Kind.TIMETZ, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return kind, None, number if number is not None else precision, None
        if kind in (Kind.TEXT, Kind.BIT):
            alone = 1 if name in ("character", "bit") else None
            return kind, number if number is not None else (length or alone), None, None
        return kind, None, None, None

    def stored(self, column: Column) -> Stored:
        """Return the type in which a PostgreSQL target stores the column.

        That is the column's own type if PostgreSQL has it built in, and ``text`` if users defined it (an
        enum, a domain).
        """
        if column.origin != self.name or not column.native:
            return self.native(column)
        base = column.native.removesuffix("[]")
        known, *_ = self.kind(base, None, None, None)
        if known is not Kind.OTHER or base.split("(")[0] in _OTHER_BUILTIN:
            return Stored(own_type(column))
        why = f"{column.native} is defined in the source database only"
        return Stored("text", Fidelity.APPROXIMATED, why)

    def native(self, column: Column) -> Stored:
        """Return PostgreSQL's type for another system's column; seconds finer than a microsecond are lost."""
        kind, digits = column.kind, column.precision
        if kind in _PLAIN:
            return Stored(_PLAIN[kind])
        if kind is Kind.DECIMAL:
            return Stored("numeric" if digits is None else f"numeric({digits},{column.scale or 0})")
        if kind is Kind.TEXT:
            fits = column.length is not None and column.length <= 10_485_760
            return Stored(f"character varying({column.length})" if fits else "text")
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            name = "time" if kind is Kind.TIME else "timestamp"
            zone = "with" if kind is Kind.TIMESTAMPTZ else "without"
            some = f"({min(digits, 6)})" if digits is not None else ""
            declared = f"{name}{some} {zone} time zone"
            if digits is not None and digits > 6:
                why = f"PostgreSQL keeps 6 of {digits} fractional digits of seconds"
                return Stored(declared, Fidelity.LOSSY, why)
            return Stored(declared)
        if kind is Kind.ENUM:
            return Stored("text", Fidelity.APPROXIMATED, "the labels are not enforced")
        return Stored("text", Fidelity.APPROXIMATED, f"{kind.value} is kept as its text")

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table with the target's own types, since text is no enum."""
        names = self.names(column.name for column in columns)
        origin = f"SELECT {names} FROM {self.qualify(target)} WITH NO DATA"
        return f"{self.temporary_table} {self.qualify(path)} AS {origin}"

    def merge_lock(self, target: Sequence[str]) -> str | None:
        """Return a LOCK TABLE statement; its lock lets others read, and lasts until the transaction ends."""
        return f"LOCK TABLE {self.qualify(target)} IN SHARE ROW EXCLUSIVE MODE"

    def conflicting(self, stage: Sequence[str], columns: Sequence[str], key: Sequence[str]) -> str:
        """Return a query that gives a row if table ``stage`` has different rows with the same key.

        The rows are compared as text, because some types have no equality (json, point).
        """
        of, names = self.qualify(stage), self.names(columns)
        rows = f"SELECT DISTINCT {self.names(key)}, ROW({names})::text FROM {of}"
        return f"SELECT 1 FROM ({rows}) q GROUP BY {self.names(key)} HAVING COUNT(*) > 1 LIMIT 1"

    def keep_one(
        self, stage: Sequence[str], columns: Sequence[str], rest: Sequence[str], key: Sequence[str]
    ) -> list[str]:
        """Return SQL that keeps, for each key, the row of table ``stage`` with the lowest ``ctid``.

        Rows with the same key must be equal already. ``ctid`` is a row's physical address.
        """
        of, same = self.qualify(stage), self.match("a", "b", key, null_safe=True)
        return [f"DELETE FROM {of} a USING {of} b WHERE a.ctid > b.ctid AND {same}"]

    def code(self, error: BaseException) -> str | None:
        """Return the SQLSTATE of a driver's error; None if it has none."""
        state = getattr(error, "sqlstate", None)
        return str(state) if state else None

    def describe_error(self, error: BaseException) -> str:
        """Return an error's SQLSTATE and type, with the server's message or the objects in it.

        The message is shown for those classes of SQLSTATE whose messages cannot contain values. For all
        others, the table, column and constraint are named instead.
        """
        code = self.code(error) or ""
        text, detail = f"PostgreSQL {code} {type(error).__name__}".strip(), getattr(error, "diag", None)
        if detail is None:
            return text
        if code.startswith(_SHOWN) and detail.message_primary:
            return f"{text}: {detail.message_primary}"
        named: list[tuple[str, Any]] = [
            ("table", detail.table_name),
            ("column", detail.column_name or _copy_column(detail.context)),
            ("constraint", detail.constraint_name),
        ]
        shown = ", ".join(f"{what} {name}" for what, name in named if name)
        return f"{text} at {shown}" if shown else text

    def classify(self, error: BaseException) -> HdmError:
        """Translate a driver's error to hdm's; one without a SQLSTATE is a broken or refused connection."""
        if not isinstance(error, HdmError) and self.code(error) is None:
            name = type(error).__name__
            if name in ("OperationalError", "InterfaceError", "ConnectionTimeout", "DatabaseError"):
                return self._unconnected(error)
        if self.code(error) == "42501" and "row-level security" in str(error):
            return UsageError(
                self.describe_error(error),
                hint="a policy hides rows from the profile's user: ALTER ROLE ... BYPASSRLS, or read a view "
                "whose owner sees them",
            )
        return super().classify(error)

    def _unconnected(self, error: BaseException) -> HdmError:
        text = str(error)
        if "authentication failed" in text or "no password" in text or "no pg_hba.conf entry" in text:
            return UsageError(
                "PostgreSQL refuses the login", hint="check user and password in the profile, and pg_hba.conf"
            )
        if re.search(r'(database|role) ".*" does not exist', text):
            return UsageError(
                "PostgreSQL knows no such database or role", hint="check database and user in the profile"
            )
        if "permission denied for database" in text:
            return UsageError(
                "PostgreSQL: permission denied for database",
                hint="GRANT CONNECT ON DATABASE to the profile's user",
            )
        if "is not permitted to log in" in text:
            return UsageError("PostgreSQL: the role is not permitted to log in", hint="ALTER ROLE ... LOGIN")
        if "too many clients" in text or "connection slots" in text:
            return Throttled("PostgreSQL has no connection left", retry_after=2.0)
        if "certificate" in text or "SSL" in text:
            return UsageError(
                "PostgreSQL offers no TLS that can be verified",
                hint="set sslrootcert and sslmode in the profile, or insecure: true",
            )
        return ConnectionLost(
            f"PostgreSQL cannot be reached or went away ({type(error).__name__})",
            hint="check host and port in the profile, and that the server is up",
        )

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about a common SQLSTATE; None for any other."""
        if code == "22P05":
            return (
                "the target's encoding has no such character: load into a database of ENCODING 'UTF8', or "
                "leave the column out with columns:"
            )
        if code == "22021":
            return (
                "read the column as bytes with query: and convert_to(column, 'SQL_ASCII'), or mend the text"
            )
        if code == "23505":
            return "a row with this key is there already: use mode merge, or remove it"
        if code == "23503":
            return "load the table that the key refers to, or look for the row at the source"
        if code == "25006":
            return f"{WRITES}; a standby takes no rows"
        if code == "42501":
            return DENIED
        return None

    def hint_for(self, error: BaseException) -> str | None:
        """Return a hint for a NUL in a text, which has the same SQLSTATE as other invalid bytes.

        None for any other error.
        """
        if self.code(error) == "22021" and "0x00" in str(error):
            return "take it out with transform: SELECT ..., replace(column, chr(0), '') AS column FROM batch"
        return None

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a unique constraint is violated (23505, unique_violation)."""
        return self.code(error) == "23505"


def _copy_column(context: str | None) -> str | None:
    """Return the column in ``COPY t, line 3, column c: "value"``, without the value."""
    found = re.match(r"COPY .*?, line \d+, column ([^:]+):", context or "")
    return found[1] if found else None
