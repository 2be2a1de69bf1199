"""Catalogues of the systems that run here: crawl -> create -> crawl changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from hdm.catalog.base import Catalog
from hdm.catalog.model import Schema
from hdm.catalog.patterns import select
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.profile import Profiles
from hdm.model import ComponentSpec
from hdm.testing.catalogs import CatalogConformance
from tests.servers.process import Database


def catalog_of(kind: str, profile: dict[str, Any]) -> Catalog:
    """A catalogue by its type's name, through the registry."""
    profiles = Profiles(Path("profiles.yml"), "test", LocatedDict({"here": LocatedDict(profile)}))
    made = registry.create("catalog", ComponentSpec("here", kind, {"env": "here"}), profiles)
    assert isinstance(made, Catalog)
    return made


class TestSQLite(CatalogConformance):
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Catalog:
        return catalog_of("SQLiteCatalog", {"path": str(tmp_path / "a.db")})

    @pytest.fixture
    def other(self, tmp_path: Path) -> Catalog:
        return catalog_of("SQLiteCatalog", {"path": str(tmp_path / "b.db")})

    @pytest.fixture
    def expected(self) -> Mapping[str, int]:
        return {
            "tables": 4, "columns": 15, "defaults": 4, "generated": 2, "primary keys": 3, "uniques": 1,
            "foreign keys": 2, "checks": 2, "indexes": 2, "identities": 2, "views": 2,
        }  # fmt: skip

    @pytest.fixture
    def script(self) -> Sequence[str]:
        return [
            """CREATE TABLE "Order ""x"" 🙂" (
                id INTEGER PRIMARY KEY AUTOINCREMENT, -- counted, by SQLite
                "select" VARCHAR(20) NOT NULL DEFAULT 'a''b', n NUMERIC(10,2) DEFAULT 0,
                t TIMESTAMP DEFAULT CURRENT_TIMESTAMP, j TEXT DEFAULT (lower('X') || 'y'),
                twice INTEGER GENERATED ALWAYS AS (id * 2) STORED, loud TEXT AS (upper("select")) VIRTUAL,
                CONSTRAINT positive CHECK (n >= 0 AND n <> 7), CONSTRAINT once UNIQUE ("select", n))""",
            """CREATE TABLE c (a INT NOT NULL, b INT, o INTEGER REFERENCES "Order ""x"" 🙂" (id)
                ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, CONSTRAINT pk PRIMARY KEY (b, a),
                CHECK (a > 0 AND b IN (1, 2))) WITHOUT ROWID""",
            """CREATE TABLE self (id INTEGER PRIMARY KEY,
                up INT CONSTRAINT loop REFERENCES self ON UPDATE SET NULL)""",
            "CREATE TABLE loose (a, b BLOB, c DOUBLE PRECISION)",
            "CREATE INDEX ix ON c (b DESC, abs(a)) WHERE b > 3",
            "CREATE UNIQUE INDEX ux ON self (up)",
            'CREATE VIEW seen AS SELECT o.id, c.a AS "A b" FROM "Order ""x"" 🙂" o JOIN c ON c.o = o.id',
            "CREATE VIEW again AS SELECT * FROM seen",
        ]


@pytest.mark.server
class TestPostgres(CatalogConformance):
    @pytest.fixture
    def catalog(self, fresh_postgres: Callable[..., Database]) -> Catalog:
        return catalog_of("PostgresCatalog", fresh_postgres().profile)

    @pytest.fixture
    def other(self, fresh_postgres: Callable[..., Database]) -> Catalog:
        return catalog_of("PostgresCatalog", fresh_postgres().profile)

    @pytest.fixture
    def expected(self) -> Mapping[str, int]:
        return {
            "tables": 5, "columns": 18, "defaults": 6, "generated": 1, "primary keys": 5, "uniques": 1,
            "foreign keys": 2, "checks": 1, "indexes": 4, "identities": 1, "comments": 3, "views": 2,
            "sequences": 2, "enums": 1,
        }  # fmt: skip

    @pytest.fixture
    def script(self) -> Sequence[str]:
        return [
            'CREATE SCHEMA "Shop.x"',
            "CREATE TYPE public.mood AS ENUM ('sad', 'it''s ok')",
            "CREATE SEQUENCE public.tickets START 5 INCREMENT 10 MAXVALUE 1000 CYCLE",
            """CREATE TABLE "Shop.x"."a""b" (id bigint GENERATED ALWAYS AS IDENTITY (START 100), s serial,
                "select" varchar(20) NOT NULL DEFAULT 'it''s', m public.mood DEFAULT 'sad', n numeric(10,2),
                twice numeric GENERATED ALWAYS AS (n * 2) STORED, at timestamptz DEFAULT now(),
                t bigint DEFAULT nextval('public.tickets'), tags text[] DEFAULT '{}',
                CONSTRAINT pk PRIMARY KEY (id), CONSTRAINT once UNIQUE NULLS NOT DISTINCT ("select", n),
                CONSTRAINT positive CHECK (n >= 0 AND "select" IN ('a', 'b')))""",
            """CREATE TABLE public.c (a int, b int, o bigint, PRIMARY KEY (b, a),
                CONSTRAINT o_fk FOREIGN KEY (o) REFERENCES "Shop.x"."a""b" (id)
                ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)""",
            "CREATE TABLE public.loop (id int PRIMARY KEY, up int REFERENCES public.loop (id))",
            """CREATE TABLE public.parts (id int, at date NOT NULL, PRIMARY KEY (id, at))
                PARTITION BY RANGE (at)""",
            """CREATE TABLE public.parts_1 PARTITION OF public.parts
                FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')""",
            "CREATE INDEX parts_ix ON public.parts (at)",
            'CREATE UNIQUE INDEX ux ON "Shop.x"."a""b" (lower("select")) WHERE n > 3',
            'CREATE INDEX ix ON "Shop.x"."a""b" (n DESC, at) INCLUDE (m)',
            'CREATE INDEX gx ON "Shop.x"."a""b" USING gin (tags)',
            """CREATE VIEW public.seen AS SELECT x.id, c.a AS "A b"
                FROM "Shop.x"."a""b" x JOIN c ON c.o = x.id""",
            "CREATE MATERIALIZED VIEW public.stored AS SELECT * FROM seen",
            """COMMENT ON TABLE public.c IS 'it''s; -- odd'""",
            "COMMENT ON COLUMN public.c.a IS 'first'",
            "COMMENT ON VIEW public.seen IS 'looks'",
        ]

    @pytest.mark.slow
    def test_sources_see_the_same_schema(self, catalog: Catalog, crawled: Schema) -> None:
        agrees(catalog, crawled)


@pytest.mark.server
class TestMariaDB(CatalogConformance):
    selection = select(["zoo.*", "zoo2.*"])

    @pytest.fixture
    def catalog(self, fresh_mariadb: Callable[..., Database]) -> Catalog:
        return self._empty(fresh_mariadb())

    @pytest.fixture
    def other(self, catalog: Catalog, crawled: Schema, fresh_mariadb: Callable[..., Database]) -> Catalog:
        """The same names again: a server has one space of databases."""
        return self._empty(fresh_mariadb())

    @staticmethod
    def _empty(place: Database) -> Catalog:
        made = catalog_of("MariaDBCatalog", place.profile)
        with made.session() as session:
            session.execute("SET foreign_key_checks = 0")
            session.execute("DROP DATABASE IF EXISTS zoo")
            session.execute("DROP DATABASE IF EXISTS zoo2")
        return made

    @pytest.fixture
    def expected(self) -> Mapping[str, int]:
        return {
            "tables": 3, "columns": 14, "defaults": 4, "generated": 2, "primary keys": 3, "uniques": 1,
            "foreign keys": 1, "checks": 1, "indexes": 2, "identities": 1, "comments": 2, "views": 1,
            "sequences": 1,
        }  # fmt: skip

    @pytest.fixture
    def script(self) -> Sequence[str]:
        return [
            "CREATE DATABASE zoo",
            "CREATE DATABASE zoo2",
            """CREATE TABLE zoo.`a``b` (id bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'counts',
                d datetime(3) DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
                s varchar(20) NOT NULL DEFAULT 'it''s',
                n decimal(10,2) DEFAULT 0.50, j json, e enum('x','y''z') DEFAULT 'x',
                twice decimal(12,2) GENERATED ALWAYS AS (n * 2) STORED,
                loud varchar(20) AS (upper(s)) VIRTUAL,
                ts timestamp NULL, PRIMARY KEY (id), UNIQUE KEY once (s, n),
                CONSTRAINT positive CHECK (n >= 0),
                KEY pre (s(5), n))
                ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='it''s'""",
            """CREATE TABLE zoo2.c (a int NOT NULL, b int NOT NULL, o bigint unsigned, PRIMARY KEY (b, a),
                CONSTRAINT o_fk FOREIGN KEY (o) REFERENCES zoo.`a``b` (id)
                ON DELETE CASCADE ON UPDATE SET NULL)""",
            """CREATE TABLE zoo.parts (id int NOT NULL, y int NOT NULL, PRIMARY KEY (id, y))
                PARTITION BY RANGE (y) (PARTITION p0 VALUES LESS THAN (10),
                PARTITION p1 VALUES LESS THAN MAXVALUE)""",
            "CREATE SEQUENCE zoo.tickets START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE",
            "CREATE VIEW zoo.seen AS SELECT x.id, c.a AS `A b` FROM zoo.`a``b` x JOIN zoo2.c c ON c.o = x.id",
        ]

    @pytest.mark.slow
    def test_sources_see_the_same_schema(self, catalog: Catalog, crawled: Schema) -> None:
        agrees(catalog, crawled)


class TestDuckDB(CatalogConformance):
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> Catalog:
        return catalog_of("DuckDBCatalog", {"path": str(tmp_path / "a.duckdb")})

    @pytest.fixture
    def other(self, tmp_path: Path) -> Catalog:
        return catalog_of("DuckDBCatalog", {"path": str(tmp_path / "b.duckdb")})

    @pytest.fixture
    def expected(self) -> Mapping[str, int]:
        return {
            "tables": 2, "columns": 7, "defaults": 1, "generated": 1, "primary keys": 2, "uniques": 1,
            "foreign keys": 1, "checks": 1, "indexes": 1, "identities": 1, "comments": 2, "views": 1,
            "sequences": 1,
        }  # fmt: skip

    @pytest.fixture
    def script(self) -> Sequence[str]:
        return [
            'CREATE SCHEMA "Shop.x"',
            'CREATE SEQUENCE "Shop.x"."a""b_id_seq" START WITH 100',
            "CREATE SEQUENCE main.tickets START WITH 5 INCREMENT BY 10 MAXVALUE 1000 CYCLE",
            """CREATE TABLE "Shop.x"."a""b" (id bigint PRIMARY KEY
                DEFAULT nextval('"Shop.x"."a""b_id_seq"'), "select" varchar NOT NULL DEFAULT 'it''s',
                n decimal(10,2), twice decimal(12,2) GENERATED ALWAYS AS (n * 2),
                UNIQUE ("select", n), CHECK (n >= 0))""",
            """CREATE TABLE "Shop.x".c (a integer, b integer, o bigint, PRIMARY KEY (b, a),
                FOREIGN KEY (o) REFERENCES "Shop.x"."a""b" (id))""",
            'CREATE INDEX ix ON "Shop.x"."a""b" (n)',
            """CREATE VIEW main.seen AS SELECT x.id, c.a AS "A b"
                FROM "Shop.x"."a""b" x JOIN "Shop.x".c ON c.o = x.id""",
            """COMMENT ON TABLE "Shop.x".c IS 'it''s'""",
            """COMMENT ON COLUMN "Shop.x".c.a IS 'first'""",
        ]

    @pytest.mark.slow
    def test_sources_see_the_same_schema(self, catalog: Catalog, crawled: Schema) -> None:
        agrees(catalog, crawled)


def agrees(catalog: Catalog, crawled: Schema) -> None:
    """The catalogue and the connector's own description of a table are one: the same schema_sha,
    so that a crawl and a chunk speak of the same version."""
    database = catalog.database  # type: ignore[attr-defined]  # SqlCatalog
    connection = database.connect("hdm:test")
    try:
        for relation in crawled.relations:
            found = database.find(connection, relation.path)
            assert found is not None
            assert found.dataset == relation.table.dataset
            assert found.key == relation.table.key
            assert [c for c in found.columns if c.generated is None] == [
                c for c in relation.table.columns if c.generated is None
            ] or found.schema_sha == relation.table.schema_sha
    finally:
        connection.close()
