"""Settings for reading files of other systems: columns with types, CSV's grammar, Excel's sheet."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pyarrow as pa
from pydantic import AfterValidator, Field, model_validator

from hdm.components.settings import Settings
from hdm.errors import UsageError
from hdm.model import Column, Kind

_TYPE = re.compile(r"([a-z]+\d*)(?:\((\d+)(?:,\s*(\d+))?\))?")
_PLAIN: dict[str, tuple[Kind, pa.DataType]] = {
    "text": (Kind.TEXT, pa.string()),
    "boolean": (Kind.BOOLEAN, pa.bool_()),
    "int8": (Kind.INT8, pa.int8()),
    "int16": (Kind.INT16, pa.int16()),
    "int32": (Kind.INT32, pa.int32()),
    "int64": (Kind.INT64, pa.int64()),
    "float32": (Kind.FLOAT32, pa.float32()),
    "float64": (Kind.FLOAT64, pa.float64()),
    "binary": (Kind.BINARY, pa.binary()),
    "date": (Kind.DATE, pa.date32()),
    "uuid": (Kind.UUID, pa.string()),
    "json": (Kind.JSON, pa.string()),
}
_TYPES = f"{', '.join(_PLAIN)}, time, timestamp, timestamptz (with or without digits) or decimal(p,s)"
_LOCATED = re.compile(r'"([^"]+)"|\[(\d+)\]|([^."\[\]]+)')


def column_of(name: str, declared: str, *, nullable: bool = True) -> Column:
    """Return the column of that name with a declared type such as ``decimal(12,2)`` or ``timestamp(3)``.

    Times and timestamps without a number of digits have six. Raises ``ValueError`` if there is no such type.
    """
    found = _TYPE.fullmatch(declared.strip().lower())
    word, first, second = found.groups() if found else ("", None, None)
    if word in _PLAIN and first is None:
        return Column(name, *_PLAIN[word], nullable)
    if word == "decimal" and first is not None:
        precision, scale = int(first), int(second or 0)
        if 1 <= precision <= 76 and scale <= precision:
            made = pa.decimal128 if precision <= 38 else pa.decimal256
            kind = made(precision, scale)
            return Column(name, Kind.DECIMAL, kind, nullable, precision=precision, scale=scale)
    digits = 6 if first is None else int(first)
    if word in ("time", "timestamp", "timestamptz") and second is None and digits <= 9:
        unit = next(unit for unit, most in (("s", 0), ("ms", 3), ("us", 6), ("ns", 9)) if digits <= most)
        if word == "time":
            fine = "ns" if digits > 6 else "us"
            return Column(name, Kind.TIME, pa.time64(fine), nullable, precision=digits)
        zone = "UTC" if word == "timestamptz" else None
        kind = Kind.TIMESTAMPTZ if zone else Kind.TIMESTAMP
        return Column(name, kind, pa.timestamp(unit, zone), nullable, precision=digits)
    raise ValueError(f"is no type; write {_TYPES}")


def _a_type(value: str) -> str:
    column_of("x", value)
    return value


def _steps(value: Any) -> Any:
    """Take ``a.b[0]`` apart; a list stays as it is."""
    if not isinstance(value, str):
        return value
    steps: list[str | int] = []
    at = 0
    for found in _LOCATED.finditer(value):
        if value[at : found.start()] not in ("", "."):
            break
        quoted, index, plain = found.groups()
        steps.append(int(index) if index is not None else quoted or plain)
        at = found.end()
    if at != len(value) or not steps:
        raise ValueError('is no path; write keys with dots between them, e.g. order.lines[0]."unit.price"')
    return steps


class DeclaredColumn(Settings):
    """Configuration of one column of a file, whose type the file itself does not say."""

    name: str = Field(min_length=1)
    """The column's name; in CSV and Excel files with a header, one of the header's."""
    type: Annotated[str, AfterValidator(_a_type)] = "text"
    """``text``, ``boolean``, ``int8`` to ``int64``, ``float32``, ``float64``, ``decimal(p,s)``, ``date``,
    ``time``, ``timestamp``, ``timestamptz``, ``uuid``, ``json`` or ``binary`` (hex digits)."""
    format: str | None = None
    """How dates and times are written, in Python's strptime codes (``%d.%m.%Y``); for boolean the two words,
    ``Y/N``. Left out, ISO 8601, and ``true``, ``false``, ``1`` and ``0``."""
    path: str | tuple[str | int, ...] | None = None
    """Where the value stands in a JSON record: ``order.lines[0].price``, or a list of keys and positions;
    left out, under the column's name."""
    start: int | None = Field(default=None, ge=1)
    """First character of the column in files of fixed width, counted from 1."""
    length: int | None = Field(default=None, ge=1)
    """How many characters the column has in files of fixed width."""
    trim: Literal["both", "left", "right", "none"] = "both"
    """Which blanks are no part of a value of fixed width."""
    missing: Literal["refuse", "null"] = "refuse"
    """What a JSON record without the path means: an error with its number, or NULL."""
    mismatch: Literal["refuse", "null"] = "refuse"
    """What a value of another type means: an error with the number of its record, or NULL."""

    @property
    def column(self) -> Column:
        """The declared column."""
        return column_of(self.name, self.type)

    @property
    def steps(self) -> tuple[str | int, ...]:
        """The keys and positions that lead to the value in a JSON record."""
        return (self.name,) if self.path is None else tuple(_steps(self.path))

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.path is not None:
            _steps(self.path)
        if (self.start is None) != (self.length is None):
            raise ValueError("a column of fixed width needs start: and length:")
        return self


def _an_encoding(value: str) -> str:
    try:
        found = codecs.lookup(value)
        "".encode(value)
    except LookupError:
        raise ValueError("is no encoding; write utf-8, cp1252, iso-8859-15, utf-16, ...") from None
    return found.name


def _one_mark(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in "\r\n\0":
        raise ValueError("must be one ASCII character, and no line end")
    return value


def _no_line_end(value: str) -> str:
    if not value or "\n" in value or "\r" in value:
        raise ValueError("must be some text without a line end")
    return value


_Mark = Annotated[str, AfterValidator(_one_mark)]


class FixedOptions(Settings):
    """Configuration of text files of other systems: encoding, and how lines, numbers and NULL are written."""

    encoding: Annotated[str, AfterValidator(_an_encoding)] = "utf-8"
    """How characters are written, by Python's names: ``cp1252``, ``utf-16``."""
    decimal: Literal[".", ","] = "."
    """The mark before the fraction of decimals and floats."""
    thousands: Literal[",", ".", " ", "'"] | None = None
    """The mark between groups of three digits; left out, there is none."""
    nulls: tuple[str, ...] = ("",)
    """Texts that are NULL, e.g. ``['', 'NULL', '\\N']``. A quoted field of CSV never is."""
    ragged: Literal["refuse", "pad"] = "refuse"
    """What a record that is too short means: an error with its line, or NULL in the fields that it lacks. One
    that is too long is always an error."""
    comment: Annotated[str, AfterValidator(_no_line_end)] | None = None
    """How lines begin that are no records; left out, each line belongs to one."""
    skip: int = Field(default=0, ge=0, le=10_000)
    """How many lines before the header, or before the first record, are passed over."""

    @model_validator(mode="after")
    def _two_marks(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal: and thousands: cannot be the same mark")
        return self


class CsvOptions(FixedOptions):
    """Configuration of the grammar of other systems' CSV, and of how numbers and NULL are written there."""

    sniff: bool = False
    """Finds the delimiter by the first 64 KiB of each file; ``plan`` and ``run`` say what was found. More
    than one that would do is refused."""
    quote: _Mark | None = '"'
    """The character around fields that hold delimiters or line ends; within such a field it is written twice.
    ``null`` if fields are never quoted."""
    escape: _Mark | None = None
    """The character that takes the meaning from the next one; left out, there is none."""
    header: bool | None = None
    """Whether the first record has the columns' names; ``false`` wants ``columns:``. Left out, it has, and
    one of numbers only is refused."""
    trailing_delimiter: bool = False
    """Accepts a delimiter behind the last field of each record, and of the header."""

    @model_validator(mode="after")
    def _one_escape(self) -> Self:
        if self.escape is not None and self.escape == self.quote:
            raise ValueError("a quote that is written twice needs no escape:")
        return self


class ExcelOptions(Settings):
    """Configuration of which cells of a workbook are the table."""

    sheet: str | None = None
    """The sheet; left out, the only one that the workbook has."""
    range: Annotated[str, Field(pattern=r"^\$?[A-Za-z]{1,3}\$?\d+:\$?[A-Za-z]{1,3}\$?\d*$")] | None = None
    """The table's cells, header included, e.g. ``B3:F200``, or ``B3:F`` down to the last row; left out, all
    that are filled."""
    header: bool = True
    """Whether the first row has the columns' names; ``false`` wants ``columns:``."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that a source's conf declares of how its files are read."""

    delimiter: str | None = None
    columns: tuple[DeclaredColumn, ...] | None = None
    csv: CsvOptions | None = None
    fixed: FixedOptions | None = None
    excel: ExcelOptions | None = None


def by_names(
    names: list[str], declared: tuple[DeclaredColumn, ...] | None, where: str
) -> tuple[DeclaredColumn, ...]:
    """Return a declared column for each of a header's names: the one of that name, or one of text.

    Raises ``UsageError`` if a column is declared that the header lacks; ``where`` names the header.
    """
    known = {one.name: one for one in declared or ()}
    if unknown := [name for name in known if name not in names]:
        raise UsageError(
            f"columns: declares {unknown[0]!r}, and {where} has {', '.join(map(repr, names))}",
            hint="write the names as they stand in the file",
        )
    return tuple(known.get(name) or DeclaredColumn(name=name) for name in names)
