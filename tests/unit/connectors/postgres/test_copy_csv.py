"""COPY's CSV to Arrow and back: NULL, '' and every odd mark keep apart, block by block."""

import decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hdm.connectors.postgres.copy_csv import CsvDecoder, CsvEncoder
from hdm.dialects import dialect
from hdm.errors import UnrepresentableValue

PG = dialect("postgres")
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


def columns(*natives):
    return [PG.column_from_catalog(f"c{n}", native) for n, native in enumerate(natives)]


def decode(raw, *natives):
    return [tuple(row.values()) for row in CsvDecoder(columns(*natives)).decode(raw).to_pylist()]


def test_a_byte_order_mark_at_a_blocks_start_is_data():
    assert decode("\ufeffa,1\n".encode(), "text", "integer") == [("\ufeffa", 1)]
    assert decode('"\ufeff",1\n'.encode(), "text", "integer") == [("\ufeff", 1)]


def test_null_and_empty():
    assert decode(b',"",\n"",,1\n', "text", "text", "integer") == [(None, "", None), ("", None, 1)]
    assert decode(b'\n""\n\n', "text") == [(None,), ("",), (None,)]


def test_a_memoryview_is_a_block_too():
    assert decode(memoryview(b"t,1\n"), "boolean", "smallint") == [(True, 1)]


def test_one_odd_value_does_not_change_its_neighbours():
    raw = b"1.50,0.1,t,2024-01-01,NaN\n2.50,Infinity,f,infinity,1e5\n,,,,\n"
    batch = CsvDecoder(columns("numeric(5,2)", "double precision", "boolean", "date", "real")).decode(raw)
    assert batch.column(0).to_pylist() == [decimal.Decimal("1.50"), decimal.Decimal("2.50"), None]
    assert batch.column(1).to_pylist() == [0.1, float("inf"), None]
    assert batch.column(2).to_pylist() == [True, False, None]
    assert batch.column(3).cast(pa.int32()).to_pylist() == [19723, 2**31 - 1, None]
    assert batch.column(4).to_pylist()[1:] == [100000.0, None]


def test_what_does_not_fit_is_named_without_its_value():
    with pytest.raises(UnrepresentableValue, match="column c1") as caught:
        decode(b"1,24:00:00\n", "integer", "time without time zone")
    assert "24:00" not in str(caught.value)
    assert caught.value.__cause__ is None


ROWS = st.tuples(st.none() | TEXT, st.none() | st.binary(max_size=6), st.none() | st.integers(-9, 9))


@given(st.lists(ROWS, min_size=1))
@pytest.mark.slow
def test_round_trip(rows):
    made = columns("text", "bytea", "bigint")
    schema = pa.schema([pa.field(c.name, c.type) for c in made])
    by_column = zip(*rows, strict=True)
    arrays = [pa.array(values, kind) for values, kind in zip(by_column, schema.types, strict=True)]
    blocks = list(CsvEncoder().encode(pa.RecordBatch.from_arrays(arrays, schema=schema)))
    back = CsvDecoder(made).decode(b"".join(bytes(block) for block in blocks))
    assert [tuple(row.values()) for row in back.to_pylist()] == rows


@given(st.lists(st.floats(width=64), min_size=1), st.lists(st.floats(width=32), min_size=1))
@pytest.mark.slow
def test_floats_round_trip(doubles, singles):
    for values, native in ((doubles, "double precision"), (singles, "real")):
        (column,) = columns(native)
        batch = pa.RecordBatch.from_arrays([pa.array(values, column.type)], names=["c0"])
        raw = b"".join(bytes(block) for block in CsvEncoder().encode(batch))
        back = CsvDecoder([column]).decode(raw).column(0)
        assert repr(back.to_pylist()) == repr(batch.column(0).to_pylist())


def test_blocks_hold_whole_rows_and_are_bounded():
    wide = pa.RecordBatch.from_arrays([pa.array(["x" * 3_000_000] * 4)], names=["c0"])
    assert [len(block) for block in CsvEncoder().encode(wide)] == [3_000_003] * 4
