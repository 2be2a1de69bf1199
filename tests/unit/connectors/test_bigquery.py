"""BigQuery where it is unkind: answers that are lost, ids that are used, transactions in the way, types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.connectors.bigquery import BigQueryDatabase, BigQueryProfile, BigQuerySink, BigQuerySource
from hdm.connectors.bigquery.session import Session, bound
from hdm.dialects import dialect
from hdm.dialects.types import Fidelity
from hdm.errors import (
    BrokenContract,
    Deadlock,
    HdmError,
    PermanentError,
    RejectedRows,
    TransientError,
    UnrepresentableValue,
    UsageError,
)
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Receipt, Table
from tests.servers.bigquery import BigQuery

LEDGER = {"_hdm_ledger_head", "_hdm_load_ledger"}
KINDS: dict[str, tuple[Kind, pa.DataType]] = {
    "id": (Kind.INT64, pa.int64()), "word": (Kind.TEXT, pa.string()), "day": (Kind.DATE, pa.date32()),
    "at": (Kind.TIMESTAMP, pa.timestamp("us")), "paid": (Kind.DECIMAL, pa.decimal128(12, 2)),
}  # fmt: skip
ROWS = [
    {"id": n, "word": f"w{n}", "day": date(2020, 1, n), "at": datetime(2020, 1, n), "paid": Decimal(n)}
    for n in range(1, 6)
]


def table(*names: str) -> Table:
    columns = []
    for name in names or ("id", "word"):
        kind, carried = KINDS[name]
        more: dict[str, Any] = {"precision": 12, "scale": 2} if kind is Kind.DECIMAL else {}
        columns.append(Column(name, kind, carried, name != "id", **more))
    return Table(Dataset("n", "t"), ("t",), tuple(columns), ("id",))


def payload(of: Table, rows: Sequence[dict[str, Any]] = ROWS) -> Payload:
    kept = [{c.name: row[c.name] for c in of.columns} for row in rows]
    return Payload(of, lambda: iter([pa.RecordBatch.from_pylist(kept, schema=of.schema)]))


class Desk:
    """One dataset, and a sink over it."""

    def __init__(self, server: BigQuery) -> None:
        self.server, self.words = server, server.fresh()
        self.dataset = str(self.words["dataset"])
        self.profile = BigQueryProfile.model_validate(self.words)
        self.chunk = Chunk("job " + self.dataset, Dataset("n", "t"), 0)

    def sink(self, **conf: Any) -> BigQuerySink:
        return BigQuerySink(BigQuerySink.Config.model_validate(conf), self.profile, name="sink")

    def write(
        self, of: Table | None = None, attempt: int = 1, mode: Mode = Mode.APPEND, **conf: Any
    ) -> Receipt:
        of = of or table()
        sink = self.sink(**conf)
        sink.prepare(of, self.chunk.job_key, 1, mode)
        return sink.write(of, self.chunk, Attempt(attempt), payload(of), mode)

    def rows(self, sql: str = "SELECT * FROM `{}`.`t` ORDER BY id") -> list[tuple[Any, ...]]:
        return self.server.run(sql.format(self.dataset))

    def left(self) -> set[str]:
        return set(self.server.tables(self.dataset)) - LEDGER - {"t"}

    def session(self) -> tuple[BigQueryDatabase, Session]:
        database = BigQueryDatabase(self.profile)
        return database, database.connect("hdm:test", write=True)


@pytest.fixture
def desk(bigquery_server: BigQuery) -> Desk:
    return Desk(bigquery_server)


WORDS = [(row["id"], row["word"]) for row in ROWS]


@pytest.mark.parametrize(
    "lost",
    [
        r"PUT /upload/", r"POST .*/jobs .*COMMIT TRANSACTION", r"POST .*/jobs .*INSERT INTO .*hdm_rows",
        r"POST .*/tables", r"POST .*/jobs .*hdm_begin", r"GET .*/jobs/hdm_load",
    ],
)  # fmt: skip
def test_a_request_whose_answer_is_lost_is_done_once(desk: Desk, lost: str) -> None:
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.APPEND)
    desk.server.fault("lose", lost)
    receipt = desk.write()
    assert receipt.rows == len(ROWS) and not receipt.adopted
    assert desk.rows() == WORDS
    assert desk.left() <= {"_hdm_rows_" + desk.chunk.chunk_id[:12] + "_1_0"} and (
        not desk.left() or "/tables" in lost
    )


def test_the_id_of_another_attempts_load_is_left_alone(desk: Desk) -> None:
    """As after a lost state database and a target that was dropped: the same chunk, and its old ids."""
    first = desk.write()
    desk.rows("DROP TABLE `{}`.`t`")
    desk.rows("DROP TABLE `{}`.`_hdm_load_ledger`")
    again = desk.write()
    assert (first.rows, again.rows, again.adopted) == (5, 5, False)
    assert desk.rows() == WORDS and desk.left() == set()
    client = desk.server.client()
    named = sorted(one.job_id for one in client.list_jobs() if desk.chunk.chunk_id[:32] in one.job_id)
    client.close()
    assert named == [f"hdm_load_{desk.chunk.chunk_id[:32]}_1_0_1_0_{number}" for number in (0, 1)]


@pytest.mark.parametrize(
    ("reason", "error"),
    [("backendError", TransientError), ("rateLimitExceeded", TransientError), ("invalid", RejectedRows),
     ("quotaExceeded", UsageError), ("accessDenied", UsageError), ("resourcesExceeded", PermanentError)],
)  # fmt: skip
def test_a_load_job_that_fails_leaves_nothing_and_says_what_to_do(
    desk: Desk, reason: str, error: type[HdmError]
) -> None:
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.APPEND)
    desk.server.fault("fail", "hdm_load", reason=reason)
    with pytest.raises(error):
        desk.write()
    assert (desk.rows(), desk.left()) == ([], set())
    assert desk.write(attempt=2).rows == len(ROWS)
    assert desk.rows() == WORDS


def test_a_failed_job_is_not_run_again_by_the_library(desk: Desk) -> None:
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.APPEND)
    desk.server.fault("fail", "INSERT INTO .*hdm_rows", reason="jobBackendError")
    with pytest.raises(TransientError):
        desk.write()
    assert desk.rows() == []


def test_what_a_dead_attempt_left_is_dropped_by_the_next(desk: Desk) -> None:
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.MERGE)
    start = f"{desk.dataset}`.`_hdm_"
    for name in (f"rows_{desk.chunk.chunk_id[:12]}_1_0", f"stage_{desk.chunk.chunk_id[:12]}_1"):
        desk.rows(f"CREATE TABLE `{start}{name}` (id INT64)")
    desk.rows("CREATE TABLE `{}`.`_hdm_rows_ffffffffffff_1_0` (id INT64)")
    assert desk.write(attempt=2, mode=Mode.MERGE).rows == len(ROWS)
    assert desk.left() == {"_hdm_rows_ffffffffffff_1_0"}


def test_loads_that_are_in_each_others_way_come_one_after_the_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction of a process that died holds the head of the ledger, and is ended after a while."""
    monkeypatch.setenv("HDM_SILENCE", "0.1")
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.APPEND)
    database, dead = desk.session()
    database.begin(dead, write=True)
    head = f"`{desk.dataset}`.`_hdm_ledger_head`"
    assert database.change(dead, f"UPDATE {head} SET `loads` = `loads` + 1 WHERE TRUE") == 1
    assert desk.write().rows == len(ROWS)
    with pytest.raises(TransientError):
        database.commit(dead)
    dead.close()
    assert desk.rows("SELECT loads FROM `{}`.`_hdm_ledger_head`")[0][0] == 2


def test_a_conflict_after_the_first_statement_is_a_deadlock(desk: Desk) -> None:
    desk.write()
    database, one = desk.session()
    _, other = desk.session()
    sql = f"UPDATE `{desk.dataset}`.`t` SET `word` = 'x' WHERE TRUE"
    for session in (one, other):
        database.begin(session, write=True)
        database.run(session, f"SELECT COUNT(*) FROM `{desk.dataset}`.`t`")
    assert database.change(one, sql) == len(ROWS)
    with pytest.raises(Deadlock):
        database.change(other, sql)
    database.commit(one)
    for session in (one, other):
        session.close()


def test_an_older_attempts_session_is_ended(desk: Desk) -> None:
    desk.sink().prepare(table(), desk.chunk.job_key, 1, Mode.APPEND)
    database = BigQueryDatabase(desk.profile)
    dead = database.connect(f"hdm:{desk.chunk.chunk_id[:12]}:1", write=True)
    database.begin(dead, write=True)
    head = f"`{desk.dataset}`.`_hdm_ledger_head`"
    database.change(dead, f"UPDATE {head} SET `loads` = `loads` + 1 WHERE TRUE")
    assert desk.write(attempt=2).rows == len(ROWS)
    with pytest.raises(TransientError):
        database.commit(dead)
    dead.close()


def test_ddl_within_a_transaction_is_refused_before_bigquery_does(desk: Desk) -> None:
    database, session = desk.session()
    database.begin(session, write=True)
    database.run(session, "SELECT 1")
    with pytest.raises(BrokenContract):
        database.run(session, f"CREATE TABLE `{desk.dataset}`.`x` (id INT64)")
    session.close()


def test_a_null_has_no_type_and_stands_in_the_text() -> None:
    sql, given = bound("INSERT INTO t VALUES ('?', ?, ?, ?)", (1, None, "x"), dialect("bigquery").tokens)
    assert sql == "INSERT INTO t VALUES ('?', ?, NULL, ?)"
    assert [(one.type_, one.value) for one in given] == [("INT64", 1), ("STRING", "x")]
    assert bound("SELECT ?", (True,), dialect("bigquery").tokens)[1][0].type_ == "BOOL"


def test_a_new_table_is_partitioned_and_clustered(desk: Desk) -> None:
    layout = desk.sink(partition={"column": "day", "unit": "month"}, cluster=["word", "id"]).layout
    assert layout(table("id", "word", "day")) == (
        "\nPARTITION BY DATE_TRUNC(`day`, MONTH)\nCLUSTER BY `word`, `id`"
    )
    ranges = {"column": "id", "start": 0, "end": 100, "interval": 10}
    made = desk.sink(partition=ranges).layout(table())
    assert made == "\nPARTITION BY RANGE_BUCKET(`id`, GENERATE_ARRAY(0, 100, 10))"
    assert (
        desk.sink(partition={"column": "at"}).layout(table("id", "at")).endswith("DATETIME_TRUNC(`at`, DAY)")
    )
    desk.write(table("id", "word"), cluster=["word"])
    client = desk.server.client()
    assert client.get_table(f"{desk.dataset}.t").clustering_fields == ["word"]
    client.close()


@pytest.mark.parametrize(
    "conf",
    [{"partition": {"column": "word"}}, {"partition": {"column": "nowhere"}}, {"cluster": ["double"]},
     {"partition": {"column": "day", "unit": "hour"}}, {"partition": {"column": "id"}}],
)  # fmt: skip
def test_a_layout_that_bigquery_refuses_is_refused_before_anything_is_made(desk: Desk, conf: Any) -> None:
    of = table("id", "word", "day")
    of = Table(of.dataset, of.path, (*of.columns, Column("double", Kind.FLOAT64, pa.float64())), of.key)
    with pytest.raises(UsageError):
        desk.sink(**conf).accepts(of, Mode.APPEND)


@pytest.mark.parametrize(
    "words",
    [{"emulator": "http://bigquery.example.com"}, {"emulator": "http://u:p@127.0.0.1:1"},
     {"emulator": "http://127.0.0.1:1", "credentials_json": "x"},
     {"credentials_file": "x", "credentials_json": "y"}, {"emulator": "127.0.0.1:9050"}],
)  # fmt: skip
def test_an_emulator_is_on_this_machine_and_is_sent_no_secret(words: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        BigQueryProfile.model_validate({"project": "p", **words})


def test_an_address_names_project_dataset_and_table() -> None:
    assert BigQueryProfile.from_address("//p/d.t") == ({"project": "p"}, "d.t")
    with pytest.raises(UsageError):
        BigQueryProfile.from_address("//user:secret@p/d.t")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"dataset": "nowhere"}, "there is no dataset"),
        ({"location": "EU"}, "is in US"),
        ({"dataset": None}, "which"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_named(desk: Desk, words: dict[str, Any], said: str) -> None:
    profile = BigQueryProfile.model_validate({**desk.words, **words})
    with pytest.raises(UsageError, match=said):
        BigQuerySink(BigQuerySink.Config(), profile).ready()
    (first, *_) = BigQuerySink(BigQuerySink.Config(), profile).probe()
    assert first[1] is False and said in first[2]


def test_doctor_says_what_it_reached(desk: Desk) -> None:
    found = desk.sink().probe()
    assert [name for name, ok, _ in found if ok][:2] == ["connection", "session"]


def test_rows_become_the_types_of_a_table_that_is_there(desk: Desk) -> None:
    desk.rows(
        "CREATE TABLE `{}`.`t` (id NUMERIC, word JSON, day STRING, at STRING, paid BIGNUMERIC, extra STRING)"
    )
    of = table("id", "word", "day", "at", "paid")
    rows = [{**row, "word": '{"a": [1, 2]}'} for row in ROWS[:1]]
    database, session = desk.session()
    batches = payload(of, rows).batches()
    assert database.load(session, ("tests", desk.dataset, "t"), of.columns, batches) == 1
    session.close()
    shown = desk.rows("SELECT CAST(id AS STRING), TO_JSON_STRING(word), day, at, paid FROM `{}`.`t`")
    assert shown == [("1", '{"a":[1,2]}', "2020-01-01", "2020-01-01 00:00:00.000000", Decimal(1))]


def test_nanoseconds_are_a_declared_loss_and_are_cut(desk: Desk) -> None:
    fine = Column("at", Kind.TIMESTAMP, pa.timestamp("ns"), precision=9)
    of = Table(Dataset("n", "t"), ("t",), (table().columns[0], fine), ("id",))
    assert [column.name for column, _ in desk.sink().losses(of)] == ["at"]
    batch = pa.record_batch(
        [pa.array([1]), pa.array([1_577_836_800_123_456_789], pa.timestamp("ns"))], schema=of.schema
    )
    sink = desk.sink(allow_loss=True)
    sink.prepare(of, desk.chunk.job_key, 1, Mode.APPEND)
    sink.write(of, desk.chunk, Attempt(1), Payload(of, lambda: iter([batch])), Mode.APPEND)
    assert desk.rows() == [(1, datetime(2020, 1, 1, 0, 0, 0, 123456))]


def test_an_infinite_date_is_refused(desk: Desk) -> None:
    of = table("id", "day")
    batch = pa.record_batch(
        [pa.array([1]), pa.array([2**31 - 1], pa.int32()).cast(pa.date32())], schema=of.schema
    )
    sink = desk.sink()
    sink.prepare(of, desk.chunk.job_key, 1, Mode.APPEND)
    with pytest.raises(UnrepresentableValue, match="day"):
        sink.write(of, desk.chunk, Attempt(1), Payload(of, lambda: iter([batch])), Mode.APPEND)
    assert (desk.rows(), desk.left()) == ([], set())


@pytest.mark.parametrize(
    ("precision", "scale", "native", "fidelity"),
    [(38, 9, "NUMERIC(38,9)", "exact"), (29, 0, "NUMERIC(29,0)", "exact"),
     (30, 0, "BIGNUMERIC(30,0)", "exact"), (38, 10, "BIGNUMERIC(38,10)", "exact"),
     (76, 38, "BIGNUMERIC(76,38)", "exact"),
     (39, 0, "STRING", "approximated"), (50, 39, "STRING", "approximated"),
     (None, None, "STRING", "approximated")],
)  # fmt: skip
def test_decimals_are_numeric_bignumeric_or_text(
    precision: int | None, scale: int | None, native: str, fidelity: str
) -> None:
    column = Column("c", Kind.DECIMAL, pa.string(), precision=precision, scale=scale)
    stored = dialect("bigquery").stored(column)
    assert (stored.native, stored.fidelity) == (native, Fidelity(fidelity))


def test_a_reading_sees_one_moment_and_special_types_as_text(desk: Desk) -> None:
    desk.rows(
        "CREATE TABLE `{}`.`t` "
        "(id INT64 NOT NULL, j JSON, many ARRAY<INT64>, raw BYTES, b BIGNUMERIC(38,20), "
        "at TIMESTAMP, PRIMARY KEY (id) NOT ENFORCED)"
    )
    row = "{}, PARSE_JSON('[1, 2]'), [1, 2], FROM_HEX('00ff'), CAST('1.00000000000000000001' AS BIGNUMERIC), "
    row += "TIMESTAMP('2020-01-01 00:00:00', 'UTC')"
    insert = f"INSERT INTO `{desk.dataset}`.`t` (id, j, many, raw, b, at) SELECT "
    desk.server.run(insert + row.format(1))
    config = BigQuerySource.Config.model_validate({"table_name": "t"})
    source = BigQuerySource(config, desk.profile, name="src")
    of = source.describe()
    assert [(c.name, c.native, c.kind) for c in of.columns][1:3] == [
        ("j", "JSON", Kind.JSON), ("many", "ARRAY<INT64>", Kind.ARRAY)
    ]  # fmt: skip
    with source.snapshot() as token:
        chunks = list(source.split(of, source.window(), "job", token))
    desk.server.run(insert + row.format(2))
    found = [
        one for chunk in chunks for batch in source.read(of, chunk).batches() for one in batch.to_pylist()
    ]
    assert found == [
        {"id": 1, "j": "[1,2]", "many": "[1,2]", "raw": b"\x00\xff", "b": Decimal("1.00000000000000000001"),
         "at": datetime(2020, 1, 1, tzinfo=UTC)}
    ]  # fmt: skip


def test_a_query_is_read_with_its_columns(desk: Desk) -> None:
    desk.write()
    query = {"query": f"SELECT id * 2 AS twice, word FROM `{desk.dataset}`.`t` WHERE id > 3"}
    source = BigQuerySource(BigQuerySource.Config.model_validate(query), desk.profile, name="src")
    of = source.describe()
    (chunk,) = source.split(of, source.window(), "job", None)
    found = sorted(tuple(row.values()) for b in source.read(of, chunk).batches() for row in b.to_pylist())
    assert found == [(8, "w4"), (10, "w5")]


@pytest.mark.parametrize(
    "sql", ["DELETE FROM `{}`.`t`", "UPDATE `{}`.`t` SET id = 1", "BEGIN TRANSACTION", "SELECT * FROM `t`"]
)
def test_the_stand_in_refuses_what_bigquery_refuses(desk: Desk, sql: str) -> None:
    desk.write()
    with pytest.raises(Exception, match=r"WHERE|session|qualified"):
        desk.rows(sql)
