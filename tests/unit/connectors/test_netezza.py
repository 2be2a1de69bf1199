"""Netezza without Netezza: recorded conversations of nzpy, SQL snapshots, unloaded files."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal

import pyarrow as pa
import pytest

from hdm.connectors.netezza import (
    NetezzaDatabase,
    NetezzaExternalTableSource,
    NetezzaProfile,
    NetezzaSink,
    NetezzaSource,
)
from hdm.connectors.netezza.external import read_unload
from hdm.errors import ConnectionLost, CorruptFile, Deadlock, MissingDriver, RejectedRows, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from tests.fixtures.recorded.conversation import Conversation, nzpy

JOB = "j" * 64
CATALOGUE = [
    (name, native, 1, None, None, None, None, 0, None, None)
    for name, native in [
        ("ID", "BIGINT"), ("PRICE", "NUMERIC(12,2)"), ("NAME", "NATIONAL CHARACTER VARYING(30)"),
        ("OK", "BOOLEAN"), ("DAY", "DATE"), ("AT", "TIMESTAMP"), ("TZ", "TIME WITH TIME ZONE"),
        ("SPAN", "INTERVAL"), ("RAW", "BINARY VARYING(20)"),
    ]
]  # fmt: skip
ROW = (
    1, Decimal("1.50"), "é", True, dt.date(2020, 2, 29), dt.datetime(2020, 2, 29, 1, 2, 3, 4),
    "10:00:00+02", "1 mon", b"\0\xff",
)  # fmt: skip


def described(rows=10, key=()):
    return (
        ("SELECT DISTINCT SCHEMA, NAME", [("ADMIN", "TEST1")]),
        ("FORMAT_TYPE, CASE", CATALOGUE),
        ("_V_RELATION_KEYDATA", [(name,) for name in key]),
        ("RELTUPLES", [(rows, None)]),
        ("SELECT OBJID", [(4711,)]),
        ("_V_DSLICE", [(24,)]),
    )


def recorded(monkeypatch, *answers):
    conversation = Conversation(("^SET ", None), *answers)
    monkeypatch.setitem(sys.modules, "nzpy", nzpy(conversation))
    return conversation


def profile(**more):
    given = {"host": "nz", "port": 5480, "database": "SALES", "user": "u", "password": "canary",
             "ca_certs": "/ca.pem", **more}  # fmt: skip
    return NetezzaProfile.model_validate(given)


def source(cls=NetezzaSource, **conf):
    return cls(cls.Config.model_validate({"table_name": "ADMIN.TEST1", **conf}), profile(), name="s")


def test_the_catalogue_decides_the_types_and_rows_arrive_exactly(monkeypatch):
    said = recorded(monkeypatch, *described(), (r"COUNT\(\*\)", [(10,)]), ("^SELECT", [ROW, (None,) * 9]))
    one = source()
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    (batch,) = one.read(table, chunk).batches()
    assert batch.schema.equals(table.schema) and table.dataset.name == "SALES.ADMIN.TEST1"
    assert tuple(batch.to_pylist()[0].values()) == ROW and set(batch.to_pylist()[1].values()) == {None}
    assert said.said[-2][0].startswith('SELECT "ID" AS "ID", "PRICE" AS "PRICE", "NAME" AS "NAME"')
    assert 'CAST("SPAN" AS VARCHAR(16000)) AS "SPAN"' in said.said[-2][0]
    assert said.connected[0]["securityLevel"] == 3 and "LIMIT" not in said.said[-2][0]


def test_a_certificate_is_verified_or_that_is_given_up_in_so_many_words(monkeypatch):
    said = recorded(monkeypatch, *described())
    NetezzaDatabase(profile()).connect()
    NetezzaDatabase(profile(ca_certs=None, insecure=True)).connect()
    safe, loose = said.connected
    assert safe["ssl"] == {"ca_certs": "/ca.pem"} and "skipCertVerification" not in safe
    assert (loose["securityLevel"], loose["skipCertVerification"]) == (0, True)
    with pytest.raises(UsageError, match="cannot be verified") as caught:
        NetezzaDatabase(profile(ca_certs=None)).connect()
    assert "ca_certs" in caught.value.hint


def test_a_table_without_a_key_is_cut_by_data_slices(monkeypatch):
    recorded(monkeypatch, *described(rows=100))
    one = source(chunk={"rows": 30})
    chunks = list(one.split(one.describe(), one.window(), JOB, None))
    shown = [one.dialect.predicate(chunk.conditions, one.describe()) for chunk in chunks]
    assert shown == [
        "DATASLICEID < 7",
        "DATASLICEID >= 7 AND DATASLICEID < 13",
        "DATASLICEID >= 13 AND DATASLICEID < 19",
        "DATASLICEID >= 19",
    ]


def test_a_window_is_compared_by_the_server_in_full(monkeypatch):
    from dataclasses import replace

    said = recorded(
        monkeypatch, *described(), ("^SELECT TO_CHAR", [("2020-03-01 00:00:00.000002", 3)]), ("COUNT", [(1,)])
    )
    one = source(watermark={"column": "AT", "offset": 0})
    window = replace(one.window(), after="2020-02-29 01:02:03.000004", ties=1)
    list(one.split(one.describe(), window, JOB, None))
    (sql,) = said.sql("^SELECT TO_CHAR")
    assert "\"AT\" > CAST('2020-02-29 01:02:03.000004' AS TIMESTAMP)" in sql and "SS.US" in sql


@pytest.mark.parametrize("driver", [{"name": "org.netezza.Driver", "path": "nzjdbc.jar"}, None])
def test_the_originals_jdbc_profile_goes_by_nzpy(driver):
    made = profile(driver=driver)
    assert made.driver is None


def test_the_originals_odbc_profile_goes_by_odbc():
    one = NetezzaSource(
        NetezzaSource.Config(table_name="T"), profile(driver="NetezzaSQL", password="a;b}"), name="s"
    )
    text = one.database.connection_string("x")
    assert text.startswith("Driver=NetezzaSQL;Servername=nz;Port=5480;Database=SALES;")
    assert "Password={a;b}}}" in text and "SecurityLevel=onlySecured" in text
    assert one.dialect.paramstyle == "qmark" and one.dialect.name == "netezza"


def test_the_originals_conf_is_taken():
    source(
        env="netezza_jdbc",
        watermark={"column": "T1", "offset": 2},
        checksum={"function": "hash8", "column": "c"},
    )


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("server closed the connection unexpectedly", ConnectionLost),
        ("password authentication failed for user 'canary'", UsageError),
        ("ERROR: Could not serialize - transaction aborted.", Deadlock),
        ("ERROR: numeric overflow 'canary'", RejectedRows),
    ],
)
def test_errors_say_what_to_do_and_no_value(words, kind, monkeypatch):
    recorded(monkeypatch, ("_V_RELATION_COLUMN", Exception(words)))
    with pytest.raises(kind) as caught:
        source().describe()
    assert "canary" not in str(caught.value)


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nzpy", None)
    with pytest.raises(MissingDriver, match=r"hdm\[netezza\]"):
        source().describe()


def test_loads_are_serialised_on_the_head_row(monkeypatch):
    said = recorded(
        monkeypatch,
        ("SELECT DISTINCT SCHEMA, NAME", []),
        ("^SELECT .receipt_json", []),
        ("^(INSERT|UPDATE)", None),
    )
    table = Table(
        Dataset("m", "t"),
        ("T",),
        (Column("ID", Kind.INT32, pa.int32()), Column("RAW", Kind.BINARY, pa.binary(), length=5)),
    )
    rows = pa.RecordBatch.from_pylist([{"ID": 1, "RAW": b"\0\xff"}], schema=table.schema)
    one = NetezzaSink(NetezzaSink.Config(), profile(), name="t")
    one.write(
        table, Chunk(JOB, table.dataset, 0), Attempt(1), Payload(table, lambda: iter([rows])), Mode.APPEND
    )
    order = [sql for sql, _ in said.said if sql.startswith(("INSERT", "UPDATE", "COMMIT"))]
    assert order[0] == 'UPDATE "ADMIN"."_hdm_ledger_head" SET "loads" = "loads" + 1'
    assert order[2] == 'INSERT INTO "ADMIN"."T" ("ID", "RAW") VALUES (CAST(? AS INTEGER), HEX_TO_BINARY(?))'
    assert order[-1] == "COMMIT"
    bound = next(values for sql, values in said.said if sql == order[2])
    assert bound == [(1, "00ff")]


# -- external tables -----------------------------------------------------------------------

TEXTS = [None, "", "N", "\\N", "NULL", "0", "1", "a|b", "a\\b", "two\nlines", "cr\rlf\r\n", '"q"', "é🎈", " "]


def unloaded(text):
    """A field as the server writes it with ESCAPECHAR and escaped line ends."""
    out = "0" if text is None else "1" + text
    for mark in ("\\", "|", "\n", "\r"):
        out = out.replace(mark, "\\" + mark)
    return out


def test_the_unload_marks_nulls_and_escapes_everything(monkeypatch, tmp_path):
    def writes(sql, _values):
        path = sql.split("'")[1]
        with open(path, "w", encoding="utf-8", newline="") as file:
            for number, text in enumerate(TEXTS):
                row = [
                    str(number),
                    "1.50",
                    text,
                    "true",
                    "2020-02-29",
                    "2020-02-29 01:02:03.000004",
                    None,
                    None,
                    "00ff",
                ]
                file.write("|".join(unloaded(field) for field in row) + "\n")

    said = recorded(monkeypatch, *described(), (r"COUNT\(\*\)", [(10,)]), ("^CREATE EXTERNAL TABLE", writes))
    one = source(cls=NetezzaExternalTableSource, directory=str(tmp_path))
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    rows = [row for batch in one.read(table, chunk).batches() for row in batch.to_pylist()]
    assert [row["NAME"] for row in rows] == TEXTS
    assert rows[0]["RAW"] == b"\0\xff" and rows[0]["AT"].microsecond == 4 and rows[0]["OK"] is True
    assert rows[0]["TZ"] is None and list(tmp_path.iterdir()) == []
    (sql,) = said.sql("^CREATE EXTERNAL TABLE")
    assert "REMOTESOURCE 'python' DELIMITER '|' ESCAPECHAR '\\' ENCODING 'utf8'" in sql
    assert "CASE WHEN \"NAME\" IS NULL THEN '0' ELSE CAST('1' || \"NAME\" AS NVARCHAR(31)) END" in sql


def test_a_damaged_unload_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text("1a\nb\n")
    table = Table(Dataset("m", "t"), ("t",), (Column("t", Kind.TEXT, pa.string()),))
    with pytest.raises(CorruptFile):
        list(read_unload(path, table))
