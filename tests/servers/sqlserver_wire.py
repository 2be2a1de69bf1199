"""The part of TDS that pysqlbridge lacks: every type of parameter, several calls at once, exact columns.

Numbers and layouts: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds.
"""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

COLLATION = bytes.fromhex("0904d00034")
_MAX, _NULL, _PLP_NULL = 0xFFFF, 0xFFFF, b"\xff" * 8
_DAY_ONE, _DAY_1900 = dt.date(1, 1, 1).toordinal(), dt.date(1900, 1, 1).toordinal()
_FIXED = {0x30: "b", 0x32: "?", 0x34: "h", 0x38: "i", 0x3B: "f", 0x3E: "d", 0x7F: "q"}
_COUNTED = {0x26, 0x68, 0x6D, 0x24, 0x6E, 0x6F}
_NAMES = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}
_SEPARATORS = (0xFF, 0xFE, 0x80)


@dataclass(frozen=True)
class Parameter:
    """A value that a client sent. ``kind`` is PostgreSQL's type for it; times are text, digit for digit."""

    name: str
    value: Any
    kind: str
    wide: bool = False
    """Whether it is text of nvarchar, beside which a varchar is compared as nvarchar."""


@dataclass
class Call:
    """One procedure that a client calls, with its parameters."""

    procedure: str
    parameters: list[Parameter] = field(default_factory=list)


class Bytes:
    """Reads a message from its beginning to its end."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def take(self, count: int) -> bytes:
        found = self.data[self.at : self.at + count]
        if len(found) < count:
            raise EOFError("the message ends too early")
        self.at += count
        return found

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize(form)))[0])

    def text(self, characters: int) -> str:
        return self.take(2 * characters).decode("utf-16-le", "surrogatepass")

    def chunks(self) -> bytes | None:
        """A value of a (max) type, which comes in pieces."""
        if self.take(8) == _PLP_NULL:
            return None
        parts = []
        while size := self.number("I"):
            parts.append(self.take(size))
        return b"".join(parts)


def calls(payload: bytes) -> Iterator[Call]:
    """Every call of an RPC message; an array of parameter sets is sent as so many calls."""
    read = Bytes(payload)
    read.at = read.number("I")  # transaction descriptors and such
    while read:
        length = read.number("H")
        name = _NAMES.get(read.number("H"), "?") if length == 0xFFFF else read.text(length)
        read.number("H")
        call = Call(name.lower().rpartition(".")[2])
        while read and read.data[read.at] not in _SEPARATORS:
            call.parameters.append(_parameter(read))
        if read:
            read.take(1)
        yield call


def _parameter(read: Bytes) -> Parameter:
    name = read.text(read.number("B"))
    read.number("B")
    kind = read.number("B")
    value, known = _value(read, kind)
    return Parameter(name.lstrip("@"), value, known, kind in (0xE7, 0xEF, 0x63))


def _value(read: Bytes, kind: int) -> tuple[Any, str]:
    if kind in _FIXED:
        form = _FIXED[kind]
        (value,) = struct.unpack("<" + form, read.take(struct.calcsize(form)))
        return value, {"f": "real", "d": "double precision", "?": "smallint"}.get(form, "bigint")
    if kind in _COUNTED:
        read.take(1)
        return _counted(kind, read.take(read.number("B")))
    if kind in (0x6A, 0x6C):
        read.take(2)
        scale, raw = read.number("B"), read.take(read.number("B"))
        if not raw:
            return None, "numeric"
        digits = int.from_bytes(raw[1:], "little") * (1 if raw[0] else -1)
        return Decimal(digits).scaleb(-scale) if abs(digits) < 10**28 else _exact(digits, scale), "numeric"
    if kind == 0x28:
        raw = read.take(read.number("B"))
        return (_day(raw) if raw else None), "date"
    if kind in (0x29, 0x2A, 0x2B):
        return _moment(read, kind)
    if kind in (0xA7, 0xAF, 0xE7, 0xEF, 0xA5, 0xAD):
        return _string(read, kind)
    if kind in (0x23, 0x63, 0x22):
        read.take(4 if kind == 0x22 else 9)
        size = read.number("I")
        return _decoded(None if size == 0xFFFFFFFF else read.take(size), kind)
    raise ValueError(f"a parameter of TDS type {kind:#x}")


def _exact(digits: int, scale: int) -> Decimal:
    sign, figures = int(digits < 0), tuple(map(int, str(abs(digits))))
    return Decimal((sign, figures, -scale))


def _counted(kind: int, raw: bytes) -> tuple[Any, str]:
    if kind == 0x24:
        return (str(uuid.UUID(bytes_le=raw)) if raw else None), "uuid"
    if kind == 0x68:
        return (raw[0] if raw else None), "smallint"
    if kind == 0x6D:
        return (struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0] if raw else None), "double precision"
    if kind == 0x6E:
        cents = int.from_bytes(raw[4:] + raw[:4], "little", signed=True) if len(raw) == 8 else 0
        return (Decimal(cents).scaleb(-4) if raw else None), "numeric"
    if kind == 0x6F:
        if not raw:
            return None, "timestamp"
        days, ticks = struct.unpack("<iI", raw) if len(raw) == 8 else struct.unpack("<HH", raw)
        seconds = ticks / 300 if len(raw) == 8 else ticks * 60
        day = dt.datetime.fromordinal(_DAY_1900 + days)
        return (day + dt.timedelta(seconds=round(seconds, 3))).isoformat(" "), "timestamp"
    # one byte is a tinyint, which has no sign
    return (int.from_bytes(raw, "little", signed=len(raw) > 1) if raw else None), "bigint"


def _day(raw: bytes) -> str:
    return dt.date.fromordinal(_DAY_ONE + int.from_bytes(raw, "little")).isoformat()


def _moment(read: Bytes, kind: int) -> tuple[Any, str]:
    known = {0x29: "time", 0x2A: "timestamp", 0x2B: "timestamptz"}[kind]
    scale, raw = read.number("B"), read.take(read.number("B"))
    if not raw:
        return None, known
    size = {0x29: len(raw), 0x2A: len(raw) - 3, 0x2B: len(raw) - 5}[kind]
    ticks = int.from_bytes(raw[:size], "little") * 10 ** (7 - scale)
    seconds, fraction = divmod(ticks, 10**7)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:07}"
    day = "" if kind == 0x29 else _day(raw[size : size + 3]) + " "
    return f"{day}{clock}{'+00:00' if kind == 0x2B else ''}", known


def _string(read: Bytes, kind: int) -> tuple[Any, str]:
    declared = read.number("H")
    if kind not in (0xA5, 0xAD):
        read.take(5)
    if declared == _MAX:
        return _decoded(read.chunks(), kind)
    size = read.number("H")
    return _decoded(None if size == _NULL else read.take(size), kind)


def _decoded(raw: bytes | None, kind: int) -> tuple[Any, str]:
    if kind in (0xA5, 0xAD, 0x22):
        return raw, "bytea"
    form = "utf-16-le" if kind in (0xE7, 0xEF, 0x63) else "cp1252"
    errors = "surrogatepass" if form[0] == "u" else "replace"
    return (None if raw is None else raw.decode(form, errors)), "text"


# -- what is sent back ---------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """A column of a result: a T-SQL type's name with its length or digits (-1: max)."""

    name: str
    native: str
    size: int = 0
    scale: int = 0
    nullable: bool = True
    identity: bool = False

    def declared(self) -> bytes:
        """TYPE_INFO, without the column's name."""
        kind, size = self.native, self.size
        if kind in _WIDTHS:
            return bytes([0x26, _WIDTHS[kind]])
        if kind in _PLAIN:
            return bytes(_PLAIN[kind])
        if kind in ("decimal", "numeric"):
            return bytes([0x6A, 17, size, self.scale])
        if kind in _TIMES:
            return bytes([_TIMES[kind], self.scale])
        octets = _MAX if size < 0 else size * (2 if kind[0] == "n" else 1)
        collation = COLLATION if "char" in kind else b""
        return bytes([_STRINGS[kind]]) + struct.pack("<H", octets) + collation

    def value(self, value: Any) -> bytes:
        """A value, as a row holds it."""
        kind = self.native
        if kind in _STRINGS:
            return self._string(value)
        if value is None:
            return b"\0"
        raw = _raw(kind, value, self.scale)
        return bytes([len(raw)]) + raw

    def _string(self, value: Any) -> bytes:
        if value is None:
            return _PLP_NULL if self.size < 0 else b"\xff\xff"
        if self.native[0] == "n":
            raw = str(value).encode("utf-16-le", "surrogatepass")
        elif self.native in ("binary", "varbinary"):
            raw = bytes(value)
        else:
            raw = str(value).encode("cp1252", "replace")
        if self.size >= 0:
            return struct.pack("<H", len(raw)) + raw
        return struct.pack("<Q", len(raw)) + (struct.pack("<I", len(raw)) + raw if raw else b"") + bytes(4)


_WIDTHS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
_PLAIN = {
    "bit": (0x68, 1), "float": (0x6D, 8), "real": (0x6D, 4), "money": (0x6E, 8), "smallmoney": (0x6E, 4),
    "datetime": (0x6F, 8), "smalldatetime": (0x6F, 4), "date": (0x28,), "uniqueidentifier": (0x24, 16),
}  # fmt: skip
_TIMES = {"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}
_STRINGS = {"varchar": 0xA7, "char": 0xAF, "nvarchar": 0xE7, "nchar": 0xEF, "varbinary": 0xA5, "binary": 0xAD}
_CLOCK = (3, 3, 3, 4, 4, 5, 5, 5)


def _raw(kind: str, value: Any, scale: int) -> bytes:
    if kind in _WIDTHS:
        return int(value).to_bytes(_WIDTHS[kind], "little", signed=kind != "tinyint")
    if kind in ("float", "real"):
        return struct.pack("<d" if kind == "float" else "<f", value)
    if kind == "bit":
        return bytes([int(value)])
    if kind == "uniqueidentifier":
        return uuid.UUID(str(value)).bytes_le
    if kind in ("decimal", "numeric"):
        digits = _scaled(value, scale)
        return bytes([int(digits >= 0)]) + abs(digits).to_bytes(16, "little")
    if kind == "money":
        raw = _scaled(value, 4).to_bytes(8, "little", signed=True)
        return raw[4:] + raw[:4]
    if kind == "smallmoney":
        return _scaled(value, 4).to_bytes(4, "little", signed=True)
    return _time(kind, str(value), scale)


def _scaled(value: Any, scale: int) -> int:
    sign, figures, exponent = Decimal(value).as_tuple()
    digits = int("".join(map(str, figures)) or "0")
    shift = scale + int(exponent)
    digits = digits * 10**shift if shift >= 0 else digits // 10**-shift
    return int(-digits if sign else digits)


def _time(kind: str, text: str, scale: int) -> bytes:
    """Times come as PostgreSQL's text, ``2020-01-01 00:00:00.1234567+00``."""
    day, _, clock = ("", "", text) if kind == "time" else text.partition(" ")
    if kind == "date":
        return (dt.date.fromisoformat(text).toordinal() - _DAY_ONE).to_bytes(3, "little")
    whole, _, fraction = clock.removesuffix("+00").partition(".")
    hours, minutes, seconds = map(int, whole.split(":"))
    second = hours * 3600 + minutes * 60 + seconds
    ordinal = dt.date.fromisoformat(day).toordinal() if day else 0
    if kind == "datetime":
        ticks = round(int(fraction.ljust(7, "0")[:7]) * 300 / 10**7)
        return struct.pack("<iI", ordinal - _DAY_1900, second * 300 + ticks)
    if kind == "smalldatetime":
        return struct.pack("<HH", ordinal - _DAY_1900, second // 60)
    ticks = second * 10**scale + int(fraction.ljust(7, "0")[:scale] or 0)
    raw = ticks.to_bytes(_CLOCK[scale], "little")
    if kind == "time":
        return bytes(raw)
    raw += (ordinal - _DAY_ONE).to_bytes(3, "little")
    return bytes(raw + bytes(2) if kind == "datetimeoffset" else raw)


def rows(columns: Sequence[Sent], found: Sequence[Sequence[Any]]) -> bytes:
    """COLMETADATA and a ROW for each row."""
    parts = [b"\x81", struct.pack("<H", len(columns))]
    for column in columns:
        flags = (1 if column.nullable else 0) | (0x10 if column.identity else 0) | 8
        name = column.name.encode("utf-16-le")
        parts += [struct.pack("<IH", 0, flags), column.declared(), bytes([len(name) // 2]), name]
    for row in found:
        parts.append(b"\xd1")
        parts += [column.value(value) for column, value in zip(columns, row, strict=True)]
    return b"".join(parts)


def done(kind: int, status: int, count: int = 0) -> bytes:
    """DONE (0xFD), DONEPROC (0xFE) or DONEINPROC (0xFF)."""
    return struct.pack("<BHHQ", kind, status, 0, count)


def returned(handle: int | None) -> bytes:
    """RETURNSTATUS, and the handle of a prepared statement."""
    given = b"" if handle is None else b"\xac" + struct.pack("<HBB", 0, 0, 1) + struct.pack(
        "<IH", 0, 0) + b"\x26\x04\x04" + struct.pack("<i", handle)  # fmt: skip
    return b"\x79" + bytes(4) + given
