"""Each kind of damage on each system is named by row and column, repaired, and proven to be gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hdm.components import registry
from hdm.errors import HdmError
from hdm.model import Table
from tests.flows import faults
from tests.flows.faults import CHANGED, EXTRA, FAULTS, MISSING, MORE, NUMBER, OTHER_ROW, ROWS, Fault
from tests.flows.kit import Place, direct, only, shop

TABLES = ("faults", "lines", "emptied")
LINES = [(1, "once"), (2, "twice"), (2, "twice"), (3, None)]
"""The rows of a table without a key."""


class Target:
    """A system that rows are moved to, and its tables, to damage them past hdm."""

    def __init__(self, system: str, sink: str, profile: dict[str, Any]) -> None:
        self.system, self.sink, self.profile = system, sink, profile
        cls = registry.find("sink", sink)
        self.database = cls.Database.reached(cls.Profile(**profile))
        self.dialect = self.database.dialect

    def run(self, *statements: str) -> None:
        """Run SQL in one transaction."""
        connection = self.database.connect("test", write=True)
        try:
            self.database.begin(connection, write=True)
            for sql in statements:
                self.database.change(connection, sql)
            self.database.commit(connection)
        finally:
            connection.close()

    def table(self, name: str) -> Table:
        found = self.database.look(self.database.default_path((name,)))
        assert found is not None
        return found

    def value(self, value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value).upper()
        if isinstance(value, bytes):
            form = {"duckdb": "from_hex('{}')", "postgres": "'\\x{}'"}
            return form.get(self.dialect.name, "x'{}'").format(value.hex())
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float) and self.system == "SQLite" and not math.isfinite(value):
            return "9e999" if value > 0 else "9e999 - 9e999"
        return self.dialect.string({"nan": "NaN", "inf": "Infinity"}.get(str(value), str(value)))

    def update(self, number: int, values: dict[str, Any]) -> str:
        quote, name = self.dialect.quote, self.dialect.qualify(self.table("faults").path)
        put = ", ".join(f"{quote(column)} = {self.value(one)}" for column, one in values.items())
        return f"UPDATE {name} SET {put} WHERE {quote('id')} = {number}"

    def delete(self, table: str, where: str = "") -> str:
        return f"DELETE FROM {self.dialect.qualify(self.table(table).path)}{where}"

    def numbered(self, number: int) -> str:
        return f" WHERE {self.dialect.quote('id')} = {number}"

    def trigger(self, number: int) -> list[str]:
        """Statements for a trigger that deletes a row when a row is put into another table."""
        gone, quoted = self.delete("faults", self.numbered(number)), self.dialect.qualify(("noise",))
        event = f"CREATE TRIGGER hush AFTER INSERT ON {quoted} FOR EACH ROW"
        match self.dialect.name:
            case "postgres":
                body = f"BEGIN {gone}; RETURN NULL; END"
                made = f"CREATE FUNCTION hush() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$"
                return [made, f"{event} EXECUTE FUNCTION hush()"]
            case "mysql":
                return [f"{event} {gone}"]
            case _:
                return [f"{event} BEGIN {gone}; END"]


@pytest.fixture(params=faults.SYSTEMS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    ask: Callable[[str], Any] = request.getfixturevalue
    match request.param:
        case "PostgreSQL":
            yield Target(request.param, "PostgresSink", ask("fresh_postgres")().profile)
        case "MariaDB":
            yield Target(request.param, "MariaDBSink", ask("fresh_mariadb")().profile)
        case "Snowflake":
            yield Target(request.param, "SnowflakeCopySink", ask("snowflake_server").fresh())
        case "ODBC":
            ask("odbc_drivers")
            words = {"dialect": "postgres", "driver": "PostgreSQL Unicode"}
            yield Target(request.param, "ODBCSink", {**words, **ask("fresh_postgres")().profile})
        case system:
            yield Target(system, f"{system}Sink", {"path": str(tmp_path / f"other.{system.lower()}")})


def filled(folder: Path, target: Target) -> Place:
    """A place whose three tables were moved to the target."""
    place = shop(folder, orders=1, items=1)
    for ddl in (
        "DROP TABLE orders",
        "DROP TABLE items",
        faults.DDL,
        "CREATE TABLE lines (n INTEGER, said TEXT)",
    ):
        place.sql(ddl)
    place.sql("CREATE TABLE emptied (id INTEGER PRIMARY KEY, said TEXT)")
    place.sql(f"INSERT INTO faults VALUES ({', '.join('?' * len(faults.COLUMNS))})", faults.rows())
    place.sql("INSERT INTO lines VALUES (?, ?)", LINES)
    place.sql("INSERT INTO emptied VALUES (?, ?)", [(1, "a"), (2, None), (3, "c")])
    place.profiles["dst"] = target.profile
    links = [direct(place, name, target.sink) for name in TABLES]
    links[0]["source"]["conf"]["chunk"] = {"rows": 1_000}
    links[1]["sink"]["conf"]["mode"] = "replace"
    only(place, *links)
    done = place.hdm("run")
    assert done.code == 0, done.said
    return place


def of(fault: str) -> int:
    return NUMBER[fault]


def held(target: Target, number: int, column: str) -> Any:
    """What the target holds, as hdm reads it."""
    database, quote = target.database, target.dialect.quote
    connection = database.connect("test")
    try:
        name = target.dialect.qualify(target.table("faults").path)
        sql = f"SELECT {quote(column)} FROM {name} WHERE {quote('id')} = {number}"
        return database.run(connection, sql)[0][0]
    finally:
        connection.close()


def refuses(target: Target, *statements: str) -> bool:
    try:
        target.run(*statements)
    except HdmError:
        return True
    return False


def cannot_hold(target: Target, fault: Fault) -> None:
    """See the system refuse a damage, or make another value of it."""
    number, words = of(fault.title), fault.cannot[target.system]
    if fault.title == "trigger that deletes":
        assert refuses(target, *target.trigger(number)), fault.title
        return
    ((column, value),) = fault.gets.items()
    refused = refuses(target, target.update(number, {column: value}))
    assert refused == words.startswith("refused"), (fault.title, refused)
    if not refused:
        now = held(target, number, column)
        assert now is None if "NULL" in words else math.copysign(1, now) == 1, (fault.title, now)
    target.run(target.update(number, dict(fault.had)))


def damage(target: Target) -> None:
    """Plant every kind that the system can hold; all at once."""
    target.run("CREATE TABLE noise (n INTEGER)")
    able = [one for one in FAULTS if target.system not in one.cannot]
    for one in FAULTS:
        if one not in able:
            cannot_hold(target, one)
    if FAULTS[of("trigger that deletes") - 1] in able:
        target.run(*target.trigger(of("trigger that deletes")))
    quote = target.dialect.quote
    whole, lines, emptied = (target.dialect.qualify(target.table(name).path) for name in TABLES)
    moved = {"id": MORE + 1}
    target.run(
        *(target.update(of(one.title), dict(one.gets)) for one in able if one.gets),
        target.update(OTHER_ROW, {"note": "this"}),
        target.delete("faults", target.numbered(of("row lost"))),
        f"INSERT INTO {whole} ({quote('id')}) VALUES ({MORE})",
        target.update(of("key changed"), moved),
        f"INSERT INTO {lines} VALUES (1, 'once'), (2, 'twice')",
        f"DELETE FROM {emptied}",
        "INSERT INTO noise VALUES (1)",
    )


def expected(target: Target) -> tuple[dict[int, dict[str, str]], dict[str, set[int]]]:
    """What must be named in ``faults``: the causes by row and column, and the keys of the other rows."""
    able = [one for one in FAULTS if target.system not in one.cannot]
    causes = {of(one.title): dict(one.causes) for one in able if one.gets}
    causes[OTHER_ROW] = {"note": "another value"}
    lost = {of("row lost"), of("key changed")}
    if any(one.title == "trigger that deletes" for one in able):
        lost.add(of("trigger that deletes"))
    return causes, {MISSING: lost, EXTRA: {MORE, MORE + 1}}


@pytest.mark.server
def test_each_kind_is_named_repaired_and_proven(tmp_path: Path, target: Target) -> None:
    place = filled(tmp_path, target)
    for level in ("counts", "columns", "rows"):
        done = place.hdm("validate", "--level", level)
        assert (done.code, f": equal, {ROWS} rows" in done.out) == (0, True), done.said
    damage(target)

    done = place.hdm("validate", "--json", "--show", "100")
    assert done.code == 1, done.said
    assert done.out, done.err
    found = {one["table"].rpartition(".")[2].lower(): one for one in done.json}
    causes, others = expected(target)
    named = found["faults"]["rows"]
    changed = {int(row["key"]["id"]): row["columns"] for row in named if row["kind"] == CHANGED}
    assert changed == causes
    for kind, keys in others.items():
        assert {int(row["key"]["id"]) for row in named if row["kind"] == kind} == keys, kind
    assert len(named) == len(causes) + sum(map(len, others.values()))
    times = {int(row["second"]["n"]): (row["kind"], row["times"]) for row in found["lines"]["rows"]}
    assert times == {1: (EXTRA, [1, 2]), 2: (EXTRA, [2, 3])}
    assert {int(row["key"]["id"]) for row in found["emptied"]["rows"]} == {1, 2, 3}

    words = ("validate", "--repair", "--select", "*faults", "--select", "*emptied", "--max-deletes", "2")
    done = place.hdm(*words)
    assert done.code == 0, done.said
    done = place.hdm("run")
    assert done.code == 0, done.said
    done = place.hdm("validate")
    assert done.code == 0 and f": equal, {ROWS} rows" in done.out, done.said
