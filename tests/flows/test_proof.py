"""What a target holds is compared with its source: equal after a run, and each damaged row is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hdm.api
from hdm.components import registry
from tests.flows.kit import Place, direct, load, on_sqlite, only, run, shop, stage
from tests.servers import fakesnow

FACTS = """CREATE TABLE facts (id BIGINT PRIMARY KEY, name TEXT, note TEXT, price DECIMAL_TEXT(18,4),
 ratio DOUBLE, born DATE, seen TIMESTAMP(6), flag BOOLEAN, raw BLOB)"""
LONG = "x" * 70_000
A = "\u00e4"

DAMAGE: dict[int, tuple[str, str, str]] = {
    # id: column, SQL of the new value, likely cause
    1: ("name", f"'n{A}me 1 '", "blanks at the end"),
    2: ("name", f"' n{A}me 2'", "white space at an end"),
    3: ("name", f"'N{A}me 3'", "case"),
    4: ("name", "'na\u0308me 4'", "unicode form"),
    5: ("name", "'n?me 5'", "encoding"),
    6: ("name", "'n\u00c3\u00a4me 6'", "encoding"),
    7: ("name", f"'n{A}me'", "the end is missing"),
    8: ("name", f"'{LONG}'", "the end is missing"),
    10: ("note", "''", "'' for NULL"),
    11: ("note", "NULL", "NULL for ''"),
    12: ("note", "NULL", "NULL for a value"),
    15: ("note", "'note'", "a value for NULL"),
    16: ("price", "4.0002", "last digit"),
    17: ("price", "4.2", "precision: 1 digits after the point"),
    18: ("price", "-4.5001", "sign"),
    19: ("ratio", "2.7142856", "precision of a float"),
    20: ("born", "'2024-01-22'", "another value"),
    21: ("seen", "'2024-03-31 00:30:21.123'", "precision: seconds with 3 digits"),
    22: ("seen", "'2024-03-31 00:30:22'", "precision: seconds with 0 digits"),
    23: ("seen", "'2024-03-31 01:30:23.123456'", "one hour apart: time zone or summer time"),
    24: ("seen", "'2024-03-30 19:00:24.123456'", "time zone: 5.5 h apart"),
    26: ("flag", "NULL", "NULL for a value"),
    27: ("raw", "NULL", "NULL for a value"),
    28: ("note", f"'n{A}me 28'", "swapped with name"),
    31: ("price", "8.0001", "another value"),
    32: ("price", "7.7501", "another value"),
}
NAN = {33: ("ratio", "'NaN'", "not a number")}
LOST, MORE = 40, 5_000


def fact(n: int) -> tuple[Any, ...]:
    note = None if n % 5 == 0 else "" if n % 5 == 1 else f"note {n}"
    name = LONG + "tail" if n == 8 else f"n{A}me {n}"
    price, seen = f"{n * 25 // 100}.{n * 25 % 100:02d}01", f"2024-03-31 00:30:{n % 60:02d}.123456"
    return (n, name, note, price, n / 7, f"2024-01-{1 + n % 28:02d}", seen, n % 2, b"bytes %d" % n)


class Target:
    """A system that rows are moved to, and its database, to damage them."""

    def __init__(self, system: str, profile: dict[str, Any], table: str = "facts") -> None:
        self.system, self.profile, self.table = system, profile, table
        self.sink = f"{system}Sink"
        cls = registry.find("sink", self.sink)
        self.database = cls.Database.reached(cls.Profile(**profile))

    def damage(self, done: dict[int, tuple[str, str, str]]) -> None:
        quote = self.database.dialect.quote
        path = self.database.look(self.database.default_path((self.table,))).path
        table, key = self.database.dialect.qualify(path), quote("id")
        connection = self.database.connect("test", write=True)
        try:
            self.database.begin(connection, write=True)
            for number, (column, value, _) in done.items():
                also = f", {quote('name')} = 'note 28'" if number == 28 else ""
                sql = f"UPDATE {table} SET {quote(column)} = {value}{also} WHERE {key} = {number}"
                assert self.database.change(connection, sql) in (1, -1)
            self.database.change(connection, f"DELETE FROM {table} WHERE {key} = {LOST}")
            self.database.change(connection, f"UPDATE {table} SET {key} = {MORE} WHERE {key} = 41")
            self.database.commit(connection)
        finally:
            connection.close()


@pytest.fixture(params=["Postgres", "MariaDB", "DuckDB", "SQLite", "Snowflake"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    ask: Callable[[str], Any] = request.getfixturevalue
    match request.param:
        case "Postgres":
            yield Target("Postgres", ask("fresh_postgres")().profile)
        case "MariaDB":
            yield Target("MySQL", ask("fresh_mariadb")().profile)
        case "Snowflake":
            server: fakesnow.Snowflake = ask("snowflake_server")
            yield Target("SnowflakeCopy", server.fresh())
        case system:
            yield Target(system, {"path": str(tmp_path / f"other.{system.lower()}")})


def facts(folder: Path, target: Target, rows: int = 300, **conf: Any) -> Place:
    place = shop(folder, orders=1, items=1)
    place.sql(FACTS)
    place.sql("INSERT INTO facts VALUES (?,?,?,?,?,?,?,?,?)", [fact(n) for n in range(rows)])
    place.profiles["dst"] = target.profile
    return only(place, direct(place, "facts", target.sink, **conf))


def test_two_tables_of_two_connections(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=120)
    only(place, direct(place, "orders"))
    assert place.hdm("run").code == 0
    names = ("sqlite:src.orders", "sqlite:dst.orders")
    options = ["-e", "dev", "--profiles", str(tmp_path / "p.yml")]
    done = run(["diff", *names, *options], place.env)
    assert done.code == 0 and "equal, 120 rows, compared by rows" in done.out, done.said
    place.sql("UPDATE orders SET customer = 'C3 ' WHERE id = 3")
    done = run(["diff", *names, *options], place.env)
    assert done.code == 1, done.said
    assert "different, 120 rows, compared by rows, by key id: 1 changed" in done.out
    assert "'C3 '" in done.out and "'c3'" in done.out
    by_option = run(["diff", *names, *options, "--accept", "customer:C3 =c3"], place.env)
    assert by_option.code == 0 and "accepted: 1 pair(s) of values" in by_option.out, by_option.said
    left_out = run(["diff", *names, *options, "--exclude", "customer"], place.env)
    assert left_out.code == 0 and "not compared: customer" in left_out.out
    where = run(["diff", *names, *options, "--where", "id <> 3"], place.env)
    assert where.code == 0 and "119 rows" in where.out, where.said
    as_json = run(["diff", *names, *options, "--json"], place.env)
    assert as_json.code == 1 and as_json.json["rows"][0]["key"] == {"id": 3}
    found = hdm.api.diff(*names, env="dev", profiles=tmp_path / "p.yml")
    assert (found.exit_code, found.changed, found.missing) == (1, 1, 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sqlite:src", "sqlite:dst.orders"), "names no table"),
        (("nix:src.orders", "sqlite:dst.orders"), "there is no database system 'nix'"),
        (("sqlite:src.nix", "sqlite:dst.orders"), "there is no table nix"),
        (("sqlite:nix.orders", "sqlite:dst.orders"), "has no connection 'nix'"),
        (("sqlite:src.orders", "sqlite:src.items", "--key", "nix"), "key: there is no column 'nix'"),
        (("sqlite:src.orders", "sqlite:src.orders", "--accept", "id:nix"), "is no rule"),
        (("sqlite:src.orders", "sqlite:src.orders", "--accept", "cents:tolerance=x"), "tolerance"),
        (("sqlite:src.orders", "sqlite:src.orders", "--column", "id"), "--column wants FIRST=SECOND"),
    ],
)
def test_a_mistake_is_told_and_ends_with_2(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    place = shop(tmp_path, orders=3)
    done = run(["diff", *words, "-e", "dev", "--profiles", str(tmp_path / "p.yml")], place.env)
    assert (done.code, said in done.err, "Traceback" in done.err) == (2, True, False), done.said


def test_a_run_compares_what_its_link_says_and_keeps_no_value(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=50)
    link = {**direct(place, "orders"), "validate": {"level": "rows", "accept": {"cents": {"tolerance": 1}}}}
    only(place, link)
    done = place.hdm("run")
    assert done.code == 0 and "proven" not in done.err, done.said
    place.sql("UPDATE orders SET cents = cents + 1")
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET customer = 'secret words' WHERE id = 7")
    done = place.hdm("run")
    assert done.code == 1, done.said
    assert "not proven equal: orders: 1 changed" in done.err, done.said
    assert "all committed, but not proven equal to the source" in done.err
    lines = place.hdm("run", "--log-format", "json").said.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    told = [one["message"] for one in events if one["event"] == "table.differs"]
    assert told == ["orders: 1 changed"]
    (recorded,) = place.state(
        "SELECT status, error_class, error_msg FROM hdm_run ORDER BY started_at DESC LIMIT 1"
    )
    assert recorded == ("failure", "NotEqual", "not equal to the source: orders: 1 changed")
    assert place.hdm("state", "verify").code == 0
    kept = b"".join(file.read_bytes() for file in place.home.rglob("*") if file.is_file())
    assert b"secret words" not in kept and "secret words" not in done.said
    validated = place.hdm("validate")
    assert validated.code == 1 and "'secret words'" in validated.out
    counted = place.hdm("validate", "--level", "counts")
    assert (counted.code, "equal, 50 rows, compared by counts (no value was read)" in counted.out) == (
        0,
        True,
    )
    link["validate"] = "none"
    only(place, link)
    assert (place.hdm("run").code, place.hdm("validate").code) == (0, 0)
    assert "not compared: validate: none" in place.hdm("validate").out


def test_what_was_not_compared_is_not_said_to_differ(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3)
    only(place, {**direct(place, "orders"), "validate": {"level": "rows", "columns": {"cents": "nix"}}})
    done = place.hdm("run")
    assert done.code == 1 and "not compared: columns: there is no column 'nix'" in done.err, done.said
    assert "not proven equal to the source" in done.err and "differ" not in done.err


def test_facts_of_columns_are_told_in_plain_numbers(tmp_path: Path) -> None:
    """A sum has its digits, and values that changed while their number did not are said to be others."""
    place = shop(tmp_path, orders=3)
    for file, price in ((place.source, "-2.5"), (place.target, "-1.3")):
        on_sqlite(file, "CREATE TABLE t (id INTEGER, price DECIMAL(9, 2))")
        on_sqlite(file, f"INSERT INTO t VALUES (1, 1.25), (2, {price})")
    words = ["sqlite:src.t", "sqlite:dst.t", "--level", "columns", "-e", "dev"]
    done = run(["diff", *words, "--profiles", str(tmp_path / "p.yml")], place.env)
    told = {tuple(line.split(maxsplit=3)) for line in done.out.splitlines()}
    assert ("price", "total", "-1.25", "-0.05") in told, told
    assert ("price", "distinct", "2", "2, not all the same") in told


def test_rows_after_the_watermark_are_not_missed(tmp_path: Path) -> None:
    """The source goes on; what was moved is compared, with its NULLs, and a row that came late is found."""
    place = shop(tmp_path, orders=100)
    only(place, direct(place, "orders", watermark={"column": "changed"}))
    assert place.hdm("run").code == 0
    place.sql("INSERT INTO orders VALUES (1000, 'new', 1, 1000)")
    done = place.hdm("validate")
    assert done.code == 0 and "equal, 100 rows" in done.out, done.said
    place.sql("INSERT INTO orders VALUES (-1, 'late', 1, 1)")
    done = place.hdm("validate")
    assert done.code == 1 and "1 missing" in done.out, done.said


def test_a_chain_is_compared_from_its_first_source_through_its_transforms(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=60)
    first = {**stage("orders", place), "transform": "SELECT * FROM batch WHERE id < 50"}
    second = {**load(place), "transform": "SELECT id, upper(customer) AS who, cents FROM batch"}
    only(place, first, second)
    assert place.hdm("run").code == 0
    done = place.hdm("validate")
    assert done.code == 0 and "equal, 50 rows" in done.out, done.said
    (target,) = [name for (name,) in place.rows("sqlite_master WHERE name LIKE 'orders%'", "name")]
    on_sqlite(place.target, f'UPDATE "{target}" SET who = lower(who) WHERE id = 7')
    done = place.hdm("validate")
    assert done.code == 1 and "who: case (1)" in done.out, done.said


def test_what_is_no_table_is_not_called_equal(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=5)
    only(place, stage("orders", place))
    assert place.hdm("run").code == 0
    done = place.hdm("validate")
    assert done.code == 1 and "not compared: FSSink writes no table" in done.out, done.said
