"""Converts dates and timestamps to text and back without loss, also BC, beyond 9999, and infinity.

Arrow values count days or ticks from 1970-01-01 in the proleptic Gregorian calendar; infinity is the largest
integer of the type, -infinity its negative (as in DuckDB). Text is ISO 8601 with PostgreSQL's `` BC`` suffix
and ``infinity``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1
_MICROS_PER_DAY = 86_400_000_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31
_DATE = re.compile(r"(-?)(\d{4,7})-(\d\d)-(\d\d)( BC)?\Z")
_STAMP = re.compile(
    r"(\d{4,7}-\d\d-\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?( BC)?\Z"
)


def day_number(year: int, month: int, day: int) -> int:
    """Return the number of days since 1970-01-01; raise ``ValueError`` if the day does not exist."""
    if not 1 <= month <= 12 or not 1 <= day <= _month_days(year, month):
        raise ValueError("no such day")
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _civil(days: int) -> tuple[int, int, int]:
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def date_from_text(text: str) -> int:
    """Return the number of days since 1970-01-01 for a date's text; raise ``ValueError`` if it is no date."""
    if text in ("infinity", "-infinity"):
        return INT32_MAX if text == "infinity" else -INT32_MAX
    found = _DATE.match(text)
    if not found or (found[1] and found[5]):
        raise ValueError("no date")
    year = int(found[2])
    year = 1 - year if found[5] else (-year if found[1] else year)
    return day_number(year, int(found[3]), int(found[4]))


def date_to_text(days: int) -> str:
    """Return a number of days since 1970-01-01 as the text that ``date_from_text`` reads."""
    if abs(days) == INT32_MAX:
        return "infinity" if days > 0 else "-infinity"
    year, month, day = _civil(days)
    if year > 0:
        return f"{year:04d}-{month:02d}-{day:02d}"
    return f"{1 - year:04d}-{month:02d}-{day:02d} BC"


def stamp_from_text(text: str, *, zoned: bool, per_second: int = 1_000_000) -> int:
    """Return the ticks since 1970-01-01 (in UTC if ``zoned``) for a timestamp's text.

    There are ``per_second`` ticks in a second. Raises ``ValueError`` if the text is not a timestamp, if it
    has a time zone although ``zoned`` is False or none although it is True, or if no whole number of ticks
    holds it exactly.
    """
    if text in ("infinity", "-infinity"):
        return INT64_MAX if text == "infinity" else -INT64_MAX
    found = _STAMP.match(text)
    if not found or bool(found[6]) != zoned:
        raise ValueError("no timestamp")
    days = date_from_text(found[1] + (found[7] or ""))
    hour, minute, second = int(found[2]), int(found[3]), int(found[4] or 0)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no time of day")
    whole = days * 86_400 + hour * 3600 + minute * 60 + second - _offset(found[6])
    fraction, rest = divmod(int((found[5] or "").ljust(9, "0")) * per_second, 10**9)
    ticks = whole * per_second + fraction
    if rest or abs(ticks) >= INT64_MAX:
        raise ValueError("finer or farther than the carrier")
    return ticks


def _offset(zone: str | None) -> int:
    if zone in (None, "", "Z"):
        return 0
    digits = zone[1:].replace(":", "").ljust(6, "0")
    size = int(digits[:2]) * 3600 + int(digits[2:4]) * 60 + int(digits[4:])
    return -size if zone[0] == "-" else size


def stamp_to_text(ticks: int, zone: str = "", per_second: int = 1_000_000) -> str:
    """Return a number of ticks since 1970-01-01 as the text of a timestamp, with ``zone`` at the end.

    There are ``per_second`` ticks in a second; ``stamp_from_text`` reads the text.
    """
    if abs(ticks) == INT64_MAX:
        return "infinity" if ticks > 0 else "-infinity"
    whole, fraction = divmod(ticks, per_second)
    days, of_day = divmod(whole, 86_400)
    date, _, era = date_to_text(days).partition(" ")
    digits = len(str(per_second)) - 1
    tail = f".{fraction:0{digits}d}" if fraction and digits else ""
    clock = f"{of_day // 3600:02d}:{of_day // 60 % 60:02d}:{of_day % 60:02d}"
    return f"{date} {clock}{tail}{zone}" + (f" {era}" if era else "")


def clock_from_text(text: str, per_second: int = 1_000_000) -> int:
    """Return the ticks since midnight for the text of a time of day.

    There are ``per_second`` ticks in a second. Raises ``ValueError`` if the text is no time below 24:00:00.
    """
    return stamp_from_text("1970-01-01 " + text, zoned=False, per_second=per_second)


def per_second(unit: str) -> int:
    """Return how many ticks a second has in an Arrow time unit."""
    return {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}[unit]


def is_plain(array: pa.Array) -> bool:
    """Return True if every date or timestamp in an array lies in the years 1 to 9999; also for none."""
    if pa.types.is_date32(array.type):
        numbers, low, high = array.cast(pa.int32()), _FIRST_DAY, _LAST_DAY
    else:
        scale = 86_400 * per_second(array.type.unit)
        numbers = array.cast(pa.int64())
        low, high = max(_FIRST_DAY * scale, 1 - INT64_MAX), min((_LAST_DAY + 1) * scale, INT64_MAX) - 1
    bounds = pc.min_max(numbers)
    least, most = bounds["min"].as_py(), bounds["max"].as_py()
    return least is None or (least >= low and most <= high)


def to_texts(array: pa.Array, zone: str = "+00:00") -> pa.Array:
    """Return dates, times or timestamps as exact text; those with a time zone end with ``zone``.

    Raises ``ValueError`` for a time of day beyond 24:00:00.
    """
    kind = array.type
    if pa.types.is_time(kind):
        return _clock_texts(array)
    zone = zone if pa.types.is_timestamp(kind) and kind.tz else ""
    if is_plain(array):
        naive = array.cast(pa.timestamp(kind.unit)) if zone else array
        texts = naive.cast(pa.string())
        return pc.binary_join_element_wise(texts, zone, "") if zone else texts
    if pa.types.is_date32(kind):
        return _mapped(array.cast(pa.int32()), date_to_text)
    scale = per_second(kind.unit)
    return _mapped(array.cast(pa.int64()), lambda ticks: stamp_to_text(ticks, zone, scale))


def _clock_texts(array: pa.Array) -> pa.Array:
    """Return times of day as text; the end of a day, which Arrow's own cast cannot show, is 24:00:00."""
    numbers = array.cast(pa.int32() if array.type.bit_width == 32 else pa.int64())
    scale = per_second(array.type.unit)
    most = pc.max(numbers).as_py()
    if most is None or most < 86_400 * scale:
        return array.cast(pa.string())
    if most > 86_400 * scale:
        raise ValueError("no time of day")
    end = pc.equal(numbers, most)
    plain = pc.if_else(end, pa.scalar(None, numbers.type), numbers).cast(array.type).cast(pa.string())
    return pc.if_else(end, "24:00:00", plain)


def _mapped(numbers: pa.Array, render: Callable[[int], str]) -> pa.Array:
    return pa.array([None if n is None else render(n) for n in numbers.to_pylist()], pa.string())


def from_texts(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return an array of type ``kind`` for texts that ``to_texts`` wrote.

    Raises ``ValueError`` (``ArrowInvalid`` is one) if ``kind`` cannot hold a text.
    """
    if pa.types.is_time(kind):
        scale = per_second(kind.unit)
        clocks = [None if t is None else clock_from_text(t, scale) for t in texts.to_pylist()]
        return pa.array(clocks, pa.int64() if kind.bit_width == 64 else pa.int32()).cast(kind)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        pass  # some lie outside of the years 1 to 9999: convert one by one
    if pa.types.is_date32(kind):
        days = [None if t is None else date_from_text(t) for t in texts.to_pylist()]
        return pa.array(days, pa.int32()).cast(kind)
    scale, zoned = per_second(kind.unit), kind.tz is not None
    ticks = [
        None if t is None else stamp_from_text(t, zoned=zoned, per_second=scale) for t in texts.to_pylist()
    ]
    return pa.array(ticks, pa.int64()).cast(kind)
