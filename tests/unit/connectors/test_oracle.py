"""Oracle without Oracle: recorded conversations of python-oracledb, and SQL that parses."""

from __future__ import annotations

import datetime as dt
import re
import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlglot

from hdm.catalog.crawlers.oracle import OracleCrawler
from hdm.connectors.oracle import ExadataSource, OracleProfile, OracleSink, OracleSource
from hdm.dialects import dialect
from hdm.errors import (
    ConnectionLost,
    HdmError,
    MissingDriver,
    PermanentError,
    RejectedRows,
    SchemaDrift,
    SnapshotLost,
    SourceChanged,
    TransientError,
    UnknownPlace,
    UnrepresentableValue,
    UsageError,
)
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
SETTINGS = ("^ALTER SESSION|^SET TRANSACTION READ ONLY$", None)
CHARSET = ("nls_database_parameters", [("AL32UTF8",)])


def recorded(monkeypatch, *answers):
    conversation = Conversation(SETTINGS, *answers, CHARSET)
    monkeypatch.setitem(sys.modules, "oracledb", oracledb(conversation))
    return conversation


def described(rows=10):
    return (
        ("data_object_id FROM all_objects", [("20260101000000", "TABLE", None, 70, 71)]),
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
    asked = [values for sql, values in said.said if "UPPER(object_name)" in sql]
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


VIEWS = re.compile(r"FROM (all_(?!col_comments)\w+)", re.IGNORECASE)


def looks(said):
    """The ALL_ views that were asked, in order; forgets what was said."""
    asked = [found for sql, _ in said.said for found in VIEWS.findall(sql)]
    said.said.clear()
    return asked


def test_a_chunk_looks_once_whether_its_table_is_as_it_was_planned(monkeypatch):
    """Each of the ALL_ views can take seconds where a schema is large; they were five for each chunk."""
    dictionary = {"objects": [("20260101000000", "TABLE", None, 70, 71)], "columns": CATALOGUE}
    frame = pa.table({"ID": pa.array([Decimal(1)], pa.decimal128(18, 0))})
    said = recorded(
        monkeypatch,
        ("data_object_id FROM all_objects", lambda sql, values: dictionary["objects"]),
        ("FROM all_tab_cols", lambda sql, values: dictionary["columns"]),
        *described(),
        ("^SELECT", [frame]),
    )
    one = source(table_name="ORDERS", columns=["ID"])
    table = one.describe()
    looks(said)
    relation = one.database.relation(one.database.connect(), "", table.path)
    part = Chunk(JOB, table.dataset, 0, snapshot="4711", relation=relation)
    looks(said)
    for _ in range(3):
        assert sum(batch.num_rows for batch in one.read(table, part).batches()) == 1
        assert looks(said) == ["all_objects"]

    dictionary["objects"] = [(None, "TABLE", None, 70, 71)]  # changed within these ten seconds
    for _ in range(2):
        assert sum(batch.num_rows for batch in one.read(table, part).batches()) == 1
        assert "all_tab_cols" in looks(said)

    dictionary["objects"] = [("20260102000000", "TABLE", None, 70, 71)]
    dictionary["columns"] = [("ID", "NUMBER(19,0)", *CATALOGUE[0][2:])]
    with pytest.raises(SchemaDrift, match="not as it was when planned"):
        list(one.read(table, part).batches())
    dictionary["objects"] = [("20260102000000", "TABLE", None, 70, 72)]
    dictionary["columns"] = CATALOGUE
    with pytest.raises(SourceChanged, match="truncated, rewritten, replaced"):
        list(one.read(table, part).batches())


def test_a_view_is_described_for_each_chunk(monkeypatch):
    """What a view shows can change without a change of the view."""
    said = recorded(monkeypatch, ("data_object_id FROM all_objects", []), *described())
    one = source(table_name="ORDERS")
    table = one.describe()
    connection = one.database.connect()
    for _ in range(2):
        looks(said)
        assert one.database.columns_of(connection, table.path) == table.columns
        assert "all_tab_cols" in looks(said)
    assert one.database.relation(connection, "", table.path) is None


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


def test_addresses_of_a_large_table_are_sampled(monkeypatch):
    """To sort all addresses of a table takes longer than to read it. Ranges hold every row, equal or not."""
    edges = [f"AAAR3sAAEAAAACX{n:03d}" for n in range(3)]
    answers = [(p, [] if "constraints" in p else a) for p, a in described(rows=4_000_000)]
    counted = (r"COUNT\(\*\)", [(4_000_000,)])
    said = recorded(monkeypatch, *answers, counted, ("SAMPLE", [(edge,) for edge in edges]))
    one = source(chunk={"rows": 1_000_000})
    assert len(list(one.split(one.describe(), one.window(), JOB, "4711"))) == 4
    (asked,) = said.sql("NTILE")
    assert '"SALES"."ORDERS" SAMPLE BLOCK (2.000000)) hdm_q' in asked and "SCN" not in asked


@pytest.mark.parametrize("answer", [[], oracle_error("ORA-30562")])
def test_where_a_sample_tells_nothing_all_addresses_are_read(answer, monkeypatch):
    answers = [(p, [] if "constraints" in p else a) for p, a in described(rows=4_000_000)]
    counted = (r"COUNT\(\*\)", [(4_000_000,)])
    said = recorded(monkeypatch, *answers, counted, ("SAMPLE", answer), ("NTILE", [("AAAR3sAAEAAAACXAAA",)]))
    one = source(chunk={"rows": 1_000_000})
    assert len(list(one.split(one.describe(), one.window(), JOB, "4711"))) == 2
    assert len(said.sql("NTILE")) == 2


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


STAGED = (
    ("FROM all_objects", [("SALES", "ORDERS")]), ("FROM all_tab_cols", []), ("FROM all_constraints", []),
    ("num_rows", []), ("FROM all_tables WHERE owner = :1$", []),
    (r"^SELECT COUNT\(\*\) FROM .*(EXISTS|_hdm_stage)", [(1,)]),
    ("^SELECT 1 FROM", []), ("^(LOCK|MERGE|INSERT|UPDATE|CREATE TABLE|BEGIN)", None),
)  # fmt: skip


@pytest.mark.parametrize("word", ["ORA-00901: invalid CREATE command", "ORA-00903: invalid table name"])
def test_a_server_without_private_temporary_tables_is_merged_into_by_an_ordinary_one(monkeypatch, word):
    """They came with 18c, and a server may have been given another prefix for them."""
    left = f"_hdm_stage_{Chunk(JOB, TABLE.dataset, 0).chunk_id[:12]}_0"
    listed = ("FROM all_tables WHERE owner = :1$", [("OTHER",), (left,)])
    refused = ("^CREATE PRIVATE", oracle_error(word.partition(":")[0], word))
    said = recorded(monkeypatch, refused, listed, *STAGED)
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    rows = pa.RecordBatch.from_pylist([{"ID": 1}], schema=TABLE.schema)
    chunk = Chunk(JOB, TABLE.dataset, 0)
    one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([rows])), Mode.MERGE)
    texts = [sql for sql, _ in said.said]
    stage = f'"SALES"."_hdm_stage_{chunk.chunk_id[:12]}_1"'
    made = next(n for n, sql in enumerate(texts) if sql.startswith(f"CREATE TABLE {stage}"))
    assert f'"SALES"."{left}" PURGE' in texts[made - 2], "what a dead attempt left"
    (merged,) = said.sql("^MERGE")
    assert f"FROM {stage}" in merged and f"DROP TABLE {stage} PURGE" in texts[-2]
    assert "COMMIT" in texts[texts.index(merged) : -3] and texts[-3] == "ROLLBACK"


def test_a_merge_that_fails_leaves_nothing_that_dropping_its_stage_could_commit(monkeypatch):
    refused = ("^CREATE PRIVATE", oracle_error("ORA-00901", "ORA-00901: invalid CREATE command"))
    failing = ("^MERGE", oracle_error("ORA-30926", "ORA-30926: unable to get a stable set of rows"))
    said = recorded(monkeypatch, refused, failing, *STAGED)
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    rows = pa.RecordBatch.from_pylist([{"ID": 1}], schema=TABLE.schema)
    chunk = Chunk(JOB, TABLE.dataset, 0)
    with pytest.raises(HdmError):
        one.write(TABLE, chunk, Attempt(1), Payload(TABLE, lambda: iter([rows])), Mode.MERGE)
    texts = [sql for sql, _ in said.said]
    dropped = next(n for n, sql in enumerate(texts) if "DROP TABLE" in sql and '_1" PURGE' in sql)
    assert texts[dropped - 1] == "ROLLBACK", "DROP commits what is open"


def test_lobs_of_rows_with_one_key_are_compared_by_what_can_compare_them():
    """SELECT DISTINCT of a CLOB is ORA-00932."""
    columns = [
        Column("K", Kind.INT64, pa.int64(), False),
        Column("N", Kind.INT64, pa.int64()),
        Column("BODY", Kind.TEXT, pa.string()),
    ]
    sql = dialect("oracle").conflicts(("_hdm_stage_x",), columns, ["K"])
    assert "DISTINCT" not in sql and 'DBMS_LOB.COMPARE(a."BODY", b."BODY") <> 0' in sql
    assert 'DECODE(a."N", b."N", 0, 1) = 1' in sql and "a.ROWID <> b.ROWID" in sql
    sqlglot.parse_one(sql, read="oracle")
    assert "SELECT DISTINCT" in dialect("oracle").conflicts(("_hdm_stage_x",), columns[:2], ["K"])


# -- what the driver's frames falsify -------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "carried"),
    [
        ("NUMBER(5,-2)", "decimal128(7, 0)"),
        ("NUMBER(3,5)", "decimal128(5, 5)"),
        ("NUMBER(38,-2)", "string"),
    ],
)
def test_numbers_that_arrive_unscaled_are_read_as_text(native, carried):
    oracle = dialect("oracle")
    column = oracle.column_from_catalog("N", native)
    assert str(column.type) == carried and "TO_CHAR" in oracle.select_expression(column)
    assert oracle.select_expression(oracle.column_from_catalog("N", "NUMBER(5,2)")) == '"N"'


def test_nanoseconds_are_read_as_text_and_no_zone_brings_more_digits_than_are_declared():
    def shown(native):
        oracle = dialect("oracle")
        return oracle.select_expression(oracle.column_from_catalog("T", native))

    assert shown("TIMESTAMP(9)") == "LTRIM(TO_CHAR(\"T\", 'SYYYY-MM-DD HH24:MI:SS.FF9'))"
    assert shown("TIMESTAMP(6)") == '"T"'
    assert shown("TIMESTAMP(9) WITH TIME ZONE").startswith("LTRIM(TO_CHAR(SYS_EXTRACT_UTC(")
    assert shown("TIMESTAMP(3) WITH TIME ZONE") == 'CAST(SYS_EXTRACT_UTC("T") AS TIMESTAMP(3))'


def read_one(monkeypatch, native, answer):
    columns = [("C", native, 1, *(None,) * 4, 0, None, None)]
    answers = [(p, columns if a is CATALOGUE else [] if "constraints" in p else a) for p, a in described()]
    said = recorded(monkeypatch, *answers, (r"COUNT\(\*\)", [(1,)]), ("^SELECT", answer))
    one = source()
    (chunk,) = one.split(one.describe(), one.window(), JOB, None)
    return said, [
        row["C"] for batch in one.read(one.describe(), chunk).batches() for row in batch.to_pylist()
    ]


def test_nanoseconds_that_are_to_be_read_with_fewer_digits_are_not_cut():
    """types: {at: TIMESTAMP(6)} on a TIMESTAMP(9), whose last digits the frames would leave out."""
    coarser = replace(dialect("oracle").column_from_catalog("at", "TIMESTAMP(6)"), native="TIMESTAMP(9)")
    assert dialect("oracle").select_expression(coarser).startswith('LTRIM(TO_CHAR("at", ')


def test_a_scaled_number_and_a_far_year_arrive_exactly(monkeypatch):
    _, rows = read_one(monkeypatch, "NUMBER(5,-2)", [pa.table({"C": ["12300"]})])
    assert rows == [Decimal(12300)]
    with pytest.raises(UnrepresentableValue):  # nanoseconds of that year are beyond 64 bits
        read_one(monkeypatch, "TIMESTAMP(9)", [pa.table({"C": ["1500-01-01 00:00:00.000000001"]})])


def test_a_date_before_the_year_one_is_refused_with_a_way_out(monkeypatch):
    def frames(_sql, _options):
        yield from ()
        raise ValueError("year -43 is out of range")

    with pytest.raises(UnrepresentableValue) as caught:
        read_one(monkeypatch, "DATE", frames)
    assert "types:" in caught.value.hint


def test_frames_with_lobs_have_few_rows(monkeypatch):
    said, _ = read_one(monkeypatch, "CLOB", [pa.table({"C": ["x"]})])
    sizes = [values["size"] for _, values in said.said if isinstance(values, dict) and "size" in values]
    assert sizes == [512]


def test_stale_statistics_do_not_make_one_chunk_of_a_table(monkeypatch):
    answers = [(p, [] if "constraints" in p else a) for p, a in described(rows=10)]
    recorded(monkeypatch, *answers, (r"COUNT\(\*\)", [(2_500,)]), ("NTILE", [("AAAR3sAAEAAAACXAAA",)]))
    one = source(chunk={"rows": 2000})
    assert len(list(one.split(one.describe(), one.window(), JOB, "4711"))) == 2


def test_a_table_organised_by_its_index_has_no_physical_addresses(monkeypatch):
    answers = [(p, [] if "constraints" in p else a) for p, a in described(rows=2_500)]
    recorded(monkeypatch, *answers, (r"COUNT\(\*\)", [(2_500,)]), ("NTILE", [("*BAEAAFsCwQL+",)]))
    one = source(chunk={"rows": 2000})
    (chunk,) = one.split(one.describe(), one.window(), JOB, "4711")
    assert chunk.conditions == ()


def test_an_offset_is_computed_where_a_select_needs_a_table(monkeypatch):
    said = recorded(monkeypatch, *described(), ("FROM dual$", [("5",)]), ("MAX|COUNT|TO_CHAR", [("9", 1)]))
    one = source(watermark={"column": "ID", "offset": 2})
    with suppress(Exception):  # what comes after is of other tests
        list(one.split(one.describe(), replace(one.window(), after="7"), JOB, None))
    assert said.sql("FROM dual$")


def test_invisible_columns_are_moved_and_materialised_views_are_one():
    queries = dialect("oracle").catalog_queries
    assert "user_generated = 'YES'" in queries.columns and "hidden_column" not in queries.columns
    assert queries.names.startswith("SELECT DISTINCT")


def test_the_catalogue_is_crawled_without_computing_with_a_long():
    """ORA-00932: nothing but a bare column may be made of a LONG."""
    sql = OracleCrawler.queries.columns
    assert re.findall(r"(\w+|,)\s+c\.DATA_DEFAULT,", sql) == [","] and sql.count("DATA_DEFAULT") == 1
    rows = [("A", "1", None, 0), ("B", '"S"."ISEQ"', 1, 0), ("C", "A+1", None, 1)]
    crawler = OracleCrawler(
        lambda _sql: [
            ("S", "T", name, "NUMBER", "N", None, None, None, default, number, number, None, virtual, None)
            for name, default, number, virtual in rows
        ]
    )
    crawler._in = "'S'"
    assert [(row[8], row[9], row[11]) for row in crawler.ask("columns")] == [
        ("1", None, None), (None, 1, None), (None, None, "A+1"),
    ]  # fmt: skip


def test_without_any_grant_both_that_would_do_are_named(monkeypatch):
    recorded(monkeypatch, ("v\\$database|dbms_flashback", oracle_error("ORA-00942")))
    with pytest.raises(UsageError) as caught, source().snapshot():
        pass
    assert "v_$database" in caught.value.hint and "dbms_flashback" in caught.value.hint


# -- what is bound ---------------------------------------------------------------------------


def written(monkeypatch, columns, rows, *answers):
    said = recorded(monkeypatch, *answers, ("FROM all_", []), ("^(INSERT|UPDATE)", None))
    table = Table(Dataset("memory", "t"), ("T",), columns)
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    chunk = Chunk(JOB, table.dataset, 0)
    one.write(table, chunk, Attempt(1), Payload(table, lambda: iter([batch])), Mode.APPEND)
    return said


def test_floats_are_bound_as_floats_and_lobs_last(monkeypatch):
    """A float bound as NUMBER has no infinity; a long bind before another is ORA-24816."""
    columns = (
        Column("BODY", Kind.TEXT, pa.string()),
        Column("F", Kind.FLOAT64, pa.float64()),
        Column("G", Kind.FLOAT32, pa.float32()),
        Column("NAME", Kind.TEXT, pa.string(), length=10),
    )
    said = written(monkeypatch, columns, [{"BODY": "b", "F": float("inf"), "G": 1.5, "NAME": "n"}])
    (sql,) = said.sql('^INSERT INTO "SALES"."T"')
    assert sql == 'INSERT INTO "SALES"."T" ("F", "G", "NAME", "BODY") VALUES (:1, :2, :3, :4)'
    assert ("setinputsizes", ("BINARY_DOUBLE", "BINARY_FLOAT", None, None)) in said.said
    assert [[float("inf"), 1.5, "n", "b"]] in [values for _, values in said.said]


def test_a_text_that_a_narrow_character_set_would_replace_is_refused(monkeypatch):
    narrow = ("nls_database_parameters", [("WE8MSWIN1252",)])
    columns = (Column("NAME", Kind.TEXT, pa.string(), length=10),)
    written(monkeypatch, columns, [{"NAME": "5 €"}], narrow)
    with pytest.raises(UnrepresentableValue, match=r"NAME.*WE8MSWIN1252"):
        written(monkeypatch, columns, [{"NAME": "漢"}], narrow)
    there = (
        ("FROM all_objects", [("SALES", "T")]),
        ("FROM all_tab_cols", [("NAME", "NVARCHAR2(10)", 1, *(None,) * 4, 0, None, None)]),
    )
    said = written(monkeypatch, columns, [{"NAME": "漢"}], narrow, *there)
    assert ("setinputsizes", ("NVARCHAR",)) in said.said


def test_a_text_key_without_length_is_no_lob_and_an_empty_text_may_come():
    one = OracleSink(OracleSink.Config(), profile(), name="t")
    columns = (
        Column("K", Kind.TEXT, pa.string(), False),
        Column("V", Kind.TEXT, pa.string(), False, length=5),
    )
    target = one.target(Table(TABLE.dataset, ("T",), columns, ("K",)))
    sql = one.dialect.create_table(target.path, target.columns, target.key)
    assert '"K" VARCHAR2(1000 CHAR) NOT NULL' in sql and '"V" VARCHAR2(5 CHAR),' in sql


def test_a_dsn_takes_the_wallet_and_the_servers_name_along():
    wallet = {"wallet_location": "/w", "wallet_password": "pw"}
    more = {"dsn": "tcps://h/s", "ssl_server_cert_dn": "CN=x", **wallet}
    made = OracleSource(OracleSource.Config(table_name="t"), profile(**more), name="s").database.arguments()
    assert {name: made[name] for name in wallet} == wallet
    assert made["ssl_server_cert_dn"] == "CN=x" and made["ssl_server_dn_match"] is True


def test_no_call_waits_for_ever_and_one_that_did_costs_an_attempt(monkeypatch):
    """Oracle has no lock time-out: a row that another session holds would be waited for without end."""
    recorded(monkeypatch)
    given = OracleSource(OracleSource.Config(table_name="t"), profile(), name="s").database.connect()
    more = OracleSource(OracleSource.Config(table_name="t"), profile(call_timeout=60), name="s")
    assert (given.call_timeout, more.database.connect().call_timeout) == (14_400_000, 60_000)
    for code in ("DPY-4024", "DPI-1067"):
        found = dialect("oracle").classify(oracle_error(code))
        assert type(found) is TransientError and "call_timeout" in str(found.hint)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("DPY-3030", UnrepresentableValue), ("DPY-4042", UnrepresentableValue), ("DPY-2019", UsageError),
        ("ORA-02449", PermanentError), ("ORA-32795", UsageError), ("ORA-30926", RejectedRows),
        ("ORA-00932", PermanentError), ("ORA-20123", PermanentError), ("ORA-00257", TransientError),
        ("ORA-01000", TransientError), ("ORA-12514", UnknownPlace),
    ],
)  # fmt: skip
def test_codes_are_known_for_what_they_are(code, kind):
    assert type(dialect("oracle").classify(oracle_error(code))) is kind


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


def test_what_is_read_is_in_a_read_only_transaction(monkeypatch):
    one = source(table_name=None, query="SELECT f(id) AS id FROM t")
    said = recorded(monkeypatch, (r"COUNT\(\*\)", [(1,)]), ("^SELECT", []))
    assert not one.is_empty(Table(Dataset("x", "q"), ("q",), (Column("ID", Kind.INT64, pa.int64()),)))
    asked = [sql for sql, _ in said.said]
    begun = asked.index("SET TRANSACTION READ ONLY")
    assert "f(id)" in asked[begun + 1] and not [sql for sql in asked[:begun] if "SELECT" in sql]


def test_what_is_written_is_in_no_read_only_transaction(monkeypatch):
    said = recorded(monkeypatch)
    database = OracleSink(OracleSink.Config(table_name="t"), profile(), name="t").database
    database.begin(database.connect(write=True), write=True)
    assert not said.sql("READ ONLY")
