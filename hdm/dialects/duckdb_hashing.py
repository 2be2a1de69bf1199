"""Hashes rows inside DuckDB, bit for bit as ``hdm.proof`` does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hdm.dialects.hashing import LOW, Bucketing, Hashing
from hdm.dialects.types import INTEGERS, TEXTS
from hdm.model import Column, Kind

_NAN = "'9221120237041090560'"
"""The bits of the only NaN, as a whole number."""
_FAR = "9223372036854775807"


class DuckDBHashing(Hashing):
    """The part of DuckDB's dialect that hashes rows in the database."""

    can_sum = (
        "SELECT TRY_CAST('0x' || substr(md5('a'::BLOB), 1, 16) AS UBIGINT) = 919145239626757800 "
        "AND TRY_CAST(TRY_CAST(1.5::DOUBLE AS BIT) AS BIGINT) = 4609434218613702656"
    )

    def spelled(self, expression: str, column: Column, form: str, rules: Collection[str] = ()) -> str | None:
        """Return SQL that spells a value: as text, but bytes as a BLOB; None if it is not certain."""
        kind = column.kind
        if form == "n":
            return _number(expression, column)
        if form == "f" and kind in (Kind.FLOAT32, Kind.FLOAT64):
            number = f"CAST({expression} AS DOUBLE)" + (" + 0::DOUBLE" if "zero_sign" in rules else "")
            bits = f"CAST(CAST(CAST({number} AS BIT) AS BIGINT) AS VARCHAR)"
            return f"CASE WHEN isnan({expression}) THEN {_NAN} ELSE {bits} END"
        if form == "t" and kind in TEXTS:
            text = expression
            if "trailing_blanks" in rules:
                text = f"rtrim({text}, ' ')"
            return f"nullif({text}, '')" if "empty_is_null" in rules else text
        if form == "b" and kind is Kind.BINARY:
            return expression
        if form == "c" and kind is Kind.TIME and column.precision != 9:
            return f"CAST(epoch_us({expression}) AS VARCHAR)"
        return _micros(expression, column) if form == "m" else None

    def sums_by_bucket(
        self, rows: str, values: Sequence[str], forms: Sequence[str], bucketing: Bucketing
    ) -> str | None:
        """Return the query; sums of BIGINT and UBIGINT are exact HUGEINTs."""
        blobs = "b" in forms
        parts = [_framed(f"hdm_v{n}", form, blobs=blobs) for n, form in enumerate(forms)]
        named = ", ".join(f"{value} AS hdm_v{n}" for n, value in enumerate(values))
        if bucketing.key is not None:
            above = f"(CAST({bucketing.key} AS BIGINT) - ({bucketing.low}))"
            spelled = f"SELECT {above} AS hdm_a, {named} FROM {rows}"
            bucket = f"CASE WHEN hdm_a < 0 THEN 0 ELSE coalesce(hdm_a // {bucketing.width}, -1) END"
            place = f"CASE WHEN hdm_a < 0 THEN hdm_a ELSE coalesce(hdm_a % {bucketing.width}, 0) END"
            hashed = (
                f"SELECT {bucket} AS hdm_b, {place} AS hdm_p, {_hash(parts)} AS hdm_h "
                f"FROM ({spelled}) AS hdm_s"
            )
        else:
            own = _hash([parts[n] for n in bucketing.hashed]) if bucketing.hashed else "hdm_h"
            spelled = f"SELECT {_hash(parts)} AS hdm_h, * FROM (SELECT {named} FROM {rows}) AS hdm_s"
            keyed = f"SELECT hdm_h, {own} AS hdm_k FROM ({spelled}) AS hdm_t"
            hashed = (
                f"SELECT CAST(hdm_k & {bucketing.buckets - 1} AS BIGINT) AS hdm_b, "
                f"CAST(hdm_k >> 33 AS BIGINT) AS hdm_p, hdm_h FROM ({keyed}) AS hdm_u"
            )
        sums = f"count(*), sum(hdm_p), sum(hdm_h), sum(hdm_p * CAST(hdm_h & {LOW} AS BIGINT))"
        return f"SELECT hdm_b, {sums} FROM ({hashed}) AS hdm_w GROUP BY hdm_b"


def _number(expression: str, column: Column) -> str | None:
    if column.kind is Kind.BOOLEAN:
        return f"CAST(CAST({expression} AS TINYINT) AS VARCHAR)"
    if column.kind in INTEGERS:
        return f"CAST({expression} AS VARCHAR)"
    if column.kind is not Kind.DECIMAL:
        return None
    scale, precision = column.scale or 0, column.precision
    if not scale:
        return f"CAST({expression} AS VARCHAR)"
    if precision == scale:  # DuckDB writes .5, without the zero
        if precision == 38:
            return None
        expression = f"CAST({expression} AS DECIMAL({scale + 1},{scale}))"
    return f"rtrim(rtrim(CAST({expression} AS VARCHAR), '0'), '.')"


def _micros(expression: str, column: Column) -> str | None:
    """SQL for the microseconds since 1970; None for a type that keeps nanoseconds."""
    if column.kind is Kind.DATE:
        days = f"CAST({expression} - DATE '1970-01-01' AS HUGEINT)"
        usual = f"CAST({days} * 86400000000 AS VARCHAR)"
        epoch = "DATE '1970-01-01'"
    elif column.kind in (Kind.TIMESTAMP, Kind.TIMESTAMPTZ) and column.precision != 9:
        usual, epoch = f"CAST(epoch_us({expression}) AS VARCHAR)", "TIMESTAMP '1970-01-01'"
    else:
        return None
    far = f"CASE WHEN {expression} > {epoch} THEN '' ELSE '-' END || '{_FAR}'"
    return f"CASE WHEN isfinite({expression}) THEN {usual} WHEN {expression} IS NOT NULL THEN {far} END"


def _framed(name: str, form: str, *, blobs: bool) -> str:
    if form == "b":
        return f"coalesce(encode('b' || octet_length({name}) || ':') || {name}, 'N'::BLOB)"
    text = f"coalesce('{form}' || strlen({name}) || ':' || {name}, 'N')"
    return f"encode({text})" if blobs else text


def _hash(parts: Sequence[str]) -> str:
    return f"CAST('0x' || substr(md5({' || '.join(parts)}), 1, 16) AS UBIGINT)"
