"""What a new epoch is to read, and how many at once may read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hdm.model import Mode, Receipt, Window
from hdm.planning.job_lifecycle import skip_lost
from hdm.planning.preflight import pipeline_of
from hdm.planning.windows import WIDE_ROW, is_complete, job_info, window_of
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, words


def window(job, link, run: Run) -> Window:
    return window_of(job.pipeline_key, job.info.mode, link, run.state, job.info.source)


class Offset(Listed):
    def window(self) -> Window:
        return Window(column=self.table.cursor, offset="10", lag="5 minutes", rows_per_chunk=7)


def opened(run: Run, mode=Mode.APPEND, table=TABLE, source=Offset, **options):
    link = run.add(source(words(2), table), Shelf(), mode=mode, **options)
    one = pipeline_of(link, table)
    return link, one, run.state.jobs.open(run.run_id, job_info(one, 1))


def moved(run: Run, mode=Mode.APPEND, cursor="id"):
    """The second epoch of a table whose first has moved two rows, both at the watermark."""
    link, one, job = opened(run, mode, replace(TABLE, cursor=cursor))
    (chunk,) = link.source.split(TABLE, Window(), job.pipeline_key, None)
    run.state.jobs.plan(job, [chunk.at(boundary=True, epoch=job.epoch)], snapshot="token")
    lease = run.claim()
    receipt = Receipt(lease.chunk_id, 1, 2, 9, extracted=2, boundary_digests=("a" * 64, "b" * 64))
    run.state.chunks.wrote(lease, receipt)
    run.state.chunks.commit(lease, receipt)
    run.state.jobs.close(job.job_id)
    return link, one, run.state.jobs.open(run.run_id, job_info(one, 1))


def test_a_first_window_is_the_configured_one(run):
    link, _, job = opened(run)
    assert window(job, link, run) == link.source.window()


def test_a_later_window_starts_at_the_watermark_with_its_ties(run):
    link, _, job = moved(run)
    found = window(job, link, run)
    assert (found.after, found.ties, found.nulls, found.snapshot) == ("1", 2, 0, "token")
    assert (found.lag, found.rows_per_chunk) == ("5 minutes", 7)
    assert found.offset is None, "append would double what is read again"


def test_what_replaces_reads_everything_each_time(run):
    link, _, job = moved(run, Mode.REPLACE)
    assert window(job, link, run).after is None


def test_without_a_cursor_there_is_no_window(run):
    link, _, job = moved(run, cursor=None)
    assert window(job, link, run).after is None


@pytest.mark.parametrize(
    ("changes", "complete"),
    [({"cursor": None}, True), ({"cursor": "id"}, False), ({"cursor": None, "mode": Mode.REPLACE}, False)],
)
def test_only_an_appended_table_without_a_cursor_is_ever_complete(run, changes, complete):
    cursor, mode = changes["cursor"], changes.get("mode", Mode.APPEND)
    link, one, job = moved(run, mode, cursor)
    assert is_complete(job.epoch, one, link) is complete
    assert not is_complete(1, one, link), "the first is never complete"
    link.source.chunks_are_content = True
    assert not is_complete(job.epoch, one, link), "files may have come since"


def test_a_chained_job_is_never_complete(run):
    link, one, job = moved(run, cursor=None)
    assert not is_complete(job.epoch, replace(one, upstream_keys=("k",)), link)


@pytest.mark.parametrize(
    ("threads", "limits", "bound"),
    [
        (None, {}, None),
        (4, {}, 4),
        (4, {"connections": 2}, 2),
        (2, {"connections": 8}, 2),
        (None, {"connections": 3}, 3),
    ],
)
def test_no_more_read_at_once_than_threads_and_connections_allow(run, threads, limits, bound):
    _, one, _ = opened(run, threads=threads, limits=limits)
    assert job_info(one, 1).max_parallel == bound


def test_wide_rows_are_moved_one_worker_at_a_time(run):
    wide = replace(TABLE, rows=10, bytes=10 * (WIDE_ROW + 1))
    _, one, _ = opened(run, table=wide, threads=4)
    assert job_info(one, 1).max_parallel == 1
    narrow = replace(one, source=replace(wide, bytes=10 * WIDE_ROW))
    assert job_info(narrow, 1).max_parallel == 4


def test_what_replaces_goes_past_the_epochs_that_only_the_target_knows(run):
    link, _, job = opened(run, Mode.REPLACE)
    (chunk,) = link.source.split(TABLE, Window(), job.pipeline_key, None)
    assert skip_lost(run.state, job, link, TABLE).epoch == 1
    old = chunk.at(epoch=4)
    link.sink.shown[old.chunk_id] = (old, Receipt(old.chunk_id, 1, 2), [])
    assert skip_lost(run.state, job, link, TABLE).epoch == 5
    moved_on = run.state.jobs.reread(job)
    assert (moved_on.epoch, moved_on.planned) == (5, False)
    assert skip_lost(run.state, moved_on, link, TABLE) is moved_on
