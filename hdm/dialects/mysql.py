"""The SQL that MySQL and MariaDB share; what only one of them has is not used.

Types: https://mariadb.com/kb/en/data-types/ and https://dev.mysql.com/doc/refman/8.4/en/data-types.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from hdm.dialects import referring
from hdm.dialects.mysql_errors import ERRORS, HINTS, WORDS
from hdm.dialects.mysql_facts import MySQLFacts
from hdm.dialects.mysql_hashing import MySQLHashing
from hdm.dialects.mysql_merging import MySQLMerging
from hdm.dialects.mysql_settings import OWN_SETTINGS, SETTINGS, assigned
from hdm.dialects.types import INTEGERS, Fidelity, Stored
from hdm.errors import UsageError
from hdm.model import Column, Kind

_NATIVE = re.compile(r"\s*([a-z0-9_]+)\s*(?:\(([^)]*)\))?(.*)\Z", re.IGNORECASE | re.DOTALL)
_UNSIGNED_BITS = {"tinyint": 16, "smallint": 32, "mediumint": 32, "int": 64, "integer": 64}
_SIGNED = {
    "tinyint": Kind.INT8, "smallint": Kind.INT16, "mediumint": Kind.INT32, "int": Kind.INT32,
    "integer": Kind.INT32, "bigint": Kind.INT64, "year": Kind.INT16,
}  # fmt: skip
_WIDER = {16: Kind.INT16, 32: Kind.INT32, 64: Kind.INT64}
_PLAIN = {
    "float": Kind.FLOAT32, "double": Kind.FLOAT64, "real": Kind.FLOAT64, "date": Kind.DATE,
    "json": Kind.JSON, "uuid": Kind.UUID, "enum": Kind.ENUM, "set": Kind.ENUM,
    "boolean": Kind.INT8, "bool": Kind.INT8,
}  # fmt: skip
_TEXT_LENGTHS = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215, "longtext": None}
_BLOB_LENGTHS = {"tinyblob": 255, "blob": 65_535, "mediumblob": 16_777_215, "longblob": None}
SPATIAL = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)
_MAX_VARCHAR = 16_383  # 65,535 bytes of a row, 4 bytes per character
_ROW_BYTES = 60_000
_KEY_CHARACTERS, _KEY_BYTES = 768, 3_072  # InnoDB's longest index entry is 3,072 bytes
_TABLE_OPTIONS = (
    " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4"
    " /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */"
)
"""Options of every table that hdm creates.

Each server executes its own comment only: https://mariadb.com/kb/en/comment-syntax/.
"""


class MySQLDialect(MySQLHashing, MySQLFacts, MySQLMerging):
    """The SQL of MySQL 8.0.17 or later and MariaDB 10.2 or later."""

    name = "mysql"
    grants_script = "mysql"
    login_rights: ClassVar[Mapping[str, tuple[str, ...]]] = {
        " 1044": ("SELECT on the table", "SELECT on the database")  # a user without any right there
    }
    sqlglot = "mysql"
    quote_marks = ("`", "`")
    ignores_case = "all"  # https://mariadb.com/kb/en/identifier-case-sensitivity/
    ignores_case_of_tables = "no"
    referring_keys = referring.MYSQL
    all_keys = referring.MYSQL_ALL
    line_comments = ("#",)
    max_identifier = 64
    identifier_unit = "characters"
    paramstyle = "format"
    transactional_ddl = False
    zoneless = True
    looks_back = True
    clock = "SELECT UTC_TIMESTAMP()"
    text_type = "CHAR"
    key_text_type = "VARCHAR(128)"
    hides_columns = True
    session_settings: ClassVar[Mapping[str, str]] = SETTINGS
    own_settings: ClassVar[Mapping[str, Mapping[str, str]]] = OWN_SETTINGS
    session_statements = (
        "SET NAMES utf8mb4",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    )
    errors = ERRORS

    @property
    def session(self) -> tuple[str, ...]:
        """The SQL statement with which every session starts, one SET for all settings.

        Settings that only one server has are in comments that only this server executes.
        """
        own = (f"/*{mark} , {assigned(some)} */" for mark, some in self.own_settings.items())
        return (*self.session_statements, f"SET {assigned(self.session_settings)} {' '.join(own)}")

    # -- names and values ------------------------------------------------------

    def quote(self, name: str) -> str:
        """Return a quoted name; raise ``UsageError`` for a name that the server would alter.

        These are names with characters beyond U+FFFF, and names that end in a blank.
        """
        if any(ord(mark) > 0xFFFF for mark in name) or name.endswith(" "):
            raise UsageError(
                f"{self.name} would alter the name {name!r}",
                hint="rename it: no characters beyond U+FFFF, no blank at the end",
            )
        return super().quote(name)

    def string(self, text: str) -> str:
        """Return a string literal, with backslashes escaped as the session's sql_mode requires."""
        return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"

    def literal(self, text: str, column: Column) -> str:
        """Return a SQL literal: numbers bare, times cast, text in the column's charset and collation."""
        kind = column.kind
        if kind in INTEGERS or kind in (Kind.DECIMAL, Kind.FLOAT32, Kind.FLOAT64):
            return self.number(text, column)
        if kind is Kind.BINARY:
            return "x'" + bytes.fromhex(text).hex() + "'"
        kept = {Kind.DATE: "DATE", Kind.TIME: "TIME(6)"}.get(kind)
        if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            kept = "DATETIME(6)"
        return f"CAST({self.string(text)} AS {kept})" if kept else self.string(text)

    def text_of(self, expression: str, column: Column) -> str:
        """Return SQL that renders a value as exact text.

        Floats become doubles first: as FLOAT they show 6 digits only, and DOUBLE(M,D) only D decimals.
        """
        if column.kind is Kind.BINARY:
            return f"HEX({expression})"
        if column.kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"CAST(({expression} + 0e0) AS CHAR)"
        return f"CAST({expression} AS CHAR)"

    def select_expression(self, column: Column) -> str:
        """Return SQL that reads floats with all digits, BIT as 0 and 1, geometries as hexadecimal digits."""
        quoted = self.quote(column.name)
        if column.kind in (Kind.FLOAT32, Kind.FLOAT64):
            return f"({quoted} + 0e0)"
        if column.kind is Kind.BIT:
            return f"LPAD(BIN({quoted}), {column.length or 1}, '0')"
        if column.kind is Kind.OTHER and base_name(column.native) in SPATIAL:
            return f"HEX({quoted})"
        return quoted

    # -- types -----------------------------------------------------------------

    def kind(
        self, native: str, length: int | None, precision: int | None, scale: int | None
    ) -> tuple[Kind, int | None, int | None, int | None]:
        """Return kind, length, precision and scale of a COLUMN_TYPE, e.g. ``bigint(20) unsigned``.

        ``tinyint(1)`` is an integer.
        """
        found = _NATIVE.match(native)
        name, inside, rest = (found[1].lower(), found[2], found[3].lower()) if found else (native, None, "")
        numbers = [int(n) for n in (inside or "").split(",") if n.strip().isdigit()]
        if name in _SIGNED:
            if "unsigned" not in rest or name == "year":
                return _SIGNED[name], None, None, None
            if name == "bigint":
                return Kind.DECIMAL, None, 20, 0
            return _WIDER[_UNSIGNED_BITS[name]], None, None, None
        if name in ("decimal", "numeric", "dec", "fixed"):
            return Kind.DECIMAL, None, *_digits(numbers, precision, scale)
        if name in ("char", "varchar"):
            return Kind.TEXT, numbers[0] if numbers else length or 1, None, None
        if name in ("binary", "varbinary"):
            return Kind.BINARY, numbers[0] if numbers else length or 1, None, None
        if name in _TEXT_LENGTHS:
            return Kind.TEXT, _TEXT_LENGTHS[name], None, None
        if name in _BLOB_LENGTHS:
            return Kind.BINARY, _BLOB_LENGTHS[name], None, None
        if name in ("datetime", "timestamp", "time"):
            kind = {"datetime": Kind.TIMESTAMP, "timestamp": Kind.TIMESTAMPTZ, "time": Kind.TIME}[name]
            return kind, None, numbers[0] if numbers else 0, None
        if name == "bit":
            return Kind.BIT, numbers[0] if numbers else 1, None, None
        return _PLAIN.get(name, Kind.OTHER), None, None, None

    def stored(self, column: Column) -> Stored:
        """Return the column's own type, or ``longtext`` for a VARCHAR that utf8mb4 makes too wide."""
        made = super().stored(column)
        wide = column.kind is Kind.TEXT and (column.length or 0) > _MAX_VARCHAR
        if wide and made.native.lower().startswith(("varchar", "char")):
            return Stored("longtext", Fidelity.APPROXIMATED, f"varchar({column.length}) has no room in a row")
        return made

    def native(self, column: Column) -> Stored:
        """Return MySQL's type for another system's column.

        Times with a zone become UTC; bounds and labels may be lost.
        """
        kind, length = column.kind, column.length
        fixed = _KEEPS.get(kind)
        if fixed is not None:
            return fixed
        if kind is Kind.DECIMAL:
            return _decimal(column)
        if kind is Kind.TEXT:
            return Stored(f"varchar({length})" if length and length <= _MAX_VARCHAR else "longtext")
        if kind is Kind.BINARY:
            return Stored(f"varbinary({length})" if length and length <= _MAX_VARCHAR else "longblob")
        if kind is Kind.BIT:
            return Stored(
                f"varchar({length})" if length and length <= _MAX_VARCHAR else "longtext", *_AS_TEXT
            )
        if kind in (Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            name = "time" if kind is Kind.TIME else "datetime"
            digits = 6 if column.precision is None else column.precision
            if digits > 6:
                return Stored(f"{name}(6)", Fidelity.LOSSY, "it keeps 6 fractional digits of seconds")
            if kind is Kind.TIMESTAMPTZ:
                return Stored(f"{name}({digits})", Fidelity.APPROXIMATED, "kept in UTC without its zone")
            return Stored(f"{name}({digits})")
        return Stored("longtext", *_AS_TEXT)

    def create_table(
        self,
        path: Sequence[str],
        columns: Sequence[Column],
        key: Sequence[str] = (),
        *,
        temporary: bool = False,
    ) -> str:
        """Return CREATE TABLE with utf8mb4 and a binary collation, so that different keys stay different.

        Key columns get a type that an index can have; VARCHARs that do not fit into a row become LONGTEXT.
        """
        narrow = [self._keyed(column, key) for column in columns]
        room = _ROW_BYTES
        fitted = []
        for column in narrow:
            size = self._row_bytes(column)
            if size > room and column.name not in key:
                blob = "longblob" if column.kind is Kind.BINARY else "longtext"
                fitted.append(replace(column, native=blob, origin=self.name))
            else:
                fitted.append(column)
                room -= size
        return super().create_table(path, fitted, key, temporary=temporary) + _TABLE_OPTIONS

    def column_ddl(self, column: Column) -> str:
        """Return a column's declaration for CREATE TABLE.

        A TIMESTAMP says NULL or gets a default, since old servers would alter it otherwise.
        """
        made = super().column_ddl(column)
        is_stamp = column.nullable and base_name(self.stored(column).native) == "timestamp"
        if is_stamp:
            return made + " NULL DEFAULT NULL"
        if base_name(self.stored(column).native) == "timestamp":
            return made + " DEFAULT '1970-01-02 00:00:00'"
        return made

    def _keyed(self, column: Column, key: Sequence[str]) -> Column:
        native = base_name(self.stored(column).native)
        if column.name not in key or native not in {*_TEXT_LENGTHS, *_BLOB_LENGTHS, "json"}:
            return column
        kept = (
            f"varbinary({_KEY_BYTES // len(key)})"
            if native in _BLOB_LENGTHS
            else f"varchar({_KEY_CHARACTERS // len(key)})"
        )
        return replace(column, native=kept, origin=self.name, length=None)

    def _row_bytes(self, column: Column) -> int:
        found = _NATIVE.match(self.stored(column).native)
        if not found or found[1].lower() not in ("varchar", "char", "varbinary", "binary"):
            return 20
        each = 1 if "binary" in found[1].lower() else 4
        return int(found[2] or 1) * each + 2

    # -- statements --------------------------------------------------------------

    def rename_table(self, path: Sequence[str], name: str) -> str:
        """Return a RENAME TABLE statement, within the same database."""
        return f"RENAME TABLE {self.qualify(path)} TO {self.qualify((*path[:-1], name))}"

    def swap(self, target: Sequence[str], beside: Sequence[str], old: Sequence[str]) -> str:
        """Return the statement that renames ``target`` to ``old`` and ``beside`` to ``target`` at once."""
        into, new, gone = self.qualify(target), self.qualify(beside), self.qualify(old)
        return f"RENAME TABLE {into} TO {gone}, {new} TO {into}"

    # -- errors --------------------------------------------------------------------

    def code(self, error: BaseException) -> str | None:
        """Return a driver error's number, e.g. 1213.

        2013 for a lost connection without a number; None for any other error without one.
        """
        number = error.args[0] if error.args else None
        if isinstance(number, int) and number:
            return str(number)
        return "2013" if type(error).__name__ in ("InterfaceError", "InternalError") else None

    def describe_error(self, error: BaseException) -> str:
        """Return an error's number and its meaning; its type and number if the meaning is not known."""
        words = WORDS.get(self.code(error) or "")
        return f"MySQL {self.code(error)}: {words}" if words else super().describe_error(error)

    def create_stage(self, path: Sequence[str], target: Sequence[str], columns: Sequence[Column]) -> str:
        """Return the statement for a temporary table with the target's own types and collations.

        Columns of different collations could not be compared.
        """
        origin = f"SELECT {self.names(column.name for column in columns)} FROM {self.qualify(target)} LIMIT 0"
        return f"{self.temporary_table} {self.qualify(path)} AS {origin}"

    def hint(self, code: str) -> str | None:
        """Return a hint on what to do about a common error number; None for any other."""
        return HINTS.get(code)

    def is_duplicate(self, error: BaseException) -> bool:
        """Return True if an error says that a PRIMARY KEY or UNIQUE constraint is violated."""
        return self.code(error) in ("1062", "1586")


_AS_TEXT = (Fidelity.APPROXIMATED, "kept as text")
_KEEPS: dict[Kind, Stored] = {
    Kind.BOOLEAN: Stored("tinyint(1)", Fidelity.APPROXIMATED, "true and false become 1 and 0"),
    Kind.INT8: Stored("tinyint"), Kind.INT16: Stored("smallint"), Kind.INT32: Stored("int"),
    Kind.INT64: Stored("bigint"),
    Kind.FLOAT32: Stored("float", Fidelity.APPROXIMATED, "zero loses its sign"),
    Kind.FLOAT64: Stored("double", Fidelity.APPROXIMATED, "zero loses its sign"),
    Kind.DATE: Stored("date"), Kind.UUID: Stored("char(36)", *_AS_TEXT),
    Kind.TIMETZ: Stored("varchar(64)", *_AS_TEXT), Kind.INTERVAL: Stored("varchar(128)", *_AS_TEXT),
    Kind.ENUM: Stored("varchar(255)", Fidelity.APPROXIMATED, "its labels are not enforced"),
    Kind.JSON: Stored("longtext", *_AS_TEXT),
}  # fmt: skip


def base_name(native: str) -> str:
    """Return the first word of a type in lower case: ``bigint`` for ``bigint(20) unsigned``."""
    found = _NATIVE.match(native)
    return found[1].lower() if found else native.lower()


def _digits(numbers: list[int], precision: int | None, scale: int | None) -> tuple[int, int]:
    if numbers:
        return numbers[0], numbers[1] if len(numbers) > 1 else 0
    return (precision or 10), (scale or 0)


def _decimal(column: Column) -> Stored:
    precision, scale = column.precision, column.scale or 0
    if precision is None:
        return Stored("longtext", *_AS_TEXT)
    whole = max(precision, scale) if scale >= 0 else precision - scale
    if whole > 65 or max(scale, 0) > 30:
        return Stored("longtext", *_AS_TEXT)
    return Stored(f"decimal({whole},{max(scale, 0)})")
