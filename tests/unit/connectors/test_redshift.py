"""What Redshift's sink looks at before and after COPY, over the real driver and a real bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from hdm.connectors.redshift import RedshiftCopySink, RedshiftDatabase, RedshiftProfile, RedshiftSource
from hdm.connectors.redshift.arriving import Arriving
from hdm.connectors.redshift.staging import Staging
from hdm.dialects import dialect, grants
from hdm.dialects.types import carrier
from hdm.errors import HdmError, RejectedRows, TransientError, UnrepresentableValue, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Receipt, Table
from tests.servers.redshift import Redshift

pytestmark = pytest.mark.server
JOB = "job"
NAMED = {"user": '"mover2"', "schema": '"public"', "table": '"t"'}


@pytest.fixture(scope="module")
def cluster(fresh_redshift: Callable[[], Redshift]) -> Redshift:
    return fresh_redshift()


@pytest.fixture(autouse=True)
def no_tables(cluster: Redshift) -> Iterator[None]:
    yield
    with psycopg.connect(cluster.under.dsn) as connection:
        connection.execute('DROP TABLE IF EXISTS t, "_hdm_load_ledger", "_hdm_ledger_head"')


def sink(cluster: Redshift, **profile: Any) -> RedshiftCopySink:
    words = {**cluster.profile, **profile}
    return RedshiftCopySink(RedshiftCopySink.Config(), RedshiftProfile.model_validate(words), name="s")


def table(**kinds: Kind) -> Table:
    columns = tuple(Column(name, kind, carrier(kind)) for name, kind in kinds.items())
    return Table(Dataset("x", "t"), ("t",), columns, ("id",))


def load(to: RedshiftCopySink, of: Table, *rows: dict[str, Any], number: int = 0) -> Receipt:
    to.prepare(of, JOB, 1, Mode.APPEND)
    batch = pa.RecordBatch.from_pylist(list(rows), schema=of.schema)
    chunk = Chunk(JOB, of.dataset, number, epoch=1, snapshot=str(number))
    return to.write(of, chunk, Attempt(1), Payload(of, lambda: iter([batch])), Mode.APPEND)


def asked(cluster: Redshift, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(cluster.under.dsn) as connection:
        return connection.execute(sql.encode()).fetchall()


def test_a_text_is_measured_in_bytes_before_it_is_sent(cluster: Redshift) -> None:
    with closing(cluster.connect()) as connection:
        connection.autocommit = True
        connection.cursor().execute("CREATE TABLE t (id BIGINT NOT NULL, word VARCHAR(8))")
    of = table(id=Kind.INT64, word=Kind.TEXT)
    copies = len([sql for sql in cluster.seen if sql.startswith("COPY")])
    with pytest.raises(UnrepresentableValue, match="column word: a text has more than the 8 bytes"):
        load(sink(cluster), of, {"id": 1, "word": "日本語"})
    assert len([sql for sql in cluster.seen if sql.startswith("COPY")]) == copies
    load(sink(cluster), of, {"id": 1, "word": "日本ab"}, {"id": 2, "word": ""}, {"id": 3, "word": None})
    assert asked(cluster, "SELECT id, word FROM t ORDER BY id") == [(1, "日本ab"), (2, ""), (3, None)]


def test_json_arrives_as_a_document(cluster: Redshift) -> None:
    load(sink(cluster), table(id=Kind.INT64, doc=Kind.JSON), {"id": 1, "doc": '{"a": [1, "x"]}'})
    assert asked(cluster, "SELECT jsonb_typeof(doc), doc->'a'->>1 FROM t") == [("object", "x")]


def test_a_copy_that_counts_wrongly_is_not_committed(cluster: Redshift) -> None:
    told = "CREATE OR REPLACE FUNCTION rs.pg_last_copy_count() RETURNS bigint LANGUAGE sql AS $$ {} $$"
    kept = "SELECT coalesce(nullif(current_setting('rs.copied', true), ''), '-1')::bigint"
    with psycopg.connect(cluster.under.dsn, autocommit=True) as connection:
        connection.execute(told.format("SELECT 1::bigint").encode())
        try:
            with pytest.raises(RejectedRows, match="copied 1 and holds 2 of 2 staged rows"):
                load(sink(cluster), table(id=Kind.INT64), {"id": 1}, {"id": 2})
        finally:
            connection.execute(told.format(kept).encode())
    assert asked(cluster, "SELECT id FROM t") == [] and cluster.staged() == []


def test_a_staged_file_that_was_replaced_is_not_loaded(cluster: Redshift) -> None:
    database, columns = sink(cluster).cluster, table(id=Kind.INT64).columns
    batch = pa.RecordBatch.from_pylist([{"id": 1}], schema=table(id=Kind.INT64).schema)
    with (
        closing(database.connect("hdm:abc:1", write=True)) as session,
        Staging(database, "hdm:abc:1") as staging,
    ):
        files = staging.encode(columns, iter([batch]), {"id": 8})
        key = files[0].url.removeprefix(f"s3://{cluster.bucket}/")
        cluster.s3.client().put_object(Bucket=cluster.bucket, Key=key, Body=b"another")
        with pytest.raises(TransientError, match="Redshift s3 file"):
            staging.copy(session, Arriving.of(columns), files)


def test_a_role_that_redshift_may_not_assume_is_the_operators_matter(cluster: Redshift) -> None:
    other = sink(cluster, iam_role="arn:aws:iam::123456789012:role/other")
    with pytest.raises(UsageError) as caught:
        load(other, table(id=Kind.INT64), {"id": 1})
    assert "ASSUMEROLE" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"staging": "https://bucket/x"}, "staging is a folder in S3"),
        ({"iam_role": "role' FORMAT"}, "should match"),
        ({"url": "redshift://x"}, "no url"),
    ],
)
def test_a_profile_is_looked_at(words: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RedshiftProfile.model_validate(words)


def test_a_sink_needs_a_folder_in_s3(cluster: Redshift) -> None:
    with pytest.raises(UsageError, match="names no folder"):
        sink(cluster, staging=None).ready()


def test_doctor_names_each_right_that_lacks(cluster: Redshift) -> None:
    with psycopg.connect(cluster.under.dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS mover2")
        connection.execute("CREATE ROLE mover2 LOGIN")
        try:
            poor = sink(cluster, user="mover2", password=None)
            said = {detail: ok for _, ok, detail in poor.probe()}
            lacking = [detail for detail, ok in said.items() if not ok]
            assert lacking and all("GRANT CREATE ON SCHEMA" in detail for detail in lacking), said
            name = f'"{cluster.under.database}"'
            for part in ("sink",):
                for right in grants.rights("redshift", part):
                    made = grants.statement("redshift", part, right, {**NAMED, "database": name})
                    connection.execute(made.encode())
            assert all(ok for _, ok, _ in poor.probe())
            load(poor, table(id=Kind.INT64), {"id": 1})
        finally:
            connection.execute("DROP OWNED BY mover2")
            connection.execute("DROP ROLE mover2")


def test_sql_never_has_a_value_or_a_secret(cluster: Redshift) -> None:
    load(sink(cluster), table(id=Kind.INT64, word=Kind.TEXT), {"id": 4711, "word": "kept apart"})
    source = RedshiftSource(
        RedshiftSource.Config.model_validate({"table_name": "t"}),
        RedshiftProfile.model_validate(cluster.profile),
    )
    rows = [row for batch in _read(source) for row in batch.to_pylist()]
    assert rows == [{"id": 4711, "word": "kept apart"}]
    said = "\n".join(cluster.seen)
    assert "kept apart" not in said and "4711" not in said and "aws_secret" not in said.lower()


def _read(source: RedshiftSource) -> Iterator[pa.RecordBatch]:
    of = source.describe()
    with source.snapshot() as token:
        for chunk in source.split(of, source.window(), JOB, token):
            yield from source.read(of, chunk).batches()


def test_the_lock_on_the_head_comes_before_the_first_query_of_the_transaction(cluster: Redshift) -> None:
    before = len(cluster.seen)
    load(sink(cluster), table(id=Kind.INT64), {"id": 1})
    sent = cluster.seen[before:]
    lock = max(n for n, sql in enumerate(sent) if sql.startswith("LOCK TABLE"))
    assert sent[lock - 1] == "BEGIN" and sent[lock + 1].startswith("UPDATE")
    copy = next(n for n, sql in enumerate(sent) if sql.startswith("COPY"))
    assert copy < lock, "S3 is read while others wait"


def test_an_attempt_that_did_not_look_is_told_by_the_ledger_where_no_key_is_kept(cluster: Redshift) -> None:
    first, again = (load(sink(cluster), table(id=Kind.INT64), {"id": 1}) for _ in range(2))
    assert (first.adopted, again.adopted) == (False, True)
    assert asked(cluster, "SELECT id FROM t") == [(1,)]
    assert asked(cluster, "SELECT COUNT(*) FROM _hdm_load_ledger WHERE job_key = 'job'") == [(1,)]


def test_loads_side_by_side_wait_for_each_other_instead_of_failing(cluster: Redshift) -> None:
    of = table(id=Kind.INT64)
    sink(cluster).prepare(of, JOB, 1, Mode.APPEND)
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(load, sink(cluster), of, {"id": n}, number=n) for n in range(8)]
    assert all(not one.result().adopted for one in done)
    assert asked(cluster, "SELECT id FROM t ORDER BY id") == [(n,) for n in range(8)]


def test_types_are_in_bytes_and_what_is_lost_is_said() -> None:
    said = {}
    for kind, length, precision in [
        (Kind.TEXT, 20, None), (Kind.TEXT, 20_000, None), (Kind.TEXT, None, None),
        (Kind.BINARY, 70_000, None),
        (Kind.TIMESTAMP, None, 9), (Kind.TIME, None, 6), (Kind.ARRAY, None, None), (Kind.JSON, None, None),
    ]:  # fmt: skip
        column = Column("c", kind, carrier(kind), length=length, precision=precision)
        stored = dialect("redshift").native(column)
        said[kind, length] = (stored.native, stored.fidelity.value)
    assert [native for native, _ in said.values()] == [
        "VARCHAR(80)", "VARCHAR(65535)", "VARCHAR(65535)", "VARBYTE(70000)", "TIMESTAMP", "TIME",
        "VARCHAR(65535)", "SUPER",
    ]  # fmt: skip
    assert [fidelity for _, fidelity in said.values()] == [
        "exact", "approximated", "approximated", "exact", "lossy", "exact", "approximated", "approximated",
    ]  # fmt: skip


def test_an_unknown_database_in_front_of_a_name_is_refused(cluster: Redshift) -> None:
    database = RedshiftDatabase(RedshiftProfile.model_validate(cluster.profile))
    assert database.default_path(("t",)) == ("public", "t")
    with pytest.raises(HdmError, match="not in the profile's database"):
        database.default_path(("other", "public", "t"))


def test_a_decimal_is_read_as_text_because_the_driver_rounds_it() -> None:
    from redshift_connector.utils.type_utils import numeric_in_binary

    exact = 10**37 + 1
    assert int(numeric_in_binary(exact.to_bytes(16, "big", signed=True), 0, 16, 0)) != exact
    column = Column("paid", Kind.DECIMAL, carrier(Kind.DECIMAL, 38, 0), precision=38, scale=0)
    assert dialect("redshift").select_expression(column) == 'CAST("paid" AS VARCHAR(64))'
