"""Gives equal values of two columns the same bytes, whatever systems and types the columns have.

Each value gets one spelling by its column pair's form. A row is the spellings of its values, each with its
form and length before it, so that NULL, '' and 'NULL' differ, and ('ab', 'c') differs from ('a', 'bc').
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hdm.arrow import temporal
from hdm.arrow.rows import decimal_texts
from hdm.dialects.types import INTEGERS
from hdm.errors import UsageError
from hdm.model import Column, Kind

_PLAIN = r"^(-?[1-9][0-9]*|0|-?(0|[1-9][0-9]*)\.[0-9]*[1-9])$"
_DAY = 86_400_000_000
_SAFE_DAYS = 100_000_000
"""Days from 1970 for which the microseconds surely fit into 64 bits."""
_NULL = pa.scalar(b"N", pa.binary())
_NOTHING = pa.scalar(b"", pa.binary())


class Form(StrEnum):
    """What two columns' values are compared as."""

    NUMBER = "n"
    """Exact number: 1, 1.0 and true are equal."""
    FLOAT = "f"
    """Binary floating point number, to the last bit; all NaN are equal, 0.0 and -0.0 are not."""
    TEXT = "t"
    BYTES = "b"
    MOMENT = "m"
    """Day or moment, the day as its midnight; moments with a zone in UTC."""
    CLOCK = "c"
    """Time of day."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Differences of one column that the manifest or the caller declares to be none."""

    trailing_blanks: bool = False
    """Blanks at the end of a text do not count."""
    empty_is_null: bool = False
    """An empty text equals NULL."""
    zero_sign: bool = False
    """-0.0 equals 0.0."""
    seconds: int | None = None
    """Number of fractional digits of seconds that are compared; later ones are cut on both sides."""
    tolerance: Decimal | None = None
    """Greatest difference of two numbers that counts as none."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Values of the first side, as text -> the value of the second side that stands for it."""

    def rules(self, *, first: bool) -> list[str] | None:
        """Return the names of the rules that change spellings; None if one has no name that SQL knows."""
        if self.seconds is not None or (self.values and first):
            return None
        names = ("trailing_blanks", "empty_is_null", "zero_sign")
        return [name for name in names if getattr(self, name)]

    def words(self) -> list[str]:
        """Return what is accepted, one phrase for each rule."""
        found = []
        if self.trailing_blanks:
            found.append("blanks at the end do not count")
        if self.empty_is_null:
            found.append("an empty text equals NULL")
        if self.zero_sign:
            found.append("-0.0 equals 0.0")
        if self.seconds is not None:
            found.append(f"seconds are cut to {self.seconds} digits")
        if self.tolerance is not None:
            found.append(f"numbers may differ by {self.tolerance}")
        if self.values:
            found.append(f"{len(self.values)} pair(s) of values stand for each other")
        return found


NONE_ACCEPTED = Accepted()


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of each side, and what their values are compared as."""

    a: Column
    b: Column
    form: Form
    accepted: Accepted = NONE_ACCEPTED

    @property
    def is_whole_number(self) -> bool:
        """Whether both columns hold whole numbers of at most 64 bits, so that ranges of them can be read."""
        return self.a.kind in INTEGERS and self.b.kind in INTEGERS and not self.accepted.values


def pair_of(a: Column, b: Column, accepted: Accepted = NONE_ACCEPTED) -> Pair:
    """Return how two columns are compared.

    Raises ``UsageError`` for an Arrow type that has no form, and for a rule that does not fit the form.
    """
    one, other = _form_of(a), _form_of(b)
    if one is other:
        form = one
    elif {one, other} == {Form.NUMBER, Form.FLOAT}:
        form = Form.NUMBER
    else:
        form = Form.BYTES if {one, other} == {Form.TEXT, Form.BYTES} else Form.TEXT
    _refuse(a.name, accepted, form)
    return Pair(a, b, form, accepted)


def _refuse(name: str, accepted: Accepted, form: Form) -> None:
    wrong = None
    if (accepted.trailing_blanks or accepted.empty_is_null) and form is not Form.TEXT:
        wrong = "trailing_blanks and empty_is_null are for texts"
    elif accepted.seconds is not None and form not in (Form.MOMENT, Form.CLOCK):
        wrong = "seconds is for times"
    elif (accepted.zero_sign and form is not Form.FLOAT) or (
        accepted.tolerance is not None and form not in (Form.NUMBER, Form.FLOAT)
    ):
        wrong = "tolerance is for numbers, zero_sign for floats"
    elif accepted.values and form not in (Form.TEXT, Form.NUMBER, Form.FLOAT):
        wrong = "values is for texts and numbers"
    elif form is Form.FLOAT and not all(map(_is_float, (*accepted.values, *accepted.values.values()))):
        wrong = "values must be numbers"
    if wrong:
        raise UsageError(f"column {name} is compared as {form.name.lower()}: {wrong}", hint="remove the rule")


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _form_of(column: Column) -> Form:
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return Form.NUMBER if column.kind is Kind.DECIMAL else Form.TEXT
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return Form.BYTES
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        return Form.NUMBER
    if pa.types.is_floating(kind):
        return Form.FLOAT
    if pa.types.is_date32(kind) or pa.types.is_timestamp(kind):
        return Form.MOMENT
    if pa.types.is_time(kind):
        return Form.CLOCK
    raise UsageError(
        f"column {column.name}: values of type {kind} cannot be compared", hint="leave the column out"
    )


# -- spelling ------------------------------------------------------------------


def spelled(array: pa.Array, pair: Pair, *, first: bool) -> pa.Array:
    """Return the values of one batch in the pair's spelling, as bytes; NULL stays NULL.

    ``first``: the batch is of the first side, whose accepted values are replaced.
    """
    accepted = pair.accepted
    if pair.form is Form.FLOAT:
        found = _floats(array, accepted)
    elif pair.form is Form.NUMBER:
        found = _numbers(array)
    elif pair.form is Form.BYTES:
        found = array
    elif pair.form in (Form.MOMENT, Form.CLOCK):
        found = _ticks(array, accepted.seconds)
    else:
        found = _texts(array, accepted)
    if accepted.values and first:
        known = {_stands(old, pair.form): _stands(new, pair.form) for old, new in accepted.values.items()}
        found = pa.array([known.get(text, text) for text in found.to_pylist()], found.type)
    return found.cast(pa.binary())


def _stands(text: str, form: Form) -> str:
    """Return the spelling of a value that ``values`` gives as text; raise ``ValueError`` for no number."""
    if form is Form.FLOAT:
        return str(_floats(pa.array([float(text)]), NONE_ACCEPTED)[0])
    return number_text(text) if form is Form.NUMBER else text


def _texts(array: pa.Array, accepted: Accepted) -> pa.Array:
    kind = array.type
    if pa.types.is_temporal(kind):
        array = temporal.to_texts(array)
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        array = pa.array([None if v is None else v.hex() for v in array.to_pylist()], pa.string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        array = array.cast(pa.string()) if pa.types.is_null(kind) else _numbers(array)
    if accepted.trailing_blanks:
        array = pc.utf8_rtrim(array, characters=" ")
    if accepted.empty_is_null:
        array = pc.if_else(pc.equal(array, ""), pa.scalar(None, array.type), array)
    return array


def _numbers(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_boolean(kind):
        return array.cast(pa.int8()).cast(pa.string())
    if pa.types.is_integer(kind):
        return array.cast(pa.string())
    if pa.types.is_floating(kind):
        return pa.array([None if v is None else number_text(repr(v)) for v in array.to_pylist()], pa.string())
    texts = decimal_texts(array) if pa.types.is_decimal(kind) else array.cast(pa.string())
    if pc.all(pc.match_substring_regex(texts, _PLAIN), skip_nulls=True).as_py() is not False:
        return texts
    if pa.types.is_decimal(kind):
        if kind.scale <= 0:
            return texts
        return pc.replace_substring_regex(texts, r"\.?0+$", "")  # a decimal has a point where scale > 0
    return pa.array([None if v is None else number_text(v) for v in texts.to_pylist()], pa.string())


def number_text(text: str) -> str:
    """Return a number's text without exponent and needless zeros; another text as it is."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite():
        return str(value)
    short = f"{value:f}"
    if "." in short:
        short = short.rstrip("0").rstrip(".")
    return "0" if short in ("-0", "0", "") else short


def _floats(array: pa.Array, accepted: Accepted) -> pa.Array:
    values = array.cast(pa.float64())
    if accepted.zero_sign:
        values = pc.add(values, 0.0)
    values = pc.if_else(pc.is_nan(values), math.nan, values)
    return values.view(pa.int64()).cast(pa.string())


def _ticks(array: pa.Array, digits: int | None) -> pa.Array:
    """Return times as text of their microseconds, with the rest after a point where there is one."""
    kind = array.type
    if pa.types.is_date32(kind):
        return _days(array.cast(pa.int32()).cast(pa.int64()))
    numbers = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64())
    if kind.unit in ("s", "ms"):
        numbers = pc.multiply_checked(numbers, 1_000_000 if kind.unit == "s" else 1_000)
    if kind.unit != "ns":
        return (numbers if digits is None else _cut(numbers, 6 - digits)).cast(pa.string())
    ends = pc.equal(pc.abs(numbers), temporal.INT64_MAX)
    numbers = numbers if digits is None else pc.if_else(ends, numbers, _cut(numbers, 9 - digits))
    micros = pc.divide(_cut(numbers, 3), 1000)
    rest = pc.subtract(numbers, pc.multiply(micros, 1000))
    whole = micros.cast(pa.string())
    finer = pc.binary_join_element_wise(whole, pc.utf8_lpad(rest.cast(pa.string()), 3, "0"), ".")
    return pc.if_else(ends, numbers.cast(pa.string()), pc.if_else(pc.equal(rest, 0), whole, finer))


def _cut(numbers: pa.Array, digits: int) -> pa.Array:
    """Return whole numbers with their last digits set to zero, rounded down."""
    if digits <= 0:
        return numbers
    step = 10**digits
    rest = pc.subtract(numbers, pc.multiply(pc.divide(numbers, step), step))
    rest = pc.if_else(pc.less(rest, 0), pc.add(rest, step), rest)
    return pc.subtract(numbers, rest)


def _days(days: pa.Array) -> pa.Array:
    most = pc.max(pc.abs(days)).as_py()
    if most is None or most <= _SAFE_DAYS:
        return pc.multiply(days, _DAY).cast(pa.string())
    far = {temporal.INT32_MAX: temporal.INT64_MAX, -temporal.INT32_MAX: -temporal.INT64_MAX}
    return pa.array([None if d is None else str(far.get(d, d * _DAY)) for d in days.to_pylist()], pa.string())


def framed(values: pa.Array, form: Form) -> pa.Array:
    """Return spelled values with form and length before each, and NULL as a mark of its own."""
    heads = pc.binary_join_element_wise(form.value, pc.binary_length(values).cast(pa.string()), "")
    heads = pc.binary_join_element_wise(heads, ":", "").cast(pa.binary())
    return pc.fill_null(pc.binary_join_element_wise(heads, values, _NOTHING), _NULL)


def joined(parts: Sequence[pa.Array]) -> list[bytes]:
    """Return the rows of framed columns, each as one text of bytes."""
    whole = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, _NOTHING)
    rows: list[Any] = whole.to_pylist()
    return rows
