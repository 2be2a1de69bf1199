"""Netezza without Netezza: recorded conversations of nzpy, SQL snapshots, unloaded files."""

from __future__ import annotations

import datetime as dt
import re
import sys
from decimal import Decimal
from types import SimpleNamespace

import pyarrow as pa
import pytest

from hdm.catalog.crawlers.netezza import NetezzaCrawler
from hdm.connectors.netezza import (
    NetezzaCatalog,
    NetezzaDatabase,
    NetezzaExternalTableSource,
    NetezzaProfile,
    NetezzaSink,
    NetezzaSource,
)
from hdm.connectors.netezza.external import read_unload
from hdm.connectors.netezza.odbc import NetezzaOdbcDatabase
from hdm.dialects import dialect
from hdm.errors import (
    ConnectionLost,
    CorruptFile,
    MissingDriver,
    PermanentError,
    RejectedRows,
    Throttled,
    TransientError,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from hdm.sql.ledger import COLUMNS as LEDGER_COLUMNS
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
    conversation = Conversation(("^(SET |BEGIN|COMMIT|ROLLBACK)", None), *answers)
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
    assert 'CAST("SPAN" AS VARCHAR(64)) AS "SPAN"' in said.said[-2][0]
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
        ("ERROR: Could not serialize - transaction aborted.", Throttled),
        ("ERROR: numeric overflow 'canary'", RejectedRows),
    ],
)
def test_errors_say_what_to_do_and_no_value(words, kind, monkeypatch):
    recorded(monkeypatch, ("_V_RELATION_COLUMN", Exception(words)))
    with pytest.raises(kind) as caught:
        source().describe()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("ERROR:  Bad timestamp external representation 'canary'", RejectedRows),
        ('ERROR:  pg_atoi: error in "canary": can\'t parse "canary"', RejectedRows),
        ("ERROR:  limit of concurrent read/write transactions reached, update operations", Throttled),
        ("ERROR:  Too many concurrent transactions", Throttled),
        ("ERROR:  Concurrent update or delete of same row", Throttled),
        ("ERROR:  Transaction rolled back due to restart or failover", ConnectionLost),
        ("Connection lost: backend closed the connection unexpectedly", ConnectionLost),
        ("ERROR:  Disk temporary work space is full", TransientError),
        ("ERROR:  Record size 76846 exceeds internal limit of 65535 bytes", UsageError),
        ("ERROR:  This form of correlated query is not supported - consider rewriting", PermanentError),
        (
            "ERROR:  'SELEC 1' error ^ found \"SELEC\" (at char 1) expecting a keyword; parse error",
            PermanentError,
        ),
    ],
)
def test_what_the_servers_really_say_is_known(words, kind):
    assert type(dialect("netezza").classify(Exception(words))) is kind


def test_under_tls_the_drivers_socket_is_an_empty_shell(monkeypatch):
    """nzpy wraps its socket and keeps the one that was wrapped, whose descriptor is -1."""
    recorded(monkeypatch, *described())
    monkeypatch.setattr(
        "tests.fixtures.recorded.conversation.Connection._usock",
        SimpleNamespace(fileno=lambda: -1),
        raising=False,
    )
    assert NetezzaDatabase(profile()).connect()


def test_a_server_that_refuses_a_time_zone_or_a_name_is_spoken_to_all_the_same(monkeypatch):
    refused = ("^SET (TIMEZONE|CLIENT_APPLICATION_NAME)", Exception("ERROR:  'TIMEZONE' is not supported"))
    monkeypatch.setitem(sys.modules, "nzpy", nzpy(Conversation(refused, ("^SET ", None))))
    assert NetezzaDatabase(profile()).connect()
    monkeypatch.setitem(sys.modules, "nzpy", nzpy(Conversation(("^SET ", Exception("not supported")))))
    with pytest.raises(PermanentError):
        NetezzaDatabase(profile()).connect()


def test_sink_and_catalogue_go_by_the_odbc_driver_that_the_profile_names():
    by_odbc = profile(driver="NetezzaSQL")
    sink = NetezzaSink(NetezzaSink.Config(), by_odbc, name="t")
    assert isinstance(sink.database, NetezzaOdbcDatabase) and sink.mapping.database is sink.database
    catalog = NetezzaCatalog(NetezzaCatalog.Config(), by_odbc, name="c")
    assert isinstance(catalog.database, NetezzaOdbcDatabase)


def test_the_ledgers_texts_share_what_a_row_may_hold():
    sql = dialect("netezza").create_table(("ADMIN", "L"), LEDGER_COLUMNS, ("chunk_id",))
    widths = {name: int(width) for name, width in re.findall(r'"(\w+)" NVARCHAR\((\d+)\)', sql)}
    assert widths["chunk_json"] == widths["receipt_json"] > 7000
    assert 4 * sum(widths.values()) < 65_535


def test_years_before_1000_come_whole(monkeypatch):
    """nzpy writes them with fewer digits."""
    days = [("DAY", "DATE", 1, *(None,) * 4, 0, None, None)]
    answers = [(p, days if a is CATALOGUE else a) for p, a in described()]
    recorded(monkeypatch, *answers, (r"COUNT\(\*\)", [(2,)]), ("^SELECT", [("01-02-03",), ("987-01-01",)]))
    one = source()
    (chunk,) = one.split(one.describe(), one.window(), JOB, None)
    (batch,) = one.read(one.describe(), chunk).batches()
    assert batch.column(0).to_pylist() == [dt.date(1, 2, 3), dt.date(987, 1, 1)]


def test_json_that_may_have_been_cut_is_refused(monkeypatch):
    kinds = [("DOC", "JSON", 1, *(None,) * 4, 0, None, None)]
    answers = [(p, kinds if a is CATALOGUE else a) for p, a in described()]
    recorded(monkeypatch, *answers, (r"COUNT\(\*\)", [(1,)]), ("^SELECT", [("x" * 16_000,)]))
    one = source()
    (chunk,) = one.split(one.describe(), one.window(), JOB, None)
    with pytest.raises(UnrepresentableValue, match="DOC"):
        list(one.read(one.describe(), chunk).batches())


def test_columns_of_distribution_keep_their_order():
    sql = NetezzaCrawler.queries.placing
    assert sql.endswith("ORDER BY SCHEMA, TABLENAME, PLACED, SEQ") and "DISTSEQNO AS SEQ" in sql


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nzpy", None)
    with pytest.raises(MissingDriver, match=r"hdm\[netezza\]"):
        source().describe()


def loaded(monkeypatch, there):
    """One row, written to a server whose temporary table holds ``there`` rows afterwards."""
    said = recorded(
        monkeypatch,
        ("SELECT DISTINCT SCHEMA, NAME", []),
        ("^SELECT .receipt_json", []),
        ("^SELECT ATTNAME", []),
        (r"^SELECT COUNT\(\*\) FROM ._HDM_LOAD", [(there,)]),
        ("^(INSERT|UPDATE|CREATE TEMP TABLE)", None),
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
    return said


def test_rows_that_a_server_drops_without_a_word_are_missed(monkeypatch):
    """The driver may give -1 for the number of rows: then the temporary table is counted."""
    with pytest.raises(RejectedRows, match="holds 0 of 1 rows"):
        loaded(monkeypatch, 0)


def test_loads_are_serialised_on_the_head_row(monkeypatch):
    said = loaded(monkeypatch, 1)
    order = [sql for sql, _ in said.said if sql.startswith(("INSERT", "UPDATE", "BEGIN", "COMMIT"))]
    stage = re.search(r'"_HDM_LOAD_\w+"', order[1])
    assert stage, "what takes long is over before the head row is written"
    assert order[:3] == [
        "BEGIN",
        f'INSERT INTO {stage[0]} ("ID", "RAW") VALUES (CAST(1 AS INTEGER), x\'00ff\')',
        "COMMIT",
    ]
    assert order[4] == 'UPDATE "ADMIN"."_hdm_ledger_head" SET "loads" = "loads" + 1'
    assert order[6] == f'INSERT INTO "ADMIN"."T" ("ID", "RAW") SELECT "ID", "RAW" FROM {stage[0]}'
    assert order[-1] == "COMMIT" and {values for _, values in said.said} == {None}


# -- external tables -----------------------------------------------------------------------

TEXTS = [None, "", "N", "\\N", "NULL", "0", "1", "a|b", "a\\b", "two\nlines", "cr\rlf\r\n", '"q"', "é🎈", " "]


def field(text):
    """A flag and a field, as the server writes them with ESCAPECHAR and escaped line ends."""
    out = text or ""
    for mark in ("\\", "|", "\n", "\r"):
        out = out.replace(mark, "\\" + mark)
    return ("0|" if text is None else "1|") + out


def writes(rows):
    def written(sql, _values):
        with open(sql.split("'")[1], "w", encoding="utf-8", newline="") as file:
            file.writelines("|".join(field(text) for text in row) + "\n" for row in rows)

    return written


def unload(monkeypatch, tmp_path, rows, *more, counted):
    columns = [(pattern, [c for c in answer if c[0] != "RAW"] if answer is CATALOGUE else answer)
               for pattern, answer in described()]  # fmt: skip
    if len(rows[0]) == 1:
        columns[1] = ("FORMAT_TYPE, CASE", [("RATIO", "DOUBLE PRECISION", 1, *(None,) * 4, 0, None, None)])
    said = recorded(
        monkeypatch, *columns, (r"COUNT\(\*\)", [(counted,)]), ("^CREATE EXTERNAL TABLE", writes(rows)), *more
    )
    one = source(cls=NetezzaExternalTableSource, directory=str(tmp_path))
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    return said, [row for batch in one.read(table, chunk).batches() for row in batch.to_pylist()]


def says(count):
    """The server's word on how many rows a statement touched; -1: none."""

    def change(self, connection, sql):
        self.run(connection, sql)
        return count

    return change


REST = ["true", "2020-02-29", "2020-02-29 01:02:03.000004", None, None]


def test_the_unload_marks_nulls_and_escapes_everything(monkeypatch, tmp_path):
    monkeypatch.setattr(NetezzaDatabase, "change", says(-1))
    rows = [[str(number), "1.50", text, *REST] for number, text in enumerate(TEXTS)]
    said, found = unload(monkeypatch, tmp_path, rows, counted=len(TEXTS))
    assert [row["NAME"] for row in found] == TEXTS
    assert found[0]["AT"].microsecond == 4 and found[0]["OK"] is True
    assert found[0]["TZ"] is None and list(tmp_path.iterdir()) == []
    (sql,) = said.sql("^CREATE EXTERNAL TABLE")
    assert "REMOTESOURCE 'python' DELIMITER '|' ESCAPECHAR '\\' ENCODING 'utf8'" in sql
    assert 'CASE WHEN "NAME" IS NULL THEN \'0\' ELSE \'1\' END AS "NAME?", "NAME" AS "NAME"' in sql
    assert "CTRLCHARS" not in sql


def test_an_unload_that_breaks_off_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(NetezzaDatabase, "change", says(-1))
    with pytest.raises(CorruptFile, match="1 rows less than the server counted"):
        unload(monkeypatch, tmp_path, [["1", "1.50", "a", *REST]], counted=2)


def test_a_float_whose_text_is_not_its_value_is_not_unloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(NetezzaDatabase, "change", says(1))
    said, found = unload(monkeypatch, tmp_path, [["0.5"]], counted=1)
    assert found == [{"RATIO": 0.5}]
    (sql,) = said.sql("^CREATE EXTERNAL TABLE")
    assert (
        "WHEN CAST(CAST(\"RATIO\" AS VARCHAR(64)) AS DOUBLE PRECISION) = \"RATIO\" THEN '1' ELSE '2'" in sql
    )
    path = tmp_path / "x"
    path.write_text("2|0.1\n")
    ratio = Column("RATIO", Kind.FLOAT64, pa.float64(), native="DOUBLE PRECISION")
    with pytest.raises(UnrepresentableValue, match="RATIO"):
        list(read_unload(path, Table(Dataset("m", "t"), ("t",), (ratio,))))


def test_bytes_are_not_unloaded_as_text(monkeypatch, tmp_path):
    recorded(monkeypatch, *described(), (r"COUNT\(\*\)", [(1,)]))
    one = source(cls=NetezzaExternalTableSource, directory=str(tmp_path))
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    with pytest.raises(UsageError, match="RAW is BINARY VARYING"):
        list(one.read(table, chunk).batches())


def test_a_damaged_unload_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_text("1|a\n1\n")
    table = Table(Dataset("m", "t"), ("t",), (Column("t", Kind.TEXT, pa.string()),))
    with pytest.raises(CorruptFile):
        list(read_unload(path, table))
