"""Oracle without Oracle: recorded conversations of python-oracledb, and SQL that parses."""

from __future__ import annotations

import datetime as dt
import re
import sys
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlglot

from hdm.connectors.oracle import ExadataSource, OracleProfile, OracleSink, OracleSource
from hdm.errors import ConnectionLost, MissingDriver, RejectedRows, SnapshotLost, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from tests.fixtures.recorded.conversation import Conversation, oracle_error, oracledb

JOB = "j" * 64
CATALOGUE = [
    # name, native, nullable, length, precision, scale, default, identity, generated, comment
    ("ID", "NUMBER(18,0)", 0, None, None, None, None, 0, None, None),
    ("ANY", "NUMBER", 1, None, None, None, None, 0, None, None),
    ("PRICE", "NUMBER(12,2)", 1, None, None, None, None, 0, None, "gross"),
    ("NAME", "VARCHAR2(30 CHAR)", 1, None, None, None, None, 0, None, None),
    ("DAY", "DATE", 1, None, None, None, None, 0, None, None),
    ("UTC", "TIMESTAMP(6) WITH TIME ZONE", 1, None, None, None, None, 0, None, None),
    ("BODY", "CLOB", 1, None, None, None, None, 0, None, None),
    ("SPAN", "INTERVAL DAY(2) TO SECOND(6)", 1, None, None, None, None, 0, None, None),
]
SETTINGS = ("^ALTER SESSION", None)


def recorded(monkeypatch, *answers):
    conversation = Conversation(SETTINGS, *answers)
    monkeypatch.setitem(sys.modules, "oracledb", oracledb(conversation))
    return conversation


def described(rows=10):
    return (
        ("data_object_id FROM all_objects", [("TABLE", None, 70, 71)]),
        ("FROM all_objects", [("SALES", "ORDERS")]),
        ("FROM all_tab_cols", CATALOGUE),
        ("FROM all_constraints", [("ID",)]),
        ("FROM all_tables WHERE owner = :1 AND table_name", [(rows, rows * 100)]),
    )


def profile(**more):
    return OracleProfile.model_validate(
        {"host": "db", "service_name": "PDB", "user": "sales", "password": "canary", **more}
    )


def source(cls=OracleSource, **conf):
    return cls(cls.Config.model_validate({"table_name": "orders", **conf}), profile(), name="s")


def test_the_catalogue_decides_the_types(monkeypatch):
    said = recorded(monkeypatch, *described())
    table = source().describe()
    kinds = {c.name: (c.kind, str(c.type)) for c in table.columns}
    assert table.path == ("SALES", "ORDERS") and table.key == ("ID",) and table.rows == 10
    assert kinds["ID"] == (Kind.DECIMAL, "decimal128(18, 0)") and kinds["ANY"] == (Kind.DECIMAL, "string")
    assert kinds["DAY"] == (Kind.TIMESTAMP, "timestamp[us]") and kinds["BODY"] == (Kind.TEXT, "string")
    assert kinds["UTC"] == (Kind.TIMESTAMPTZ, "timestamp[us, tz=UTC]") and kinds["SPAN"][0] is Kind.INTERVAL
    asked = [values for sql, values in said.said if "all_objects" in sql]
    assert asked == [("SALES", "orders")]


def test_chunks_read_one_scn_and_arrive_exactly(monkeypatch):
    frame = pa.table(
        {
            "ID": pa.array([Decimal(1)], pa.decimal128(18, 0)),
            "ANY": pa.array(["1" + "0" * 45], pa.string()),
            "PRICE": pa.array([Decimal("9.99")], pa.decimal128(12, 2)),
            "NAME": ["é"],
            "DAY": pa.array([dt.datetime(2020, 2, 29, 1, 2, 3)], pa.timestamp("s")),
            "UTC": pa.array([dt.datetime(2020, 2, 29)], pa.timestamp("us")),
            "BODY": pa.array(["x" * 5000], pa.large_string()),
            "SPAN": ["+01 00:00:00.000000"],
        }
    )
    said = recorded(
        monkeypatch,
        *described(),
        ("v\\$database", [("4711",)]),
        (r"COUNT\(\*\)", [(10,)]),
        ("^SELECT", [frame]),
    )
    one = source(cls=ExadataSource)
    with one.snapshot() as token:
        assert token == "4711"
        (chunk,) = one.split(one.describe(), one.window(), JOB, token)
    (batch,) = one.read(one.describe(), chunk).batches()
    assert batch.schema.equals(one.describe().schema)
    row = batch.to_pylist()[0]
    assert row["ANY"] == "1" + "0" * 45 and row["UTC"].tzinfo is not None and row["DAY"].second == 3
    counted, sql = said.sql("AS OF SCN 4711")
    assert counted == 'SELECT COUNT(*) FROM "SALES"."ORDERS" AS OF SCN 4711' and chunk.rows_in_all == 10
    assert sql.startswith('SELECT /*+ PARALLEL(4) */ "ID" AS "ID"') and 'SYS_EXTRACT_UTC("UTC")' in sql
    assert 'FROM "SALES"."ORDERS" AS OF SCN 4711' in sql and 'TO_CHAR("SPAN")' in sql
    options = next(values for text, values in said.said if text == sql)
    assert options["fetch_decimals"] is True


def test_without_a_grant_on_the_dictionary_the_scn_comes_from_flashback(monkeypatch):
    recorded(monkeypatch, ("v\\$database", oracle_error("ORA-00942")), ("dbms_flashback", [("9",)]))
    with source().snapshot() as token:
        assert token == "9"


def test_a_table_without_a_key_is_cut_by_row_addresses(monkeypatch):
    edges = ["AAAR3sAAEAAAACXAAA", "AAAR3sAAEAAAADYAAA"]
    answers = [(p, [] if "constraints" in p else a) for p, a in described(rows=2_500)]
    counted = (r"COUNT\(\*\)", [(2_500,)])
    said = recorded(monkeypatch, *answers, counted, ("NTILE", [(edge,) for edge in edges]))
    one = source(chunk={"rows": 1000})
    chunks = list(one.split(one.describe(), one.window(), JOB, "4711"))
    shown = [one.dialect.predicate(chunk.conditions, one.describe()) for chunk in chunks]
    assert shown == [
        f"ROWID < CHARTOROWID('{edges[0]}')",
        f"ROWID >= CHARTOROWID('{edges[0]}') AND ROWID < CHARTOROWID('{edges[1]}')",
        f"ROWID >= CHARTOROWID('{edges[1]}')",
    ]
    assert [chunk.number for chunk in chunks] == [0, 1, 2]
    assert "NTILE(3)" in said.sql("NTILE")[0] and "AS OF SCN 4711" in said.sql("NTILE")[0]


@pytest.mark.parametrize("word", ["4711; DROP TABLE x", "", "-1"])
def test_an_scn_is_a_number(word, monkeypatch):
    recorded(monkeypatch, *described())
    one = source()
    with pytest.raises(UsageError):
        one.database.join(None, word, one.describe(), None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ORA-01555", SnapshotLost), ("ORA-03113", ConnectionLost), ("DPY-6005", ConnectionLost),
        ("ORA-01017", UsageError), ("ORA-12899", RejectedRows),
    ],
)  # fmt: skip
def test_errors_say_what_to_do_and_no_value(code, kind, monkeypatch):
    recorded(monkeypatch, ("all_objects", oracle_error(code, "value 'canary' in row")))
    with pytest.raises(kind) as caught:
        source().describe()
    assert code in str(caught.value) and "canary" not in str(caught.value)


TABLE = Table(
    Dataset("memory", "orders"),
    ("ORDERS",),
    (
        Column("ID", Kind.INT64, pa.int64(), False),
        Column("AT", Kind.TIMESTAMP, pa.timestamp("us")),
        Column("OK", Kind.BOOLEAN, pa.bool_()),
        Column("PRICE", Kind.DECIMAL, pa.decimal128(12, 2), precision=12, scale=2),
    ),
    ("ID",),
)


def test_rows_are_bound_as_arrays_beside_their_ledger_row(monkeypatch):
    said = recorded(
        monkeypatch,
        ("FROM all_objects", [("SALES", "x")]),
        ("FROM all_tab_cols", []),
        ("FROM all_constraints", []),
        ("FROM all_tables", []),
        ("^(INSERT|UPDATE)", None),
    )
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    at = dt.datetime(2020, 2, 29, 1, 2, 3, 4)
    rows = pa.RecordBatch.from_pylist(
        [{"ID": 1, "AT": at, "OK": True, "PRICE": Decimal("1.50")}, {"ID": 2}], schema=TABLE.schema
    )
    chunk = Chunk(JOB, TABLE.dataset, 0)
    receipt = one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([rows])), Mode.APPEND)
    assert receipt.rows == 2
    bound = next(values for sql, values in said.said if sql.startswith('INSERT INTO "SALES"."ORDERS"'))
    assert bound == [[1, "2020-02-29 01:02:03.000004", 1, "1.50"], [2, None, None, None]]
    order = [sql.split()[0] + " " + sql.split()[2] for sql in said.sql("^(INSERT|UPDATE)")]
    assert order[0] == 'INSERT "SALES"."_hdm_load_ledger"' and order[1] == 'INSERT "SALES"."ORDERS"'
    assert said.said[-2:] == [("COMMIT", None), ("CLOSE", None)]
    for sql in said.sql("^(INSERT|UPDATE)"):
        sqlglot.parse_one(re.sub(r":\d+", "NULL", sql), read="oracle")


def test_a_full_string_of_empty_is_a_declared_loss():
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    text = Table(TABLE.dataset, ("T",), (Column("V", Kind.TEXT, pa.string(), length=10),))
    assert "''" in one.losses(text)[0][1]


def test_the_network_is_tls_unless_told_otherwise():
    def asked(**more):
        made = OracleSource(
            OracleSource.Config(table_name="t"), profile(**more), name="s"
        ).database.arguments()
        return made["protocol"], made["ssl_server_dn_match"]

    assert asked() == ("tcps", True) and asked(insecure=True) == ("tcp", False)
    assert asked(host="localhost")[0] == "tcp"


def test_thick_mode_is_asked_for(monkeypatch):
    said = recorded(monkeypatch, *described())
    OracleSource(
        OracleSource.Config(table_name="t"), profile(thick=True, lib_dir="/opt/ic"), name="s"
    ).database.connect()
    assert said.said[0] == ("thick", {"lib_dir": "/opt/ic", "config_dir": None})


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "oracledb", None)
    with pytest.raises(MissingDriver, match=r"hdm\[oracle\]"):
        source().describe()
