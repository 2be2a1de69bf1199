"""COPY in binary stores, bit for bit, what the same batch in CSV stores."""

import math
import sys
from decimal import Context, Decimal

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdm.connectors.postgres import copy_binary, copy_binary_values
from hdm.connectors.postgres.copy_binary import BinaryEncoder
from hdm.connectors.postgres.copy_csv import CsvEncoder
from hdm.dialects import dialect
from hdm.errors import MissingDriver, RejectedRows, UnrepresentableValue
from hdm.model import Column, Kind, Mode
from tests.unit.sql_fixtures import pg  # noqa: F401
from tests.unit.sqlkit import move

PG = dialect("postgres")
INT32_MAX, INT64_MAX = 2**31 - 1, 2**63 - 1
FIRST_DAY, LAST_DAY = -2_440_588, 2_145_042_905  # 4714-11-24 BC and 5874897-12-31, the server's own
MICROS = 86_400_000_000
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6)
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def number(digits, scale):
    most = 10**digits - 1
    odd = [0, 1, -1, most, -most, min(10**scale, most), 10 ** (digits - 1), 2**63, -(2**63), 2**64, 2**127]
    few = [unscaled for unscaled in odd if abs(unscaled) <= most]
    exact = Context(prec=80)
    unscaled = st.integers(-most, most) | st.integers(-9999, 9999) | st.sampled_from(few)
    return unscaled.map(lambda n: Decimal(n).scaleb(-scale, exact))


def counted(low, high, endless):
    return st.integers(low, high) | st.sampled_from([low, high, 0, endless, -endless])


TYPES = {
    "boolean": ("bool", st.booleans()),
    "smallint": ("int2", st.integers(-(2**15), 2**15 - 1)),
    "integer": ("int4", st.integers(-(2**31), 2**31 - 1)),
    "bigint": ("int8", st.integers(-(2**63), 2**63 - 1)),
    "real": ("float4", st.floats(width=32) | st.just(-math.nan)),
    "double precision": ("float8", st.floats() | st.just(-math.nan)),
    "numeric(4,0)": ("numeric", number(4, 0)),
    "numeric(15,2)": ("numeric", number(15, 2)),
    "numeric(18,18)": ("numeric", number(18, 18)),
    "numeric(38,9)": ("numeric", number(38, 9)),
    "numeric(76,10)": ("numeric", number(76, 10)),
    "text": ("text", TEXT),
    "character varying(6)": ("varchar", TEXT),
    "character(6)": ("bpchar", TEXT),
    "json": ("json", st.integers().map(str)),
    "bytea": ("bytea", st.binary(max_size=6)),
    "date": ("date", counted(FIRST_DAY, LAST_DAY, INT32_MAX)),
    "time without time zone": ("time", st.integers(0, MICROS)),
    "timestamp without time zone": (
        "timestamp",
        counted(FIRST_DAY * MICROS, 106_751_990 * MICROS, INT64_MAX),
    ),
    "timestamp with time zone": ("timestamptz", counted(0, 10**17, INT64_MAX)),
}


def column(native, name="c"):
    return PG.column_from_catalog(name, native)


def array(values, kind):
    if pa.types.is_temporal(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        return pa.array(values, width).cast(kind)
    return pa.array(values, kind)


def stored(connection, table, encoder, batch):
    """What the table holds after a load, as the server's own binary COPY."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {table}")
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT {encoder.form})") as copy:
            copy.write(encoder.head)
            for block in encoder.encode(batch):
                copy.write(bytes(block))
            copy.write(encoder.tail)
        with cursor.copy(f"COPY {table} TO STDOUT (FORMAT binary)") as copy:
            return b"".join(bytes(block) for block in copy)


@pytest.fixture(scope="module")
def session(postgres_url):
    with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in PG.session:
            connection.execute(statement)
        for number_, native in enumerate(TYPES):
            connection.execute(f"CREATE TABLE one_{number_} (c {native})")
        connection.execute("CREATE TABLE many (a text, b numeric(15,2), c int, d bytea, e text, f date)")
        yield connection


@pytest.mark.parametrize("native", TYPES)
def test_one_column_is_stored_as_from_text(session, native):
    held, values = TYPES[native]
    made, table = column(native), f"one_{list(TYPES).index(native)}"
    encoder = BinaryEncoder.of([made], [held])

    @UNHURRIED
    @given(st.lists(st.none() | values, min_size=1, max_size=40), st.integers(0, 9))
    def same(cells, start):
        whole = pa.RecordBatch.from_arrays([array(cells, made.type)], names=["c"])
        batch = whole.slice(min(start, len(cells) - 1))
        ours = stored(session, table, encoder, batch)
        assert ours == stored(session, table, CsvEncoder(), batch)

    same()


@UNHURRIED
@given(
    st.lists(
        st.tuples(
            st.none() | TEXT,
            st.none() | number(15, 2),
            st.none() | st.integers(-9, 9),
            st.none() | st.binary(max_size=5),
            TEXT,
            st.none() | st.integers(-9, 9),
        ),
        min_size=1,
    )
)
def test_rows_of_mixed_width_are_stored_as_from_text(session, rows):
    made = [column(n) for n in ("text", "numeric(15,2)", "integer", "bytea", "text", "date")]
    arrays = [array(values, c.type) for c, values in zip(made, zip(*rows, strict=True), strict=True)]
    names = [f"c{n}" for n in range(len(made))]
    batch = pa.RecordBatch.from_arrays(arrays, names=names)
    encoder = BinaryEncoder.of(made, ["text", "numeric", "int4", "bytea", "text", "date"])
    ours = stored(session, "many", encoder, batch)
    assert ours == stored(session, "many", CsvEncoder(), batch)


def encoded(batch, *natives):
    columns = [column(native) for native in natives]
    encoder = BinaryEncoder.of(columns, [TYPES[native][0] for native in natives])
    return [bytes(block) for block in encoder.encode(batch)]


def test_the_bytes_are_those_of_the_manual():
    batch = pa.record_batch({"a": pa.array([1, None], pa.int32()), "b": ["x", ""]})
    (block,) = encoded(batch, "integer", "text")
    assert block == bytes.fromhex(
        "0002" "00000004" "00000001" "00000001" "78" "0002" "ffffffff" "00000000"
    )  # fmt: skip


def test_bytes_behind_a_null_do_not_travel():
    data, offsets = pa.py_buffer(b"secretx"), pa.py_buffer(b"\0\0\0\0\6\0\0\0\7\0\0\0")
    texts = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\2"), offsets, data])
    assert texts.to_pylist() == [None, "x"]
    (block,) = encoded(pa.record_batch({"a": texts}), "text")
    assert block == bytes.fromhex("0001" "ffffffff" "0001" "00000001" "78")  # fmt: skip
    assert encoded(pa.record_batch({"a": texts.slice(0, 1)}), "text") == [b"\0\1\xff\xff\xff\xff"]


def test_nul_is_refused_and_the_column_named():
    for values in (["a\0b", "c"], ["\0", None], ["abc", "a\0c"]):
        batch = pa.record_batch({"a": [1, 2], "b": values})
        with pytest.raises(UnrepresentableValue, match=r"column c: .* NUL"):
            encoded(batch, "bigint", "text")


def test_a_nul_beside_the_slice_does_not_count():
    batch = pa.record_batch({"a": ["a\0b", "c", "d\0"]})
    assert encoded(batch.slice(1, 1), "text") == [bytes.fromhex("0001" "00000001" "63")]  # fmt: skip


@pytest.mark.slow
def test_blocks_are_bounded_and_a_larger_row_is_one_of_its_own():
    wide = pa.record_batch({"a": ["x" * 3_000_000] * 4})
    assert [len(block) for block in encoded(wide, "text")] == [3_000_006] * 4
    thin = pa.record_batch({"a": pa.array(range(100_000), pa.int32())})
    blocks = encoded(thin, "integer")
    assert len(blocks) == 7
    assert sum(map(len, blocks)) == 1_000_000
    assert encoded(thin.slice(0, 0), "integer") == []


def test_a_value_beyond_the_servers_limit_is_named(monkeypatch):
    monkeypatch.setattr(copy_binary_values, "_MOST_BYTES", 3)
    with pytest.raises(UnrepresentableValue, match=r"column c: .*1 GB"):
        encoded(pa.record_batch({"a": ["abcd"]}), "text")


@pytest.mark.parametrize(
    ("native", "held"),
    [
        ("integer", "numeric"), ("bigint", "int4"), ("real", "float8"), ("numeric", "numeric"),
        ("uuid", "uuid"), ("integer", "text"), ("date", "timestamp"), ("interval", "interval"),
        ("timestamp without time zone", "timestamptz"),
        ("text", "jsonb"), ("text", ""), ("time with time zone", "timetz"), ("bytea", "text"),
    ],
)  # fmt: skip
def test_what_the_server_must_convert_travels_as_text(native, held):
    assert BinaryEncoder.of([column("integer"), column(native)], ["int4", held]) is None


@pytest.mark.parametrize("kind", [pa.decimal128(5, -2), pa.decimal256(50, -2)], ids=str)
def test_whole_hundreds_travel_as_text(session, kind):
    """A scale below 0: no catalog gives one, a source of one's own may."""
    values = [Decimal("1.2E+3"), None, Decimal("-9.99E+4"), Decimal("0E+2")]
    made = Column("c", Kind.DECIMAL, kind, precision=kind.precision, scale=kind.scale)
    assert BinaryEncoder.of([made], ["numeric"]) is None
    table = f"one_{list(TYPES).index('numeric(15,2)')}"
    stored(session, table, CsvEncoder(), pa.record_batch({"c": pa.array(values, kind)}))
    found = session.execute(f"SELECT c FROM {table}").fetchall()
    assert [value for (value,) in found] == [1200, None, -99900, 0]


def test_smaller_integers_fit_larger_ones(session):
    batch = pa.record_batch({"a": pa.array([-5, None], pa.int16())})
    encoder = BinaryEncoder.of([column("smallint")], ["int8"])
    table = f"one_{list(TYPES).index('bigint')}"
    assert stored(session, table, encoder, batch) == stored(session, table, CsvEncoder(), batch)


BINARY = (
    "id bigint PRIMARY KEY, v text, n numeric(15,2), d date, s timestamptz, b bytea, y boolean, "
    "f double precision, c character(3)"
)


def filled(system, table):
    system.run(f"CREATE TABLE {table} ({BINARY})")
    system.run(
        f"INSERT INTO {table} SELECT g, CASE g % 3 WHEN 0 THEN '' WHEN 1 THEN md5(g::text) END, g * -1.37, "
        "CASE WHEN g % 7 = 0 THEN 'infinity' ELSE date '1999-12-31' + g::int END, "
        "CASE WHEN g % 5 > 0 THEN timestamptz '0044-03-15 12:00:00.5 BC' + g * interval '1 hour' END, "
        "decode(md5(g::text), 'hex'), g % 2 = 0, CASE WHEN g % 4 = 0 THEN 'NaN' ELSE g / 3.0 END, 'ok' "
        "FROM generate_series(1, 40000) g"
    )


def no_text(*_):
    raise AssertionError("this was to travel in binary")


@pytest.mark.parametrize("mode", Mode)
def test_a_table_of_such_types_travels_in_binary(pg, monkeypatch, mode):  # noqa: F811
    filled(pg, "t")
    pg.run(f"CREATE TABLE u ({BINARY})")
    monkeypatch.setattr(CsvEncoder, "encode", no_text)
    move(pg.source("t"), pg.sink("u"), mode=mode)
    assert pg.run("SELECT count(*) FROM u") == [(40_000,)]
    both = "(SELECT t::text FROM t) EXCEPT (SELECT u::text FROM u)"
    assert pg.run(both) == []


def test_labels_of_an_enum_travel_in_binary(pg, monkeypatch):  # noqa: F811
    pg.run("CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE TABLE t (m mood); CREATE TABLE u (m mood)")
    pg.run("INSERT INTO t VALUES ('sad'), ('so so'), (NULL)")
    monkeypatch.setattr(CsvEncoder, "encode", no_text)
    move(pg.source("t"), pg.sink("u"))
    assert pg.run("SELECT m FROM u ORDER BY m") == [("sad",), ("so so",), (None,)]


def test_without_numpy_the_extra_is_named(pg, monkeypatch):  # noqa: F811
    pg.run("CREATE TABLE t (a int)")
    monkeypatch.setitem(sys.modules, "hdm.connectors.postgres.copy_binary", None)
    with pytest.raises(MissingDriver, match="numpy") as caught:
        move(pg.source("t"), pg.sink("u"))
    assert "hdm[postgres]" in caught.value.hint


def test_an_empty_table_is_loaded_too(pg):  # noqa: F811
    pg.run("CREATE TABLE t (a int, b text)")
    move(pg.source("t"), pg.sink("u"))
    assert pg.run("SELECT count(*) FROM u") == [(0,)]


def test_a_target_of_other_types_is_loaded_as_text(pg, monkeypatch):  # noqa: F811
    pg.run("CREATE TABLE t (a int, b numeric(9,2))")
    pg.run("INSERT INTO t VALUES (1, 2.50), (NULL, NULL)")
    pg.run("CREATE TABLE u (a numeric, b text)")
    monkeypatch.setattr(copy_binary.BinaryEncoder, "encode", no_text)
    move(pg.source("t"), pg.sink("u"))
    assert sorted(pg.run("SELECT a::text, b FROM u"), key=str) == [("1", "2.50"), (None, None)]


@pytest.mark.parametrize(
    ("kind", "ticks"),
    [
        (pa.date32(), -INT32_MAX + 1), (pa.date32(), -INT32_MAX - 1), (pa.date32(), INT32_MAX - 1),
        (pa.timestamp("us"), -INT64_MAX + 1), (pa.timestamp("us"), -INT64_MAX - 1),
    ],
)  # fmt: skip
def test_a_day_that_would_wrap_is_refused_by_the_server(session, kind, ticks):
    native = "date" if kind == pa.date32() else "timestamp without time zone"
    batch = pa.RecordBatch.from_arrays([array([0, ticks], kind)], names=["c"])
    encoder = BinaryEncoder.of([column(native)], [TYPES[native][0]])
    table = f"one_{list(TYPES).index(native)}"
    with pytest.raises(psycopg.errors.DatetimeFieldOverflow) as caught:
        stored(session, table, encoder, batch)
    assert PG.classify(caught.value).__class__ is RejectedRows
