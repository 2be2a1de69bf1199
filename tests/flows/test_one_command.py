"""``hdm cp``, ``query`` and ``ls``: one line, no file; and docs/howto/one-command.md, line by line."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import psycopg
import pytest
import yaml

from hdm.api.ends import Given, read_end
from hdm.config.profile import Profiles
from tests.flows.kit import ROOT, Done, run
from tests.servers import fakesnow, moto
from tests.servers.process import Database

PAGE = (ROOT / "docs" / "howto" / "one-command.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```console (\w+)\n(.*?)^```$", PAGE, re.M | re.S))


pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, cents INTEGER)")
        db.executemany("INSERT INTO orders VALUES (?, ?, ?)", [(n, f"c{n}", n * 7) for n in range(1, 21)])
        db.execute("CREATE TABLE stamped (id INTEGER PRIMARY KEY, made TIMESTAMP, changed TIMESTAMP)")
        db.execute("INSERT INTO stamped VALUES (1, '2024-01-01 00:00:00', '2024-01-02 00:00:00')")
    db.close()
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def hdm(line: str, **env: str) -> Done:
    return run(shlex.split(line), {"HDM_HOME": str(Path.cwd() / "home"), **env})


def shop(statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect("shop.db") as db:
        found = db.execute(statement).fetchall()
    db.close()
    return found


def rows(file: str, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(file, read_only=True) as db:
        return db.execute(query).fetchall()


@pytest.mark.long
def test_a_name_with_a_dollar_is_no_variable(folder: Path) -> None:
    shop('CREATE TABLE "v$orders" AS SELECT * FROM orders')
    done = hdm("cp snap 'sqlite:shop.db.v$orders' 'duckdb:w.duckdb.v$orders'")
    assert (done.code, rows("w.duckdb", 'SELECT count(*) FROM "v$orders"')) == (0, [(20,)]), done.err


def test_a_snapshot_takes_the_place_of_what_is_there(folder: Path) -> None:
    done = hdm("cp snap sqlite:shop.db.orders duckdb:w.duckdb.orders")
    assert (done.code, done.out) == (0, "")
    assert "directly: the target takes rows by SQL" in done.err
    shop("DELETE FROM orders WHERE id > 15")
    shop("UPDATE orders SET cents = 0 WHERE id = 1")
    assert hdm("cp snap sqlite:shop.db.orders duckdb:w.duckdb.orders").code == 0
    assert rows("w.duckdb", "SELECT * FROM orders ORDER BY id") == shop("SELECT * FROM orders ORDER BY id")


def test_a_delta_moves_new_rows_only_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = f"cp delta sqlite:{folder}/shop.db.orders duckdb:{folder}/w.duckdb.orders"
    home = {"HDM_HOME": str(folder / "home")}
    assert "1 moved: 20 new rows" in hdm(line, **home).err
    shop("INSERT INTO orders VALUES (21, 'new', 1), (22, 'new', 2)")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert "1 moved: 2 new rows" in hdm(line, **home).err
    assert "nothing moved" in hdm(line, **home).err
    monkeypatch.chdir(folder)
    assert rows("w.duckdb", "SELECT * FROM orders ORDER BY id") == shop("SELECT * FROM orders ORDER BY id")


def test_the_printed_manifest_goes_on_where_the_command_stopped(folder: Path) -> None:
    line = "cp delta sqlite:shop.db.orders duckdb:w.duckdb.orders"
    assert hdm(line).code == 0
    printed = hdm(f"{line} -o yaml --write-profiles p.yml")
    Path("m.yml").write_text(printed.out)
    assert printed.code == 0 and Path("p.yml").stat().st_mode & 0o077 == 0
    shop("INSERT INTO orders VALUES (21, 'new', 1)")
    done = hdm("run m.yml --profiles p.yml")
    assert (done.code, "1 moved: 1 new rows" in done.err) == (0, True), done.err
    assert "nothing moved" in hdm(line).err
    assert json.loads(hdm(f"{line} -o json").out) == yaml.safe_load(printed.out)
    assert hdm(f"{line} -o yaml --write-profiles p.yml").code == 2


def test_a_column_that_is_not_certain_is_asked_for(folder: Path) -> None:
    done = hdm("cp delta sqlite:shop.db.stamped duckdb:w.duckdb.stamped")
    assert done.code == 2
    assert "id, made, changed" in done.err and "--delta-driver changed" in done.err
    assert not Path("w.duckdb").exists()
    done = hdm("cp delta sqlite:shop.db.stamped duckdb:w.duckdb.stamped -d CHANGED")
    assert (done.code, rows("w.duckdb", "SELECT count(*) FROM stamped")) == (0, [(1,)]), done.err
    shop("CREATE TABLE keyless (at TIMESTAMP, what TEXT)")
    done = hdm("cp delta sqlite:shop.db.keyless duckdb:w.duckdb.keyless")
    assert (done.code, "--primary-keys" in done.err) == (2, True)


@pytest.mark.parametrize("ending", [pytest.param("parquet", marks=pytest.mark.long), "csv.gz"])
def test_files_go_out_and_come_back(folder: Path, ending: str) -> None:
    assert hdm(f"cp snap sqlite:shop.db.orders out/orders.{ending}").code == 0
    assert list(Path(f"out/orders.{ending}").rglob(f"*.{ending}"))
    done = hdm(f"cp snap out/orders.{ending} duckdb:w.duckdb.back")
    assert done.code == 0, done.err
    assert rows("w.duckdb", "SELECT * FROM back ORDER BY id") == shop("SELECT * FROM orders ORDER BY id")


def test_one_file_is_read_and_not_its_neighbours(folder: Path) -> None:
    Path("in").mkdir()
    Path("in/a.csv").write_text("id,what\n1,x\n")
    Path("in/b.csv").write_text("id,what\n2,y\n")
    assert hdm("cp snap in/a.csv duckdb:w.duckdb.one").code == 0
    assert rows("w.duckdb", "SELECT count(*) FROM one") == [(1,)]


def test_a_secret_of_an_address_is_never_shown_or_written(folder: Path) -> None:
    line = "cp snap postgresql://u:Geheim123@localhost:1/db.t duckdb:w.duckdb.t"
    printed = hdm(f"{line} -o yaml -I --write-profiles p.yml")
    assert "every user of this machine" in printed.err
    assert "Geheim123" not in printed.said + Path("p.yml").read_text()
    assert "PASSWORD" in Path("p.yml").read_text()
    done = hdm(f"{line} --max-wait 0")
    assert done.code != 0 and "Geheim123" not in done.said
    assert not any(b"Geheim123" in one.read_bytes() for one in Path("home").rglob("*") if one.is_file())
    named = hdm(f"{line.replace('Geheim123', 'env:SHOP_P')} -o yaml -I")
    assert "every user" not in named.err and "env:SHOP_P" in named.out


def test_what_can_be_read_in_two_ways_is_refused(folder: Path) -> None:
    Path("p.yml").write_text("dev:\n  shop: {path: other.db}\n")
    Path("p.yml").chmod(0o600)
    done = hdm("cp snap sqlite:shop.db.orders duckdb:w.duckdb.orders --profiles p.yml")
    assert (done.code, "a connection 'shop'" in done.err) == (2, True)
    assert hdm("cp snap sqlite:./shop.db.orders duckdb:w.duckdb.o --profiles p.yml -o yaml").code == 0
    for wrong in ("nosystem:shop.t", "shop.orders", "nothing"):
        done = hdm(f"cp snap {wrong} duckdb:w.duckdb.orders --profiles p.yml")
        assert (done.code, "hint" in done.err) == (2, True), done.err


@pytest.mark.long
def test_a_copy_that_repeats_ends_when_it_is_told(folder: Path) -> None:
    ends = ("sqlite:shop.db.orders", "sqlite:t.db.orders")
    with subprocess.Popen(
        [sys.executable, "-m", "hdm", "cp", "snap", *ends, "-i", "3600"],
        env={**os.environ, "HDM_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = next((line for line in process.stderr if "all committed" in line), "")
        process.send_signal(signal.SIGTERM)
        assert (process.wait(60), "20 new rows" in said) == (143, True)


def test_a_query_is_printed_for_people_and_programs(folder: Path) -> None:
    shop("CREATE TABLE odd (n INTEGER, t TEXT, b BLOB)")
    with sqlite3.connect("shop.db") as db:
        db.executemany(
            "INSERT INTO odd VALUES (?, ?, ?)",
            [(1, 'a,"b"\nc', b"\xff"), (2, "", None), (None, None, None), (3, "\x1b[31m", None)],
        )
    db.close()
    ask = 'query sqlite:shop.db "SELECT * FROM odd ORDER BY rowid" --format'
    table = hdm(f"{ask} table").out.splitlines()
    assert table[0].split() == ["n", "t", "b"] and len(table) == 6
    assert table[2].startswith('1  a,"b"\\nc') and "\\x1b" in table[5]
    assert list(csv.reader(io.StringIO(hdm(f"{ask} csv").out)))[1] == ["1", 'a,"b"\nc', "ff"]
    assert hdm(f"{ask} csv").out.splitlines()[3:5] == ['2,"",', ",,"]
    assert hdm(f"{ask} tsv --no-header").out.splitlines()[0] == '1\ta,"b"\\nc\tff'
    lines = [json.loads(line) for line in hdm(f"{ask} jsonl").out.splitlines()]
    assert lines[1] == {"n": 2, "t": "", "b": None} and lines[0]["b"] == "ff"
    assert len(hdm(f"{ask} csv -n 2 -X").out.splitlines()) == 3


def test_a_query_changes_nothing_unless_it_is_told_to(folder: Path) -> None:
    for statement in ("DELETE FROM orders", "SELECT 1; DELETE FROM orders", "PRAGMA user_version = 3"):
        done = hdm(f'query sqlite:shop.db "{statement}"')
        assert (done.code, done.out) == (2, ""), done
    assert shop("SELECT count(*) FROM orders") == [(20,)]
    assert hdm('query sqlite:shop.db "DELETE FROM orders WHERE id = 1" --write').code == 0
    assert shop("SELECT count(*) FROM orders") == [(19,)]
    done = hdm('query sqlite:shop.db "DELETE FROM nowhere" --write')
    assert (done.code, "no such table: nowhere" in done.err) == (2, True), done.err
    assert hdm('query sqlite:other.db "CREATE TABLE t (n INTEGER)" --write').code == 2
    assert not Path("other.db").exists()


def test_a_query_of_a_server_cannot_write_by_a_function(
    folder: Path, fresh_postgres: Callable[..., Database]
) -> None:
    server = fresh_postgres()
    with psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute(
            "CREATE FUNCTION sly() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING n'"
        )
    address = f"postgresql://{server.user}:env:P@{server.host}:{server.port}/{server.database}"
    secret = {"P": server.password or "x"}
    done = hdm(f'query "{address}?insecure=true" "SELECT sly()"', **secret)
    assert (done.code, done.out) != (0, "sly\n1\n") and done.code in (1, 2), done.said
    assert hdm(f'query "{address}?insecure=true" "SELECT count(*) AS n FROM t"', **secret).out == "n\n0\n"
    moved = hdm(f'cp snap sqlite:shop.db.orders "{address}.public.orders?insecure=true"', **secret)
    assert moved.code == 0, moved.err
    listed = hdm(f'ls "{address}.public?insecure=true" --json', **secret)
    assert listed.code == 0, listed.err
    assert "public.orders" in [one["name"] for one in listed.json]


def test_the_definition_of_a_table_is_mapped_and_made(folder: Path) -> None:
    done = hdm("cp meta sqlite:shop.db.orders duckdb:w.duckdb.defined")
    assert done.code == 0 and "CREATE TABLE" in done.out and "defined" in done.out
    assert not Path("w.duckdb").exists()
    assert hdm("cp meta sqlite:shop.db.orders duckdb:w.duckdb.defined -e").code == 0
    assert rows("w.duckdb", "SELECT count(*) FROM defined") == [(0,)]
    again = hdm("cp meta sqlite:shop.db.orders duckdb:w.duckdb.defined -e")
    assert (again.code, "is there already" in again.err) == (2, True)
    assert hdm("cp meta sqlite:shop.db.nowhere duckdb:w.duckdb.defined").code == 2


def test_the_page_does_what_it_says(folder: Path) -> None:
    """Each block in the page's order, with the output that the page shows."""
    assert set(BLOCKS) == {"snap", "delta", "manifest", "ask", "variables"}
    for name, block in BLOCKS.items():
        env: dict[str, str] = {}
        said = ""
        for line in block.splitlines():
            if line.startswith("$ export "):
                env |= dict(word.split("=", 1) for word in shlex.split(line)[2:])
            elif line.startswith("$ hdm"):
                command, _, file = line.removeprefix("$ hdm").partition(" > ")
                done = hdm(command, **env)
                assert done.code == 0, (name, line, done.said)
                said += "" if file else done.out
                if file:
                    Path(file).write_text(done.out)
        shown = "\n".join(line for line in block.splitlines() if not line.startswith("$ "))
        assert shown in said, (name, said)
    assert rows("w.duckdb", "SELECT count(*) FROM orders") == [(19,)]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql://a:env:P@h/db.t", "postgresql://b:env:Q@h/db.u?insecure=true", True),
        ("postgresql://a@h/db.t", "postgres://a@h/db.t", True),
        ("postgresql://a@h/db.t", "postgresql://a@other/db.t", False),
        ("postgresql://a@h/db.t", "postgresql://a@h:5433/db.t", False),
        ("postgresql://a@h/db.t", "postgresql://a@h/db2.t", False),
        ("postgresql://a@h/db.t", "mysql://a@h/db.t", False),
        ("snowflake://a@h/db.t?schema=x", "snowflake://a@h/db.t?schema=y", False),
        ("sqlite:shop.db.t", "sqlite:./shop.db.u", True),
    ],
)
def test_a_connection_is_named_by_the_place_it_reaches(
    folder: Path, one: str, other: str, same: bool
) -> None:
    known = Profiles(folder / "none.yml", "dev")
    names = [read_end(Given(text), known).connection for text in (one, other)]
    assert (names[0] == names[1]) is same


@pytest.mark.parametrize("through", [pytest.param("this machine", marks=pytest.mark.long), "a bucket"])
def test_a_warehouse_is_loaded_over_a_stage(
    folder: Path, snowflake_server: fakesnow.Snowflake, s3_server: moto.S3, through: str
) -> None:
    warehouse, bucket = snowflake_server.fresh(), s3_server.fresh()
    Path("p.yml").write_text(yaml.safe_dump({"dev": {"wh": warehouse, "lake": s3_server.profile}}))
    Path("p.yml").chmod(0o600)
    line = "cp delta sqlite:shop.db.orders snowflake:wh.ORDERS --profiles p.yml"
    if through == "a bucket":
        with snowflake_server.connect(warehouse) as connection:
            connection.cursor().execute(f"CREATE STAGE lake URL = 's3://{bucket}/stage/'")
        line += f" -b {bucket} -P stage --stage-connection lake -s lake"
    for expected in (20, 2, 0):
        done = hdm(line)
        assert done.code == 0, done.err
        assert "the rows are staged as parquet" in done.err
        assert (f"{expected} new rows" if expected else "nothing moved") in done.err
        shop("INSERT OR IGNORE INTO orders VALUES (21, 'new', 1), (22, 'new', 2)")
    ask = 'SELECT "id", "cents" FROM ORDERS ORDER BY 1'
    asked = hdm(f"query snowflake:wh '{ask}' -X --profiles p.yml")
    held = [tuple(map(int, line.split(","))) for line in asked.out.splitlines()]
    assert held == shop("SELECT id, cents FROM orders ORDER BY id"), asked.err


@pytest.mark.long
def test_a_table_goes_round_by_addresses_of_servers(
    folder: Path, fresh_postgres: Callable[..., Database], fresh_mariadb: Callable[..., Database]
) -> None:
    """SQLite -> MariaDB -> PostgreSQL -> DuckDB, each time a snapshot and then a delta with a new row."""
    here, env = ["sqlite:shop.db.orders"], {}
    for system, server, schema in (
        ("mariadb", fresh_mariadb(), ""),
        ("postgresql", fresh_postgres(), "public."),
    ):
        env[f"P_{system}"] = server.password or "none"
        login = f"{server.user}:env:P_{system}@{server.host}:{server.port}"
        here.append(f"{system}://{login}/{server.database}.{schema}orders?insecure=true")
    here.append("duckdb:w.duckdb.orders")
    for source, target in pairwise(here):
        done = hdm(f"cp snap '{source}' '{target}'", **env)
        assert (done.code, "20 new rows" in done.err) == (0, True), done.err
    shop("INSERT INTO orders VALUES (21, 'new', 1)")
    for source, target in pairwise(here):
        done = hdm(f"cp delta '{source}' '{target}' -p id -d id", **env)
        assert done.code == 0, done.err
    assert rows("w.duckdb", "SELECT * FROM orders ORDER BY id") == shop("SELECT * FROM orders ORDER BY id")
