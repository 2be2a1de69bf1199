"""Types and values of BigQuery's REST API, as DuckDB and Arrow have them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

Field = dict[str, Any]
OLD = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC"}
"""The names of SQL -> those that the REST API answers with."""
_NEW = {old: new for new, old in OLD.items() if new != "DECIMAL"}
_DUCK = {
    "INT64": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN", "STRING": "VARCHAR", "BYTES": "BLOB",
    "DATE": "DATE", "TIME": "TIME", "DATETIME": "TIMESTAMP", "TIMESTAMP": "TIMESTAMPTZ", "JSON": "JSON",
}  # fmt: skip
_TYPE = re.compile(r"(\w+)(?:\((\d+)(?:,\s*(\d+))?\))?\Z")


def field(name: str, native: str, required: bool = False) -> Field:
    """A field of a table, made of a type in SQL."""
    made: Field = {"name": name, "mode": "REQUIRED" if required else "NULLABLE"}
    inner = re.fullmatch(r"ARRAY\s*<(.*)>", native, re.IGNORECASE)
    if inner:
        made["mode"], native = "REPEATED", inner[1]
    found = _TYPE.match(native.strip().upper())
    assert found, native
    word, first, second = found.groups()
    made["type"] = OLD.get(word, word)
    if first and word in ("STRING", "BYTES"):
        made["maxLength"] = first
    elif first:
        made |= {"precision": first, **({"scale": second} if second else {})}
    return made


def duck(one: Field) -> str:
    """The type in which DuckDB keeps a field; a BIGNUMERIC of over 38 digits as text."""
    word = _NEW.get(one["type"].upper(), one["type"].upper())
    if word in ("NUMERIC", "BIGNUMERIC"):
        wide = word == "BIGNUMERIC"
        precision, scale = int(one.get("precision", 76 if wide else 38)), int(one.get("scale", 0))
        if "precision" not in one:
            scale = 38 if wide else 9
        made = f"DECIMAL({precision},{scale})" if precision <= 38 else "VARCHAR"
    else:
        made = _DUCK[word]
    return made + "[]" if one["mode"] == "REPEATED" else made


def field_of(one: pa.Field) -> Field:
    """A field of a result, made of Arrow's type."""
    kind = one.type
    tests: list[tuple[Callable[[pa.DataType], bool], str]] = [
        (pa.types.is_boolean, "BOOLEAN"), (pa.types.is_integer, "INTEGER"), (pa.types.is_floating, "FLOAT"),
        (pa.types.is_binary, "BYTES"), (pa.types.is_large_binary, "BYTES"), (pa.types.is_date, "DATE"),
        (pa.types.is_time, "TIME"),
    ]  # fmt: skip
    made = {"name": one.name, "mode": "NULLABLE", "type": "STRING"}
    if pa.types.is_list(kind):
        return {**field_of(pa.field(one.name, kind.value_type)), "mode": "REPEATED"}
    if pa.types.is_decimal(kind):
        fits = kind.scale <= 9 and kind.precision - kind.scale <= 29
        return {**made, "type": "NUMERIC" if fits or kind.scale == 0 else "BIGNUMERIC"}
    if pa.types.is_timestamp(kind):
        return {**made, "type": "DATETIME" if kind.tz is None else "TIMESTAMP"}
    return {**made, "type": next((word for test, word in tests if test(kind)), "STRING")}


def cells(column: pa.ChunkedArray) -> list[Any]:
    """A column's values as the REST API sends them: texts, with moments in microseconds since 1970."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        numbers = column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
        return [None if value is None else str(value) for value in numbers.to_pylist()]
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return [{"v": _cell(one)} for one in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, float):
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(value), repr(value))
    if isinstance(value, datetime):
        return value.isoformat("T")
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def parameter(given: dict[str, Any]) -> Any:
    """A query parameter's value as DuckDB takes it."""
    word, text = given["parameterType"]["type"], given["parameterValue"].get("value")
    if text is None:
        return None
    if word in ("INT64", "INTEGER"):
        return int(text)
    if word in ("BOOL", "BOOLEAN"):
        return str(text).lower() == "true"
    if word in ("FLOAT64", "FLOAT"):
        return float(text)
    if word == "BYTES":
        return base64.b64decode(text)
    return Decimal(text) if word in ("NUMERIC", "BIGNUMERIC") else str(text)
