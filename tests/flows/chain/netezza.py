"""A PostgreSQL dressed as a Netezza: its system views, and tables with names in upper case.

Netezza's SQL grew out of PostgreSQL's; what hdm asks of it, PostgreSQL understands, given the views.
This shows that a NetezzaSource with ``driver:`` works through a real ODBC driver; it shows nothing of
Netezza's own driver or server.
"""

from __future__ import annotations

import psycopg

from tests.servers.process import Database

_VIEWS = """
CREATE VIEW _v_relation_column AS
  SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS name,
    a.attname::text AS attname, a.attnum, a.attnotnull, NULL::text AS coldefault, NULL::text AS description,
    replace(upper(format_type(a.atttypid, a.atttypmod)), ' WITHOUT TIME ZONE', '') AS format_type
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW _v_relation_keydata AS
  SELECT n.nspname::text AS schema, c.relname::text AS relation, a.attname::text AS attname,
    k.contype::text AS contype, array_position(k.conkey, a.attnum) AS conseq
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (k.conkey);
CREATE VIEW _v_table AS
  SELECT current_database()::text AS database, n.nspname::text AS schema, c.relname::text AS tablename,
    c.oid::bigint AS objid, 0::bigint AS reltuples
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r';
"""
_TABLES = """
CREATE SCHEMA "ADMIN";
CREATE TABLE "ADMIN"."TEST1" ("T1" integer NOT NULL PRIMARY KEY, "NAME" varchar(40), "PRICE" numeric(18,2),
  "DAY" date, "AT" timestamp, "OK" boolean, "RATIO" double precision);
INSERT INTO "ADMIN"."TEST1" SELECT n, CASE WHEN n % 7 > 0 THEN 'Zoë, "' || n || E'"\\n' END, n * 1.25,
  date '1999-12-31' + n, timestamp '2024-02-29 23:59:59.123456' + n * interval '1 hour', n % 2 = 0, n / 3.0
  FROM generate_series(1, 950) n;
CREATE TABLE "ADMIN"."TEST2" ("ID" bigint NOT NULL PRIMARY KEY, "WORDS" varchar(80) NOT NULL);
INSERT INTO "ADMIN"."TEST2" SELECT n, repeat('x', n % 80) FROM generate_series(1, 430) n;
"""
TABLES = ('"ADMIN"."TEST1"', '"ADMIN"."TEST2"')


def build(database: Database) -> None:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute((_VIEWS + _TABLES).encode())


def grow(database: Database) -> None:
    """Ten rows above the watermark."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            'INSERT INTO "ADMIN"."TEST1" ("T1", "NAME", "PRICE") '
            "SELECT n, 'new', 0 FROM generate_series(1001, 1010) n"
        )
