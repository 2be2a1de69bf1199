"""Turns texts of other systems into values of declared types, exactly or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow.batches import silent
from hdm.errors import CorruptFile
from hdm.files.formats import text
from hdm.files.formats.declared import DeclaredColumn
from hdm.model import Kind

_INT = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NAMED_FLOATS = r"^(NaN|[+-]?(Infinity|inf))$"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}%s)?"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_SHAPES = {
    Kind.DATE: f"^{_DATE}$",
    Kind.TIME: f"^{_CLOCK}$",
    Kind.TIMESTAMP: f"^{_DATE}[ T]{_CLOCK}$",
    Kind.TIMESTAMPTZ: f"^{_DATE}[ T]{_CLOCK}{_ZONE}$",
    Kind.DECIMAL: _NUMBER,
    Kind.UUID: "(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    Kind.BINARY: "^([0-9a-fA-F]{2})*$",
    **dict.fromkeys((Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64), _INT),
}
_FLOATS = (Kind.FLOAT32, Kind.FLOAT64)
_WORDS = {"true": True, "false": False, "1": True, "0": False}


class UnfitError(Exception):
    """A text that does not spell a value of the declared type; ``row`` is its place in the array."""

    def __init__(self, row: int) -> None:
        super().__init__(row)
        self.row = row


@dataclass(frozen=True, slots=True)
class Notation:
    """How numbers are written: the mark before the fraction, and that between thousands, if any."""

    decimal: str = "."
    thousands: str | None = None

    def plain(self, texts: pa.Array) -> pa.Array:
        """Return numbers with a point before the fraction and no other marks.

        A number that is not written so is returned as a text that is no number.
        """
        if self.decimal == "." and self.thousands is None:
            return texts
        point, group = re.escape(self.decimal), re.escape(self.thousands or "")
        whole = f"[0-9]{{1,3}}({group}[0-9]{{3}})+|[0-9]*" if group else "[0-9]*"
        fits = pc.match_substring_regex(texts, f"^[+-]?({whole})({point}[0-9]*)?([eE][+-]?[0-9]+)?$")
        named = pc.match_substring_regex(texts, _NAMED_FLOATS)
        made = pc.replace_substring(texts, self.thousands, "") if self.thousands else texts
        made = pc.replace_substring(made, self.decimal, ".")
        return pc.if_else(named, texts, pc.if_else(fits, made, pa.scalar("no number", texts.type)))


POINT = Notation()


def values(texts: pa.Array, declared: DeclaredColumn, first: int, marks: Notation = POINT) -> pa.Array:
    """Return the values that texts spell, as the declared column's type; NULL stays NULL.

    ``first`` is the number of the first text's record. Raises ``CorruptFile`` with the number of the record
    whose text spells no value of the type, unless ``mismatch`` says that it is NULL.
    """
    kind = declared.column.type
    try:
        return _converted(texts, declared, marks)
    except UnfitError as error:
        if declared.mismatch == "null":
            parts = [_or_null(texts.slice(row, 1), declared, marks) for row in range(len(texts))]
            return pa.concat_arrays(parts) if parts else pa.array([], kind)
        raise unfit(declared, first + error.row) from silent(error)


def unfit(declared: DeclaredColumn, record: int) -> CorruptFile:
    """Return the error for a value in record number ``record`` that is none of the declared type."""
    shape = f", written {declared.format}" if declared.format else ""
    return CorruptFile(
        f"record {record:,}: column {declared.name} is no {declared.type}{shape}",
        hint="mend the record; or declare another type or format; or write mismatch: 'null'",
    )


def _or_null(one: pa.Array, declared: DeclaredColumn, marks: Notation) -> pa.Array:
    try:
        return _converted(one, declared, marks)
    except UnfitError:
        return pa.nulls(1, declared.column.type)


def _converted(texts: pa.Array, declared: DeclaredColumn, marks: Notation) -> pa.Array:
    column = declared.column
    kind = column.kind
    if kind is Kind.TEXT:
        return texts
    if kind is Kind.BOOLEAN:
        return _by_value(texts, _word(declared), column.type)
    if kind is Kind.JSON:
        return _by_value(texts, _json, column.type)
    if declared.format is not None:
        return _by_value(texts, _moment(declared, kind), column.type)
    if kind in _FLOATS or kind in (Kind.DECIMAL, Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64):
        texts = marks.plain(texts)
    shape = _NUMBER if kind in _FLOATS else _SHAPES[kind]
    if column.precision is not None and "%s" in shape:
        shape %= rf"(\.[0-9]{{1,{column.precision}}})?" if column.precision else ""
    fits = pc.match_substring_regex(texts, shape)
    if kind in _FLOATS:
        fits = pc.or_(fits, pc.match_substring_regex(texts, _NAMED_FLOATS))
    _all(fits)
    if kind is Kind.UUID:
        return pc.utf8_lower(texts)
    if kind is Kind.BINARY:
        return text.hex_value(texts, column.type)
    return _cast(texts, column.type, kind)


def _all(fits: pa.Array) -> None:
    place = pc.index(fits, pa.scalar(False)).as_py()
    if place >= 0:
        raise UnfitError(place)


def _cast(texts: pa.Array, kind: pa.DataType, meant: Kind) -> pa.Array:
    def cast(some: pa.Array) -> pa.Array:
        if pa.types.is_time(kind):
            return text.temporal_value(some, kind)
        if meant is Kind.TIMESTAMPTZ:
            return some.cast(kind)
        if pa.types.is_integer(kind):
            return pc.utf8_ltrim(some, "+").cast(kind)
        made = some.cast(kind)
        if pa.types.is_floating(kind):
            beyond = pc.and_(pc.is_inf(made), pc.invert(pc.match_substring(some, "n", ignore_case=True)))
            _all(pc.invert(beyond))
        return made

    try:
        return cast(texts)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        for row in range(len(texts)):
            try:
                cast(texts.slice(row, 1))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnfitError):
                raise UnfitError(row) from silent(error)
        raise UnfitError(0) from silent(error)


def _by_value(texts: pa.Array, meaning: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """Convert each distinct text once; ``meaning`` raises ``ValueError`` for one that has none."""
    coded = texts.dictionary_encode()
    made: list[Any] = []
    for place, one in enumerate(coded.dictionary.to_pylist()):
        try:
            made.append(meaning(one))
        except (ValueError, OverflowError) as error:
            row = pc.index(coded.indices, pa.scalar(place, coded.indices.type)).as_py()
            raise UnfitError(row) from silent(error)
    return pa.array(made, kind).take(coded.indices)


def _word(declared: DeclaredColumn) -> Callable[[str], bool]:
    yes, mark, no = (declared.format or "").partition("/")
    words = {yes: True, no: False} if mark else _WORDS

    def meaning(one: str) -> bool:
        found = words.get(one if mark else one.lower())
        if found is None:
            raise ValueError("no boolean")
        return found

    return meaning


def _json(one: str) -> str:
    json.loads(one)
    return one


def _moment(declared: DeclaredColumn, kind: Kind) -> Callable[[str], Any]:
    shape = declared.format or ""
    precision = declared.column.precision
    digits = 6 if precision is None else precision

    def meaning(one: str) -> Any:
        found = datetime.strptime(one, shape)  # noqa: DTZ007 -- the format says whether there is a zone
        if found.microsecond % 10 ** max(0, 6 - digits):
            raise ValueError("more digits than the type has")
        if kind is Kind.DATE:
            if found.time() != datetime.min.time():
                raise ValueError("a time of day in a date")
            return date(found.year, found.month, found.day)
        if kind is Kind.TIMESTAMPTZ:
            if found.tzinfo is None:
                raise ValueError("no zone")
            return found.astimezone(UTC)
        if found.tzinfo is not None:
            raise ValueError("a zone in a type that has none")
        return found.time() if kind is Kind.TIME else found

    return meaning
