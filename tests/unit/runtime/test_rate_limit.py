"""A link reads no more rows and bytes a second than its limits say, whoever of its threads asks."""

from __future__ import annotations

import pytest

from hdm.errors import Drained
from hdm.model import Attempt, StagedFile
from hdm.runtime import rate_limit
from hdm.runtime.rate_limit import CREDIT, SLICE, Pace
from tests.unit.linkkit import TABLE, Listed, Run, Shelf, batch, nothing, words


class Clock:
    """Stands still but for sleep; ``during`` is called with each sleep's seconds."""

    def __init__(self) -> None:
        self.now, self.sleeps, self.during = 1000.0, [], nothing

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.during(seconds)

    @property
    def slept(self) -> float:
        return sum(self.sleeps)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rate_limit, "time", made)
    return made


def refused() -> None:
    raise AssertionError("asked")


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"rows_per_second": 50}, 2),
        ({"bytes_per_second": 250}, 4),
        ({"rows_per_second": 50, "bytes_per_second": 250}, 4),
        ({"rows_per_second": 10, "bytes_per_second": 250}, 10),
    ],
)
def test_a_batch_is_waited_for_until_it_is_due(clock, limits, seconds):
    one = Pace(limits)
    one.keep(100, 1000, nothing)
    assert clock.slept == pytest.approx(seconds)
    one.keep(100, 1000, nothing)
    assert clock.slept == pytest.approx(2 * seconds)


def test_each_limit_goes_by_its_own_sum(clock):
    """Rows of one batch do not hold back for bytes of another."""
    one = Pace({"rows_per_second": 10, "bytes_per_second": 10})
    one.keep(4, 1, nothing)
    one.keep(1, 4, nothing)
    assert clock.slept == pytest.approx(0.5)


@pytest.mark.parametrize("limits", [{}, {"connections": 2}, {"rows_per_second": None}])
def test_nothing_is_done_without_a_limit(clock, limits):
    one = Pace(limits)
    one.keep(10**9, 10**12, refused)
    assert (one.is_set, clock.sleeps) == (False, [])


def test_threads_stand_in_one_queue(clock):
    """What another reads during a wait is due after it."""
    one, others = Pace({"rows_per_second": 100}), []

    def reads_too(_: float) -> None:
        if not others:
            others.append(one._put_off(300, 0))

    clock.during = reads_too
    one.keep(100, 0, nothing)
    assert (clock.slept, others) == (pytest.approx(1), [pytest.approx(1004)])
    one.keep(100, 0, nothing)
    assert clock.slept == pytest.approx(5)


def test_idle_time_earns_a_second_and_no_more(clock):
    one = Pace({"rows_per_second": 10})
    one.keep(10, 0, nothing)
    clock.now += 3600
    one.keep(30, 0, nothing)
    assert clock.slept == pytest.approx(1 + 3 - CREDIT)


def test_a_wait_sleeps_in_slices_and_asks_before_each(clock):
    asked = []
    Pace({"rows_per_second": 10}).keep(100, 0, lambda: asked.append(clock.now))
    assert max(clock.sleeps) <= SLICE < 1
    assert len(asked) == len(clock.sleeps)


def test_a_worker_that_is_to_stop_waits_no_longer(clock):
    def check() -> None:
        if clock.slept >= 1:
            raise Drained("told to stop")

    with pytest.raises(Drained):
        Pace({"rows_per_second": 1}).keep(1000, 0, check)
    assert clock.slept < 1 + 2 * SLICE


@pytest.mark.parametrize("per", ["rows_per_second", "bytes_per_second"])
def test_a_link_keeps_to_its_limits_in_all_its_chunks(run: Run, clock, per):
    size = sum(batch(row).nbytes for row in words(4))
    limit = 2 if per == "rows_per_second" else size // 2
    source, sink = Listed(words(4)), Shelf()
    link = run.add(source, sink, limits={per: limit})
    run.planned()
    for _ in range(2):
        lease = run.claim()
        run.move(lease, Attempt(lease.attempt, run.worker_id), link)
    assert sink.ids == [0, 1, 2, 3]
    assert clock.slept == pytest.approx((4 if per == "rows_per_second" else size) / limit)


@pytest.mark.slow
def test_rows_that_a_transform_drops_were_read_all_the_same(run: Run, clock):
    none = "SELECT * FROM batch WHERE false"
    link = run.add(Listed(words(2)), Shelf(), limits={"rows_per_second": 1}, transform=none)
    run.planned()
    chunk = run.claim().chunk
    through = link._through(link.source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None)
    assert (list(through.batches()), clock.slept) == ([], pytest.approx(2))


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({}, True),
        ({"connections": 1}, True),
        ({"rows_per_second": 9}, False),
        ({"bytes_per_second": 9}, False),
    ],
)
@pytest.mark.slow
def test_staged_files_are_decoded_where_a_limit_is_to_hold(run: Run, limits, passed):
    source = Listed(words(2))
    source.files = (StagedFile("shelf:a", "parquet", 9, 2, "a" * 64),)
    link = run.add(source, Shelf(), limits=limits)
    run.planned()
    chunk = run.claim().chunk
    through = link._through(source.read(TABLE, chunk), TABLE, chunk, Attempt(1), None)
    assert bool(through.files) is passed
