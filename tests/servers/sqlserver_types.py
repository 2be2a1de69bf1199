"""T-SQL's types in PostgreSQL: each is a domain of its own name; what SQL Server refuses are its checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from tests.servers.sqlserver_wire import Sent

_NAME = re.compile(r"\s*\[?([a-z0-9_]+)\]?\s*(?:\(\s*(\d+|max)\s*(?:,\s*(\d+)\s*)?\))?\s*\Z", re.IGNORECASE)
_ALIKE = {"integer": "int", "numeric": "decimal", "rowversion": "timestamp", "sysname": "nvarchar",
          "ntext": "nvarchar", "text": "varchar", "image": "varbinary"}  # fmt: skip
_LONG = ("ntext", "text", "image")
_CHARS = ("char", "varchar", "nchar", "nvarchar")
_BYTES = ("binary", "varbinary")
_TIMES = ("time", "datetime2", "datetimeoffset")
_BARE = ("xml", "sql_variant", "hierarchyid", "geography", "geometry", "json")
_OIDS = {16: "bit", 21: "smallint", 23: "int", 20: "bigint", 700: "real", 701: "float(53)", 1082: "date",
         17: "varbinary(max)", 2950: "uniqueidentifier", 1083: "time(7)", 1114: "datetime2(7)",
         1184: "datetimeoffset(7)"}  # fmt: skip


class Refused(Exception):
    """What the server answers with one of SQL Server's error numbers."""

    def __init__(self, number: int, said: str, state: str = "") -> None:
        super().__init__(said)
        self.number, self.state = number, state


@dataclass(frozen=True)
class Native:
    """A declared type. ``size``: -1 is max; of numbers, their digits. ``scale``: digits after the point."""

    name: str
    size: int = 0
    scale: int = 0

    @property
    def text(self) -> str:
        """The type as it is declared."""
        if self.name in (*_CHARS, *_BYTES):
            return f"{self.name}({'max' if self.size < 0 else self.size})"
        if self.name == "decimal":
            return f"decimal({self.size},{self.scale})"
        return f"{self.name}({self.scale})" if self.name in _TIMES else self.name

    @property
    def postgres(self) -> str:
        """The type in PostgreSQL's DDL: a domain, or a type of PostgreSQL with the same rules."""
        plain = {"smallint": "smallint", "int": "int", "bigint": "bigint", "date": "date", "real": "real",
                 "float": "double precision", "uniqueidentifier": "uuid"}  # fmt: skip
        if self.name == "decimal":
            return f"numeric({self.size},{self.scale})"
        return plain.get(self.name) or f'ms."{self.text}"'

    @property
    def domain(self) -> str | None:
        """The statement that makes the domain; None for PostgreSQL's own types."""
        if not self.postgres.startswith("ms."):
            return None
        base, check = self._base()
        return f"CREATE DOMAIN {self.postgres} AS {base}" + (f" CONSTRAINT {check}" if check else "")

    def _base(self) -> tuple[str, str]:
        bound = self.size if self.size > 0 else 1 << 30
        if self.name in ("nchar", "nvarchar"):
            return "text COLLATE ms.wide", f'"E2628" CHECK (ms.units(VALUE) <= {bound})'
        if self.name in _CHARS:
            return "text COLLATE ms.narrow", f'"E2628" CHECK (char_length(VALUE) <= {bound})'
        if self.name in _BYTES:
            return "bytea", f'"E2628" CHECK (octet_length(VALUE) <= {bound})'
        if self.name in _TIMES:
            base = {"time": "time", "datetime2": "timestamp", "datetimeoffset": "timestamptz"}[self.name]
            return ('text COLLATE "C"' if self.scale == 7 else f"{base}({self.scale})"), ""
        return {
            "bit": ("smallint", '"E245" CHECK (VALUE IN (0, 1))'),
            "tinyint": ("smallint", '"E220" CHECK (VALUE BETWEEN 0 AND 255)'),
            "datetime": ("timestamp(3)", ""),
            "smalldatetime": ("timestamp(0)", ""),
            "money": ("numeric(19,4)", '"E8115" CHECK (abs(VALUE) < 922337203685477.5808)'),
            "smallmoney": ("numeric(10,4)", '"E8115" CHECK (abs(VALUE) < 214748.3648)'),
            "timestamp": ("bytea", ""),
        }.get(self.name, ("text COLLATE ms.wide", ""))

    def sent(self, name: str, nullable: bool = True, identity: bool = False) -> Sent:
        """The column as it is described to a client."""
        if self.name in _BARE:
            return Sent(name, "nvarchar", -1, 0, nullable)
        kind = "binary" if self.name == "timestamp" else self.name
        size = 8 if self.name == "timestamp" else self.size
        return Sent(name, kind, size, self.scale, nullable, identity)


def without_collation(domain: str) -> str:
    """The domain for columns with a collation of their own; two collations make no foreign key."""
    if " COLLATE ms." not in domain:
        return "SELECT 1"
    return re.sub(r" COLLATE ms\.(wide|narrow)", "", domain).replace("DOMAIN ms.", "DOMAIN plain.")


def native(text: str) -> Native:
    """Read a type as it is declared; refuse what no column can be."""
    found = _NAME.match(text)
    if not found:
        raise Refused(2715, f"Cannot find data type {text}.")
    name = found[1].lower()
    first = -1 if (found[2] or "").lower() == "max" or name in _LONG else int(found[2] or 0)
    second = int(found[3] or 0)
    if name == "sysname":
        first = 128
    name = _ALIKE.get(name, name)
    if name == "decimal":
        if first > 38:
            raise Refused(2750, f"Column precision {first} is greater than the maximum precision of 38.")
        return Native(name, first or 18, second)
    if name == "float":
        return Native("real" if 0 < first <= 24 else "float", 0, 0)
    if name in _TIMES:
        scale = int(found[2]) if found[2] else 7
        if scale > 7:
            raise Refused(1002, f"Line 1: Specified scale {scale} is invalid.")
        return Native(name, 0, scale)
    if name in (*_CHARS, *_BYTES):
        if first > (4000 if name[0] == "n" else 8000):
            raise Refused(2717, f"The size ({first}) given to the type '{name}' exceeds the maximum allowed.")
        return Native(name, first or 1, 0)
    if name == "money" or name == "smallmoney":
        return Native(name, 19 if name == "money" else 10, 4)
    return Native(name)


def declared_type(kind: exp.DataType) -> Native:
    """A type that sqlglot has read."""
    text = kind.sql("tsql")
    if text.upper() in ("VARCHAR", "NVARCHAR", "CHAR", "VARBINARY"):
        text += "(30)"  # the length of a CAST that names none
    return native(text)


def _call(name: str, *values: Any) -> exp.Anonymous:
    made = [v if isinstance(v, exp.Expr) else exp.Literal.number(v) for v in values]
    return exp.Anonymous(this=name, expressions=made)


def converted(value: exp.Expr, to: Native, style: int | None = None, *, implicit: bool = False) -> exp.Expr:
    """SQL that converts a value as CAST and CONVERT do, or (``implicit``) as an INSERT does: uncut."""
    known = exp.Anonymous(this="pg_typeof", expressions=[value.copy()])
    name = to.name
    if name in (*_CHARS, *_BARE):
        made: exp.Expr = _call("as_text", value, style or 0, known)
        if name in ("char", "varchar"):
            made = _call("narrowed", made)
        if name in ("char", "nchar"):
            made = _call("rpad", made, to.size) if not implicit else made
        if to.size > 0 and not implicit:
            made = _call("left", made, to.size)
        collation = "ms.narrow" if name in ("char", "varchar") else "ms.wide"
        return exp.Var(this=f"({made.sql('postgres')} COLLATE {collation})") if not implicit else made
    if name in _BYTES or name == "timestamp":
        if implicit:
            return _call("implicit_bytes", value)
        made = _call("as_bytes", value, style or 0)
        return _call("substr", made, 1, to.size) if to.size > 0 else made
    if name in ("bit", "tinyint"):
        return _call(f"as_{name}", value)
    if name in ("decimal", "money", "smallmoney"):
        return _cast(_call("as_number", value), f"numeric({to.size},{to.scale})")
    if name in ("smallint", "int", "bigint"):
        return _cast(value, name)
    if name in ("float", "real"):
        return _cast(_call("as_float", value), "real" if name == "real" else "double precision")
    if name == "uniqueidentifier":
        return _call("as_uuid", value)
    if name in ("date", "datetime", "smalldatetime"):
        return _call(f"as_{name}", value)
    function = {"time": "as_time", "datetime2": "as_datetime2", "datetimeoffset": "as_offset"}[name]
    return _call(f"{function}_7", value) if to.scale == 7 else _call(function, value, to.scale)


def _cast(value: exp.Expr, to: str) -> exp.Expr:
    return exp.Var(this=f"CAST({value.sql('postgres')} AS {to})")


def described(name: str, oid: int, modifier: int, values: Sequence[Any]) -> Sent:
    """A result's column that is none of a table: PostgreSQL's type, as wide as its values."""
    if oid == 1700:
        known = modifier - 4
        if modifier > 4:
            return Sent(name, "decimal", known >> 16 & 0xFFFF, known & 0x7FF)
        scales = [-int(v.as_tuple().exponent) for v in values if v is not None]
        return Sent(name, "decimal", 38, max(0, *scales) if scales else 0)
    if oid in _OIDS:
        return native(_OIDS[oid]).sent(name)
    longest = max((len(str(v)) for v in values if v is not None), default=1)
    return Sent(name, "nvarchar", 4000 if longest <= 2000 else -1)
