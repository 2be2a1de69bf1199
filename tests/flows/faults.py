"""Kinds of damage to a table, and the page that says how each is named: docs/reference/faults.md.

``python -m tests.flows.faults`` writes the page. ``test_faults.py`` plants each kind on each system.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "faults.md"
SYSTEMS = ("PostgreSQL", "MariaDB", "SQLite", "DuckDB", "Snowflake", "ODBC")
DDL = """CREATE TABLE faults (id BIGINT PRIMARY KEY, name TEXT, note TEXT, price DECIMAL_TEXT(18,4),
 ratio DOUBLE, big BIGINT, born DATE, seen TIMESTAMP(6), flag BOOLEAN, raw BLOB)"""
COLUMNS = ("id", "name", "note", "price", "ratio", "big", "born", "seen", "flag", "raw")
ROWS = 300
A = "\u00e4"
LONG = "x" * 70_000
SEVENTH = 3 / 7
FLOAT32 = struct.unpack("f", struct.pack("f", SEVENTH))[0]
MORE = 5_000
"""The key of a row that only the target has."""

MISSING, EXTRA, CHANGED = "missing", "extra", "changed"
BY_KEY, BY_RUN = "`hdm validate --repair`", "`mode: replace`, `hdm run`"


@dataclass(frozen=True)
class Fault:
    """One kind of damage.

    ``had`` are values of its row in the source, ``gets`` those that the target gets instead, ``causes`` the
    columns that must be named, with the likely cause. Without ``gets``, ``kind`` says how the row must be
    named, and ``test_faults.py`` does the damage. ``cannot`` says, by system, why none can hold it.
    """

    title: str
    had: Mapping[str, Any] = field(default_factory=dict)
    gets: Mapping[str, Any] = field(default_factory=dict)
    causes: Mapping[str, str] = field(default_factory=dict)
    kind: str = CHANGED
    named: str = ""
    repair: str = BY_KEY
    cannot: Mapping[str, str] = field(default_factory=dict)


def text(title: str, had: str | None, gets: str | None, cause: str, column: str = "name") -> Fault:
    return one(title, column, had, gets, cause)


def one(
    title: str, column: str, had: Any, gets: Any, cause: str, cannot: Mapping[str, str] | None = None
) -> Fault:
    return Fault(title, {column: had}, {column: gets}, {column: cause}, cannot=cannot or {})


NO_TRIGGER = "refused: it has no triggers"
FAULTS: tuple[Fault, ...] = (
    text("blank at the end", f"n{A}me", f"n{A}me ", "blanks at the end"),
    text("case", f"n{A}me", f"N{A}me", "case"),
    text("unicode form (NFC, NFD)", f"n{A}me", "na\u0308me", "unicode form"),
    text("a letter replaced by `?`", f"n{A}me", "n?me", "encoding"),
    text("UTF-8 read as Latin-1", f"n{A}me", "n\u00c3\u00a4me", "encoding"),
    text("text truncated", f"n{A}me and more", f"n{A}me and", "the end is missing"),
    text("tail of 70,000 characters", LONG + "tail", LONG, "the end is missing"),
    text("line ends", "a\r\nb", "a\nb", "line ends"),
    text("leading zeros", "0012", "12", "spelling of a number"),
    text("blank that does not break", "a b", "a\u00a0b", "unicode compatibility form"),
    text("JSON spelled anew", '{"a": 1}', '{"a":1}', "spelling of JSON"),
    text("`''` for NULL", None, "", "'' for NULL", "note"),
    text("NULL for `''`", "", None, "NULL for ''", "note"),
    text("NULL for a value", "note", None, "NULL for a value", "note"),
    one("last decimal", "price", "4.5001", "4.5002", "last digit"),
    one("decimals cut", "price", "4.5001", "4.5", "precision: 1 digits after the point"),
    one("sign of a number", "price", "4.5001", "-4.5001", "sign"),
    one("whole number through a float", "big", 2**53 + 1, 2**53, "precision of a float"),
    one("last digit of a float", "ratio", SEVENTH, math.nextafter(SEVENTH, 1), "precision of a float"),
    one("float of 32 bits", "ratio", SEVENTH, FLOAT32, "precision of a float"),
    one("NaN", "ratio", SEVENTH, math.nan, "not a number",
        {"MariaDB": "refused", "SQLite": "becomes NULL"}),
    one("infinity", "ratio", SEVENTH, math.inf, "infinity", {"MariaDB": "refused"}),
    one("sign of zero", "ratio", 0.0, -0.0, "sign of zero",
        {"MariaDB": "becomes 0.0", "SQLite": "becomes 0.0"}),
    one("microseconds cut", "seen", "2024-03-31 00:30:21.123456", "2024-03-31 00:30:21.123",
        "precision: seconds with 3 digits"),
    one("summer time", "seen", "2024-03-31 00:30:21.123456", "2024-03-31 01:30:21.123456",
        "one hour apart: time zone or summer time"),
    one("time zone", "seen", "2024-03-31 00:30:21.123456", "2024-03-30 19:00:21.123456",
        "time zone: 5.5 h apart"),
    one("date shifted", "born", "2024-03-01", "2024-02-29", "one day apart"),
    one("day and month swapped", "born", "2024-03-01", "2024-01-03", "day and month swapped"),
    one("boolean inverted", "flag", True, False, "inverted"),
    one("bytes cut", "raw", b"bytes\x01", b"bytes", "the end is missing"),
    one("zero bytes at the end", "raw", b"\x01", b"\x01\0\0", "more at the end"),
    Fault("two columns swapped", {"name": "this", "note": "that"}, {"name": "that", "note": "this"},
          {"name": "swapped with note", "note": "swapped with name"}),
    Fault("values of two rows swapped", {"note": "this"}, {"note": "that"}, {"note": "another value"}),
    Fault("row lost", kind=MISSING, named="missing, by its key"),
    Fault("row added", kind=EXTRA, named="extra, by its key"),
    Fault("key changed", kind=MISSING, named="missing by the old key, extra by the new"),
    Fault("row doubled", kind=EXTRA, named="extra: once in the source, twice in the target", repair=BY_RUN),
    Fault("one more of a double", kind=EXTRA, named="extra: twice in the source, three times in the target",
          repair=BY_RUN),
    Fault("trigger that deletes", kind=MISSING, named="missing, by its key",
          cannot={"DuckDB": NO_TRIGGER, "Snowflake": NO_TRIGGER}),
    Fault("table emptied", kind=MISSING, named="each row missing, by its key"),
)  # fmt: skip
NUMBER = {fault.title: number for number, fault in enumerate(FAULTS, 1)}
OTHER_ROW = 100
"""The second of the two rows whose values are swapped."""


def rows() -> list[tuple[Any, ...]]:
    """The source's rows: the row of each kind of damage has its number, and those around it are sound."""
    return [tuple(_row(number)[name] for name in COLUMNS) for number in range(1, ROWS + 1)]


def _row(n: int) -> dict[str, Any]:
    made = {
        "id": n,
        "name": f"n{A}me {n}",
        "note": None if n % 5 == 0 else "" if n % 5 == 1 else f"note {n}",
        "price": f"{n // 4}.{n % 4 * 25:02d}01",
        "ratio": n / 7,
        "big": n * 10**12,
        "born": str(dt.date(2024, 1, 1) + dt.timedelta(n)),
        "seen": f"2024-03-31 00:30:{n % 60:02d}.123456",
        "flag": n % 2,
        "raw": b"bytes %d" % n,
    }
    if n <= len(FAULTS):
        made |= FAULTS[n - 1].had
    if n == OTHER_ROW:
        made["note"] = "that"
    return made


def page() -> str:
    """The page, from the kinds alone."""
    lines = [
        "# Faults",
        "",
        f"{len(FAULTS)} kinds of damage, all planted at once in tables that hdm has filled on each system. "
        "`hdm validate` must name the row, the column and the likely cause; the repair is made, and `hdm "
        "validate` must then end with 0. Written by `python -m tests.flows.faults` from the kinds that "
        "`tests/flows/test_faults.py` plants; do not edit.",
        "",
        "- **caught**: the row is named, with every column that differs and no other, and with this cause. "
        "After the repair, the comparison finds all rows equal.",
        "- **cannot be stored there**: the test tries it, and sees the system refuse or alter it.",
        "",
        "SQLite is the source throughout. Snowflake is an emulator, which computes in DuckDB; ODBC is "
        "PostgreSQL through psqlODBC. Rows of a table without a key cannot be changed by it: such a table is "
        "filled anew.",
        "",
        f"| | damage | named as | {' | '.join(SYSTEMS)} | repaired by |",
        f"|---|---|---|{'---|' * len(SYSTEMS)}---|",
    ]
    for number, fault in enumerate(FAULTS, 1):
        named = fault.named or "; ".join(f"`{name}`: {cause}" for name, cause in fault.causes.items())
        cells = [
            f"cannot be stored there ({fault.cannot[system]})" if system in fault.cannot else "caught"
            for system in SYSTEMS
        ]
        lines.append(f"| {number} | {fault.title} | {named} | {' | '.join(cells)} | {fault.repair} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
