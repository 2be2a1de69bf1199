"""SQLite holds anything in any column: it arrives exactly, or the chunk is refused by column name."""

from collections import Counter
from decimal import Decimal

import pytest
from pydantic import ValidationError

from hdm.connectors.sqlite import SQLiteDatabase, SQLiteProfile
from hdm.errors import Deadlock, RejectedRows, UnrepresentableValue, UsageError
from hdm.model import Kind, Mode
from tests.unit.sql_fixtures import lite  # noqa: F401
from tests.unit.sqlkit import all_rows, move


@pytest.mark.parametrize(
    ("declared", "kind", "precision", "scale"),
    [
        ("INTEGER", Kind.INT64, None, None),
        ("BIGINT UNSIGNED", Kind.INT64, None, None),
        ("tinyint", Kind.INT8, None, None),
        ("VARCHAR(20)", Kind.TEXT, None, None),
        ("double precision", Kind.FLOAT64, None, None),
        ("DECIMAL(10,2)", Kind.DECIMAL, 10, 2),
        ("NUMERIC", Kind.DECIMAL, None, None),
        ("BOOLEAN", Kind.BOOLEAN, None, None),
        ("DATE", Kind.DATE, None, None),
        ("DATETIME", Kind.TIMESTAMP, None, None),
        ("TIMESTAMP WITH TIME ZONE(6)", Kind.TIMESTAMPTZ, 6, None),
        ("BLOB", Kind.BINARY, None, None),
        ("", Kind.OTHER, None, None),
        ("FLOATING POINT", Kind.INT64, None, None),
    ],
)
def test_declared_types(lite, declared, kind, precision, scale):  # noqa: F811
    lite.run(f"CREATE TABLE t (v {declared})")
    (column,) = lite.source("t").describe().columns
    assert (column.kind, column.precision, column.scale) == (kind, precision, scale)


@pytest.mark.parametrize(
    ("declared", "value", "got"),
    [
        ("INTEGER", 2**63 - 1, 2**63 - 1),
        ("REAL", 3, 3.0),
        ("REAL", float("-inf"), float("-inf")),
        ("DECIMAL(10,2)", "12.5", Decimal("12.50")),
        ("DECIMAL(10,2)", 3, Decimal("3.00")),
        ("DECIMAL", 0.1, "0.1"),
        ("DECIMAL", 1e300, "1" + "0" * 300),
        ("BOOLEAN", 1, True),
        ("TEXT", "a\0b", "a\0b"),
        ("TEXT", "", ""),
        ("BLOB", b"\0\xff", b"\0\xff"),
        ("", 1, "1"),
        ("", 1.5, "1.5"),
        ("", "x", "x"),
        ("JSON", "[1.50]", "[1.50]"),
    ],
)
def test_values_that_fit(lite, declared, value, got):  # noqa: F811
    lite.run(f"CREATE TABLE t (v {declared})")
    lite.run("INSERT INTO t VALUES (?)", value)
    lite.run("INSERT INTO t VALUES (NULL)")
    assert all_rows(lite.source("t")) == Counter([(got,), (None,)])


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("INTEGER", "x"),
        ("INTEGER", 1.5),
        ("TINYINT", 300),
        ("REAL", "x"),
        ("REAL", b"x"),
        ("FLOAT4", 0.1),
        ("DECIMAL(4,2)", "1.234"),
        ("DECIMAL(4,2)", 12345),
        ("DECIMAL(4,2)", "x"),
        ("BOOLEAN", 2),
        ("TEXT", b"x"),
        ("BLOB", "x"),
        ("", b"x"),
        ("DATE", "2024-02-30"),
        ("DATE", 20240101),
        ("TIMESTAMP", "2024-01-01 25:00:00"),
        ("TIMESTAMP", "2024-01-01 00:00:00.1234567"),
        ("TIMESTAMP", "2024-01-01 00:00:00+01:00"),
        ("TIME", "24:00:00"),
    ],
)
def test_values_that_do_not_fit_are_refused(lite, declared, value):  # noqa: F811
    lite.run(f"CREATE TABLE t (v {declared})")
    lite.run("INSERT INTO t VALUES (?)", value)
    with pytest.raises(UnrepresentableValue, match="column v"):
        all_rows(lite.source("t"))


def test_text_that_is_no_utf8_is_refused(lite):  # noqa: F811
    lite.run("CREATE TABLE t (v TEXT)")
    lite.run("INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
    with pytest.raises(UnrepresentableValue):
        all_rows(lite.source("t"))


def test_nan_is_kept_apart_from_null(lite):  # noqa: F811
    lite.run("CREATE TABLE t (v REAL)")
    lite.run("INSERT INTO t VALUES ('NaN'), (NULL)")
    move(lite.source("t"), lite.sink("u"))
    assert lite.run("SELECT v FROM u WHERE v IS NOT NULL") == [("NaN",)]
    ((value,), (nothing,)) = all_rows(lite.source("u"))
    assert nothing is None
    assert value != value


def test_untyped_columns_are_a_declared_loss(lite):  # noqa: F811
    lite.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    sink = lite.sink("u")
    ((column, why),) = sink.losses(lite.source("t").describe())
    assert column.name == "v"
    assert "text" in why
    assert lite.sink("u", allow_loss=["v"]).losses(lite.source("t").describe()) == []
    typed = lite.source("t", types={"v": "INTEGER"})
    assert sink.losses(typed.describe()) == []


def test_strict_tables_reject_what_is_not_theirs(lite):  # noqa: F811
    lite.run("CREATE TABLE t (v TEXT)")
    lite.run("INSERT INTO t VALUES ('canary')")
    lite.run("CREATE TABLE u (v TEXT CHECK (length(v) < 3)) STRICT")
    with pytest.raises(RejectedRows) as caught:
        move(lite.source("t"), lite.sink("u"))
    assert "canary" not in str(caught.value)


def test_generated_columns_are_read_and_not_written(lite):  # noqa: F811
    lite.run("CREATE TABLE t (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED)")
    lite.run("INSERT INTO t VALUES (4)")
    lite.run("CREATE TABLE u (a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) VIRTUAL)")
    move(lite.source("t"), lite.sink("u"))
    assert lite.run("SELECT a, b FROM u") == [(4, 8)]


def test_replace_leaves_the_table_and_all_that_hangs_on_it(lite):  # noqa: F811
    lite.run("CREATE TABLE src (id integer PRIMARY KEY, v text)")
    lite.run("INSERT INTO src VALUES (1, 'a'), (2, 'b')")
    lite.run(
        "CREATE TABLE dst (id integer PRIMARY KEY, v varchar(9) CHECK (v <> ''), at text DEFAULT 'now', "
        "twice text AS (v || v))"
    )
    lite.run("INSERT INTO dst (id, v) VALUES (9, 'old')")
    lite.run("CREATE INDEX by_v ON dst (v)")
    lite.run("CREATE VIEW seen AS SELECT id, twice, at FROM dst")
    lite.run("CREATE TABLE child (id integer REFERENCES dst (id))")
    lite.run("CREATE TABLE log (id integer)")
    lite.run("CREATE TRIGGER noted AFTER INSERT ON dst BEGIN INSERT INTO log VALUES (new.id); END")
    before = lite.run("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%hdm%' ORDER BY name")
    for epoch in (1, 2):
        move(lite.source("src"), lite.sink("dst"), Mode.REPLACE, epoch=epoch)
        assert lite.run("SELECT * FROM seen") == [(1, "aa", "now"), (2, "bb", "now")]
    after = lite.run("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%hdm%' ORDER BY name")
    assert after == before
    assert lite.run("SELECT id FROM log") == [(1,), (2,)] * 2


def test_replace_makes_a_table_that_a_view_waits_for(lite):  # noqa: F811
    lite.run("CREATE TABLE src (id integer PRIMARY KEY)")
    lite.run("INSERT INTO src VALUES (1)")
    lite.run("CREATE VIEW seen AS SELECT * FROM dst")
    move(lite.source("src"), lite.sink("dst"), Mode.REPLACE)
    assert lite.run("SELECT * FROM seen") == [(1,)]


@pytest.mark.parametrize(("wrong", "said"), [("ordrs", "did you mean 'orders'"), ("x", "check table_name")])
def test_a_table_that_is_not_there_is_named_with_one_that_is(lite, wrong, said):  # noqa: F811
    lite.run("CREATE TABLE orders (id integer PRIMARY KEY)")
    with pytest.raises(UsageError, match=f"no table main.{wrong}|no table {wrong}") as error:
        lite.source(wrong).describe()
    assert said in str(error.value.hint)


def test_profiles_name_one_file(tmp_path):
    assert SQLiteProfile(dbpath=str(tmp_path), database="hdm").file == tmp_path / "hdm.db"
    (tmp_path / "hdm").touch()
    assert SQLiteProfile(dbpath=str(tmp_path), database="hdm").file == tmp_path / "hdm"
    assert SQLiteProfile(path=str(tmp_path / "x.sqlite")).file == tmp_path / "x.sqlite"
    with pytest.raises(ValueError, match="give path"):
        SQLiteProfile()


def test_a_file_that_is_not_there_is_not_made_by_reading(lite, tmp_path):  # noqa: F811
    lite.profile = SQLiteProfile(path=str(tmp_path / "none.db"))
    with pytest.raises(UsageError, match="no SQLite file"):
        lite.source("t").describe()
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("write", [False, True])
def test_a_folder_is_the_users_mistake(tmp_path, write):
    with pytest.raises(UsageError, match="is a folder, not a SQLite file"):
        SQLiteDatabase(SQLiteProfile(path=str(tmp_path))).connect(write=write)


def test_a_database_in_memory_is_refused():
    for entry in ({"path": ":memory:"}, {"database": ":memory:"}):
        with pytest.raises(ValidationError, match=":memory: is no file"):
            SQLiteProfile.model_validate(entry)


def test_busy_is_worth_another_try(lite, monkeypatch):  # noqa: F811
    monkeypatch.setattr("hdm.connectors.sqlite._BUSY_SECONDS", 0.05)
    lite.run("CREATE TABLE t (v TEXT)")
    holder = lite.connect()
    holder.execute("BEGIN EXCLUSIVE")
    sink = lite.sink("u")
    with pytest.raises(Deadlock):
        move(lite.source("t"), sink)
    holder.close()
