"""Where a real SQL Server is less kind than a recording: what it would alter, refuse or wait for."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
import sqlglot

from hdm.connectors.odbc import ODBCProfile, ODBCSink
from hdm.connectors.sqlserver import SQLServerCatalog, SQLServerDatabase, SQLServerSink
from hdm.dialects import dialect
from hdm.dialects.odbc import octets, through_odbc, wire
from hdm.dialects.types import Fidelity
from hdm.errors import ConnectionLost, Deadlock, TransientError, UnrepresentableValue, UsageError
from hdm.model import Attempt, Chunk, Column, Condition, Dataset, Kind, Mode, Payload, Table
from hdm.sql import Ledger, refill
from hdm.sql.odbc_mssql import shortest
from tests.unit.connectors.test_sqlserver import ALLOWED, DESCRIBED, JOB, profile, recorded, source

SQL = dialect("sqlserver")


@pytest.mark.parametrize(
    ("native", "literal"),
    [
        ("varchar(20)", "CAST(N'Æ' AS varchar(8000))"),
        ("char(3)", "CAST(N'Æ' AS varchar(8000))"),
        ("varchar(max)", "CAST(N'Æ' AS varchar(max))"),
        ("nvarchar(20)", "N'Æ'"),
        ("", "N'Æ'"),
    ],
)
def test_narrow_keys_are_compared_as_narrow_text(native, literal):
    """Beside N'...' the column is turned to nvarchar, whose order is another one than that of the edges."""
    column = SQL.column_from_catalog("k", native) if native else Column("k", Kind.TEXT, pa.string())
    table = Table(Dataset("x", "t"), ("t",), (column,))
    name = "[k]" if native else "CONVERT(nvarchar(4000), [k])"  # a query does not say which it is
    assert SQL.condition(Condition("k", ">=", "Æ"), table) == f"{name} >= {literal}"
    assert SQL.comparable(column) == name


def test_money_of_a_query_keeps_four_digits():
    unknown = Column("m", Kind.DECIMAL, pa.string())
    assert SQL.text_of("[m]", unknown) == "CONVERT(varchar(60), [m], 2)"
    assert SQL.text_of("[m]", SQL.column_from_catalog("m", "money")) == "CONVERT(varchar(60), [m], 2)"


def test_fractions_are_as_short_as_their_values():
    """datetime takes three digits of a second, datetime2 seven: a longer text is an error."""
    given = [
        "2020-01-01 00:00:00.123000", "2020-01-01 00:00:00.000000", "2020-01-01 00:00:00.123456700+00:00",
        "2020-01-01 00:00:00.123456789", "23:59:59.100000000", "2020-10-10 00:00:00", None,
    ]  # fmt: skip
    assert shortest(pa.array(given)).to_pylist() == [
        "2020-01-01 00:00:00.123", "2020-01-01 00:00:00", "2020-01-01 00:00:00.1234567+00:00",
        "2020-01-01 00:00:00.1234567", "23:59:59.1", "2020-10-10 00:00:00", None,
    ]  # fmt: skip
    stamps = pa.array([dt.datetime(2020, 1, 1, 1, 1, 1, 120000)], pa.timestamp("ns"))
    column = Column("at", Kind.TIMESTAMP, stamps.type, precision=9)
    assert SQLServerDatabase(profile()).cells(stamps, column) == ["2020-01-01 01:01:01.12"]


PEOPLE = Table(
    Dataset("memory", "people"),
    ("people",),
    (Column("id", Kind.INT64, pa.int64(), False), Column("name", Kind.TEXT, pa.string())),
    ("id",),
)
HELD = [
    ("id", "bigint", False, None, None, None, None, True, None, None),
    ("name", "varchar(30)", True, None, None, None, None, False, None, None),
    ("since", "datetime2(7)", False, None, None, None, None, False, "always", None),
]


BY_NAME = SQLServerSink(SQLServerSink.Config(), profile(), name="t")
BY_DSN = ODBCSink(
    ODBCSink.Config.model_validate({"dialect": "mssql"}),
    ODBCProfile.model_validate({"dsn": "shop", "database": "shop", "schema": "dbo"}),
    name="t",
)
"""The same server, reached in two ways."""


def write(monkeypatch, name, *answers, mode=Mode.APPEND, one=BY_NAME):
    said = recorded(
        monkeypatch,
        *answers,
        ("SELECT s.name, o.name", [("dbo", "people")]),
        ("OBJECT_DEFINITION", HELD),
        ("is_primary_key", [("id",)]),
        ("sys.partitions", [(0, None)]),
        ("^(INSERT|UPDATE)", None),
    )
    rows = pa.RecordBatch.from_pylist([{"id": 1, "name": name}], schema=PEOPLE.schema)
    payload = Payload(PEOPLE, lambda: iter([rows]))
    one.write(PEOPLE, Chunk(JOB, PEOPLE.dataset, 0), Attempt(1), payload, mode)
    return said


@pytest.mark.parametrize("one", [BY_NAME, BY_DSN], ids=["by name", "by DSN"])
def test_identity_columns_take_the_sources_values(monkeypatch, one):
    said = write(monkeypatch, "Ada", one=one)
    order = [s for s, _ in said.said if s.startswith(("SET IDENTITY", "INSERT INTO [dbo].[people]"))]
    assert order[0] == "SET IDENTITY_INSERT [dbo].[people] ON"
    assert order[1].startswith("INSERT INTO [dbo].[people] ([id], [name]) "), "[since] is the server's own"


def test_the_type_of_every_bound_value_is_said(monkeypatch):
    """Else it is the driver's guess: varchar(255) for all of a temporary table's columns."""
    said = write(monkeypatch, None)
    (sizes,) = [given for what, given in said.said if what == "setinputsizes"]
    assert sizes == [(-5, 19, 0), (12, 1, 0)]


def test_a_table_that_is_filled_anew_takes_identities_too(monkeypatch):
    said = recorded(
        monkeypatch, ("SELECT s.name, o.name", [("dbo", "people")]), ("OBJECT_DEFINITION", HELD),
        ("is_primary_key", [("id",)]), ("sys.partitions", [(0, None)]), (r"COUNT\(\*\)", [(1,)]),
        ("foreign_key", []), ("security", []), ("a view", []), ("^(INSERT|UPDATE|DELETE|DROP)", None),
    )  # fmt: skip
    database = SQLServerDatabase(profile())
    connection = database.connect("t", write=True)
    held = database.find(connection, ("dbo", "people"))
    refill.refill(database, connection, held, ("dbo", "people__new"))
    order = [s for s, _ in said.said if s.startswith(("SET IDENTITY", "INSERT"))]
    assert order[0] == "SET IDENTITY_INSERT [dbo].[people] ON" and order[1].startswith("INSERT")


@pytest.mark.parametrize("one", [BY_NAME, BY_DSN], ids=["by name", "by DSN"])
def test_characters_that_a_code_page_lacks_are_refused(monkeypatch, one):
    """The server would put a question mark for each, without a word."""
    pages = ("collation_name", [("name", "SQL_Latin1_General_CP1_CI_AS")])
    with pytest.raises(UnrepresentableValue, match=r"column name.*SQL_Latin1"):
        write(monkeypatch, "Łódź", pages, ("^SELECT 1 WHERE", [(1,)]), one=one)
    said = write(monkeypatch, "Zoë", pages, ("^SELECT 1 WHERE", []), one=one)
    (asked,) = said.sql("^SELECT 1 WHERE")
    assert "N'ë' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(max)" in asked
    assert "COLLATE Latin1_General_BIN2 <> N'ë'" in asked
    assert not write(monkeypatch, "Zoe", one=one).sql("collation_name"), "ASCII is in every code page"


def test_a_key_without_a_bound_is_left_to_hdm():
    """nvarchar(max) in a key is Msg 1919; a merge by a key that is not enforced waits for others."""
    text = [Column("k", Kind.TEXT, pa.string(), False), Column("v", Kind.INT64, pa.int64())]
    assert "PRIMARY KEY" not in SQL.create_table(("dbo", "t"), text, ["k"])
    bounded = [Column("k", Kind.TEXT, pa.string(), False, length=50)]
    assert "PRIMARY KEY ([k])" in SQL.create_table(("dbo", "t"), bounded, ["k"])


def test_rows_to_be_merged_have_the_targets_collations():
    made = SQL.create_stage(("_hdm_stage_x",), ("dbo", "t"), [Column("k", Kind.TEXT, pa.string())])
    assert made == (
        "SELECT [k] INTO [#_hdm_stage_x] FROM [dbo].[t] WHERE 1 = 0 UNION ALL SELECT [k] FROM [dbo].[t] "
        "WHERE 1 = 0"
    )
    sqlglot.parse_one(made, read="tsql")


def test_queries_with_order_are_tables_and_those_with_with_are_refused():
    assert SQL.derived("SELECT a FROM t ORDER BY a") == "(SELECT a FROM t ORDER BY a OFFSET 0 ROWS) AS hdm_q"
    for same in (
        "SELECT TOP 3 a FROM t ORDER BY a",
        "SELECT ROW_NUMBER() OVER (ORDER BY a) AS n FROM t",
        "SELECT a FROM t ORDER BY a OFFSET 3 ROWS",
    ):
        assert SQL.derived(same) == f"({same}) AS hdm_q"
    with pytest.raises(UsageError, match="WITH"):
        SQL.derived("WITH q AS (SELECT 1 AS a) SELECT a FROM q")


def test_a_name_in_another_database_is_refused():
    """The catalogue of the connected one would be asked for it."""
    database = SQLServerDatabase(profile())
    assert database.default_path(("SHOP", "dbo", "t")) == ("dbo", "t")
    with pytest.raises(UsageError, match="another database"):
        database.default_path(("other", "dbo", "t"))
    with pytest.raises(UsageError, match="another database"):
        BY_DSN.database.default_path(("other", "dbo", "t"))


def test_text_is_measured_in_utf_8_and_read_in_utf_16(monkeypatch):
    facts = SQL.odbc
    assert octets(facts, "[c]", Column("c", Kind.TEXT, pa.string())) == "3 * DATALENGTH([c])"
    assert octets(facts, "[c]", Column("c", Kind.BINARY, pa.binary())) == "DATALENGTH([c])"
    rows = pa.RecordBatch.from_pylist([{"id": 1}], schema=pa.schema([("id", pa.int64())]))
    said = recorded(monkeypatch, ALLOWED, *DESCRIBED, ("^SELECT", [rows]))
    one = source(columns=["id"])
    table = one.describe()
    list(one.read(table, Chunk(JOB, table.dataset, 0)).batches())
    options = next(o for _, o in said.said if isinstance(o, dict) and "max_text_size" in o)
    assert options["payload_text_encoding"] == "utf16"


def test_a_look_at_the_ledger_passes_over_loads_that_are_not_committed(monkeypatch):
    """Under locking READ COMMITTED it would wait for every load of every job."""
    said = recorded(monkeypatch, ("_hdm_load_ledger", [(0, None, None, 0)]), ("^INSERT", None))
    database = SQLServerDatabase(profile())
    connection, ledger = database.connect("t", write=True), Ledger(database, ("dbo",))
    ledger.holding(connection, JOB)
    assert said.sql(r"FROM \[dbo\]\.\[_hdm_load_ledger\] WITH \(READPAST\) WHERE")
    ledger.claim(connection, Chunk(JOB, PEOPLE.dataset, 0), Attempt(1))
    assert said.sql(r"SYSUTCDATETIME\(\)\)$"), "CURRENT_TIMESTAMP is the server's local time"
    assert said.sql("LOCK_TIMEOUT 900000"), "nobody waits for ever"


def test_its_own_crawler_reads_the_catalogue(monkeypatch):
    """pyodbc's catalogue functions know neither checks nor identities."""
    said = recorded(monkeypatch, ("SELECT s.name FROM sys.schemas", [("dbo",)]), ("^SELECT", []))
    monkeypatch.setattr("tests.fixtures.recorded.conversation.Connection.getinfo", None, raising=False)
    SQLServerCatalog(SQLServerCatalog.Config(), profile(), name="c").crawl()
    assert said.sql("sys.check_constraints")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (4060, ConnectionLost), (976, ConnectionLost), (983, ConnectionLost), (926, ConnectionLost),
        (42109, ConnectionLost), (18401, ConnectionLost), (1204, TransientError), (615, TransientError),
        (3960, Deadlock), (41332, UsageError), (544, UsageError),
    ],
)  # fmt: skip
def test_failovers_pass_and_mistakes_do_not(number, kind):
    error = Exception("42000", f"[42000] [Microsoft] x ({number}) (SQLExecDirectW)")
    assert isinstance(through_odbc("sqlserver").classify(error), kind)


def test_shapes_keep_their_reference_system():
    database = SQLServerDatabase(profile())
    (mark, plain) = (database.mark(SQL.column_from_catalog("p", native), 1) for native in ("geometry", "int"))
    assert plain == "?" and mark.count("?") == 1
    assert "geometry::STGeomFromText(STUFF(v.x, 1, CHARINDEX(';', v.x), '')," in mark
    assert "ELSE geometry::Parse(v.x) END" in mark, "NULL, and texts without one"


def test_the_end_of_a_rows_period_is_text_and_needs_no_nanoseconds():
    """It is 9999-12-31 23:59:59.9999999 in every current row of a system-versioned table."""
    ends = SQL.column_from_catalog("until", "datetime2(7)", generated="row end")
    through = through_odbc("sqlserver")
    assert pa.types.is_string(ends.type) and ends.kind is Kind.TIMESTAMP
    assert through.select_expression(ends) == "CONVERT(varchar(40), [until], 121)"
    assert wire(SQL.odbc, ends) == pa.string()
    begins = SQL.column_from_catalog("since", "datetime2(7)", generated="always")
    assert begins.type == pa.timestamp("ns")


@pytest.mark.parametrize(
    ("native", "declared", "sent"),
    [
        ("datetime2(7)", "datetime2(6)", "9999-12-31 23:59:59.9999999"),
        ("datetimeoffset(7)", "datetimeoffset(3)", "2020-01-01 00:00:00.1234567"),
    ],
)
def test_a_time_that_is_to_be_read_with_fewer_digits_is_not_cut(monkeypatch, native, declared, sent):
    """The driver would fill a buffer of microseconds and leave the seventh digit out."""
    catalogue = [("at", native, True, None, None, None, None, False, None, None)]
    answers = (ALLOWED, DESCRIBED[0], ("OBJECT_DEFINITION", catalogue), *DESCRIBED[2:])
    for text in (sent, sent[:23] + "0000" + sent[27:]):
        batch = pa.RecordBatch.from_pylist([{"at": text}], schema=pa.schema([("at", pa.string())]))
        said = recorded(monkeypatch, *answers, ("^SELECT", [batch]))
        one = source(types={"at": declared})
        table = one.describe()
        read = one.read(table, Chunk(JOB, table.dataset, 0)).batches()
        if text == sent:
            with pytest.raises(UnrepresentableValue, match="at"):
                list(read)
        else:
            (found,) = read
            assert found.schema == table.schema and found.column(0)[0].as_py().microsecond % 1000 == 0
        options = next(o for _, o in said.said if isinstance(o, dict) and "max_text_size" in o)
        assert options["schema"].field("at").type == pa.string()


def test_a_variants_own_type_is_a_declared_loss():
    """It arrives as text, which a sql_variant keeps as nvarchar."""
    column = SQL.column_from_catalog("any", "sql_variant")
    stored = SQL.stored(column)
    assert (stored.native, stored.fidelity) == ("sql_variant", Fidelity.LOSSY)
