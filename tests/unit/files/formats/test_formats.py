"""Every format gives back exactly what it was given."""

import hashlib
import io
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdm import locator
from hdm.arrow.batches import row_digests
from hdm.components import registry
from hdm.components.keys import keys_of
from hdm.errors import CorruptFile, SchemaDrift, UnsupportedType, UsageError
from hdm.files.formats import Format, RowOffsets, format_named, format_names, format_of
from hdm.files.formats import text as text_format
from hdm.files.grown_files import begins_with
from hdm.files.sink import FileSinkConfig
from hdm.model import Column, Dataset, Kind, StagedFile, Table
from tests.unit import awkward

ALL = [(name, pressed) for name in ("parquet", "csv", "jsonl") for pressed in ("none", "gzip", "zstd")]
TEXT_ONLY = [pair for pair in ALL if pair[0] != "parquet"]
ALL += [("arrow", "none"), ("arrow", "zstd")]
HERE = Dataset("file", "t")


def table(**columns):
    return Table(HERE, ("t",), tuple(Column(n, Kind.TEXT, t) for n, t in columns.items()))


def written(name, pressed, described, batches):
    stream = io.BytesIO()
    writer = format_named(name).writer(stream, described, pressed, 1 << 20)
    for batch in batches:
        writer.write(batch)
    writer.close()
    assert writer.rows == sum(batch.num_rows for batch in batches)
    assert not stream.closed
    return stream


@pytest.mark.parametrize(("name", "pressed"), ALL)
def test_awkward_values_come_back(name, pressed):
    batch = awkward.batch()
    stream = written(name, pressed, awkward.TABLE, [batch.slice(0, 5), batch.slice(5, 0), batch.slice(5)])
    form = format_named(name)
    back = list(form.read(stream, awkward.TABLE, pressed))
    assert all(b.schema.equals(awkward.TABLE.schema) for b in back)
    for column in awkward.TABLE.columns:
        was = row_digests(batch.select([column.name]))
        now = [d for b in back for d in row_digests(b.select([column.name]))]
        assert [i for i, (a, b) in enumerate(zip(was, now, strict=True)) if a != b] == [], column.name
    assert form.rows(stream, pressed) == batch.num_rows


@pytest.mark.parametrize(("name", "pressed"), ALL)
def test_no_rows(name, pressed):
    described = table(a=pa.string(), b=pa.int64())
    for batches in ([], [pa.RecordBatch.from_pylist([], schema=described.schema)]):
        stream = written(name, pressed, described, batches)
        assert list(format_named(name).read(stream, described, pressed)) == []
        assert format_named(name).rows(stream, pressed) == 0


@pytest.mark.parametrize("name", ["parquet", "csv", "jsonl", "arrow"])
def test_columns_must_exist_and_differ(name):
    twice = Table(HERE, ("t",), (Column("a", Kind.INT64, pa.int64()),) * 2)
    for wrong in (Table(HERE, ("t",), ()), twice):
        with pytest.raises(UsageError):
            format_named(name).writer(io.BytesIO(), wrong, "none", 1000)


def test_unknown_format():
    with pytest.raises(UsageError, match="orc"):
        format_named("orc")
    assert format_of("a/b.CSV.gz") == ("csv", "gzip")
    assert format_of("a/b.ndjson") == ("jsonl", "none")
    assert format_of("a/b.txt") is None


CELLS = st.one_of(st.none(), st.text(st.sampled_from('a",\n\r\\ \x00é'), max_size=12), st.text(max_size=8))
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=40)


@pytest.mark.parametrize(
    ("name", "pressed"), [("csv", "none"), ("csv", "gzip"), ("jsonl", "none"), ("jsonl", "zstd")]
)
@settings(max_examples=60, deadline=None)
@given(rows=ROWS, block=st.integers(1, 64), first=st.integers(0, 45), count=st.integers(0, 45))
@pytest.mark.slow
def test_no_record_is_ever_cut(name, pressed, rows, block, first, count):
    described = table(a=pa.string(), b=pa.string())
    batch = pa.record_batch(
        [pa.array([r[i] for r in rows], pa.string()) for i in (0, 1)], schema=described.schema
    )
    stream = written(name, pressed, described, [batch])
    form, old = format_named(name), text_format.BLOCK
    marks = RowOffsets()
    text_format.BLOCK = block
    try:
        for start, size in ((0, None), (first, count), (first, count)):
            back = [
                tuple(r.values())
                for b in form.read(stream, described, pressed, start, size, marks)
                for r in b.to_pylist()
            ]
            assert back == rows[start : None if size is None else start + size]
    finally:
        text_format.BLOCK = old


@pytest.mark.parametrize("name", ["parquet", "csv", "jsonl", "arrow"])
def test_one_nullable_column(name):
    described = table(only=pa.string())
    values = [None, "", None, "x", None]
    stream = written(name, "none", described, [pa.record_batch([pa.array(values)], schema=described.schema)])
    back = [v for b in format_named(name).read(stream, described, "none") for v in b.column(0).to_pylist()]
    assert back == values


@pytest.mark.parametrize(("name", "pressed"), TEXT_ONLY)
@pytest.mark.slow
def test_a_record_larger_than_a_block(name, pressed):
    described = table(a=pa.string(), n=pa.int64())
    rows = ["x", 'é"\n,' * (text_format.BLOCK // 5 + 1000), None, "y"]
    assert len(rows[1].encode()) > text_format.BLOCK
    batch = pa.record_batch([pa.array(rows), pa.array([1, 2, 3, 4])], schema=described.schema)
    stream = written(name, pressed, described, [batch])
    form = format_named(name)
    assert [v for b in form.read(stream, described, pressed) for v in b.column(0).to_pylist()] == rows
    assert [v for b in form.read(stream, described, pressed, 2, 2) for v in b.column(1).to_pylist()] == [3, 4]


def test_foreign_csv_keeps_null_and_empty_apart_and_guesses_nothing():
    raw = b'\xef\xbb\xbfid,name,note\r\n007,"",\r\n1e5,NA,"5"" pipe"\r\n2,5" pipe,"two\r\nlines"\r\n'
    form = format_named("csv")
    described = form.describe(io.BytesIO(raw), "none", HERE, ("t",))
    assert [(c.name, c.kind) for c in described.columns] == [(n, Kind.TEXT) for n in ("id", "name", "note")]
    assert form.rows(io.BytesIO(raw), "none") == 3
    back = [tuple(r.values()) for b in form.read(io.BytesIO(raw), described, "none") for r in b.to_pylist()]
    assert back == [("007", "", None), ("1e5", "NA", '5" pipe'), ("2", '5" pipe', "two\r\nlines")]


def test_foreign_csv_is_cut_by_the_rules_of_a_reader_not_by_counting_quotes():
    rows = b"".join(b'%d,5" pipe,"a\nb"\n' % i for i in range(50))
    raw, form, old = b"id,name,note\n" + rows, format_named("csv"), text_format.BLOCK
    described = form.describe(io.BytesIO(raw), "none", HERE, ("t",))
    text_format.BLOCK = 40
    try:
        back = [r for b in form.read(io.BytesIO(raw), described, "none") for r in b.to_pylist()]
    finally:
        text_format.BLOCK = old
    assert [r["id"] for r in back] == [str(i) for i in range(50)]
    assert {r["note"] for r in back} == {"a\nb"}


def test_foreign_json_keeps_numbers_as_spelled():
    raw = b'{"a": 1.50, "b": "x"}\n\n{"b": {"n": 12345678901234567890}, "c": true}\n{"a": [1e400, null]}\n'
    form = format_named("jsonl")
    described = form.describe(io.BytesIO(raw), "none", HERE, ("t",))
    assert [c.name for c in described.columns] == ["a", "b", "c"]
    assert form.rows(io.BytesIO(raw), "none") == 3
    back = [tuple(r.values()) for b in form.read(io.BytesIO(raw), described, "none") for r in b.to_pylist()]
    assert back == [
        ("1.50", "x", None),
        (None, '{"n":12345678901234567890}', "true"),
        ("[1e400,null]", None, None),
    ]


@pytest.mark.parametrize("raw", [b'{"a": 1', b"[1]\n", b'{"a": tru}\n'])
def test_broken_json(raw):
    with pytest.raises(CorruptFile):
        list(format_named("jsonl").read(io.BytesIO(raw), table(a=pa.int64()), "none"))
    with pytest.raises(SchemaDrift):
        list(format_named("jsonl").read(io.BytesIO(b'{"a": 1, "z": 2}\n'), table(a=pa.int64()), "none"))


def test_broken_csv_says_no_value():
    with pytest.raises(CorruptFile) as caught:
        list(format_named("csv").read(io.BytesIO(b'"a"\n"secret"\n'), table(a=pa.int64()), "none"))
    assert "secret" not in str(caught.value) + str(caught.value.__cause__)
    with pytest.raises(SchemaDrift):
        list(format_named("csv").read(io.BytesIO(b'"b"\n1\n'), table(a=pa.int64()), "none"))


def test_parquet_keeps_the_whole_table_and_bounds_its_row_groups():
    described = table(wide=pa.string(), few=pa.string(), n=pa.decimal128(9, 2))
    batch = pa.record_batch(
        [[f"{i:0500}" for i in range(9000)], ["ab"] * 9000, [Decimal(i) for i in range(9000)]],
        schema=described.schema,
    )
    stream = written("parquet", "zstd", described, [batch.slice(i, 500) for i in range(0, 9000, 500)])
    assert format_named("parquet").describe(stream, "zstd", Dataset("x", "y"), ("y",)) == described
    meta = pq.ParquetFile(stream).metadata
    assert meta.num_row_groups >= 4
    group = meta.row_group(0)
    assert sum(group.column(i).total_uncompressed_size for i in range(3)) < 1.2 * (1 << 20)
    dictionary = ["RLE_DICTIONARY" in group.column(i).encodings for i in range(3)]
    assert dictionary == [False, True, False]
    assert group.column(2).physical_type == "INT32"
    assert group.column(0).compression == "ZSTD"
    back = format_named("parquet").read(stream, described, "zstd", 4321, 3)
    assert [r["n"] for b in back for r in b.to_pylist()] == [Decimal(n) for n in (4321, 4322, 4323)]


def test_foreign_parquet_is_described_by_its_own_types():
    stream = io.BytesIO()
    pq.write_table(
        pa.table({
            "u": pa.array([2**64 - 1], pa.uint64()), "b": pa.array([200], pa.uint8()),
            "t": pa.array([1], pa.timestamp("ms", "Europe/Berlin")), "d": pa.array(["x"]).dictionary_encode(),
        }),
        stream,
    )  # fmt: skip
    form = format_named("parquet")
    described = form.describe(stream, "none", HERE, ("t",))
    assert [c.kind for c in described.columns] == [Kind.DECIMAL, Kind.INT16, Kind.TIMESTAMPTZ, Kind.TEXT]
    (batch,) = form.read(stream, described, "none")
    assert batch.schema.equals(described.schema)
    assert batch.column("u").to_pylist() == [Decimal(2**64 - 1)]
    nested = io.BytesIO()
    pq.write_table(pa.table({"l": [[1]]}), nested)
    with pytest.raises(UnsupportedType, match="column l"):
        form.describe(nested, "none", HERE, ("t",))


def test_not_parquet_at_all():
    with pytest.raises(CorruptFile):
        format_named("parquet").rows(io.BytesIO(b"PAR1 no"), "none")


@pytest.mark.parametrize("pressed", ["gzip", "zstd"])
def test_a_cut_stream_is_an_error(pressed):
    described = table(a=pa.string())
    stream = written(
        "csv",
        pressed,
        described,
        [pa.record_batch([[f"{i}" for i in range(50_000)]], schema=described.schema)],
    )
    raw = stream.getvalue()
    with pytest.raises(CorruptFile):
        list(format_named("csv").read(io.BytesIO(b"xx" + raw[2:]), described, pressed))


def test_json_text_is_exact_for_readers_that_know_only_floats():
    described = Table(
        HERE,
        ("t",),
        (
            Column("i", Kind.INT64, pa.int64()),
            Column("f", Kind.FLOAT64, pa.float64()),
            Column("d", Kind.DECIMAL, pa.decimal128(5, 2)),
            Column("b", Kind.BINARY, pa.binary()),
        ),
    )
    rows = [
        (2**53, 1.5, Decimal("1.50"), b"a"),
        (2**53 + 1, float("nan"), None, b""),
        (-(2**53) - 1, None, None, None),
    ]
    arrays = [pa.array([row[i] for row in rows], described.columns[i].type) for i in range(4)]
    stream = written(
        "jsonl", "none", described, [pa.RecordBatch.from_arrays(arrays, schema=described.schema)]
    )
    assert stream.getvalue().decode().splitlines() == [
        '{"i":9007199254740992,"f":1.5,"d":"1.50","b":"YQ=="}',
        '{"i":"9007199254740993","f":"NaN","d":null,"b":""}',
        '{"i":"-9007199254740993","f":null,"d":null,"b":null}',
    ]


def test_csv_text_quotes_strings_and_leaves_null_bare():
    described = table(t=pa.string(), n=pa.int32(), m=pa.timestamp("us", "UTC"))
    arrays = [
        pa.array(["", None, "a"]),
        pa.array([1, None, 2], pa.int32()),
        pa.array([0, None, 2**63 - 1]).cast(pa.timestamp("us", "UTC")),
    ]
    stream = written("csv", "none", described, [pa.RecordBatch.from_arrays(arrays, schema=described.schema)])
    assert stream.getvalue().decode().splitlines() == [
        '"t","n","m"',
        '"",1,"1970-01-01 00:00:00.000000Z"',
        ",,",
        '"a",2,"@9223372036854775807"',
    ]


class Lumps(Format):
    name = "lumps"
    suffix = ".lump"
    suffixes = (".tar.lmp",)

    def writer(self, stream, table, compression, group_bytes): ...

    def read(self, stream, table, compression, first=0, count=None, marks=None): ...

    def rows(self, stream, compression): ...

    def describe(self, stream, compression, dataset, path): ...


def test_a_plugins_format_is_told_by_the_end_of_a_name_and_grows_only_if_it_says_so(monkeypatch):
    assert format_of("a/x.lump.gz") is None
    monkeypatch.setattr(locator, "_known", {kind: dict(names) for kind, names in locator._known.items()})
    registry.register(Lumps)
    assert format_of("a/x.lump.gz") == ("lumps", "gzip") and format_of("X.TAR.LMP") == ("lumps", "none")
    assert format_names() == ["parquet", "csv", "jsonl", "arrow", "avro", "excel", "fixed", "lumps"]
    takes = {key.name: key.type for key in keys_of(FileSinkConfig)}
    assert takes["file_format"] == "parquet | csv | jsonl | arrow | lumps"
    assert FileSinkConfig(file_format="Lumps").file_format == "lumps"
    assert type(format_named("lumps", ";")) is Lumps and format_named("Lumps", ";").delimiter == ";"
    old = StagedFile("file:///x.lump", "lumps", 2, 1, hashlib.sha256(b"a\n").hexdigest())
    assert not begins_with(io.BytesIO(b"a\nb\n"), old)
    monkeypatch.setattr(Lumps, "grows_by_lines", True)
    assert begins_with(io.BytesIO(b"a\nb\n"), old)
    assert begins_with(io.BytesIO(b"a\nb\n"), replace(old, uri="file:///x.csv"))
