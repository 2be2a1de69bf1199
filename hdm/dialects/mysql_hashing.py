"""Hashes rows inside MariaDB, bit for bit as ``hdm.proof`` does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hdm.dialects.hashing import LOW, Bucketing, Hashing
from hdm.dialects.types import INTEGERS
from hdm.model import Column, Kind

_TICKS = (3_600_000_000, 60_000_000, 1_000_000, 1)
_TEXTS = (Kind.TEXT, Kind.UUID, Kind.ENUM, Kind.JSON)
_KEPT = " LIMIT 18446744073709551615"
"""Keeps the server from computing a hash once for each place that uses it: a derived table with a limit is
made once. https://mariadb.com/kb/en/derived-table-merge-optimization/"""


class MySQLHashing(Hashing):
    """The part of MySQL's dialect that hashes rows in the database; only MariaDB does.

    The bits of a float cannot be had there: a table with one is read.
    """

    can_sum = "SELECT VERSION() LIKE '%MariaDB%'"

    def spelled(self, expression: str, column: Column, form: str, rules: Collection[str] = ()) -> str | None:
        """Return SQL that spells a value, with form and length before it; None if it is not certain.

        The result is NULL for a date or time that is none, so that the row has no hash.
        """
        kind, is_null = column.kind, f"{expression} IS NULL"
        text: str | None = None
        if form == "n" and "zerofill" not in column.native.lower():
            text = _number(expression, column)
        elif form == "t" and kind in _TEXTS:
            text = f"CAST(CONVERT({expression} USING utf8mb4) AS BINARY)"
            if "trailing_blanks" in rules:
                text = f"TRIM(TRAILING ' ' FROM {text})"
            if "empty_is_null" in rules:
                is_null = f"({is_null} OR LENGTH({text}) = 0)"
        elif form == "b" and kind is Kind.BINARY:
            text = expression
        elif form == "m" and kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
            day = f"DAYOFMONTH({expression})"
            bad = f"{day} > 28 AND {day} > DAYOFMONTH(LAST_DAY({expression})) OR YEAR({expression}) = 0"
            text = f"IF({bad}, NULL, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {expression}))"
        elif form == "c" and kind is Kind.TIME:
            parts = zip(_TICKS, ("HOUR", "MINUTE", "SECOND", "MICROSECOND"), strict=True)
            micros = " + ".join(f"{ticks} * {part}({expression})" for ticks, part in parts)
            text = f"IF({expression} BETWEEN '00:00:00' AND '23:59:59.999999', {micros}, NULL)"
        return f"IF({is_null}, 'N', CONCAT('{form}', LENGTH({text}), ':', {text}))" if text else None

    def sums_by_bucket(
        self, rows: str, values: Sequence[str], forms: Sequence[str], bucketing: Bucketing
    ) -> str | None:
        """Return the query; sums of BIGINT are exact decimals.

        A sum is NULL if a row has no hash: it is longer than max_allowed_packet, or has a date that is none.
        """
        parts = [f"hdm_v{n}" for n in range(len(values))]
        named = ", ".join(f"{value} AS hdm_v{n}" for n, value in enumerate(values))
        if bucketing.key is not None:
            above = f"(CAST({bucketing.key} AS SIGNED) - ({bucketing.low}))"
            spelled = f"SELECT {above} AS hdm_a, {named} FROM {rows}"
            bucket = f"COALESCE(hdm_a DIV {bucketing.width}, -1)"
            place = f"COALESCE(hdm_a MOD {bucketing.width}, 0)"
            known = f"IF(hdm_a < 0, NULL, {_hash(parts)})"
            hashed = f"SELECT {bucket} AS hdm_b, {place} AS hdm_p, {known} AS hdm_h FROM ({spelled}) AS hdm_s"
        else:
            own = _hash([parts[n] for n in bucketing.hashed]) if bucketing.hashed else "hdm_h"
            spelled = f"SELECT {named} FROM {rows}"
            spelled = f"SELECT {_hash(parts)} AS hdm_h, hdm_s.* FROM ({spelled}) AS hdm_s"
            keyed = f"SELECT hdm_h, {own} AS hdm_k FROM ({spelled}) AS hdm_t{_KEPT}"
            hashed = (
                f"SELECT hdm_k & {bucketing.buckets - 1} AS hdm_b, hdm_k >> 33 AS hdm_p, hdm_h "
                f"FROM ({keyed}) AS hdm_u"
            )
        sums = (
            f"COUNT(*), SUM(hdm_p), IF(COUNT(*) = COUNT(hdm_h), SUM(hdm_h), NULL), "
            f"SUM(hdm_p * (hdm_h & {LOW}))"
        )
        return f"SELECT hdm_b, {sums} FROM ({hashed}{_KEPT}) AS hdm_w GROUP BY hdm_b"


def _number(expression: str, column: Column) -> str | None:
    text = f"CAST({expression} AS CHAR)"
    if column.kind in INTEGERS:
        return text
    if column.kind is not Kind.DECIMAL:
        return None
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))" if column.scale else text


def _hash(parts: Sequence[str]) -> str:
    return f"CAST(CONV(LEFT(MD5(CONCAT({', '.join(parts)})), 16), 16, 10) AS UNSIGNED)"
