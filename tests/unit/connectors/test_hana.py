"""SAP HANA without HANA: a DB-API double that answers as hdbcli's documentation says, SQL snapshots.

https://pypi.org/project/hdbcli; "SAP HANA SQL Reference Guide" on https://help.sap.com
"""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from types import SimpleNamespace

import pytest

from hdm.connectors.hana import HANADatabase, HANAProfile, HANASource
from hdm.dialects import dialect
from hdm.errors import (
    ConnectionLost,
    Deadlock,
    MissingDriver,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    TransientError,
    UsageError,
)
from hdm.model import Condition, Kind
from tests.fixtures.recorded.conversation import Conversation

JOB = "j" * 64
CANARY = "canary-4711"
CATALOGUE = [
    (name, native, int(null), None, None, None, None, 0, None, None)
    for name, native, null in [
        ("ID", "BIGINT", False), ("PRICE", "DECIMAL(38,18)", True), ("ANY_", "DECIMAL", True),
        ("FLAG", "TINYINT", True), ("NAME", "NVARCHAR(30)", True), ("DAY", "DATE", True),
        ("AT", "TIMESTAMP", True), ("SEC", "SECONDDATE", True), ("CLOCK", "TIME", True),
        ("RAW", "VARBINARY(20)", True), ("OK", "BOOLEAN", True), ("DOC", "NCLOB", True),
        ("F", "DOUBLE", True),
    ]
]  # fmt: skip
ROW = (
    1, Decimal("12345678901234567890.123456789012345678"), "1E-30", 255, "é", "0001-01-01",
    "2020-03-29 02:30:00.1234567", "2020-03-29 02:30:00", "23:59:59", b"\0\xff", True,
    SimpleNamespace(read=lambda: "long"), 0.1,
)  # fmt: skip


def described(key=("ID",), rows=10):
    return (
        (r"FROM SYS.TABLES\s+UNION ALL", [("SALES", "ORDERS")]),
        ("FROM SYS.TABLE_COLUMNS UNION ALL", CATALOGUE),
        ("FROM SYS.CONSTRAINTS", [(name,) for name in key]),
        ("FROM SYS.M_TABLES", [(rows, 1000)]),
        ("SELECT TABLE_OID", [(4711,)]),
    )


def recorded(monkeypatch, *answers):
    conversation = Conversation(("^SET TRANSACTION READ ONLY$", None), *answers)
    dbapi = SimpleNamespace(connect=conversation.connect)
    monkeypatch.setitem(sys.modules, "hdbcli", SimpleNamespace(dbapi=dbapi))
    monkeypatch.setitem(sys.modules, "hdbcli.dbapi", dbapi)
    return conversation


def profile(**more):
    given = {"host": "hana.example.com", "schema": "SALES", "user": "u", "password": CANARY, **more}
    return HANAProfile.model_validate(given)


def source(**conf):
    conf = {"table_name": "ORDERS", **conf}
    return HANASource(HANASource.Config.model_validate(conf), profile(), name="s")


class HanaError(Exception):
    """As hdbcli raises it."""

    def __init__(self, errorcode, errortext):
        super().__init__(errorcode, errortext)
        self.errorcode, self.errortext = errorcode, errortext


def test_the_catalogue_decides_the_types_and_rows_arrive_exactly(monkeypatch):
    said = recorded(monkeypatch, *described(), ("^SELECT", [ROW, (2, *(None,) * 12)]))
    one = source()
    table = one.describe()
    assert (table.key, table.rows, table.dataset.name) == (("ID",), 10, "SALES.ORDERS")
    (chunk,) = one.split(table, one.window(), JOB, None)
    (batch,) = one.read(table, chunk).batches()
    assert batch.schema.equals(table.schema)
    first, second = ({n: batch.column(n)[at] for n in batch.schema.names} for at in range(2))
    assert first.pop("AT").value == 1585449000123456700
    assert {name: value.as_py() for name, value in first.items()} == {
        "ID": 1, "PRICE": Decimal("12345678901234567890.123456789012345678"), "ANY_": "0." + "0" * 29 + "1",
        "FLAG": 255, "NAME": "é", "DAY": dt.date(1, 1, 1), "SEC": dt.datetime(2020, 3, 29, 2, 30),
        "CLOCK": dt.time(23, 59, 59), "RAW": b"\0\xff", "OK": True, "DOC": "long", "F": 0.1,
    }  # fmt: skip
    assert {value.as_py() for name, value in second.items() if name != "ID"} == {None}
    (sql,) = said.sql('^SELECT "ID" AS "ID"')
    assert 'TO_VARCHAR("AT", \'YYYY-MM-DD HH24:MI:SS.FF7\') AS "AT"' in sql
    assert said.said[0][0] == "SET TRANSACTION READ ONLY"


def test_sessions_are_by_verified_tls_and_not_in_autocommit(monkeypatch):
    said = recorded(monkeypatch)
    for one in (profile(), profile(insecure=True, port=30015), profile(host="localhost")):
        HANADatabase(one).connect()
    safe, loose, local = said.connected
    assert (safe["encrypt"], safe["sslValidateCertificate"], safe["autocommit"]) == ("true", "true", False)
    assert (safe["port"], loose["port"], safe["currentSchema"]) == (443, 30015, "SALES")
    assert "encrypt" not in loose and "encrypt" not in local


def test_a_key_cuts_chunks_by_values_of_its_own_type(monkeypatch):
    recorded(monkeypatch, *described(rows=100), ("ROW_NUMBER", [("30",), ("60",)]), (r"COUNT\(\*\)", [(33,)]))
    one = source(chunk={"rows": 40})
    table = one.describe()
    wheres = [one.select(table, c).partition(" WHERE ")[2] for c in one.split(table, one.window(), JOB, None)]
    assert wheres == ['"ID" <= 30', '"ID" > 30 AND "ID" <= 60', '"ID" > 60']
    at = dialect("hana").condition(Condition("AT", ">", "2020-01-01 00:00:00.0000001"), table)
    assert at == "\"AT\" > TO_TIMESTAMP('2020-01-01 00:00:00.0000001', 'YYYY-MM-DD HH24:MI:SS.FF7')"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (133, Deadlock), (146, TransientError), (-10806, ConnectionLost), (-10709, ConnectionLost),
        (258, UsageError), (10, UsageError), (259, SchemaDrift), (274, RejectedRows), (301, RejectedRows),
        (257, PermanentError), (99999, PermanentError),
    ],
)  # fmt: skip
def test_errors_say_what_to_do_and_no_value(code, kind):
    made = dialect("hana").classify(HanaError(code, f"SQL error: {CANARY}"))
    assert type(made) is kind and CANARY not in str(made) and str(code) in str(made)


def test_types_of_the_catalogue():
    made = {native: dialect("hana").column_from_catalog("c", native) for native in (
        "DECIMAL", "SMALLDECIMAL", "TINYINT", "TIMESTAMP", "SECONDDATE", "ST_GEOMETRY", "REAL",
        "SHORTTEXT(9)",
    )}  # fmt: skip
    assert [(one.kind, one.precision, one.length) for one in made.values()] == [
        (Kind.DECIMAL, None, None), (Kind.DECIMAL, None, None), (Kind.INT16, None, None),
        (Kind.TIMESTAMP, 7, None), (Kind.TIMESTAMP, 0, None), (Kind.OTHER, None, None),
        (Kind.FLOAT32, None, None), (Kind.TEXT, None, 9),
    ]  # fmt: skip


def test_a_query_is_refused_since_its_columns_are_not_told(monkeypatch):
    recorded(monkeypatch)
    one = HANASource(HANASource.Config(query="SELECT 1 AS a FROM DUMMY"), profile(), name="s")
    with pytest.raises(UsageError, match="columns of a query"):
        one.describe()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hdbcli", None)
    with pytest.raises(MissingDriver, match="hdbcli") as caught:
        source().describe()
    assert caught.value.exit_code == 2 and "hdm[hana]" in (caught.value.hint or "")
