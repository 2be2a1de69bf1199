"""SQL Server without SQL Server: recorded conversations of pyodbc and arrow-odbc, SQL that parses."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlglot

from hdm.connectors.sqlserver import (
    AzureSQLServerProfile,
    AzureSQLServerSource,
    SQLServerCatalog,
    SQLServerProfile,
    SQLServerSink,
    SQLServerSource,
)
from hdm.errors import Deadlock, MissingDriver, RejectedRows, Throttled, UnknownPlace, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table
from tests.fixtures.recorded.conversation import Conversation, arrow_odbc, pyodbc

JOB = "j" * 64
CATALOGUE = [
    (name, native, True, None, None, None, None, False, None, None)
    for name, native in [
        ("id", "bigint"), ("tiny", "tinyint"), ("cash", "money"), ("guid", "uniqueidentifier"),
        ("ver", "timestamp"), ("off", "datetimeoffset(7)"), ("any", "sql_variant"), ("t7", "time(7)"),
        ("old", "datetime"), ("name", "nvarchar(30)"), ("place", "geography"),
    ]
]  # fmt: skip
ALLOWED = ("snapshot_isolation_state", [(1,)])


def recorded(monkeypatch, *answers):
    conversation = Conversation(("^SET ", None), *answers)
    monkeypatch.setitem(sys.modules, "pyodbc", pyodbc(conversation))
    monkeypatch.setitem(sys.modules, "arrow_odbc", arrow_odbc(conversation))
    return conversation


DESCRIBED = (
    ("SELECT s.name, o.name", [("dbo", "Orders")]),
    ("OBJECT_DEFINITION", CATALOGUE),
    ("is_primary_key", [("id",)]),
    ("sys.partitions", [(5, None)]),
)


def profile(**more):
    given = {"host": "db", "database": "shop", "user": "u", "password": "can;ary}", **more}
    return SQLServerProfile.model_validate(given)


def source(**conf):
    return SQLServerSource(
        SQLServerSource.Config.model_validate({"table_name": "orders", **conf}), profile(), name="s"
    )


def test_the_catalogue_decides_the_types(monkeypatch):
    recorded(monkeypatch, ALLOWED, *DESCRIBED)
    table = source().describe()
    kinds = {c.name: (c.kind, str(c.type)) for c in table.columns}
    assert table.path == ("dbo", "Orders") and table.key == ("id",)
    assert kinds["tiny"] == (Kind.INT16, "int16") and kinds["cash"] == (Kind.DECIMAL, "decimal128(19, 4)")
    assert kinds["guid"][0] is Kind.UUID and kinds["ver"] == (Kind.BINARY, "binary")
    assert kinds["off"] == (Kind.TIMESTAMPTZ, "timestamp[ns, tz=UTC]") and kinds["any"] == (
        Kind.OTHER,
        "string",
    )


def test_reads_are_snapshots_never_nolock_and_convert_what_odbc_cannot(monkeypatch):
    wire = pa.schema(
        [
            ("id", pa.int64()), ("tiny", pa.int16()), ("cash", pa.decimal128(19, 4)), ("guid", pa.string()),
            ("ver", pa.binary()), ("off", pa.timestamp("ns")), ("any", pa.string()), ("t7", pa.string()),
            ("old", pa.timestamp("us")), ("name", pa.string()), ("place", pa.string()),
        ]
    )  # fmt: skip
    row = {
        "id": 1, "tiny": 255, "cash": Decimal("1.5000"), "guid": str(uuid.uuid4()), "ver": b"\0" * 8,
        "off": dt.datetime(2020, 1, 1), "any": "x", "t7": "23:59:59.1234567", "old": dt.datetime(2020, 1, 1),
        "name": "é", "place": None,
    }  # fmt: skip
    batch = pa.RecordBatch.from_pylist([row], schema=wire)
    said = recorded(
        monkeypatch,
        ALLOWED,
        *DESCRIBED,
        (r"COUNT\(\*\)", [(5,)]),
        (r"MAX\(", [(40,) * 4]),
        ("^SELECT", [batch]),
    )
    one = source()
    table = one.describe()
    (chunk,) = one.split(table, one.window(), JOB, None)
    (found,) = one.read(table, chunk).batches()
    assert found.schema.equals(table.schema) and found.column("t7")[0].value == 86_399_123_456_700
    sql = next(sql for sql, options in said.said if isinstance(options, dict) and "max_text_size" in options)
    assert "NOLOCK" not in sql.upper() and "UNCOMMITTED" not in sql.upper()
    for part in (
        "'datetime2') THEN CONVERT(nvarchar(max), CAST([any] AS datetime2(7)), 121) WHEN ",
        "CONVERT(decimal(19,4), [cash])", "LOWER(CONVERT(char(36), [guid]))", "CONVERT(binary(8), [ver])",
        "CONVERT(datetime2(7), SWITCHOFFSET([off], '+00:00'))", "CONVERT(nvarchar(max), [any])",
        "'SRID=' + CAST([place].STSrid AS nvarchar(11)) + ';' + [place].AsTextZM()",
    ):  # fmt: skip
        assert part in sql
    sqlglot.parse_one(
        sql.replace("[place].AsTextZM()", "[place]").replace("[place].STSrid", "[place]"), read="tsql"
    )
    assert len(said.sql("ISOLATION LEVEL SNAPSHOT")) >= 2
    options = next(o for s, o in said.said if isinstance(o, dict) and "max_text_size" in o)
    assert options["schema"].equals(wire)


def test_a_database_without_snapshots_is_refused(monkeypatch):
    recorded(monkeypatch, ("snapshot_isolation_state", [(0,)]), *DESCRIBED)
    with pytest.raises(UsageError, match="ALLOW_SNAPSHOT_ISOLATION"):
        source().describe()


def test_a_target_need_not_allow_snapshots(monkeypatch):
    """Neither the ledger nor the catalogue is read under SNAPSHOT, which a new database has off."""
    said = recorded(
        monkeypatch,
        ("snapshot_isolation_state", [(0,)]),
        ("receipt_json", []),
        ("SERVERPROPERTY", [("16",)]),
    )
    one = SQLServerSink(SQLServerSink.Config(), profile(), name="t")
    assert one.committed(TABLE, Chunk(JOB, TABLE.dataset, 0), Mode.APPEND) is None
    SQLServerCatalog(SQLServerCatalog.Config(), profile(), name="c").database.connect("hdm:crawl").close()
    assert not said.sql("SNAPSHOT")


TABLE = Table(
    Dataset("memory", "orders"),
    ("orders",),
    (
        Column("id", Kind.INT64, pa.int64(), False),
        Column("at", Kind.TIMESTAMP, pa.timestamp("us")),
        Column("utc", Kind.TIMESTAMPTZ, pa.timestamp("us", "UTC")),
        Column("raw", Kind.BINARY, pa.binary()),
        Column("price", Kind.DECIMAL, pa.decimal128(12, 2), precision=12, scale=2),
    ),
    ("id",),
)


def write(monkeypatch, *answers, mode=Mode.APPEND):
    said = recorded(
        monkeypatch,
        *answers,
        ("SELECT s.name, o.name", []),
        ("^(INSERT|UPDATE|CREATE|DELETE|WITH|SELECT .* INTO)", None),
        ("^SELECT 1", []),
    )
    at = dt.datetime(2020, 2, 29, 1, 2, 3, 4)
    row = {"id": 1, "at": at, "utc": at.replace(tzinfo=dt.UTC), "raw": b"\0", "price": Decimal("1.50")}
    rows = pa.RecordBatch.from_pylist([row, {"id": 2}], schema=TABLE.schema)
    one = SQLServerSink(SQLServerSink.Config(), profile(), name="t")
    chunk = Chunk(JOB, TABLE.dataset, 0)
    receipt = one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([rows])), mode)
    return said, receipt


def test_rows_are_bound_as_arrays_beside_their_ledger_row(monkeypatch):
    said, receipt = write(monkeypatch)
    assert receipt.rows == 2
    sql, bound = next((s, v) for s, v in said.said if s.startswith("INSERT INTO [dbo].[orders]"))
    assert bound[0] == (1, "2020-02-29 01:02:03.000004", "2020-02-29 01:02:03.000004+00:00", b"\0", "1.50")
    assert any(s == "setinputsizes" for s, _ in said.said)
    sqlglot.parse_one(sql, read="tsql")
    order = [s for s, _ in said.said if s == "COMMIT" or s.startswith(("INSERT", "UPDATE"))]
    assert order[0].startswith("INSERT INTO [dbo].[_hdm_load_ledger]") and order[-1] == "COMMIT"


def test_merge_goes_through_a_temporary_table(monkeypatch):
    said, _ = write(monkeypatch, (r"^SELECT COUNT\(\*\) FROM \[#_hdm_stage_", [(2,)]), mode=Mode.MERGE)
    assert said.sql(
        r"^SELECT \[id\].* INTO \[#_hdm_stage_\w+\] FROM \[dbo\]\.\[orders\] WHERE 1 = 0 UNION ALL"
    ) and said.sql(r"^INSERT INTO \[#_hdm_stage_")
    (update,) = said.sql(r"^UPDATE t SET")
    assert "WITH (HOLDLOCK) INNER JOIN [#_hdm_stage_" in update
    sqlglot.parse_one(update, read="tsql")


@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("40001", "deadlock victim 'canary' (1205) (SQLExecDirectW)", Deadlock),
        ("42000", "The service is busy (40501) (SQLExecDirectW)", Throttled),
        ("23000", "duplicate key value is (canary) (2627) (SQLExecDirectW)", RejectedRows),
        ("28000", "Login failed for user (18456) (SQLDriverConnect)", UsageError),
        (
            "42000",
            'Cannot open database "canary" requested by the login. The login failed. (4060) '
            "(SQLDriverConnect); Login failed for user 'canary'. (18456)",
            UnknownPlace,
        ),
        ("HY000", "Native error: 1205, Message: x", Deadlock),
    ],
)
def test_errors_say_what_to_do_and_no_value(state, text, kind, monkeypatch):
    recorded(monkeypatch, ALLOWED, ("sys.objects", Exception(state, text)))
    with pytest.raises(kind) as caught:
        source().describe()
    assert "canary" not in str(caught.value)


def test_the_connection_is_verified_and_values_cannot_escape():
    text = source().database.connection_string("hdm:x")
    assert "Encrypt=yes;TrustServerCertificate=no" in text and "PWD={can;ary}}}" in text
    loose = SQLServerSource(SQLServerSource.Config(table_name="t"), profile(insecure=True), name="s")
    assert "TrustServerCertificate=yes" in loose.database.connection_string("x")


def test_azure_is_named_in_full():
    made = AzureSQLServerProfile.model_validate({"host": "srv", "database": "d"})
    one = AzureSQLServerSource(AzureSQLServerSource.Config(table_name="t"), made, name="s")
    assert "Server=tcp:srv.database.windows.net,1433;" in one.database.connection_string("x")


def test_a_missing_driver_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyodbc", None)
    with pytest.raises(MissingDriver, match="pip install"):
        source().describe()
