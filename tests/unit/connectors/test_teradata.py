"""Teradata without Teradata: a DB-API double that answers as the driver's documentation says, SQL snapshots.

https://github.com/Teradata/python-driver (README, "Data Types", "Transaction Mode")
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from decimal import Decimal
from types import SimpleNamespace

import pytest
import sqlglot

from hdm.catalog.crawlers.teradata import TeradataCrawler
from hdm.components.builtin import missing_driver
from hdm.connectors.teradata import TeradataDatabase, TeradataProfile, TeradataSource
from hdm.dialects import dialect
from hdm.dialects.teradata_errors import ERRORS
from hdm.dialects.teradata_facts import PRIMARY_INDEX
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    MissingDriver,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    Throttled,
    TransientError,
    UsageError,
)
from hdm.model import Kind
from tests.fixtures.recorded.conversation import Conversation

JOB = "j" * 64
CANARY = "canary-4711"
CATALOGUE = [
    (name, native, int(null), None, None, None, None, 0, None, None)
    for name, native, null in [
        ("ID", "BIGINT", False), ("PRICE", "DECIMAL(38,18)", True), ("ANY_", "NUMBER", True),
        ("CODE", "CHAR(5)", True), ("NAME", "VARCHAR(30)", True), ("FLAG", "BYTEINT", True),
        ("DAY", "DATE", True),
        ("AT", "TIMESTAMP(6)", True), ("TZ", "TIMESTAMP(6) WITH TIME ZONE", True), ("CLOCK", "TIME(6)", True),
        ("SPAN", "INTERVAL DAY TO SECOND", True), ("TERM", "PERIOD(DATE)", True),
        ("RAW", "VARBYTE(20)", True),
        ("F", "FLOAT", True), ("DOC", "JSON", True),
    ]
]  # fmt: skip
ROW = (
    1,
    "12345678901234567890.123456789012345678",
    "1E-30",
    "ab   ",
    "é",
    -128,
    "0001-01-01",
    "2020-03-29 02:30:00.123456",
    "2020-01-02 03:04:05.123456+02:00",
    "23:59:59.123456",
    " 1 02:03:04.000000",
    "('2020-01-01', '2020-12-31')",
    b"\0\xff",
    0.1,
    '{"a": 1}',
)


def described(key=("ID",), index=("ID",), rows=10, columns=CATALOGUE, relation=(("2020", 1),)):
    return (
        (r"FROM DBC.TablesV\s+WHERE UPPER", [("SALES", "ORDERS")]),
        (r"CASE TRIM.ColumnType.* FROM DBC.ColumnsV", columns),
        ("QUALIFY DENSE_RANK", [(name,) for name in key]),
        ("IndexType IN .'P', 'Q'. ORDER", [(name,) for name in index]),
        ("DBC.TableStatsV s WHERE", [(rows, 1000)]),
        ("CreateTimeStamp", list(relation)),
        (r"HASHBUCKET\(\)", [(1048575,)]),
    )


def recorded(monkeypatch, *answers):
    conversation = Conversation(("^SET TIME ZONE 'GMT'$", None), *answers)
    monkeypatch.setitem(sys.modules, "teradatasql", SimpleNamespace(connect=conversation.connect))
    return conversation


def profile(**more):
    given = {"host": "td.example.com", "database": "SALES", "user": "u", "password": CANARY, **more}
    return TeradataProfile.model_validate(given)


def source(**conf):
    conf = {"table_name": "ORDERS", **conf}
    return TeradataSource(TeradataSource.Config.model_validate(conf), profile(), name="s")


def test_the_dictionary_decides_the_types_and_rows_arrive_exactly(monkeypatch):
    said = recorded(monkeypatch, *described(), ("^SELECT", [ROW, (2, *(None,) * 14)]))
    one = source()
    table = one.describe()
    assert (table.key, table.rows, table.dataset.name) == (("ID",), 10, "SALES.ORDERS")
    (chunk,) = one.split(table, one.window(), JOB, None)
    (batch,) = one.read(table, chunk).batches()
    assert batch.schema.equals(table.schema)
    first, second = batch.to_pylist()
    assert first == {
        "ID": 1, "PRICE": Decimal("12345678901234567890.123456789012345678"), "ANY_": "0." + "0" * 29 + "1",
        "CODE": "ab   ", "NAME": "é", "FLAG": -128, "DAY": dt.date(1, 1, 1),
        "AT": dt.datetime(2020, 3, 29, 2, 30, 0, 123456),
        "TZ": dt.datetime(2020, 1, 2, 1, 4, 5, 123456, dt.UTC), "CLOCK": dt.time(23, 59, 59, 123456),
        "SPAN": " 1 02:03:04.000000", "TERM": "('2020-01-01', '2020-12-31')", "RAW": b"\0\xff", "F": 0.1,
        "DOC": '{"a": 1}',
    }  # fmt: skip
    assert {value for name, value in second.items() if name != "ID"} == {None}
    (sql,) = said.sql('^SELECT "ID" AS "ID"')
    assert 'CAST("CODE" AS VARCHAR(5)) AS "CODE"' in sql and 'CAST("DOC" AS CLOB) AS "DOC"' in sql
    assert sql.endswith('FROM "SALES"."ORDERS"') and "LOCKING" not in sql


def test_sessions_are_ansi_by_verified_tls_and_their_values_are_texts(monkeypatch):
    said = recorded(monkeypatch)
    for one in (
        profile(),
        profile(insecure=True, tmode="TERA", port=1026, logmech="LDAP"),
        profile(host="localhost"),
    ):
        TeradataDatabase(one).connect()
    safe, loose, local = said.connected
    assert (safe["sslmode"], safe["tmode"], safe["teradata_values"]) == ("VERIFY-FULL", "ANSI", "false")
    assert (loose["sslmode"], loose["tmode"], loose["dbs_port"], loose["logmech"]) == (
        "PREFER",
        "TERA",
        "1026",
        "LDAP",
    )
    assert local["sslmode"] == "PREFER"
    assert profile(options={"sslmode": "REQUIRE"}).options["sslmode"] == "REQUIRE"


@pytest.mark.parametrize(
    ("key", "native"), [((), "BIGINT"), (("NAME",), "VARCHAR(30)")], ids=["no unique key", "a key of texts"]
)
def test_a_table_without_a_key_to_sort_is_cut_by_hash_buckets_of_its_primary_index(monkeypatch, key, native):
    recorded(monkeypatch, *described(key=key, index=("STORE", 'a"b'), rows=100), (r"COUNT\(\*\)", [(100,)]))
    one = source(chunk={"rows": 30})
    table = one.describe()
    found = [one.select(table, chunk) for chunk in one.split(table, one.window(), JOB, None)]
    wheres = [sql.partition(" WHERE ")[2] for sql in found]
    hashed = 'HASHBUCKET(HASHROW("STORE", "a""b"))'
    assert wheres == [
        f"{hashed} < 262144", f"{hashed} >= 262144 AND {hashed} < 524288",
        f"{hashed} >= 524288 AND {hashed} < 786432", f"{hashed} >= 786432",
    ]  # fmt: skip
    for sql in found:
        sqlglot.parse_one(sql, read="teradata")


def test_a_table_without_a_primary_index_is_one_chunk(monkeypatch):
    recorded(monkeypatch, *described(key=(), index=(), rows=100), (r"COUNT\(\*\)", [(100,)]))
    one = source(chunk={"rows": 30})
    (chunk,) = one.split(one.describe(), one.window(), JOB, None)
    assert chunk.conditions == ()


def test_a_key_of_numbers_is_cut_by_its_values(monkeypatch):
    said = recorded(
        monkeypatch, *described(rows=100), ("ROW_NUMBER", [("30",), ("60",)]), (r"COUNT\(\*\)", [(33,)])
    )
    one = source(chunk={"rows": 40})
    table = one.describe()
    wheres = [one.select(table, c).partition(" WHERE ")[2] for c in one.split(table, one.window(), JOB, None)]
    assert wheres == ['"ID" <= 30', '"ID" > 30 AND "ID" <= 60', '"ID" > 60']
    (edges,) = said.sql("ROW_NUMBER")
    assert "(hdm_n MOD 40) = 0" in edges and 'TRIM(CAST("hdm_c"' not in edges
    sqlglot.parse_one(edges, read="teradata")


def test_the_columns_of_a_view_come_from_qvci_or_are_refused(monkeypatch):
    untold = [("ID", "?", 1, None, None, None, None, 0, None, None)]
    views = ("FROM DBC.ColumnsQV", [("ID", "INTEGER", 1, None, None, None, None, 0, None, None)])
    recorded(monkeypatch, views, *described(columns=untold, key=(), index=(), relation=()))
    assert source().describe().columns[0].kind is Kind.INT32
    off = Exception(
        "[Version 20.0.0.2] [Session 7] [Teradata Database] [Error 9719] QVCI feature is disabled."
    )
    recorded(
        monkeypatch, ("FROM DBC.ColumnsQV", off), *described(columns=untold, key=(), index=(), relation=())
    )
    with pytest.raises(UsageError, match="9719") as caught:
        source().describe()
    assert "QVCI" in (caught.value.hint or "")


def test_a_query_is_refused_since_its_columns_are_not_told(monkeypatch):
    recorded(monkeypatch)
    one = TeradataSource(TeradataSource.Config(query="SELECT 1 AS a"), profile(), name="s")
    with pytest.raises(UsageError, match="columns of a query") as caught:
        one.describe()
    assert "make a view" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("native", "kind", "precision", "scale", "length"),
    [
        ("BYTEINT", Kind.INT8, None, None, None),
        ("NUMBER", Kind.DECIMAL, None, None, None),
        ("NUMBER(10,2)", Kind.DECIMAL, 10, 2, None),
        ("DECIMAL(5,0)", Kind.DECIMAL, 5, 0, None),
        ("CHAR(7)", Kind.TEXT, None, None, 7),
        ("VARCHAR(9) CHARACTER SET LATIN", Kind.TEXT, None, None, 9),
        ("TIME(3)", Kind.TIME, 3, None, None),
        ("TIMESTAMP(0)", Kind.TIMESTAMP, 0, None, None),
        ("TIMESTAMP(6) WITH TIME ZONE", Kind.TIMESTAMPTZ, 6, None, None),
        ("TIME(6) WITH TIME ZONE", Kind.TIMETZ, None, None, None),
        ("INTERVAL DAY TO SECOND", Kind.INTERVAL, None, None, None),
        ("PERIOD(TIMESTAMP(6))", Kind.OTHER, None, None, None),
        ("UDT", Kind.OTHER, None, None, None),
        ("XML", Kind.OTHER, None, None, None),
        ("BYTE(4)", Kind.BINARY, None, None, 4),
        ("BLOB", Kind.BINARY, None, None, None),
    ],
)
def test_types_of_the_dictionary(native, kind, precision, scale, length):
    made = dialect("teradata").column_from_catalog("c", native)
    assert (made.kind, made.length) == (kind, length)
    if kind in (Kind.DECIMAL, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ):
        assert (made.precision, made.scale) == (precision, scale)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (2631, Deadlock),
        (2641, TransientError),
        (2652, TransientError),
        (2825, ConnectionLost),
        (2826, ConnectionLost),
        (3151, Throttled),
        (3523, UsageError),
        (8017, UsageError),
        (3807, SchemaDrift),
        (5628, SchemaDrift),
        (2616, RejectedRows),
        (2665, RejectedRows),
        (6706, RejectedRows),
        (2801, RejectedRows),
        (3706, PermanentError),
        (9999, PermanentError),
    ],
)
def test_errors_say_what_to_do_and_no_value(number, kind):
    text = f"[Session 9] [Teradata Database] [Error {number}] [SQLState HY000] {CANARY}\n at x.go:1"
    made = dialect("teradata").classify(Exception(text))
    assert type(made) is kind and CANARY not in str(made) and str(number) in str(made)


def test_an_error_of_the_drivers_own_is_known_by_its_sqlstate():
    """As teradatasql 20.0.0.72 says it of a port on which nothing listens."""
    text = (
        "[Version 20.0.0.72] [Session 0] [Teradata SQL Driver] [Error 444] [SQLState 08001] "
        f"Failed to connect to {CANARY}\n at gosqldriver/teradatasql.formatError ErrorUtil.go:84"
    )
    made = dialect("teradata").classify(Exception(text))
    assert isinstance(made, ConnectionLost) and CANARY not in str(made)
    assert not set(ERRORS) & {"0", "", "444"}


def test_the_sql_for_the_dictionary_is_teradatas():
    known = dialect("teradata").catalog_queries
    asks = [known.names, known.columns, known.key, known.size, known.relation, known.tables, PRIMARY_INDEX]
    of_crawler = [
        getattr(TeradataCrawler.queries, name)
        for name in ("schemas", "tables", "columns", "keys", "foreign", "views", "placing")
    ]
    for sql in (*asks, *(one.replace("{schemas}", "'SALES'") for one in of_crawler)):
        found = sqlglot.parse(sql, read="teradata")
        assert len(found) == 1 and not isinstance(found[0], sqlglot.exp.Command), sql


def test_lags_are_subtracted_as_intervals_of_days_and_seconds():
    column = dialect("teradata").column_from_catalog("c", "TIMESTAMP(6)")
    made = dialect("teradata").minus('"c"', "100001s", column)
    assert made == "(\"c\" - INTERVAL '1 03:46:41.000000' DAY TO SECOND)"
    assert (
        dialect("teradata").minus('"c"', "2d", dialect("teradata").column_from_catalog("c", "DATE"))
        == '("c" - 2)'
    )


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "teradatasql", None)
    with pytest.raises(MissingDriver, match="teradatasql") as caught:
        source().describe()
    assert caught.value.exit_code == 2 and "hdm[teradata]" in (caught.value.hint or "")
    assert re.search(r"hdm\[teradata\]", str((missing_driver(TeradataSource) or caught.value).hint))


def test_doctor_names_each_view_of_the_dictionary_that_may_not_be_read(monkeypatch):
    denied = Exception(
        "[Teradata Database] [Error 3523] The user does not have SELECT access to DBC.IndicesV."
    )
    recorded(monkeypatch, ("FROM DBC.IndicesV WHERE 1 = 0", denied), ("WHERE 1 = 0", []), *described())
    lacks = [detail for what, ok, detail in source().probe() if what == "grants" and not ok]
    assert lacks == ['lacks SELECT on DBC.IndicesV: GRANT SELECT ON DBC.IndicesV TO "u";']
