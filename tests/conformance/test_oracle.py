"""Oracle's SQL on H2 in Oracle's mode, by a stand-in for the driver; results are held against Python's."""

from __future__ import annotations

import itertools
import operator
import random
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.connectors.oracle import ExadataSource, OracleProfile, OracleSink, OracleSource
from hdm.dialects import dialect
from hdm.errors import RejectedRows
from hdm.model import Attempt, Chunk, Column, Condition, Dataset, Kind, Mode, Payload, Table
from hdm.testing import SinkConformance, SourceConformance
from hdm.testing.emitted import statements
from hdm.testing.rows import TEXTS, awkward_table, sorted_rows
from hdm.testing.sinks import ReadBack
from hdm.testing.sources import Grow, Rows
from tests.conformance.systems import CANARY, plain
from tests.servers import oracle
from tests.servers.h2 import H2

ORACLE = dialect("oracle")
JOB = "j" * 64

REFUSED: dict[str, str] = {
    """SELECT ROWIDTOCHAR(_ROWID_) FROM dual""": "addresses of H2 are numbers",
    """SELECT 1 FROM dual WHERE CHARTOROWID('AAAR3sAAEAAAACXAAA') IS NULL""": "addresses of H2 are numbers",
    """SELECT 1 FROM dual SAMPLE BLOCK (2.000000)""": "H2 has no samples",
    """SELECT XMLSERIALIZE(CONTENT dummy AS CLOB) FROM dual""": "H2 has no XML",
    """SELECT JSON_SERIALIZE(dummy RETURNING CLOB) FROM dual""": "H2 has other words for JSON",
    """SELECT 1 FROM dual WHERE DBMS_LOB.COMPARE('a', 'b') <> 0""": "H2 compares LOBs itself",
    """SELECT TO_CHAR(current_scn) FROM v$database""": "H2 has no dictionary of Oracle's",
    """SELECT object_name FROM all_objects""": "H2 has no dictionary of Oracle's",
    """SELECT column_name FROM all_tab_cols""": "H2 has no dictionary of Oracle's",
}
"""Of what hdm says to Oracle, H2 can run neither these nor other words for them -> why.

Other words for the rest: ``tests.servers.oracle.REWRITTEN``; what it is not told at all: ``SILENT``.
"""
NEEDED = [
    # hdm's own statements: for each rewriting, one in which Oracle's words stand
    *statements(ORACLE), ORACLE.drop_table(("S", "T")), "SELECT 1 FROM dual AS OF SCN 4711",
    *ORACLE.merge(("S", "T"), ("s",), ["k", "v"], ["k"], exact=["k"]),
    *ORACLE.drop_older(("s",), ["k"], "v"), "SELECT TO_NUMBER('1') FROM dual", "DROP TABLE t PURGE",
    f"SELECT {ORACLE.literal('1.5', Column('f', Kind.FLOAT64, pa.float64()))} FROM dual",
    f"SELECT {ORACLE.literal('00FF', Column('b', Kind.BINARY, pa.binary()))} FROM dual",
    f"SELECT {ORACLE.literal('2020-02-29 01:02:03.0', Column('z', Kind.TIMESTAMPTZ, pa.int64()))} FROM dual",
]  # fmt: skip


class Box:
    """One empty database, and hdm's components on it."""

    def __init__(self, server: H2) -> None:
        self.server, self.database = server, server.fresh()
        self.driver = oracle.oracledb(server, self.database)
        self.kept = self.driver.connect(user="sales")

    def open(self, sessions: int) -> None:
        """Open sessions for threads, which must not open their own while others are at work."""
        for made in [self.driver.connect(user="sales") for _ in range(sessions)]:
            made.close()

    def profile(self, **more: Any) -> OracleProfile:
        given = {"host": "localhost", "service_name": "P", "user": "sales", "password": CANARY, **more}
        return OracleProfile.model_validate(given)

    def sink(self, **conf: Any) -> OracleSink:
        return OracleSink(OracleSink.Config.model_validate(conf), self.profile(), name="t")

    def source(self, table: str = "T", **conf: Any) -> OracleSource:
        said = OracleSource.Config.model_validate({"table_name": table, **conf})
        return OracleSource(said, self.profile(), name="s")

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.kept.cursor()
        cursor.execute(sql, values)
        self.kept.commit()
        return cursor.fetchall()

    def read_back(self, sink: Any, table: Table) -> list[tuple[Any, ...]]:
        quoted = ", ".join(
            f'RAWTOHEX("{column.name}")' if column.kind is Kind.BINARY else f'"{column.name}"'
            for column in table.columns
        )
        found = self.run(f"SELECT {quoted} FROM {ORACLE.qualify(sink.target(table).path)}")
        return sorted_rows([
            tuple(_plain(value, column) for value, column in zip(row, table.columns, strict=True)) for row
            in found
        ])  # fmt: skip


def _plain(value: Any, column: Column) -> Any:
    if value is None:
        return None
    if column.kind in (Kind.INT16, Kind.INT32, Kind.INT64):
        return int(value)
    if column.kind is Kind.FLOAT64:
        return float(value)
    if column.kind is Kind.BINARY:
        return bytes.fromhex(value)
    if column.kind is Kind.BOOLEAN:
        return bool(int(value))
    if column.kind is Kind.DATE:
        return datetime.fromisoformat(value).date()
    return plain(value, column)


@pytest.fixture
def box(h2_server: H2, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    made = Box(h2_server)
    monkeypatch.setitem(sys.modules, "oracledb", made.driver)
    yield made
    made.kept.close()
    for session in made.driver.idle:
        session.close()


# -- the whole sink and source ------------------------------------------------------------------


class TestSink(SinkConformance):
    gaps: ClassVar[Mapping[str, str]] = {
        "wide_rows_arrive": "texts and bytes are in a test of their own: '' is NULL here"
    }

    @pytest.fixture
    def subject(self, box: Box) -> Sink:
        box.open(4)
        return box.sink()

    @pytest.fixture
    def table(self) -> Table:
        kept = ("flag", "small", "medium", "big", "double", "amount", "wide", "day", "moment", "instant")
        return awkward_table(kept)

    @pytest.fixture
    def read_back(self, box: Box) -> ReadBack:
        return box.read_back

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


class TestSource(SourceConformance):
    @pytest.fixture
    def rows(self) -> Rows:
        """Keys, tied and NULL cursors, words that tools like to alter; none is ''."""
        texts = [text or None for text in TEXTS]
        return [
            (
                Decimal(i),
                None if i % 10 == 0 else Decimal(i // 3),
                None if i % 7 == 0 else texts[i % len(texts)],
            )
            for i in range(60)
        ]

    @pytest.fixture
    def subject(self, box: Box, rows: Rows) -> Source:
        box.run(
            'CREATE TABLE "SALES"."T" ("ID" NUMBER(18,0) PRIMARY KEY, "N" NUMBER(18,0), '
            '"WORD" VARCHAR2(200 CHAR))'
        )
        for row in rows:
            box.run('INSERT INTO "SALES"."T" VALUES (:1, :2, :3)', *row)
        return box.source(watermark={"column": "N"}, chunk={"rows": 7})

    @pytest.fixture
    def grow(self, box: Box) -> Grow:
        new: Rows = [
            (Decimal(i), None if n is None else Decimal(n), word)
            for i, n, word in (
                (100, 19, "tie"), (101, 20, "new"), (102, 20, None), (103, None, "null"), (104, 99, "last")
            )
        ]  # fmt: skip

        def grown() -> Rows:
            for row in new:
                box.run('INSERT INTO "SALES"."T" VALUES (:1, :2, :3)', *row)
            return new

        return grown

    @pytest.fixture
    def empty(self, box: Box) -> Source:
        box.run('CREATE TABLE "SALES"."VACANT" ("ID" NUMBER(18,0) PRIMARY KEY, "N" NUMBER(18,0))')
        return box.source("VACANT", watermark={"column": "N"})

    @pytest.fixture
    def secret(self) -> str:
        return CANARY


# -- statements ---------------------------------------------------------------------------------


def refused(box: Box, sql: str, *, columns: bool = True) -> bool:
    """Whether H2 cannot read a statement as it stands; that a table is missing does not count, and that a
    column is only with ``columns``."""
    try:
        box.kept.ask(sql)
    except oracle.DatabaseError as error:
        return error.args[0].full_code in ("ORA-00900", "ORA-00904" if columns else "")
    return False


def test_every_statement_runs_in_h2s_words(box: Box) -> None:
    box.kept.ask('CREATE SCHEMA IF NOT EXISTS "s"')
    for sql in statements(ORACLE):
        told = oracle.told_in_h2s_words(sql)
        assert not refused(box, told, columns=False), told


@pytest.mark.parametrize("sql", REFUSED)
def test_what_h2_cannot_run_is_listed(box: Box, sql: str) -> None:
    """If it can one day, it is to be tested here."""
    with pytest.raises(oracle.DatabaseError):
        box.kept.ask(sql)


@pytest.mark.parametrize("pattern", [pattern for pattern, *_ in oracle.REWRITTEN])
def test_h2_is_told_other_words_only_where_it_needs_them(box: Box, pattern: str) -> None:
    """A rewriting that hides a fault of hdm's, or nothing, is worse than none."""
    box.kept.ask('CREATE SCHEMA "S"')
    for table in ('"S"."T"', '"s"'):
        box.kept.ask(f'CREATE TABLE {table} ("k" VARCHAR2(9), "v" NUMBER(9))')
    places = [sql for sql in NEEDED if re.search(pattern, sql, re.DOTALL)]
    assert places, "hdm does not say this any more"
    assert any(refused(box, sql) for sql in places)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in oracle.SILENT])
def test_h2_is_told_nothing_only_of_what_it_does_not_know(box: Box, pattern: str) -> None:
    said = [*ORACLE.session, ORACLE.read_only_transaction, str(ORACLE.merge_lock(("S", "T")))]
    (one, *_) = [sql for sql in said if re.match(pattern, sql)]
    assert refused(box, one)


# -- merges -------------------------------------------------------------------------------------


def rows_of(seed: int) -> list[dict[str, Any]]:
    """Versions of few keys, of which some are NULL and some '', which is the same; no two of one time."""
    drawn = random.Random(seed)
    words = ["a", "A", "a ", "é", "", None, "b", "0"]
    return [
        {"K": drawn.choice(words), "L": drawn.choice([1, 2, None]),
         "V": drawn.choice(["x", "", None, "y" * 50]), "AT": number}
        for number in drawn.sample(range(1000), 40)
    ]  # fmt: skip


def versioned(key: tuple[str, ...], cursor: str | None) -> Table:
    columns = (
        Column("K", Kind.TEXT, pa.string(), length=20), Column("L", Kind.INT64, pa.int64()),
        Column("V", Kind.TEXT, pa.string(), length=50), Column("AT", Kind.INT64, pa.int64()),
    )  # fmt: skip
    return Table(Dataset("memory", "h"), ("H",), columns, key, cursor)


def bare(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(None if value == "" else value for value in row.values())


@pytest.mark.parametrize("private", [True, False], ids=["18c", "12.2"])
@pytest.mark.parametrize("key", [("K",), ("K", "L"), ("L",)], ids="".join)
@pytest.mark.parametrize("newest", [True, False], ids=["cursor", "order"])
def test_a_merge_is_what_python_makes_of_it(box: Box, key: Any, newest: bool, private: bool) -> None:
    """NULL keys match each other and '', the newest version stays whichever chunk comes last."""
    box.driver.private = private
    for seed in range(2):
        table = versioned((), "AT" if newest else None)
        rows, chunks = rows_of(seed), 4
        random.Random(seed).shuffle(rows)
        sink = box.sink(key=list(key), table_name=f"H{seed}")
        sink.prepare(table, JOB, 1, Mode.MERGE)
        expected: dict[tuple[Any, ...], dict[str, Any]] = {}
        for number in range(chunks):
            part = rows[number::chunks]
            if not newest:  # one chunk holds one row of a key
                part = list({bare({name: row[name] for name in key}): row for row in part}.values())
            batch = pa.RecordBatch.from_pylist(part, schema=table.schema)
            chunk = Chunk(JOB, table.dataset, number, snapshot=f"{seed} {number}")
            sink.write(
                table, chunk, Attempt(1), Payload(table, lambda batch=batch: iter([batch])), Mode.MERGE
            )
            for row in part:
                held = expected.get(bare({name: row[name] for name in key}))
                if held is None or not newest or row["AT"] > held["AT"]:
                    expected[bare({name: row[name] for name in key})] = row
        found = box.read_back(sink, table)
        assert found == sorted_rows([bare(row) for row in expected.values()]), (seed, key)
        assert not [name for (name,) in box.run("SELECT table_name FROM all_tables WHERE owner = :1", "SALES")
                    if "_hdm_stage_" in name], "a stage stays"  # fmt: skip


def test_equal_rows_of_one_key_are_one_and_different_ones_are_refused(box: Box) -> None:
    table = versioned((), None)
    same = [{"K": "a", "L": 1, "V": None, "AT": 1}] * 3 + [{"K": None, "L": 2, "V": "", "AT": 2}] * 2
    sink = box.sink(key=["K"], table_name="H")
    sink.prepare(table, JOB, 1, Mode.MERGE)

    def write(number: int, rows: list[dict[str, Any]]) -> None:
        batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
        chunk = Chunk(JOB, table.dataset, number, snapshot=str(number))
        sink.write(table, chunk, Attempt(1), Payload(table, lambda: iter([batch])), Mode.MERGE)

    write(0, same)
    assert box.read_back(sink, table) == sorted_rows([("a", 1, None, 1), (None, 2, None, 2)])
    with pytest.raises(RejectedRows, match="different rows with one key"):
        write(1, [{"K": "b", "L": 1, "V": "x", "AT": 1}, {"K": "b", "L": 1, "V": None, "AT": 1}])


# -- values and conditions ----------------------------------------------------------------------

VALUES: dict[str, list[Any]] = {
    "NUMBER(19,0)": ["-9223372036854775808", "0", "9007199254740993"],
    "NUMBER(12,2)": ["-0.05", "9999999999.99", "0", "0.1"],
    "NUMBER": ["0.1", "123456789012345678901234567890.5", "-7"],
    "VARCHAR2(30 CHAR)": ["a", "A", "O'Neil", "é🎈", " pad ", "?:1"],
    "DATE": ["0001-01-01 00:00:00", "9999-12-31 23:59:59", "2020-02-29 01:02:03"],
    "TIMESTAMP(6)": ["1500-01-01 00:00:00.000001000", "9999-12-31 23:59:59.999999000"],
    "TIMESTAMP(9)": ["2020-02-29 01:02:03.000000001", "2020-02-29 01:02:03.000000002"],
    "BINARY_DOUBLE": ["1.5", "-0.1", "1.7976931348623157E+308"],
    "RAW(16)": ["00FF", "AB"],
}
ORDER: dict[str, Any] = {"NUMBER": Decimal, "BINARY_DOUBLE": float, "RAW": str.upper}


@pytest.mark.parametrize("native", VALUES)
def test_ranges_hold_the_rows_that_python_says(box: Box, native: str) -> None:
    """A value's text, made by SQL, is its literal: else ranges lose rows, or read them twice."""
    column = ORACLE.column_from_catalog("C", native)
    table = Table(Dataset("memory", "t"), ("SALES", "T"), (column,))
    box.run(f'CREATE TABLE "SALES"."T" ("C" {native})')
    for text in VALUES[native]:
        box.run(f'INSERT INTO "SALES"."T" VALUES ({ORACLE.literal(text, column)})')
    box.run('INSERT INTO "SALES"."T" VALUES (NULL)')
    told = box.run(f"""SELECT {ORACLE.text_of('"C"', column)} FROM "SALES"."T" WHERE "C" IS NOT NULL""")
    shown = [str(text) for (text,) in told]
    order = ORDER.get(native.partition("(")[0], str)
    assert [order(text) for text in shown] == [order(text) for text in VALUES[native]], (
        "in the order of insertion"
    )
    for text, op in itertools.product(shown, (">=", ">", "<=", "<", "=")):
        where = ORACLE.predicate([Condition("C", op, text)], table)
        ((found,),) = box.run(f'SELECT COUNT(*) FROM "SALES"."T" WHERE {where}')
        assert int(found) == sum(COMPARE[op](order(one), order(text)) for one in shown), (op, text)
    beyond = ORACLE.predicate([Condition("C", "null")], table)
    assert box.run(f'SELECT COUNT(*) FROM "SALES"."T" WHERE {beyond}') == [("1",)]


COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "=": operator.eq}


def test_lags_are_taken_off_by_the_server(box: Box) -> None:
    number, day = (ORACLE.column_from_catalog("C", native) for native in ("NUMBER(9,2)", "DATE"))
    for sql, found in {
        ORACLE.minus("10", "2.5", number): "7.5",
        ORACLE.minus("DATE '2020-03-01'", "1 day", day): "2020-02-29",
        ORACLE.minus("TIMESTAMP '2020-03-01 00:00:00'", "90s", replace(day, native="TIMESTAMP(6)")):
            "2020-02-29 23:58:30",
        ORACLE.modulo("17", 5): "2",
    }.items():  # fmt: skip
        assert box.run(f"SELECT {sql} FROM dual") == [(found,)]


@pytest.mark.parametrize("native", ["NUMBER(9,0)", "VARCHAR2(10 CHAR)", "DATE", "TIMESTAMP(9)"])
def test_chunks_of_a_key_hold_every_row_once(box: Box, native: str) -> None:
    column = ORACLE.column_from_catalog("C", native)
    box.run(f'CREATE TABLE "SALES"."T" ("C" {native} PRIMARY KEY)')
    for number in range(40):
        text = {
            "N": str(number - 20), "V": chr(0x61 + number % 26) * (1 + number // 26),
            "D": f"2020-01-{1 + number // 2:02} {12 * (number % 2):02}:00:00",
            "T": f"2020-02-29 01:02:03.{number * 7:09}",
        }[native[0]]  # fmt: skip
        box.run(f'INSERT INTO "SALES"."T" VALUES ({ORACLE.literal(text, column)})')
    source, nanos = box.source(chunk={"rows": 7}), native == "TIMESTAMP(9)"
    table = source.describe()
    with source.snapshot() as token:
        chunks = list(source.split(table, source.window(), JOB, token))
        read = [
            list(itertools.chain(*(batch.column(0).to_pylist(maps_as_pydicts=None) if not nanos else
                                   batch.column(0).cast("int64").to_pylist()
                                   for batch in source.read(table, chunk).batches())))
            for chunk in chunks
        ]  # fmt: skip
    assert len(chunks) >= 5 and max(map(len, read)) <= 14
    assert len(set(itertools.chain(*read))) == sum(map(len, read)) == 40


def test_long_texts_and_bytes_arrive_whole_and_empty_ones_are_null(box: Box) -> None:
    columns = (
        Column("ID", Kind.INT64, pa.int64(), nullable=False), Column("WORDS", Kind.TEXT, pa.string()),
        Column("RAW", Kind.BINARY, pa.binary()),
    )  # fmt: skip
    table = Table(Dataset("memory", "w"), ("W",), columns, ("ID",))
    rows = [*enumerate(zip([*TEXTS, "wörd \n" * 50_000], [b"", b"\0\xff"] * 8, strict=True))]
    batch = pa.RecordBatch.from_pylist([{"ID": n, "WORDS": w, "RAW": b} for n, (w, b) in rows], table.schema)
    sink = box.sink(table_name="W")
    sink.prepare(table, JOB, 1, Mode.APPEND)
    chunk = Chunk(JOB, table.dataset, 0, schema_sha=table.schema_sha)
    sink.write(table, chunk, Attempt(1), Payload(table, lambda: iter([batch])), Mode.APPEND)
    assert box.read_back(sink, table) == sorted_rows([(n, w or None, b or None) for n, (w, b) in rows])


def test_a_new_column_is_added_and_filled(box: Box) -> None:
    kept = Column("ID", Kind.INT64, pa.int64(), nullable=False)
    more = Column("MORE", Kind.DECIMAL, pa.decimal128(9, 2), precision=9, scale=2)
    narrow = Table(Dataset("memory", "g"), ("G",), (kept,), ("ID",))
    sink = box.sink(table_name="G")
    for number, table in enumerate((narrow, replace(narrow, columns=(kept, more)))):
        if number:
            sink.grow(table)
        sink.prepare(table, JOB, 1, Mode.APPEND)
        row = {"ID": number, "MORE": Decimal("1.50")}
        batch = pa.RecordBatch.from_pylist([row], schema=table.schema)
        chunk = Chunk(JOB, table.dataset, number, snapshot=str(number))
        sink.write(table, chunk, Attempt(1), Payload(table, lambda batch=batch: iter([batch])), Mode.APPEND)
    assert box.read_back(sink, table) == sorted_rows([(0, None), (1, Decimal("1.50"))])


@pytest.mark.parametrize("native", ["DATE", "TIMESTAMP(6)", "NUMBER(12,2)"])
@pytest.mark.parametrize("cls", [OracleSource, ExadataSource])
def test_only_what_is_above_the_watermark_is_read(box: Box, native: str, cls: type[OracleSource]) -> None:
    column = ORACLE.column_from_catalog("AT", native)
    texts = [f"2020-01-0{n} 12:00:00" + ("" if native == "DATE" else ".000000000") for n in (1, 2, 3)]
    if native.startswith("NUMBER"):
        texts = ["1.50", "2.25", "3.00"]
    box.run(f'CREATE TABLE "SALES"."T" ("ID" NUMBER(9,0) PRIMARY KEY, "AT" {native})')
    for number, text in enumerate(texts):
        box.run(f'INSERT INTO "SALES"."T" VALUES ({number}, {ORACLE.literal(text, column)})')

    def read(after: str | None, **watermark: str) -> list[int]:
        said = {"table_name": "T", "watermark": {"column": "AT", **watermark}}
        source = cls(cls.Config.model_validate(said), box.profile(), name="s")
        table = source.describe()
        with source.snapshot() as token:
            chunks = list(source.split(table, replace(source.window(), after=after), JOB, token))
            batches = [batch for chunk in chunks for batch in source.read(table, chunk).batches()]
        return sorted(int(row["ID"]) for batch in batches for row in batch.to_pylist())

    assert read(None) == [0, 1, 2]
    assert read(texts[2]) == [2], "rows at the watermark are compared with what was moved"
    below = "1" if native.startswith("NUMBER") else "36 hours"
    assert read(texts[2], offset=below) == [1, 2], "what lies so far below, too"
