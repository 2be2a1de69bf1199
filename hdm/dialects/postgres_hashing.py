"""Hashes rows inside PostgreSQL 14 or later, bit for bit as ``hdm.proof`` does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hdm.dialects.hashing import LOW, Bucketing, Hashing
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

_PLAIN_TEXT = ("text", "character varying", "varchar")
_NAN = "9221120237041090560"
"""The bits of the only NaN, as a whole number."""
_FROM_1970_TO_2000 = 946_684_800_000_000
"""Microseconds between the epochs of hdm and of PostgreSQL."""


class PostgresHashing(Hashing):
    """The part of PostgreSQL's dialect that hashes rows in the database."""

    can_sum = (  # earlier epochs are floats; texts are hashed as they lie there
        "SELECT current_setting('server_version_num')::int >= 140000 AND getdatabaseencoding() = 'UTF8'"
    )

    def spelled(self, expression: str, column: Column, form: str, rules: Collection[str] = ()) -> str | None:
        """Return SQL that spells a value: as text, but bytes as bytea; None if it is not certain."""
        kind = column.kind
        if form == "n":
            if kind in INTEGERS:
                return f"({expression})::text"
            if kind is Kind.BOOLEAN:
                return f"({expression})::int::text"
            return f"trim_scale({expression})::text" if kind is Kind.DECIMAL else None
        if form == "f" and kind in (Kind.FLOAT32, Kind.FLOAT64):
            number = f"({expression})::float8" + (" + 0::float8" if "zero_sign" in rules else "")
            bits = f"('x' || encode(float8send({number}), 'hex'))::bit(64)::bigint::text"
            return f"CASE WHEN ({expression}) = 'NaN' THEN '{_NAN}' ELSE {bits} END"
        if form == "t":
            return self._text(expression, column, rules)
        if form == "b" and kind is Kind.BINARY and column.native == "bytea":
            return expression
        if form == "m" and kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            return _micros(expression, column)
        if form == "c" and kind is Kind.TIME:
            return f"trim_scale(extract(epoch from {expression}) * 1000000)::text"
        return None

    def _text(self, expression: str, column: Column, rules: Collection[str]) -> str | None:
        native = column.native.partition("(")[0].strip()
        if column.kind not in (Kind.UUID, Kind.ENUM, Kind.JSON) and native not in _PLAIN_TEXT:
            return None  # char(n) loses its blanks in an expression
        text = f"({expression})::text"
        if "trailing_blanks" in rules:
            text = f"rtrim({text}, ' ')"
        if "empty_is_null" in rules:
            text = f"nullif({text}, '')"
        return text

    def sums_by_bucket(
        self, rows: str, values: Sequence[str], forms: Sequence[str], bucketing: Bucketing
    ) -> str | None:
        """Return the query; sums of bigint are exact numerics.

        ``OFFSET 0`` keeps the planner from computing a hash once for each place that uses it. A spelling is
        computed twice, for its length and itself: that takes a third less than to keep it in a row between.
        """
        blobs = "b" in forms
        parts = [_framed(f"hdm_v{n}", form, blobs=blobs) for n, form in enumerate(forms)]
        named = ", ".join(f"{value} AS hdm_v{n}" for n, value in enumerate(values))
        if bucketing.key is not None:
            key = f"({bucketing.key})::bigint"
            above = f"({key} - ('{bucketing.low}'::bigint))"
            bucket = f"coalesce({above} / {bucketing.width}::bigint, -1)"
            place = f"coalesce({above} % {bucketing.width}::bigint, 0)"
            spelled = f"SELECT {bucket} AS hdm_b, {place} AS hdm_p, {named} FROM {rows}"
            hashed = f"SELECT hdm_b, hdm_p, {_hash(parts)} AS hdm_h FROM ({spelled}) AS hdm_s OFFSET 0"
        else:
            own = _hash([parts[n] for n in bucketing.hashed]) if bucketing.hashed else "hdm_h"
            spelled = f"SELECT {named} FROM {rows}"
            spelled = f"SELECT {_hash(parts)} AS hdm_h, * FROM ({spelled}) AS hdm_s OFFSET 0"
            keyed = f"SELECT hdm_h, {own} AS hdm_k FROM ({spelled}) AS hdm_t"
            hashed = (
                f"SELECT hdm_k & {bucketing.buckets - 1} AS hdm_b, (hdm_k >> 33) & {LOW} AS hdm_p, hdm_h "
                f"FROM ({keyed}) AS hdm_u"
            )
        sums = f"count(*), sum(hdm_p), sum(hdm_h), sum(hdm_p * (hdm_h & {LOW}))"
        return f"SELECT hdm_b, {sums} FROM ({hashed}) AS hdm_w GROUP BY hdm_b"


def _micros(expression: str, column: Column) -> str:
    """SQL for the microseconds since 1970; of a usual value by whole numbers, which are faster."""
    exact = f"trim_scale(extract(epoch from {expression}) * 1000000)::text"
    far = f"CASE WHEN {expression} > 'epoch' THEN '' ELSE '-' END || '9223372036854775807'"
    if column.kind is Kind.DATE:
        usual = f"(({expression} - date '1970-01-01') * 86400000000)::text"
    else:
        send = "timestamptz_send" if column.kind is Kind.TIMESTAMPTZ else "timestamp_send"
        since_2000 = f"('x' || encode({send}({expression}), 'hex'))::bit(64)::bigint"
        usual = f"({since_2000} + {_FROM_1970_TO_2000})::text"
    return (
        f"CASE WHEN {expression} BETWEEN '0001-01-01' AND '9999-12-31' THEN {usual} "
        f"WHEN isfinite({expression}) THEN {exact} WHEN {expression} IS NOT NULL THEN {far} END"
    )


def _framed(name: str, form: str, *, blobs: bool) -> str:
    if form == "b":
        return f"coalesce(convert_to('b' || octet_length({name}) || ':', 'UTF8') || {name}, 'N'::bytea)"
    text = f"coalesce('{form}' || octet_length({name}) || ':' || {name}, 'N')"
    return f"convert_to({text}, 'UTF8')" if blobs else text


def _hash(parts: Sequence[str]) -> str:
    return f"('x' || substr(md5({' || '.join(parts)}), 1, 16))::bit(64)::bigint"
