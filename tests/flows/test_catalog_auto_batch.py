"""One line of a manifest moves a schema; the next runs follow its changes as the policy says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest
import yaml

from hdm.cli import main
from tests.servers.process import Database

ROWS = 7


@dataclass
class Shop:
    """A PostgreSQL source and a target of another kind, with the files that hdm is told."""

    folder: Path
    source: Database
    run_code: int = 0
    out: str = ""

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.source.dsn, autocommit=True) as connection:
            for one in statements:
                connection.execute(one.encode())

    def manifest(
        self, sink: str, policy: str = "fail", orchestrator: dict[str, Any] | None = None, **conf: Any
    ) -> None:
        body = {
            "version": 1,
            "state_manager": {"type": "SQLiteStateManager", "conf": {"env": "state"}},
            "orchestrator": {"type": "AutoBatchOrchestrator", "conf": {"workers": 3, **(orchestrator or {})}},
            "template_data_links": {
                "templates": [
                    {
                        "source": {
                            "name": "shop", "type": "PostgresSource",
                            "conf": {"env": "shop", "include": ["sales.*"], **conf},
                        },
                        "sink": {"name": "wh", "type": sink, "conf": {"env": "wh"}},
                        "schema_policy": policy,
                    }
                ]
            },
        }  # fmt: skip
        (self.folder / "m.yml").write_text(yaml.safe_dump(body))

    def profiles(self, target: dict[str, Any]) -> None:
        entries = {
            "shop": self.source.profile,
            "wh": target,
            "state": {"path": str(self.folder / "state.db")},
        }
        place = self.folder / "profiles.yml"
        place.write_text(yaml.safe_dump({"test": entries}))
        place.chmod(0o600)

    def hdm(self, capsys: pytest.CaptureFixture[str], *verb: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    *verb,
                    str(self.folder / "m.yml"),
                    "-e",
                    "test",
                    "--profiles",
                    str(self.folder / "profiles.yml"),
                ]
            )
        seen = capsys.readouterr()
        self.out = seen.out + seen.err
        return int(ended.value.code or 0)


@pytest.fixture
def shop(tmp_path: Path, fresh_postgres: Callable[..., Database]) -> Shop:
    made = Shop(tmp_path, fresh_postgres())
    made.sql("CREATE SCHEMA sales")
    return made


def test_one_line_moves_a_schema_of_fifty_tables(
    shop: Shop, fresh_mariadb: Callable[..., Database], capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL -> MariaDB: created, loaded, verified; keys, views and comments behind."""
    for number in range(50):
        parent = f"REFERENCES sales.t{number - 1} (id)" if number else ""
        shop.sql(
            f"CREATE TABLE sales.t{number} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up int {parent},"
            " n numeric(10,2) DEFAULT 1.5, twice numeric(12,2) GENERATED ALWAYS AS (n * 2) STORED,"
            " code text UNIQUE, at timestamptz DEFAULT now(), CHECK (n >= 0))",
            f"INSERT INTO sales.t{number} (up, n, code) SELECT g, g / 3.0, 'c' || g"
            f" FROM generate_series(1, {ROWS}) g",
        )
    shop.sql(
        "CREATE VIEW sales.top AS SELECT t1.id, t0.code FROM sales.t1 JOIN sales.t0 ON t0.id = t1.up",
        "COMMENT ON TABLE sales.t7 IS 'lucky'",
    )
    target = fresh_mariadb()
    shop.profiles(target.profile)
    shop.manifest("MariaDBSink", orchestrator={"schemas": {"sales": target.database}})
    assert shop.hdm(capsys, "run") == 0, shop.out
    with pymysql.connect(**_mysql(target)) as connection, connection.cursor() as cursor:
        counts = [_one(cursor, f"SELECT COUNT(*) FROM t{number}") for number in range(50)]
        assert counts == [ROWS] * 50
        assert _one(cursor, "SELECT SUM(twice = n * 2) FROM t9") == ROWS
        assert _one(cursor, _COUNT + "REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE()") == 49
        assert _one(cursor, "SELECT COUNT(*) FROM top") == ROWS
        comment = "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_NAME = 't7'"
        assert _one(cursor, comment + " AND TABLE_SCHEMA = DATABASE()") == "lucky"
        with pytest.raises(pymysql.err.IntegrityError):
            cursor.execute("INSERT INTO t1 (up) VALUES (999)")
        cursor.execute("INSERT INTO t1 (up) VALUES (1)")  # counts on above the loaded rows
        assert _one(cursor, "SELECT MAX(id) FROM t1") > ROWS
    assert shop.hdm(capsys, "run") == 0, shop.out
    assert "nothing moved" in shop.out
    assert shop.hdm(capsys, "catalog", "diff") == 0, shop.out


def _mysql(target: Database) -> dict[str, Any]:
    return {**target.profile, "password": target.password, "autocommit": True}


_COUNT = "SELECT COUNT(*) FROM information_schema."


def _one(cursor: Any, sql: str) -> Any:
    cursor.execute(sql)
    return cursor.fetchone()[0]


# -- changes ------------------------------------------------------------------------


@dataclass
class Twin:
    """The target of the policy tests: another PostgreSQL database."""

    database: Database

    def rows(self, sql: str) -> list[Any]:
        with psycopg.connect(self.database.dsn) as connection:
            return connection.execute(sql.encode()).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        sql = (
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = 'sales.{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        )
        return dict(self.rows(sql))


@pytest.fixture
def twin(shop: Shop, fresh_postgres: Callable[..., Database], capsys: pytest.CaptureFixture[str]) -> Twin:
    """Four tables, moved once by their watermark."""
    for name in ("grows", "widens", "loses", "stays"):
        shop.sql(
            f"CREATE TABLE sales.{name} (id int PRIMARY KEY, v varchar(5), extra int)",
            f"INSERT INTO sales.{name} SELECT g, 'v' || g, g FROM generate_series(1, {ROWS}) g",
        )
    made = Twin(fresh_postgres())
    shop.profiles(made.database.profile)
    shop.manifest("PostgresSink", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 0, shop.out
    return made


def change(shop: Shop, *what: str) -> None:
    """The source lives on: changes, and one more row in each table that was there."""
    statements = {
        "new table": "CREATE TABLE sales.fresh (id int PRIMARY KEY); INSERT INTO sales.fresh VALUES (1)",
        "new column": "ALTER TABLE sales.grows ADD COLUMN plus text DEFAULT 'p'",
        "wider": "ALTER TABLE sales.widens ALTER COLUMN v TYPE varchar(50), ALTER COLUMN extra TYPE bigint",
        "dropped": "ALTER TABLE sales.loses DROP COLUMN extra",
    }
    for one in what:
        shop.sql(statements[one])
    shop.sql(
        "INSERT INTO sales.grows (id, v) VALUES (100, 'new')",
        "INSERT INTO sales.stays (id, v) VALUES (100, 'new')",
    )
    long = "'longer than five'" if "wider" in what else "'new'"
    shop.sql(f"INSERT INTO sales.widens (id, v) VALUES (100, {long})")
    shop.sql("INSERT INTO sales.loses (id, v) VALUES (100, 'new')")


EVERYTHING = ("new table", "new column", "wider", "dropped")


def newest(twin: Twin, table: str) -> int:
    return int(twin.rows(f"SELECT MAX(id) FROM sales.{table}")[0][0])


def tables(twin: Twin) -> set[str]:
    return {row[0] for row in twin.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'sales'")}


def test_evolve_follows_growth_and_says_what_waits(
    shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop, *EVERYTHING)
    shop.manifest("PostgresSink", "evolve", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 1
    assert "fresh" in tables(twin)
    assert twin.columns("grows")["plus"] == "text"
    assert twin.rows("SELECT plus FROM sales.grows WHERE id = 100") == [("p",)]
    assert twin.columns("widens") == {"id": "integer", "v": "character varying(50)", "extra": "bigint"}
    assert twin.rows("SELECT v FROM sales.widens WHERE id = 100") == [("longer than five",)]
    assert newest(twin, "loses") == ROWS
    assert newest(twin, "stays") == 100
    assert "sales.loses waits for a person: dropped column: sales.loses.extra" in shop.out
    assert "new column: sales.grows.plus" in shop.out
    assert shop.hdm(capsys, "run") == 1, "what waits, waits until a person acts"
    assert shop.hdm(capsys, "catalog", "accept") == 0, shop.out
    assert shop.hdm(capsys, "run") == 0, shop.out
    assert newest(twin, "loses") == 100


def test_discard_leaves_out_what_is_new(shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    change(shop, "new table", "new column")
    shop.manifest("PostgresSink", "discard", watermarks=[{"column": "id"}])
    for _ in range(2):
        assert shop.hdm(capsys, "run") == 0, shop.out
        assert "fresh" not in tables(twin)
        assert "plus" not in twin.columns("grows")
        assert newest(twin, "grows") == 100
        assert "new column: sales.grows.plus" in shop.out
        assert "is left out" in shop.out


def test_discard_holds_a_table_whose_column_grew_or_went(
    shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop, "wider", "dropped")
    shop.manifest("PostgresSink", "discard", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 1
    assert (newest(twin, "widens"), newest(twin, "loses"), newest(twin, "stays")) == (ROWS, ROWS, 100)
    assert twin.columns("widens")["v"] == "character varying(5)"


def test_freeze_holds_what_has_changed_and_moves_the_rest(
    shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]
) -> None:
    change(shop, *EVERYTHING)
    shop.manifest("PostgresSink", "freeze", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 1
    assert "fresh" not in tables(twin)
    assert [newest(twin, name) for name in ("grows", "widens", "loses", "stays")] == [ROWS, ROWS, ROWS, 100]
    for name in ("sales.fresh", "sales.grows", "sales.widens", "sales.loses"):
        assert f"{name} waits for a person" in shop.out


@pytest.mark.parametrize("what", EVERYTHING)
def test_fail_moves_nothing_at_all(
    shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    change(shop, what)
    shop.manifest("PostgresSink", "fail", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 1
    assert "schema_policy is fail" in shop.out
    assert newest(twin, "stays") == ROWS


def test_a_dropped_table_is_kept_and_said(shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    shop.sql("DROP TABLE sales.loses")
    shop.manifest("PostgresSink", "evolve", watermarks=[{"column": "id"}])
    assert shop.hdm(capsys, "run") == 1
    assert "dropped table" in shop.out
    assert "loses" in tables(twin)


def test_patterns_that_match_nothing_are_a_mistake(
    shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt schema must not pass for a migration that is done."""
    shop.manifest("PostgresSink", include=["salse.*"])
    assert shop.hdm(capsys, "run") == 2
    assert "nothing that matches include: salse.*" in shop.out


def test_planning_touches_nothing(shop: Shop, twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    change(shop, "new table", "new column")
    shop.manifest("PostgresSink", "evolve", watermarks=[{"column": "id"}])
    before = (shop.folder / "state.db").read_bytes()
    assert shop.hdm(capsys, "plan") == 0, shop.out
    assert "sales.fresh" in shop.out
    assert "fresh" not in tables(twin)
    assert "plus" not in twin.columns("grows")
    assert (shop.folder / "state.db").read_bytes() == before


# -- the example ----------------------------------------------------------------------


def test_the_example_manifest_moves_a_schema(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """manifests/auto_batch.yml as it stands, with the connections that the example profile names."""
    root = Path(__file__).resolve().parents[2]
    examples = yaml.safe_load((root / "profiles/example.yml").read_text(encoding="utf-8"))
    for number in (1, 2):
        shop.sql(
            f"CREATE TABLE sales.t{number} (id int PRIMARY KEY, changed_at timestamptz NOT NULL)",
            f"INSERT INTO sales.t{number} SELECT g, now() - interval '1 day'"
            f" FROM generate_series(1, {ROWS}) g",
        )
    monkeypatch.setenv("HDM_HOME", str(shop.folder))
    for env in ("dev", "prod"):
        assert {"shop", "warehouse", "state_manager"} <= set(examples[env])
    shop.profiles({"path": str(shop.folder / "wh.duckdb")})
    entries = yaml.safe_load((shop.folder / "profiles.yml").read_text())
    entries["test"]["warehouse"] = entries["test"].pop("wh")
    entries["test"]["state_manager"] = entries["test"].pop("state")
    (shop.folder / "profiles.yml").write_text(yaml.safe_dump(entries))
    (shop.folder / "m.yml").write_bytes((root / "manifests/auto_batch.yml").read_bytes())
    assert shop.hdm(capsys, "run") == 0, shop.out
    assert "8 converted, 0 approximated, 0 manual" in shop.out
    import duckdb

    with duckdb.connect(str(shop.folder / "wh.duckdb")) as duck:
        counts = [duck.execute(f"SELECT COUNT(*) FROM sales.t{n}").fetchone() for n in (1, 2)]
    assert counts == [(ROWS,), (ROWS,)]
    shop.sql(f"INSERT INTO sales.t1 VALUES ({ROWS + 1}, now() - interval '1 hour')")
    assert shop.hdm(capsys, "run") == 0, shop.out
    assert "1 rows" in shop.out
