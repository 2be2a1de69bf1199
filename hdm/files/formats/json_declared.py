"""Reads the declared columns of nested JSON: one path and one type for each, over JSON Lines and arrays."""

from __future__ import annotations

from typing import Any, BinaryIO

import pyarrow as pa

from hdm.errors import CorruptFile
from hdm.files.formats import RowOffsets, typed
from hdm.files.formats.declared import DeclaredColumn
from hdm.files.formats.json_values import Number, records_of, spelled
from hdm.files.formats.jsonl import located
from hdm.files.formats.records import Parsed, Records, as_table
from hdm.model import Column, Kind

_NUMBERS = (
    Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64, Kind.DECIMAL,
)  # fmt: skip
_ABSENT = object()
_UNFIT = object()


class DeclaredJson(Records):
    """The format JSON, of which only the declared columns are read."""

    name = "jsonl"
    suffix = ".jsonl"
    grows_by_lines = True

    def __init__(self, columns: tuple[DeclaredColumn, ...]) -> None:
        super().__init__()
        self._columns = columns

    def columns(self, stream: BinaryIO, compression: str) -> tuple[Column, ...]:
        """Return the declared columns."""
        return tuple(one.column for one in self._columns)

    def parsed(self, stream: BinaryIO, compression: str, first: int, marks: RowOffsets | None) -> Parsed:
        """Yield the file's records as Arrow tables with the declared columns."""
        for place, block in located(stream, compression, first, marks):
            texts: list[list[str | None]] = [[] for _ in self._columns]
            for number, record in enumerate(records_of(block, place.start + 1), place.start + 1):
                for declared, found in zip(self._columns, texts, strict=True):
                    found.append(_text_at(record, declared, number))
            made = [
                typed.values(pa.array(found, pa.string()), declared, place.start + 1)
                for declared, found in zip(self._columns, texts, strict=True)
            ]
            yield place.start, place.counted(as_table(made, self.columns(stream, compression)))


def _text_at(record: dict[str, Any], declared: DeclaredColumn, number: int) -> str | None:
    value = _value_at(record, declared.steps)
    if value is _ABSENT:
        if declared.missing == "null":
            return None
        raise CorruptFile(
            f"record {number:,} has nothing for column {declared.name}, at {_shown(declared.steps)}",
            hint="correct path:; or write missing: 'null' if such records are right",
        )
    text = _text_of(value, declared)
    if text is _UNFIT:
        if declared.mismatch == "null":
            return None
        raise typed.unfit(declared, number)
    assert text is None or isinstance(text, str)
    return text


def _value_at(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, int):
            if not isinstance(value, list) or not 0 <= step < len(value):
                return _ABSENT
        elif not isinstance(value, dict) or step not in value:
            return _ABSENT
        value = value[step]
    return value


def _text_of(value: Any, declared: DeclaredColumn) -> Any:
    """Return a JSON value as text for its declared type: None for null, ``_UNFIT`` for one of another type.

    Numbers may stand in quotes, as JSON's own are not exact for every reader.
    """
    kind = declared.column.kind
    if value is None:
        return None
    if kind is Kind.JSON:
        return spelled(value)
    if isinstance(value, bool):
        return str(value).lower() if kind is Kind.BOOLEAN and declared.format is None else _UNFIT
    if isinstance(value, Number):
        return str(value) if kind in _NUMBERS else _UNFIT
    if not isinstance(value, str) or (kind is Kind.BOOLEAN and declared.format is None):
        return _UNFIT
    return value


def _shown(steps: tuple[str | int, ...]) -> str:
    parts = (f"[{one}]" if isinstance(one, int) else f".{one}" for one in steps)
    return "".join(parts).removeprefix(".")
