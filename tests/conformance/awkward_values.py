"""Values of any system's text, brought to one form in which equal means equal."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hdm.arrow.temporal import INT32_MAX, INT64_MAX, day_number
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

_EXACT = Context(prec=400)
_DAY = re.compile(r"(\d{4,7})-(\d\d)-(\d\d)")
_CLOCK = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?")
_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|\Z)')
_NS = 10**9
_NANOS = {"s": _NS, "ms": 10**6, "us": 1000, "ns": 1}


def canonical(value: Any, column: Column) -> Any:
    """The value, as text or as a driver or file gave it, in the one form of the column's kind."""
    kind = column.kind
    if value is None:
        return None
    if kind in INTEGERS or kind is Kind.DECIMAL:
        return number(str(value))
    if kind is Kind.BOOLEAN:
        return {"t": True, "1": True, "true": True, "f": False, "0": False, "false": False}[
            str(value).lower()
        ]
    if kind is Kind.FLOAT64:
        return floating(float(value))
    if kind is Kind.FLOAT32:
        return floating(struct.unpack("f", struct.pack("f", float(value)))[0])
    if kind is Kind.DATE:
        return day(value)
    if kind is Kind.TIME:
        return value if isinstance(value, int) else clock(str(value), column)
    if kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        return moment(value, column)
    return str(value)


def number(text: str) -> str:
    """Digits without trailing zeros, never rounded; no zero has a sign."""
    found = Decimal(text.replace("Inf", "Infinity") if text.endswith("Inf") else text)
    if not found.is_finite():
        return "NaN" if found.is_nan() else str(found)
    return format(found.normalize(_EXACT), "f") if found else "0"


def floating(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(value)


def day(value: Any) -> Any:
    """Days since 1970-01-01; infinity by name."""
    if isinstance(value, int) or str(value).startswith("@"):
        days = int(str(value).removeprefix("@"))
        return "infinity" if days == INT32_MAX else "-infinity" if days == -INT32_MAX else days
    text = str(value)
    if text.endswith("infinity"):
        return text
    found = _DAY.search(text)
    assert found is not None, text
    year = int(found[1])
    if int(found[2]) == 0 or int(found[3]) == 0:
        return text  # MariaDB keeps days that no calendar has
    return day_number(1 - year if "BC" in text else year, int(found[2]), int(found[3]))


def clock(text: str, column: Column) -> Any:
    """Nanoseconds since midnight."""
    if text.startswith("@"):
        return int(text[1:]) * _NANOS[column.type.unit]
    found = _CLOCK.match(text)
    if found is None or text.startswith("-"):
        return text
    whole = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
    return whole * _NS + int((found[4] or "").ljust(9, "0"))


def moment(value: Any, column: Column) -> Any:
    """Nanoseconds since 1970-01-01, in UTC for those with a zone."""
    if isinstance(value, int) or str(value).startswith("@"):
        ticks = int(str(value).removeprefix("@"))
        if abs(ticks) == INT64_MAX:
            return "infinity" if ticks > 0 else "-infinity"
        return ticks * _NANOS[column.type.unit]
    text = str(value)
    if text.endswith("infinity"):
        return text
    days = day(text)
    if isinstance(days, str):
        return text
    rest = re.split(r"[ T]", text.replace(" (BC)", "").replace(" BC", ""), maxsplit=1)[1]
    shift = _OFFSET.search(rest)
    seconds = 0
    if shift:
        seconds = (int(shift[2]) * 3600 + int(shift[3] or 0) * 60) * (-1 if shift[1] == "-" else 1)
    return (days * 86_400 - seconds) * _NS + clock(rest, column)


# -- files ---------------------------------------------------------------------------


def parquet_cells(path: Path) -> dict[str, list[Any]]:
    """Columns as plain values; temporals as the integers that are stored."""
    cells = {}
    table = pq.read_table(path)
    for name, column in zip(table.column_names, table.columns, strict=True):
        array = column.combine_chunks()
        if pa.types.is_time(array.type) or pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
            numbers = array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64()).to_pylist()
            scale = {"us": 1000, "ns": 1}.get(getattr(array.type, "unit", ""), 1)
            is_time = pa.types.is_time(array.type)
            cells[name] = [n if n is None or not is_time else n * scale for n in numbers]
        else:
            cells[name] = [v.hex() if isinstance(v, bytes) else v for v in array.to_pylist()]
    return cells


def csv_cells(path: Path) -> dict[str, list[Any]]:
    """By RFC 4180; an empty field without quotes is NULL, which Python's csv module cannot tell."""
    rows: list[list[Any]] = [[]]
    for found in _FIELD.finditer(path.read_bytes().decode("utf-8")):
        quoted, bare, end = found.groups()
        rows[-1].append(quoted.replace('""', '"') if quoted is not None else bare or None)
        if end == "\n":
            rows.append([])
    header, *body = [row for row in rows if len(row) > 1]
    return {str(name): [row[n] for row in body] for n, name in enumerate(header)}


def jsonl_cells(path: Path, columns: tuple[Column, ...]) -> dict[str, list[Any]]:
    """Numbers as their digits, bytes from base64."""
    rows = [
        json.loads(line, parse_int=str, parse_float=str)
        for line in path.read_text("utf-8").split("\n")
        if line
    ]
    cells = {c.name: [row[c.name] for row in rows] for c in columns}
    for column in columns:
        if column.kind is Kind.BINARY:
            cells[column.name] = [
                None if v is None else base64.b64decode(v).hex() for v in cells[column.name]
            ]
    return cells
