"""Bad input ends with exit code 2 and one message, and nothing is created by it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.kit import Place, direct, load, only, shop


def first(place: Place) -> dict[str, Any]:
    stage: dict[str, Any] = place.manifest["declared_data_links"]["stages"][0]
    return stage


def conf(**values: Any) -> Callable[[Place], None]:
    """The first source's conf with these values."""

    def change(place: Place) -> None:
        mine = first(place)["source"]["conf"]
        mine.update(values)
        for key in [key for key, value in mine.items() if value is None]:
            del mine[key]
        place.write()

    return change


def link(**values: Any) -> Callable[[Place], None]:
    """The first link with these words."""

    def change(place: Place) -> None:
        first(place).update(values)
        place.write()

    return change


def manifest(content: bytes) -> Callable[[Place], None]:
    return lambda place: (place.folder / "m.yml").write_bytes(content) and None


def nothing(place: Place) -> None:
    return


def no_manifest(place: Place) -> None:
    (place.folder / "m.yml").unlink()


def no_profiles(place: Place) -> None:
    (place.folder / "p.yml").unlink()


def open_profiles(place: Place) -> None:
    (place.folder / "p.yml").chmod(0o644)


def no_connection(place: Place) -> None:
    del place.profiles["dst"]
    place.write()


def wrong_profile(place: Place) -> None:
    place.profiles["src"]["pth"] = "x"
    place.write()


def no_source(place: Place) -> None:
    place.source.unlink()


def no_database(place: Place) -> None:
    place.source.write_bytes(b"no database\n" * 100)


def wrong_type(place: Place) -> None:
    first(place)["source"]["type"] = "SQLightSource"
    place.write()


def missing_driver(place: Place) -> None:
    first(place)["source"]["type"] = "PostgresSource"
    place.profiles["src"] = {"host": "127.0.0.1", "port": 1, "database": "x", "user": "u"}
    only(place, first(place))


def plugin(place: Place) -> None:
    place.manifest["plugins"] = ["no_such_module_of_anybody"]
    place.write()


def merge_without_key(place: Place) -> None:
    place.sql("CREATE TABLE bare (a INTEGER)")
    only(place, {**direct(place, "bare"), "mode": "merge"})


def file_for_a_folder(place: Place) -> None:
    place.stage.write_text("a file")


def no_target_database(place: Place) -> None:
    only(place, direct(place, "orders"))
    place.target.write_bytes(b"no database\n" * 100)


def no_target_folder(place: Place) -> None:
    (place.folder / "file").write_text("")
    place.profiles["dst"] = {"path": str(place.folder / "file" / "target.db")}
    only(place, direct(place, "orders"))


def no_such_folder(place: Place) -> None:
    only(place, load(place))
    first(place)["source"]["name"] = "filse"
    place.write()


def lossy(place: Place) -> None:
    place.sql("CREATE TABLE untyped (id INTEGER PRIMARY KEY, anything)")
    only(place, direct(place, "untyped"))


def absent_target(place: Place) -> None:
    only(place, direct(place, "orders"))
    first(place)["sink"]["conf"]["create"] = False
    place.write()


RUN = ("run",)
CASES: list[tuple[str, Callable[[Place], None], tuple[str, ...], str]] = [
    ("no manifest", no_manifest, RUN, "the manifest does not exist"),
    ("not text", manifest(b"\x00\xff"), RUN, "not UTF-8"),
    ("empty", manifest(b""), RUN, "is empty"),
    ("not YAML", manifest(b"a: [1\n"), RUN, "m.yml:"),
    ("no profiles", no_profiles, RUN, "profile file does not exist"),
    ("others can read the profiles", open_profiles, RUN, "chmod 600"),
    ("unknown environment", nothing, ("run", "-e", "prd"), "there is no environment 'prd'"),
    ("unknown connection", no_connection, RUN, "no connection 'dst'"),
    ("unknown profile key", wrong_profile, RUN, "pth"),
    ("no file to read", no_source, RUN, "there is no SQLite file"),
    ("no database", no_database, RUN, "check path in the profile"),
    ("no such table", conf(table_name="ordres"), RUN, "there is no table ordres"),
    ("no such watermark", conf(watermark={"column": "chnged"}), RUN, "no column 'chnged'"),
    ("no such column", conf(columns=["id", "nme"]), RUN, "nme"),
    ("wrong offset", conf(watermark={"column": "changed", "offset": "soon"}), RUN, "'soon'"),
    ("wrong lag", conf(watermark={"column": "changed", "lag": "1 hour"}), RUN, "'1 hour'"),
    ("no order", conf(watermark={"column": "id"}, table_name=None, query="SELEC 1"), RUN, "is not a SELECT"),
    ("unknown column in where", conf(where="nosuch = 1"), RUN, "no such column: nosuch"),
    ("wrong where", conf(where="id = = 1"), RUN, "refuses where"),
    ("two statements in where", conf(where="1=1; DROP TABLE orders"), RUN, "where"),
    ("no rows in a chunk", conf(chunk={"rows": 0}), RUN, "chunk.rows"),
    ("unknown key", conf(tabel="x"), RUN, "unknown key 'tabel'"),
    ("unknown type", wrong_type, RUN, "did you mean 'SQLiteSource'?"),
    ("unknown check", link(checks=[{"type": "NotNul", "column": "id"}]), RUN, "did you mean 'NotNull'?"),
    ("check without a column", link(checks=[{"type": "NotNull"}]), RUN, "column"),
    ("no such column to check", link(checks=[{"type": "Unique", "column": "idd"}]), RUN, "no column 'idd'"),
    ("wrong bound", link(checks=[{"type": "Range", "column": "id", "min": "a"}]), RUN, "'a' is no value"),
    ("no bound", link(checks=[{"type": "Range", "column": "id"}]), RUN, "no bound"),
    ("no SQL", link(transform="SELEC 1"), RUN, "syntax error"),
    ("no such column to transform", link(transform="SELECT nope FROM batch"), RUN, "nope"),
    ("not a SELECT", link(transform="CREATE TABLE x (a int)"), RUN, "not one SELECT"),
    ("two SELECTs", link(transform="SELECT 1; SELECT 2"), RUN, "not one SELECT"),
    ("a file system call", link(transform="SELECT * FROM '/etc/passwd'"), RUN, "transform of orders"),
    ("a mode that files have not", link(mode="merge"), RUN, "cannot honour mode merge"),
    ("unknown mode", link(mode="upsert"), RUN, "upsert"),
    ("merge without a key", merge_without_key, RUN, "needs a key"),
    ("a loss", lossy, RUN, "would lose values"),
    ("no table and not to be made", absent_target, RUN, "create is false"),
    ("a file in a folder's place", file_for_a_folder, RUN, "cannot write to"),
    ("no database to write to", no_target_database, RUN, "sink dst: "),
    ("no folder to write to", no_target_folder, RUN, "sink dst: cannot make the file"),
    ("a name in too many parts", conf(table_name="a.b.orders"), RUN, "a SQLite table has one name"),
    ("tabs", manifest(b"declared_data_links:\n\t- a: b\n"), RUN, "indent with blanks, not with tabs"),
    ("no mapping", conf(watermark="changed"), RUN, "'watermark' must be a mapping\n"),
    ("no such folder", no_such_folder, RUN, "give the source that sink's name"),
    ("a verb misspelt", nothing, ("staus",), "no such command 'staus': did you mean 'status'?"),
    ("plugin", plugin, RUN, "no_such_module_of_anybody"),
    ("unknown site", nothing, ("run", "--site", "mars"), "no link of m.yml has site 'mars'"),
    ("unknown option", nothing, ("run", "--wrkers", "2"), "No such option"),
    ("no workers", nothing, ("run", "--workers", "0"), "--workers"),
    ("unknown level", nothing, ("run", "--log-level", "loud"), "--log-level"),
    ("unknown format", nothing, ("run", "--log-format", "xml"), "--log-format"),
    ("no log settings", nothing, ("run", "-l", "none.yml"), "none.yml"),
    ("unknown run", nothing, ("status", "--run", "0123"), "begins with '0123'"),
    ("unknown table", nothing, ("lineage", "orders"), "no dataset named 'orders'"),
    ("nobody waives", nothing, ("waive",), "--by"),
    ("nobody, blank", nothing, ("waive", "--by", " ", "--reason", "x"), "must not be empty"),
    ("no run to help", nothing, ("work",), "no run of m.yml"),
    ("nothing to import", nothing, ("state", "import", "old.db"), "neither a file nor a connection"),
]


@pytest.mark.parametrize(("change", "words", "said"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_is_refused_and_makes_nothing(
    tmp_path: Path, change: Callable[[Place], None], words: tuple[str, ...], said: str
) -> None:
    place = shop(tmp_path, 20, 6)
    change(place)
    before = place.files()
    done = place.hdm(*words)
    assert (done.code, done.out) == (2, ""), done.said
    assert said in done.err
    assert sum(line.startswith(("hdm: ", "Error: ")) for line in done.err.splitlines()) == 1
    assert "Traceback" not in done.err
    assert place.files() == before


@pytest.mark.parametrize(
    "words",
    [("status",), ("status", "--runs"), ("status", "--dead"), ("retry",), ("gc",), ("gc", "--dry-run"),
     ("plan",), ("doctor",), ("waive", "--by", "me", "--reason", "so")],
    ids=" ".join,
)  # fmt: skip
def test_a_look_makes_nothing(tmp_path: Path, words: tuple[str, ...]) -> None:
    place = shop(tmp_path, 20, 6)
    before = place.files()
    assert place.hdm(*words).code == 0
    assert place.hdm(*words, "--json").json is not None
    assert place.files() == before


def test_a_missing_driver_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shop(tmp_path, 20, 6)
    missing_driver(place)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    done = place.hdm("run")
    assert (done.code, done.out) == (2, "")
    assert "pip install 'hdm[postgres]'" in done.err


def test_a_server_that_is_away_is_no_mistake_of_the_user(tmp_path: Path) -> None:
    place = shop(tmp_path, 20, 6)
    missing_driver(place)
    before = place.files()
    done = place.hdm("run")
    assert (done.code, done.out) == (1, "")
    assert "source src_orders: PostgreSQL cannot be reached" in done.err
    assert place.files() == before


def test_a_state_database_that_is_away_is_exit_code_3(tmp_path: Path) -> None:
    place = shop(tmp_path, 20, 6)
    place.profiles["state"] = {"host": "127.0.0.1", "port": 1, "database": "x", "user": "u"}
    place.manifest["state_manager"] = {"type": "PostgresStateManager", "conf": {"connection": "state"}}
    place.write()
    before = place.files()
    for words in (("run",), ("status",), ("retry",)):
        done = place.hdm(*words)
        assert (done.code, done.out) == (3, "")
        assert "the state database at 127.0.0.1:1 cannot be used: refused" in done.err
    assert place.files() == before


@pytest.mark.parametrize("damage", ["no database", "half of one", "a folder", "no room"])
def test_a_state_database_that_is_damaged_is_exit_code_3(tmp_path: Path, damage: str) -> None:
    place = shop(tmp_path, 20, 6)
    state = place.home / ".hashmap_data_migrator" / "state.db"
    if damage == "no room":
        place.home.write_text("a file")
    else:
        assert place.hdm("run").code == 0
        held = state.read_bytes()
        for left in state.parent.iterdir():
            left.unlink()
        if damage == "a folder":
            state.mkdir()
        else:
            state.write_bytes(b"no database\n" * 500 if damage == "no database" else held[: len(held) // 2])
    before, place.tampered = place.files(), True
    verbs = ("run",) if damage == "no room" else ("run", "status", "retry")
    for verb in verbs:
        done = place.hdm(verb)
        assert (done.code, done.out) == (3, ""), done.said
        said = {"a folder": "cannot be opened", "no room": "cannot be made"}.get(damage, "is damaged")
        assert said in done.err
        assert "hint: " in done.err
    assert {name for name in place.files() if "state.db-" not in name} == before


def test_a_lease_time_that_is_none(tmp_path: Path) -> None:
    place = shop(tmp_path, 20, 6)
    before = place.files()
    done = place.hdm("run", env={"HDM_LEASE_TTL": "soon"})
    assert (done.code, done.err.splitlines()[0]) == (2, "hdm: HDM_LEASE_TTL is 'soon'")
    assert place.files() == before


def test_a_defect_is_one_line_and_its_traceback_is_to_be_had(tmp_path: Path) -> None:
    place = shop(tmp_path, 20, 6)
    (tmp_path / "own_source.py").write_text(
        "from hdm import Source, register\n"
        "@register\n"
        "class Broken(Source):\n"
        "    def describe(self):\n"
        "        return {}['a secret value']\n"
        "    def read(self, table, chunk): ...\n"
    )
    place.manifest["plugins"] = ["own_source"]
    only(place, {"source": {"name": "own", "type": "Broken"}, "sink": {"name": "x", "type": "DummySink"}})
    program = [sys.executable, "-m", "hdm", "run", *place.args]
    environment = {**place.env, "PATH": "", "PYTHONPATH": f"{place.env['PYTHONPATH']}:{tmp_path}"}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith("hdm: unexpected KeyError at ")
    assert "own_source.py:5" in done.stderr
    assert "HDM_DEBUG=1" in done.stderr
    assert "a secret value" not in done.stderr
    environment["HDM_DEBUG"] = "1"
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" in done.stderr
