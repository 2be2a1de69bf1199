"""One chunk's path through a link: from where it stands to verified, or not a step further."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from hdm.arrow.batches import KnownRows, row_digests
from hdm.components.row_checks import NotNull
from hdm.components.sink import Sink
from hdm.errors import BrokenContract, CheckFailed, Drained, LeaseLost
from hdm.model import Attempt, Column, Condition, Kind, Payload, Receipt, StagedFile
from hdm.runtime.link import DataLink
from hdm.sql.table_checks import RowCount
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, batch, words

FILE = StagedFile("shelf:a", "parquet", 9, 2, "a" * 64)


def go(run: Run, link: DataLink, lease=None, **options):
    lease = lease or run.claim()
    return lease, run.move(lease, Attempt(lease.attempt, run.worker_id, **options), link)


def started(run: Run, rows=None, **options) -> tuple[DataLink, Listed, Shelf]:
    source, sink = Listed(rows if rows is not None else words(2)), Shelf()
    link = run.add(source, sink, **options)
    run.planned()
    return link, source, sink


def counts(run: Run, chunk_id: str) -> tuple:
    names = "rows_extracted, rows_loaded, rows_filtered"
    return run.query(f"SELECT {names} FROM hdm_chunk WHERE chunk_id = :id", id=chunk_id)[0]


def test_a_pending_chunk_is_written_published_compared_committed_in_that_order(run):
    link, _, sink = started(run)
    seen = []
    for step in ("write", "publish", "committed"):
        sink.before[step] = lambda chunk, *rest, step=step: seen.append((step, run.status(chunk.chunk_id)))
    lease, receipt = go(run, link)
    assert seen == [
        ("committed", "leased"),
        ("write", "leased"),
        ("publish", "written"),
        ("committed", "written"),
    ]
    assert run.status(lease.chunk_id) == "verified"
    assert (receipt.rows, receipt.extracted, sink.ids) == (2, 2, [0, 1])
    assert counts(run, lease.chunk_id) == (2, 2, 0)


def test_an_attempt_ends_when_the_chunk_is_visible_and_leaves_the_commit_to_its_caller(run):
    link, _, sink = started(run)
    lease = run.claim()
    done = link.attempt(lease, Attempt(1, run.worker_id), run.state)
    assert (sink.ids, run.status(lease.chunk_id)) == ([0, 1], "written")
    assert (done.receipt.rows, done.target_rows, list(done.checks)) == (2, 2, [])


def test_what_the_target_holds_already_is_adopted_and_not_read_again(run):
    link, source, sink = started(run)
    first = run.claim()  # whose worker died after the target's commit and before the state's
    known = Receipt(first.chunk_id, 1, 2, 9, extracted=2)
    sink.shown[first.chunk_id] = (first.chunk, known, [{"id": 0}, {"id": 1}])
    run.expire(first)
    published = []
    sink.before["publish"] = lambda chunk, receipt: published.append(receipt)
    lease, _ = go(run, link)
    assert (source.reads, "write" in sink.calls) == ([], False)
    assert published == [replace(known, attempt=2, adopted=True)]
    assert run.status(lease.chunk_id) == "verified"
    assert run.query("SELECT rows_loaded, rows_extracted FROM hdm_chunk") == [(2, 2)]


def test_a_written_receipt_is_published_again_without_reading(run):
    link, source, sink = started(run)
    first = run.claim()
    sink.before["publish"] = lambda *_: (_ for _ in ()).throw(ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        go(run, link, first)
    assert run.status(first.chunk_id) == "written"
    sink.before.clear()
    run.state.chunks.release(first)
    lease, receipt = go(run, link)
    assert (lease.receipt is not None, lease.attempt, receipt.attempt) == (True, 2, 1)
    assert len(source.reads) == 1
    assert sink.calls.count("write") == 1
    assert (sink.ids, run.status(lease.chunk_id)) == ([0, 1], "verified")


def test_a_lease_lost_between_write_and_the_record_publishes_nothing(run):
    link, _, sink = started(run)
    lease = run.claim()

    def another_takes_it(*_):
        run.expire(lease)
        run.claim(run.new_worker())

    sink.before["wrote"] = another_takes_it
    with pytest.raises(LeaseLost):
        go(run, link, lease)
    assert "publish" not in sink.calls
    assert sink.shown == {}
    assert run.status(lease.chunk_id) == "leased"
    assert "lease.lost" in run.events(lease.chunk_id)


def test_a_lease_that_ran_out_between_the_record_and_publish_publishes_nothing(run):
    link, _, sink = started(run)
    lease = run.claim()

    def check():
        if run.status(lease.chunk_id) == "written":
            raise LeaseLost("ran out")

    with pytest.raises(LeaseLost):
        go(run, link, lease, check=check)
    assert "publish" not in sink.calls
    assert run.status(lease.chunk_id) == "written"


def test_a_lease_lost_during_publish_commits_nothing_of_its_own(run):
    link, _, sink = started(run)
    lease = run.claim()
    other = []

    def another_finishes(chunk, receipt):
        if not other:
            run.expire(lease)
            other.append(run.claim(run.new_worker()))
            go(run, link, other[0])

    sink.before["publish"] = another_finishes
    with pytest.raises(LeaseLost):
        go(run, link, lease)
    assert sink.ids == [0, 1]
    assert run.query("SELECT status, attempt FROM hdm_chunk") == [("verified", 2)]


def test_what_another_attempt_has_published_is_what_is_committed(run):
    link, _, sink = started(run)
    lease = run.claim()

    def other_wins(chunk, receipt):
        winner = replace(receipt, attempt=7, location="shelf:winner", bytes=77)
        sink.shown.setdefault(chunk.chunk_id, (chunk, winner, [{"id": 0}, {"id": 1}]))

    sink.before["publish"] = other_wins
    _, receipt = go(run, link, lease)
    assert receipt.location == "shelf:winner"
    assert run.query("SELECT bytes FROM hdm_chunk") == [(77,)]


def test_a_sink_that_found_the_chunk_loaded_meanwhile_gives_the_winners_receipt(run):
    """Its counts stand; those of this attempt, which read nothing or only a part, do not."""
    link, _, sink = started(run)
    known = []

    def write(table, chunk, attempt, payload, mode):
        known.append(Receipt(chunk.chunk_id, attempt.number, 2, 9, extracted=5, filtered=3, adopted=True))
        sink.shown[chunk.chunk_id] = (chunk, known[0], [{"id": 0}, {"id": 1}])
        return known[0]

    sink.write = write
    lease, receipt = go(run, link)
    assert receipt == known[0]
    assert counts(run, lease.chunk_id) == (5, 2, 3)


@pytest.mark.parametrize(
    ("schema", "words_of_it"),
    [
        (pa.schema([pa.field("id", pa.int32(), False), pa.field("word", pa.string())]), "id int32"),
        (pa.schema([pa.field("id", pa.int64(), False), pa.field("name", pa.string())]), "name string"),
        (pa.schema([pa.field("id", pa.int64()), pa.field("word", pa.string())]), "other nullability"),
        (pa.schema([pa.field("id", pa.int64(), False)]), "1 columns \\(described as 2\\)"),
    ],
    ids=["type", "name", "nullability", "fewer"],
)
def test_a_batch_that_is_not_what_was_described_is_refused(run, schema, words_of_it):
    link, source, sink = started(run)
    source.gives = schema
    if len(schema) == 1:
        source.read = lambda table, chunk: Payload(
            table, lambda: iter([pa.RecordBatch.from_pylist([{"id": 1}], schema=schema)])
        )
    with pytest.raises(BrokenContract, match=words_of_it) as wrong:
        go(run, link)
    assert "Listed" in str(wrong.value)
    assert "words" in str(wrong.value)
    assert sink.shown == {}


def test_a_sink_that_drops_a_row_is_not_committed(run):
    link, _, sink = started(run)
    sink.drops = 1
    with pytest.raises(BrokenContract, match="2 rows were extracted but 1 accounted for"):
        go(run, link)
    assert "publish" not in sink.calls


class Even(DataLink):
    def transform(self, batch):
        return batch.filter(pc.equal(pc.bit_wise_and(batch["id"], 1), 0))


def test_filtered_rows_are_counted_and_the_balance_holds(run):
    source, sink = Listed(words(2)), Shelf()
    link = run.add(source, sink, Even)
    run.planned()
    lease, receipt = go(run, link)
    assert (receipt.extracted, receipt.rows, receipt.filtered) == (2, 1, 1)
    assert counts(run, lease.chunk_id) == (2, 1, 1)
    assert sink.ids == [0]


def test_a_batch_that_is_filtered_away_whole_does_not_go_on(run):
    """A sink need not expect a batch without rows."""
    link = run.add(Listed(words(2)), Shelf(), Even)
    run.planned()
    chunk = run.claim().chunk
    through = link._through(link.source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None)
    assert [one.num_rows for one in through.batches()] == [1]


def test_seen_rows_and_filtered_rows_are_counted_apart_from_loaded(run):
    source, sink = Listed([(4, "a"), (4, "b"), (5, "c"), (5, "d")]), Shelf()
    link = run.add(source, sink, Even)
    run.planned()
    lease = run.claim()
    chunk = lease.chunk.at(conditions=(Condition("id", ">=", "4"), Condition("id", "<", "6")))
    payload = source.read(TABLE, chunk)
    through = link._through(
        payload, TABLE, chunk, Attempt(1), KnownRows(Counter(row_digests(batch((4, "a")))))
    )
    out = [row["word"] for one in through.batches() for row in one.to_pylist()]
    assert out == ["b"]
    assert (through.tally.extracted, through.tally.filtered) == (4, 3)


def test_seen_rows_are_taken_from_the_state_by_the_chunks_key(run):
    source, sink = Listed([(0, "word 0")]), Shelf()
    link = run.add(source, sink)
    source.marks = {"boundary": True}
    run.planned()
    go(run, link)
    run.planner().tick()  # closes the epoch
    source.rows, source.marks = words(2), {"boundary": True, "seen_key": "point"}
    source.above = -1
    run.planner().tick()
    _, receipt = go(run, link)
    assert (sink.ids, receipt.filtered, receipt.extracted) == ([0, 1], 1, 2)
    assert len(receipt.boundary_digests) == 1


def test_a_boundary_keeps_the_digests_of_its_new_rows_only(run):
    link, source, _ = started(run, rows=[(1, "old"), (1, "new"), (1, "new")])
    chunk = run.claim().chunk.at(boundary=True, seen_key="point")
    through = link._through(
        source.read(TABLE, chunk),
        TABLE,
        chunk,
        Attempt(1),
        KnownRows(Counter(row_digests(batch((1, "old"))))),
    )
    assert sum(one.num_rows for one in through.batches()) == 2
    assert through.tally.digests == row_digests(batch((1, "new"))) * 2


def test_digests_are_of_the_rows_as_read_not_as_transformed(run):
    class Shouting(DataLink):
        def transform(self, batch):
            return batch.set_column(1, batch.schema.field(1), pc.utf8_upper(batch["word"]))

    source = Listed([(1, "a")])
    link = run.add(source, Shelf(), Shouting)
    run.planned()
    chunk = run.claim().chunk.at(boundary=True)
    through = link._through(source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None)
    assert [one.to_pylist() for one in through.batches()] == [[{"id": 1, "word": "A"}]]
    assert through.tally.digests == row_digests(batch((1, "a")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: b.set_column(0, "id", b["id"].cast(pa.int32())), "id int32 \\(described as id int64\\)"),
        (lambda b: b.set_column(1, "word", b["word"].cast(pa.large_string())), "word large_string"),
        (lambda b: b.select(["word", "id"]), "word string \\(described as id int64\\)"),
        (lambda b: b.append_column("more", b["id"]), "3 columns \\(described as 2\\)"),
        (lambda b: pa.Table.from_batches([b]), "gave a Table for words"),
        (lambda b: None, "gave a NoneType for words"),
        (lambda b: pa.concat_batches([b, b]), "gave 2 rows of 1"),
        (lambda b: b.set_column(0, "id", pa.nulls(1, pa.int64())), "gave NULL in id"),
    ],
    ids=["narrower", "wider", "order", "more columns", "table", "nothing", "more rows", "NULL"],
)
def test_what_a_transform_may_not_make_of_a_batch_is_refused(run, change, said):
    class Careless(DataLink):
        def transform(self, batch):
            return change(batch)

    sink = Shelf()
    link = run.add(Listed([(1, "a")]), sink, Careless)
    run.planned()
    with pytest.raises(BrokenContract, match=said) as wrong:
        go(run, link)
    assert "Careless.transform" in wrong.value.message
    assert wrong.value.hint
    assert sink.shown == {}


def test_a_transform_need_not_say_again_what_may_be_null(run):
    class Loose(DataLink):
        def transform(self, batch):
            return pa.RecordBatch.from_arrays(batch.columns, names=batch.schema.names)

    source = Listed([(1, "a")])
    link = run.add(source, Shelf(), Loose)
    run.planned()
    chunk = run.claim().chunk
    (passed,) = link._through(source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None).batches()
    assert passed.schema.equals(TABLE.schema)


def test_a_payload_that_is_read_twice_is_counted_once(run):
    """A sink may start over (a lost connection) with the same payload."""
    link, source, _ = started(run)
    chunk = run.claim().chunk.at(boundary=True)
    through = link._through(source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None)
    for _ in range(2):
        list(through.batches())
    assert (through.tally.extracted, len(through.tally.digests)) == (2, 2)


def test_progress_is_told_as_the_batches_pass_and_a_stop_is_heard_between_them(run):
    link, _, sink = started(run)
    told = []

    def check():
        if told:
            raise Drained("stop")

    with pytest.raises(Drained):
        go(run, link, check=check, count=lambda rows, size: told.append(rows))
    assert told == [1]
    assert sink.hidden == {}


# -- files ---------------------------------------------------------------------


def files_of(run: Run, chunk_changes=MappingProxyType({}), seen=None, link=DataLink, **options) -> Payload:
    source = Listed(words(2))
    source.files = (FILE,)
    made = run.add(source, Shelf(), link, **options)
    run.planned()
    chunk = run.claim().chunk.at(**chunk_changes)
    return made._through(source.read(TABLE, chunk), TABLE, chunk, Attempt(1), seen)


def test_staged_files_pass_untouched_where_nothing_needs_rows(run):
    through = files_of(run)
    assert (through.files, through.open is not None) == ((FILE,), True)


@pytest.mark.parametrize(
    "need",
    [
        {"link": Even},
        {"transform": "SELECT * FROM batch"},
        {"checks": ({"type": "NotNull", "column": "id"},)},
        {"chunk_changes": {"boundary": True}},
        {"seen": KnownRows({"x": 1})},
        {"seen": KnownRows({})},
    ],
    ids=["subclass", "transform", "checks", "boundary", "seen", "seen nothing"],
)
def test_staged_files_are_decoded_where_rows_are_needed(run, need, monkeypatch):
    monkeypatch.setattr("hdm.runtime.link.make_checks", lambda *_: [])
    through = files_of(run, **need)
    assert (through.files, through.open) == ((), None)


# -- checks --------------------------------------------------------------------

CHECKS = {"NotNull": NotNull, "RowCount": RowCount}


def checked(run: Run, *checks, rows) -> tuple[DataLink, Shelf]:
    source, sink = Listed(rows), Shelf()
    link = run.add(source, sink, checks=checks)
    link._checks = CHECKS
    run.planned()
    return link, sink


def recorded(run: Run) -> list[tuple]:
    return run.query("SELECT kind, status, severity FROM hdm_validation WHERE kind <> 'row_count'")


def test_a_check_that_fails_stops_the_chunk_before_anything_is_visible(run):
    link, sink = checked(run, {"type": "NotNull", "column": "word"}, rows=[(0, None), (1, "b")])
    with pytest.raises(CheckFailed, match=r"NotNull: 1 NULLs in word \(row 1 of the chunk\)"):
        go(run, link)
    assert (sink.shown, "publish" in sink.calls) == ({}, False)
    assert recorded(run) == []


def test_a_check_that_warns_lets_the_chunk_pass_and_is_recorded(run, caplog):
    with caplog.at_level(logging.WARNING, "hdm.link"):
        link, sink = checked(
            run,
            {"type": "NotNull", "column": "word", "severity": "warn"},
            {"type": "RowCount", "min": 1},
            rows=[(0, None), (1, "b")],
        )
        go(run, link)
    assert sink.ids == [0, 1]
    assert sorted(recorded(run)) == [("NotNull", "fail", "warn"), ("RowCount", "pass", "error")]
    assert "NotNull: 1 NULLs in word" in caplog.text


def test_checks_see_what_goes_on_not_what_came(run):
    source, sink = Listed([(0, "a"), (1, None)]), Shelf()
    link = run.add(source, sink, Even, checks=({"type": "NotNull", "column": "word"},))
    link._checks = CHECKS
    run.planned()
    go(run, link)
    assert sink.ids == [0]


def test_every_chunk_is_checked_by_itself(run):
    link, sink = checked(run, {"type": "RowCount", "max": 2}, rows=words(4))
    go(run, link)
    go(run, link)
    assert sink.ids == [0, 1, 2, 3]


# -- verification ----------------------------------------------------------------


@pytest.mark.parametrize("held", ["fewer rows", "nothing"])
def test_a_target_that_holds_something_else_than_the_receipt_leaves_the_chunk_unverified(run, held):
    link, _, sink = started(run)

    def alter(chunk):
        if chunk.chunk_id in sink.shown:
            part, receipt, rows = sink.shown.pop(chunk.chunk_id)
            if held == "fewer rows":
                sink.shown[chunk.chunk_id] = (part, replace(receipt, rows=1), rows)

    sink.before["committed"] = alter
    lease, _ = go(run, link)
    assert run.status(lease.chunk_id) == "committed"
    found = run.query("SELECT status, source_value, target_value FROM hdm_validation")
    assert found == [("fail", "2", "1" if held == "fewer rows" else "-1")]


def test_a_sink_that_cannot_say_what_it_holds_is_not_asked(run):
    class Blind(Shelf):
        committed = Sink.committed

    link = run.add(Listed(words(2)), Blind())
    run.planned()
    lease, _ = go(run, link)
    assert not link.verifies
    assert run.status(lease.chunk_id) == "committed"


@pytest.mark.slow
def test_outgoing_is_the_table_after_the_transform(run):
    link = run.add(Listed([]), Shelf(), transform="SELECT id, upper(word) AS loud FROM batch")
    assert [column.name for column in link.outgoing(TABLE).columns] == ["id", "loud"]
    plain = run.add(Listed([]), Shelf())
    assert plain.outgoing(TABLE) is TABLE


@pytest.mark.slow
def test_a_transform_may_change_the_columns_and_drop_rows(run):
    rows = [(0, "a"), (1, "b")]
    source, sink = Listed(rows), Shelf()
    link = run.add(source, sink, transform="SELECT id, upper(word) AS loud FROM batch WHERE id > 0")
    run.planned()
    _, receipt = go(run, link)
    ((_, _, held),) = sink.shown.values()
    assert held == [{"id": 1, "loud": "B"}]
    assert (receipt.extracted, receipt.filtered, receipt.rows) == (2, 1, 1)


def test_a_wide_table_names_only_the_columns_that_differ(run):
    columns = (*TABLE.columns, Column("extra", Kind.INT32, pa.int32()))
    source = Listed([], replace(TABLE, columns=columns))
    link = run.add(source, Shelf())
    wrong = pa.schema(
        [pa.field("id", pa.int64(), False), pa.field("word", pa.string()), pa.field("extra", pa.int8())]
    )
    payload = Payload(source.table, lambda: iter([pa.RecordBatch.from_pylist([], schema=wrong)]))
    chunk = next(iter(Listed(words(1)).split(TABLE, source.window(), "k", None)))
    with pytest.raises(BrokenContract) as error:
        list(link._through(payload, source.table, chunk, Attempt(1), None).batches())
    assert "extra int8 (described as extra int32)" in error.value.message
    assert "word" not in error.value.message.removesuffix("words")
