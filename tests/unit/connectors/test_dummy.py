import pyarrow as pa
import pytest
from pydantic import ValidationError

from hdm.connectors.dummy import DummySink, DummySource
from hdm.model import Attempt, Chunk, Kind, Mode, Window


def source(**config):
    return DummySource(DummySource.Config(**config), name="made_up")


def rows(one, window=Window()):  # noqa: B008 - immutable
    table = one.describe()
    chunks = list(one.split(table, window, "job", None))
    return chunks, [b for c in chunks for b in one.read(table, c).batches()]


def test_rows_depend_on_number_and_seed_alone():
    _, whole = rows(source(rows=5000, columns=9, bytes_per_row=300))
    chunks, parts = rows(source(rows=5000, columns=9, bytes_per_row=300, chunk=700))
    assert [c.estimate_rows for c in chunks] == [700] * 7 + [100]
    assert len({c.chunk_id for c in chunks}) == 8
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches(whole))
    _, other = rows(source(rows=5000, columns=9, bytes_per_row=300, seed=1))
    assert not pa.Table.from_batches(other).equals(pa.Table.from_batches(whole))


def test_shape_follows_the_configuration():
    one = source(rows=1000, columns=4, bytes_per_row=10_000, table_name="shop.big")
    table = one.describe()
    assert table.path == ("shop", "big")
    assert [c.kind for c in table.columns] == [Kind.INT64, Kind.INT32, Kind.TEXT, Kind.DECIMAL]
    assert (table.key, table.cursor, table.rows) == (("id",), "id", 1000)
    _, batches = rows(one)
    assert all(b.schema.equals(table.schema) for b in batches)
    assert 9_000 < sum(b.nbytes for b in batches) / 1000 < 11_000
    assert all(b.column(1).null_count for b in batches)


def test_chunks_by_bytes_window_and_nothing():
    assert len(rows(source(rows=1000, bytes_per_row=100, chunk={"bytes": 10_000}))[0]) == 10
    assert source().window() == Window("id")
    chunks, batches = rows(source(rows=1000), Window("id", after="989", rows_per_chunk=4))
    assert [c.upto for c in chunks] == ["993", "997", "999"]
    assert [i for b in batches for i in b.column(0).to_pylist()] == list(range(990, 1000))
    assert rows(source(rows=0)) == ([], [])


@pytest.mark.slow
def test_wide_rows_come_in_small_batches():
    _, batches = rows(source(rows=3, columns=3, bytes_per_row=20_000_000))
    assert [b.num_rows for b in batches] == [1, 1, 1]


def test_anything_goes_under_dummy_and_nothing_else():
    with pytest.deprecated_call():
        assert source(dummy={"a": [1]}).config.dummy == {"a": [1]}
    with pytest.raises(ValidationError):
        source(other=1)


def test_sink_counts_and_claims_nothing():
    one, sink = source(rows=250), DummySink(DummySink.Config(dummy="x"), name="nowhere")
    table = one.describe()
    chunk = next(one.split(table, Window(), "job", None))
    checks = []
    attempt = Attempt(3, check=lambda: checks.append(1))
    receipt = sink.write(table, chunk, attempt, one.read(table, chunk), Mode.APPEND)
    assert (receipt.rows, receipt.attempt, receipt.chunk_id) == (250, 3, chunk.chunk_id)
    assert receipt.bytes > 0
    assert checks
    again = sink.write(table, chunk, attempt, one.read(table, chunk), Mode.APPEND)
    assert again == receipt
    assert sink.committed(table, chunk, Mode.APPEND) is None
    assert list(sink.ledger(table, "job")) == []
    assert sink.target(table).columns == table.columns
    assert sink.modes == frozenset(Mode) - {Mode.SYNC}
    assert isinstance(chunk, Chunk)
