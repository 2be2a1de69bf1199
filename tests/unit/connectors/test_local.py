"""Staging in a directory: exactly one winner, nothing damaged, nothing left behind."""

import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from hdm import failpoints
from hdm.arrow.batches import row_digests
from hdm.connectors.local import FSChunkSource, FSSink, FSSource
from hdm.errors import BrokenContract, CorruptFile, LeaseLost, TransientError, UsageError
from hdm.model import Attempt, Chunk, Column, Dataset, Kind, Mode, Payload, Table, Window
from tests.unit import awkward

APPEND, REPLACE = Mode.APPEND, Mode.REPLACE
FORMATS = [(f, c) for f in ("parquet", "csv", "jsonl") for c in ("none", "gzip", "zstd")]
SMALL = Table(
    Dataset("postgres://h", "shop.public.orders"),
    ("shop", "public", "orders"),
    (Column("id", Kind.INT64, pa.int64(), False), Column("note", Kind.TEXT, pa.string())),
)


def batch(low, high):
    return pa.record_batch(
        [list(range(low, high)), [f"n{i}" if i % 3 else None for i in range(low, high)]], schema=SMALL.schema
    )


def payload(*batches, table=SMALL):
    return Payload(table, lambda: iter(batches))


def chunk(number=0, table=SMALL, **changes):
    return Chunk("job", table.dataset, number, snapshot=str(number), schema_sha=table.schema_sha, **changes)


@pytest.fixture
def make(tmp_path):
    """A sink over the test's directory."""

    def sink(name="fs_stg", **config):
        return FSSink(FSSink.Config(directory=str(tmp_path / "stage"), **config), name=name)

    return sink


def source(tmp_path, cls=FSSource, **config):
    return cls(cls.Config(directory=str(tmp_path / "stage"), **config), name="src")


def stage(sink, *batches, one=None, attempt=1, table=SMALL, mode=APPEND):
    one = one or chunk(table=table)
    sink.prepare(table, one.job_key, one.epoch, mode)
    receipt = sink.write(table, one, Attempt(attempt), payload(*batches, table=table), mode)
    return sink.publish(table, one, receipt)


def rows(reader, table, chunks):
    return [r for c in chunks for b in reader.read(table, c).batches() for r in b.to_pylist()]


def found(tmp_path, pattern="*"):
    return sorted(p.name for p in (tmp_path / "stage").rglob(pattern) if p.is_file())


@pytest.mark.parametrize(("form", "pressed"), FORMATS)
@pytest.mark.slow
def test_awkward_rows_survive_staging_and_splitting(make, tmp_path, form, pressed):
    sink, whole = make(file_format=form, compression=pressed), awkward.batch()
    receipt = stage(sink, whole.slice(0, 11), whole.slice(11), table=awkward.TABLE)
    assert (receipt.rows, len(receipt.files)) == (whole.num_rows, 1)
    assert receipt.files[0].format == form
    reader = source(tmp_path)
    table = reader.describe()
    assert table == sink.target(awkward.TABLE)
    assert table.path == awkward.TABLE.path
    assert table.columns == awkward.TABLE.columns
    chunks = list(reader.split(table, Window(), "next", None))
    back = [d for c in chunks for b in reader.read(table, c).batches() for d in row_digests(b)]
    assert back == row_digests(whole)
    cutter = source(tmp_path, FSChunkSource, chunk=7)
    pieces = list(cutter.follow(table, receipt, "next"))
    assert [p.row_count for p in pieces] == [7] * (whole.num_rows // 7) + [whole.num_rows % 7]
    back = [d for c in pieces[::-1] for b in cutter.read(table, c).batches() for d in row_digests(b)]
    assert Counter(back) == Counter(row_digests(whole))


def test_names_come_from_hashes(make, tmp_path):
    hostile = replace(SMALL, dataset=Dataset("x", "../../etc"), path=("..", "/etc", "pass\x00wd ü"))
    stage(make(name="../a b"), batch(0, 3), one=chunk(table=hostile), table=hostile)
    paths = [p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file()]
    assert len(paths) == 3
    assert all(p.parts[0] == "stage" and len(p.parts) == 4 for p in paths)
    assert all(part.isascii() and ".." not in part and " " not in part for p in paths for part in p.parts)
    assert make(name="../a b").dataset(hostile).namespace == "file"


def test_files_are_announced_before_they_exist_and_named_by_attempt(make, tmp_path):
    sink, told = make(split={"rows": 4}), []

    def will_write(uri, form):
        told.append((uri, form))
        assert not Path(sink.store.path(sink.store.key(uri))).exists()
        assert len(found(tmp_path, "*.parquet*")) == len(told) - 1

    one = chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipt = sink.write(SMALL, one, Attempt(7, will_write=will_write), payload(batch(0, 10)), APPEND)
    assert [f.uri for f in receipt.files] == [uri for uri, _ in told]
    assert [f.rows for f in receipt.files] == [4, 4, 2]
    assert [Path(uri).name for uri, _ in told] == [f"{one.chunk_id[:24]}.7.{n}.parquet" for n in range(3)]


def test_nothing_counts_before_publish(make, tmp_path):
    sink, one = make(), chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipt = sink.write(SMALL, one, Attempt(1), payload(batch(0, 5)), APPEND)
    reader = source(tmp_path)
    assert sink.committed(SMALL, one, APPEND) is None
    assert list(sink.ledger(SMALL, "job")) == []
    assert list(reader.split(reader.describe(), Window(), "next", None)) == []
    assert sink.publish(SMALL, one, receipt) == receipt
    assert sink.publish(SMALL, one, receipt) == receipt
    assert sink.committed(SMALL, one, APPEND) == receipt
    assert list(sink.ledger(SMALL, "job")) == [(one, receipt)]
    assert list(sink.ledger(SMALL, "other job")) == []
    assert len(list(reader.split(reader.describe(), Window(), "next", None))) == 1


def test_of_two_attempts_one_wins_and_the_other_vanishes(make, tmp_path):
    sink, one = make(), chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipts = [sink.write(SMALL, one, Attempt(n), payload(batch(0, 5)), APPEND) for n in (1, 2)]
    gate, done = threading.Barrier(2), []

    def publish(receipt):
        gate.wait()
        done.append(sink.publish(SMALL, one, receipt))

    threads = [threading.Thread(target=publish, args=(r,)) for r in receipts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.adopted for r in done) == [False, True]
    assert len({r.files for r in done}) == 1
    assert {r.attempt for r in done} == {1, 2}
    assert len(found(tmp_path, "*.parquet")) == 1
    third = sink.write(SMALL, one, Attempt(3), payload(batch(0, 5)), APPEND)
    assert (third.adopted, third.attempt, third.files) == (True, 3, done[0].files)
    assert len(found(tmp_path, "*.parquet")) == 1


def test_discard_touches_one_dead_attempt_only(make, tmp_path):
    sink, one, other = make(), chunk(), chunk(1)
    stage(sink, batch(0, 5), one=one, attempt=1)
    for number in (2, 12, 21):
        stray = sink.store.scratch(sink.store.key(sink.committed(SMALL, one, APPEND).files[0].uri))
        stray = stray.with_name(f"{one.chunk_id[:24]}.{number}.0.parquet")
        stray.write_bytes(b"dead")
        stray.with_name(stray.name + ".tmp").write_bytes(b"dead")
    stage(sink, batch(5, 9), one=other, attempt=2)
    for _ in range(2):
        sink.discard(SMALL, one, 2)
    left = found(tmp_path, "*parquet*")
    assert not [name for name in left if name.startswith(f"{one.chunk_id[:24]}.2.")]
    assert len(left) == 2 + 4
    sink.discard(SMALL, one, 1)
    sink.discard(SMALL, other, 2)
    assert sink.committed(SMALL, one, APPEND).rows == 5
    assert sink.committed(SMALL, other, APPEND).rows == 4


def test_an_exploding_stream_leaves_nothing(make, tmp_path):
    sink = make(split={"rows": 2})

    def explode():
        yield batch(0, 5)
        raise RuntimeError("boom")

    sink.prepare(SMALL, "job", 1, APPEND)
    before = found(tmp_path)
    with pytest.raises(RuntimeError):
        sink.write(SMALL, chunk(), Attempt(1), Payload(SMALL, explode), APPEND)
    assert found(tmp_path) == before

    def lost():
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        sink.write(SMALL, chunk(), Attempt(1, check=lost), payload(batch(0, 5)), APPEND)
    assert found(tmp_path) == before


def test_the_same_attempt_may_write_again(make, tmp_path):
    sink, one = make(), chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    first = sink.write(SMALL, one, Attempt(1), payload(batch(0, 5)), APPEND)
    Path(sink.store.path(sink.store.key(first.files[0].uri)).as_posix() + ".tmp").write_bytes(b"torn")
    second = sink.write(SMALL, one, Attempt(1), payload(batch(0, 6)), APPEND)
    assert sink.publish(SMALL, one, second).rows == 6
    assert len(found(tmp_path, "*.parquet*")) == 1


def test_no_rows_make_no_file_but_a_receipt(make, tmp_path):
    receipt = stage(make(), batch(0, 0))
    assert (receipt.rows, receipt.files) == (0, ())
    assert make().committed(SMALL, chunk(), APPEND) == receipt
    reader = source(tmp_path)
    assert list(reader.follow(reader.describe(), receipt, "next")) == []


def test_no_columns_are_refused(make):
    with pytest.raises(UsageError, match="no columns"):
        make().prepare(replace(SMALL, columns=()), "job", 1, APPEND)


def test_replace_shows_the_newest_finished_epoch_only(make, tmp_path):
    sink, reader = make(), source(tmp_path)

    def ids():
        table = reader.describe()
        return sorted(r["id"] for r in rows(reader, table, reader.split(table, Window(), "next", None)))

    for epoch, low in ((1, 0), (2, 100), (10, 200)):
        stage(sink, batch(low, low + 3), one=chunk(epoch=epoch), mode=REPLACE)
        assert ids() == ([] if epoch == 1 else [low - 100, low - 99, low - 98])
        for _ in range(2):
            sink.finish(SMALL, "job", epoch, REPLACE)
        assert ids() == [low, low + 1, low + 2]
    assert len(list(sink.ledger(SMALL, "job"))) == 3


def test_whole_files_travel_as_bytes(make, tmp_path):
    first, second = make(), make(name="second")
    receipt = stage(first, batch(0, 9))
    reader = source(tmp_path, FSChunkSource, chunk=9)
    table = first.target(SMALL)
    (one,) = reader.follow(table, receipt, "next")
    assert one.upstream == receipt.chunk_id
    assert second.file_names(table, "next", APPEND).first(one, 1) is None, (
        "its ending is that of the file that is passed on"
    )
    given = reader.read(table, one)
    decoded = []
    watched = Payload(table, lambda: decoded.append(1) or given.batches(), files=given.files, open=given.open)
    second.prepare(table, "next", 1, APPEND)
    copied = second.publish(table, one, second.write(table, one, Attempt(1), watched, APPEND))
    assert [(f.sha256, f.bytes, f.rows) for f in copied.files] == [
        (f.sha256, f.bytes, f.rows) for f in receipt.files
    ]
    assert copied.files[0].uri != receipt.files[0].uri
    assert not decoded


@pytest.mark.parametrize("config", [{"file_format": "csv"}, {"split": {"rows": 4}}, {"split": {"bytes": 10}}])
def test_bytes_are_decoded_where_the_sink_wants_other_files(make, tmp_path, config):
    receipt = stage(make(), batch(0, 9))
    reader, table, second = source(tmp_path), make().target(SMALL), make(name="second", **config)
    (one,) = reader.follow(table, receipt, "next")
    second.prepare(table, "next", 1, APPEND)
    copied = second.publish(table, one, second.write(table, one, Attempt(1), reader.read(table, one), APPEND))
    assert copied.rows == 9
    last = source(tmp_path, table_name=second.dataset(table).name)
    assert last.describe().columns == SMALL.columns
    assert [r["id"] for r in rows(last, table, last.follow(table, copied, "end"))] == list(range(9))


def _damage(path, how):
    raw = path.read_bytes()
    if how == "flip":
        middle = len(raw) // 2
        raw = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
    elif how == "zero":
        raw = raw[: len(raw) // 2].ljust(len(raw), b"\0")
    else:
        raw = raw[: len(raw) * how // 8]
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("form", "pressed"), [("parquet", "zstd"), ("csv", "none"), ("csv", "gzip"), ("jsonl", "zstd")]
)
@pytest.mark.parametrize("how", [*range(8), "flip", "zero"])
def test_damage_is_seen_before_a_row_is(make, tmp_path, form, pressed, how):
    sink = make(file_format=form, compression=pressed)
    receipt = stage(sink, batch(0, 500))
    table, file = sink.target(SMALL), receipt.files[0]
    _damage(sink.store.path(sink.store.key(file.uri)), how)
    for reader in (source(tmp_path), source(tmp_path, FSChunkSource, chunk=100)):
        for one in reader.follow(table, receipt, "next"):
            with pytest.raises(CorruptFile):
                next(reader.read(table, one).batches())
    second = make(name="second", file_format=form, compression=pressed)
    (one,) = source(tmp_path).follow(table, receipt, "next")
    second.prepare(table, "next", 1, APPEND)
    with pytest.raises(CorruptFile):
        second.write(table, one, Attempt(1), source(tmp_path).read(table, one), APPEND)
    assert not list((tmp_path / "stage" / "second").rglob(f"*.{form}*"))


def test_damage_after_a_first_piece_is_seen(make, tmp_path):
    sink = make(file_format="csv")
    receipt = stage(sink, batch(0, 500))
    table, reader = sink.target(SMALL), source(tmp_path, FSChunkSource, chunk=100)
    pieces = list(reader.follow(table, receipt, "next"))
    assert len(rows(reader, table, pieces[:2])) == 200
    _damage(sink.store.path(sink.store.key(receipt.files[0].uri)), "flip")
    with pytest.raises(CorruptFile):
        rows(reader, table, pieces[2:])


def test_swapped_and_missing_files_are_seen(make, tmp_path):
    sink = make()
    one, two = (stage(sink, batch(n, n + 50), one=chunk(n)) for n in (0, 100))
    paths = [sink.store.path(sink.store.key(r.files[0].uri)) for r in (one, two)]
    shutil.copy(paths[0], tmp_path / "x")
    shutil.copy(paths[1], paths[0])
    shutil.copy(tmp_path / "x", paths[1])
    reader, table = source(tmp_path), sink.target(SMALL)
    for receipt in (one, two):
        with pytest.raises(CorruptFile):
            rows(reader, table, reader.follow(table, receipt, "next"))
    paths[0].write_bytes(b"short")
    with pytest.raises(CorruptFile, match="bytes"):
        sink.committed(SMALL, chunk(0), APPEND)
    paths[0].unlink()
    with pytest.raises(CorruptFile, match="gone"):
        sink.committed(SMALL, chunk(0), APPEND)
    with pytest.raises(CorruptFile, match="gone"):
        rows(reader, table, reader.follow(table, one, "next"))
    with pytest.raises(CorruptFile, match="is gone, though"):
        list(reader.split(table, Window(), "next", None))
    lenient = source(tmp_path, others_delete=True)
    assert [c.files for c in lenient.split(table, Window(), "next", None)] == [two.files]


def test_a_file_must_hold_the_rows_that_were_staged(make, tmp_path):
    receipt = stage(make(), batch(0, 5))
    reader, table = source(tmp_path), make().target(SMALL)
    for rows_said in (4, 6):
        wrong = replace(receipt, files=(replace(receipt.files[0], rows=rows_said),))
        with pytest.raises(CorruptFile, match=f"5 of {rows_said} rows"):
            rows(reader, table, reader.follow(table, wrong, "next"))


def test_a_damaged_manifest_is_seen(make, tmp_path):
    sink = make()
    stage(sink, batch(0, 5))
    (path,) = (tmp_path / "stage").rglob("*.manifest.json")
    for raw in (path.read_bytes().replace(b'rows\\\\\\":5', b'rows\\\\\\":6'), b"", b"[]", b"null"):
        path.write_bytes(raw)
        with pytest.raises(CorruptFile, match="damaged"):
            sink.committed(SMALL, chunk(), APPEND)


def test_a_receipt_whose_files_are_gone_is_not_published(make, tmp_path):
    sink, one = make(), chunk()
    sink.prepare(SMALL, "job", 1, APPEND)
    receipt = sink.write(SMALL, one, Attempt(1), payload(batch(0, 5)), APPEND)
    sink.discard(SMALL, one, 1)
    with pytest.raises(CorruptFile):
        sink.publish(SMALL, one, receipt)
    assert sink.committed(SMALL, one, APPEND) is None
    with pytest.raises(BrokenContract):
        make(name="other").publish(SMALL, one, receipt)


def test_remove_takes_unfinished_files_too(make):
    sink = make()
    receipt = stage(sink, batch(0, 5))
    uri = receipt.files[0].uri
    scratch = sink.store.scratch(sink.store.key(uri))
    scratch.write_bytes(b"x")
    assert sink.remove(uri)
    assert not scratch.exists()
    assert not sink.remove(uri)
    with pytest.raises(UsageError):
        sink.remove("file:///etc/passwd")


def test_a_full_disk_leaves_nothing(make, tmp_path):
    sink = make(min_free=0)
    sink.prepare(SMALL, "job", 1, APPEND)
    before = found(tmp_path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limit[1]))
    try:
        with pytest.raises(TransientError, match="no room"):
            sink.write(SMALL, chunk(), Attempt(1), payload(batch(0, 50_000)), APPEND)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert found(tmp_path) == before
    with pytest.raises(TransientError, match="floor"):
        make(min_free=2**62).write(SMALL, chunk(), Attempt(1), payload(batch(0, 5)), APPEND)


def _killed_at(folder, point, nth, told):
    """In a forked child, whose failpoint it is: the tests' own process goes on."""
    os.environ["HDM_FAILPOINT"] = f"{point}:{nth}:kill"
    failpoints.arm()
    sink = FSSink(FSSink.Config(directory=str(folder), split={"rows": 4}), name="fs_stg")
    sink.prepare(SMALL, "job", 1, APPEND)
    attempt = Attempt(1, will_write=lambda uri, form: os.write(told, f"{uri}\n".encode()))
    sink.write(SMALL, chunk(), attempt, payload(batch(0, 10)), APPEND)


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", ["C2", "C3", "C4", "C5", "C6"])
def test_what_a_kill_leaves_was_announced_and_is_cleaned_up(make, tmp_path, point, nth):
    heard, told = os.pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_killed_at, args=(tmp_path / "stage", point, nth, told)
    )
    child.start()
    os.close(told)
    with open(heard, encoding="utf-8") as stream:
        uris = stream.read().split()
    child.join(60)
    assert child.exitcode == -9
    sink = make()
    announced = {sink.store.key(uri) for uri in uris}
    left = {stat.key.removesuffix(".tmp") for stat in sink.store.list("", scratch=True)}
    assert {key for key in left if ".parquet" in key} <= announced
    assert sink.committed(SMALL, chunk(), APPEND) is None
    for uri in uris:
        sink.remove(uri)
    assert [name for name in found(tmp_path) if not name.startswith("_hdm_table")] == []
    assert stage(sink, batch(0, 10), attempt=2).rows == 10


@pytest.mark.parametrize("point", ["C3", "C4", "C5"])
def test_a_disk_that_fills_up_is_told_from_a_source_that_breaks(make, tmp_path, point, monkeypatch):
    monkeypatch.setattr(failpoints, "_points", {point: [(failpoints._passes.get(point, 0) + 1, "enospc")]})
    sink = make()
    sink.prepare(SMALL, "job", 1, APPEND)
    before = found(tmp_path)
    with pytest.raises(TransientError, match="no room"):
        sink.write(SMALL, chunk(), Attempt(1), payload(batch(0, 5)), APPEND)
    assert found(tmp_path) == before

    def breaks():
        yield batch(0, 5)
        raise ConnectionResetError("peer")

    with pytest.raises(ConnectionResetError):
        sink.write(SMALL, chunk(), Attempt(2), Payload(SMALL, breaks), APPEND)
    assert found(tmp_path) == before


def test_foreign_files_are_found_by_name(tmp_path):
    root = tmp_path / "stage"
    (root / "orders").mkdir(parents=True)
    (root / "users.csv").write_bytes(b"id,name\n007,\n8,x\n")
    for part in (1, 2):
        pq.write_table(pa.table({"id": [part]}), root / "orders" / f"{part}.parquet")
    (root / "notes.txt").write_bytes(b"no data")
    reader = source(tmp_path)
    assert [t.path for t in reader.tables()] == [("orders",), ("users",)]
    with pytest.raises(UsageError, match="orders, users"):
        reader.describe()
    users = source(tmp_path, table_name="users")
    table = users.describe()
    chunks = list(users.split(table, Window(), "job", None))
    assert rows(users, table, chunks) == [{"id": "007", "name": None}, {"id": "8", "name": "x"}]
    assert [c.chunk_id for c in users.split(table, Window(), "job", None)] == [c.chunk_id for c in chunks]
    (root / "users.csv").write_bytes(b"id,name\n007,\n9,x\n")
    assert [c.chunk_id for c in users.split(table, Window(), "job", None)] != [c.chunk_id for c in chunks]
    orders = source(tmp_path, FSChunkSource, file_format="parquet")
    table = orders.describe()
    assert rows(orders, table, orders.split(table, Window(), "job", None)) == [{"id": 1}, {"id": 2}]
    globbed = source(tmp_path, pattern="orders/*1.parquet", table_name="ones")
    assert len(list(globbed.split(globbed.describe(), Window(), "job", None))) == 1
    with pytest.raises(UsageError, match="finds nothing to read, though there are files: notes"):
        source(tmp_path, table_name="nobody").describe()


def test_the_originals_configuration_is_taken(tmp_path):
    assert source(tmp_path, FSChunkSource, chunk=200).bound.rows == 200
    cutter = source(tmp_path, FSChunkSource, chunk={"rows": 10, "bytes": 100})
    assert cutter.bound.bytes == 100
    FSSink.Config(directory="/x", env="dev")
    for wrong in (
        {},
        {"directory": ""},
        {"directory": "x", "file_format": "xls"},
        {"directory": "x", "z": 1},
    ):
        with pytest.raises(ValidationError):
            FSSink.Config(**wrong)
    with pytest.raises(ValidationError):
        FSChunkSource.Config(directory="x", chunk=0)


def test_chunks_by_bytes(make, tmp_path):
    receipt = stage(make(file_format="csv"), batch(0, 1000))
    cutter = source(tmp_path, FSChunkSource, chunk={"bytes": receipt.bytes // 4})
    assert len(list(cutter.follow(SMALL, receipt, "next"))) in (4, 5)


@pytest.mark.parametrize("kind", [FSSource, FSChunkSource, FSSink])
def test_no_directory_holds_a_nul(kind):
    with pytest.raises(ValidationError, match="holds a NUL character"):
        kind.Config.model_validate({"directory": "/x\0y"})


def test_probe(make):
    assert make().probe()[0][:2] == ("directory", True)


_STAGE = """
import sys
from hdm.cli.run import bound_memory
from hdm.connectors.dummy import DummySource
from hdm.connectors.local import FSSink, FSSource
from hdm.model import Attempt, Mode, Window
bound_memory()  # as the commands that move rows do
rows, width, form, where = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
made = DummySource(DummySource.Config(rows=rows, bytes_per_row=width, chunk=rows))
table = made.describe()
sink = FSSink(FSSink.Config(directory=where, file_format=form), name="s")
sink.prepare(table, "j", 1, Mode.APPEND)
chunk = next(made.split(table, Window(), "j", None))
receipt = sink.write(table, chunk, Attempt(1), made.read(table, chunk), Mode.APPEND)
receipt = sink.publish(table, chunk, receipt)
reader = FSSource(FSSource.Config(directory=where), name="r")
table = sink.target(table)
seen = sum(b.num_rows for c in reader.follow(table, receipt, "k") for b in reader.read(table, c).batches())
assert seen == rows == receipt.rows
# Not ru_maxrss: that begins with what the process had that started this one.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def _peak(tmp_path, rows, width, form):
    where = tmp_path / f"{rows}-{form}"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _STAGE, str(rows), str(width), form, str(where)]
    return int(subprocess.run(command, check=True, capture_output=True, env=env).stdout)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(
    ("form", "few", "width"), [("parquet", 100_000, 600), ("csv", 50_000, 600), ("jsonl", 50_000, 600)]
)
def test_memory_does_not_grow_with_the_table(tmp_path, form, few, width):
    small = _peak(tmp_path, few, width, form)
    large = _peak(tmp_path, 10 * few, width, form)
    assert large < 1.2 * small


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(("form", "most"), [("parquet", 450_000), ("csv", 310_000)])
def test_rows_of_20_mb_pass(tmp_path, form, most):
    """48 rows are 960 MB; what a few of them take, several times over, is all that is held. Of CSV, whose
    rows are Python's own bytes, malloc would keep 70 MB more if it might move its threshold."""
    assert _peak(tmp_path, 48, 20_000_000, form) < most
