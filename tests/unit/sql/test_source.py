"""Windows between runs: everything new arrives once, nothing twice, nothing is read for nothing."""

from collections import Counter
from dataclasses import replace

import pytest

from hdm.arrow.batches import row_digests, subtract
from hdm.errors import UsageError
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import JOB, rows_of


class Runs:
    """What the runtime does between windows: keeps the watermark and the boundary's digests."""

    def __init__(self, source):
        self.source = source
        self.digests = {}
        self.after = None
        self.snapshot = None
        self.kept = {}
        self.got = Counter()

    def window(self):
        base = self.source.window()
        return replace(
            base,
            after=self.after,
            ties=sum(self.seen("point").values()),
            nulls=sum(self.seen("null").values()),
            snapshot=self.snapshot,
            recall=self.seen,
            last=self.kept,
            again=base.offset is not None,
        )

    def seen(self, key):
        return self.digests.get(self.after if key == "point" else None, Counter())

    def run(self):
        """One epoch; the rows that are new, by chunk."""
        fresh = []
        with self.source.snapshot() as token:
            table, window = self.source.describe(), self.window()
            chunks = list(self.source.split(table, window, JOB, token))
            for chunk in chunks:
                rows, digests = [], Counter()
                known = Counter(self.seen(chunk.seen_key)) if chunk.seen_key else Counter()
                for read in self.source.read(table, chunk).batches():
                    batch, _ = subtract(read, known)
                    rows += [tuple(r.values()) for r in batch.to_pylist()]
                    if chunk.boundary:
                        digests.update(row_digests(batch))
                if chunk.boundary:
                    value = chunk.conditions[0].value
                    self.digests.setdefault(value, Counter()).update(digests)
                if chunk.upto is not None:
                    self.after = chunk.upto
                fresh += rows
            self.snapshot, self.kept = token, window.findings.kept
        self.got.update(fresh)
        return chunks, fresh


@pytest.fixture
def runs(system):  # noqa: F811
    system.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    return Runs(system.source("t", watermark={"column": "n"}, chunk={"rows": 10})), system


def put(system, *pairs):  # noqa: F811
    for pair in pairs:
        system.run("INSERT INTO t VALUES (?, ?)", *pair)


def everything(system):  # noqa: F811
    return Counter(system.run("SELECT id, n FROM t"))


def test_nothing_new_plans_nothing(runs):
    state, system = runs  # noqa: F811
    put(system, *((n, n // 3) for n in range(30)))
    state.run()
    assert state.got == everything(system)
    assert state.run() == ([], [])


def test_an_empty_table_then_rows(runs):
    state, system = runs  # noqa: F811
    assert state.run() == ([], [])
    put(system, (1, 5))
    assert state.run()[1] == [(1, 5)]


def test_new_rows_ties_and_nulls_arrive_once(runs):
    state, system = runs  # noqa: F811
    put(system, (1, 1), (2, 2), (3, 2), (4, None))
    state.run()
    put(system, (5, 2), (6, None), (7, 3), (8, 1))
    _, fresh = state.run()
    assert sorted(fresh) == [(5, 2), (6, None), (7, 3)], (
        "8 is older than the watermark: lag or offset is for that"
    )
    assert state.run() == ([], [])
    put(system, (9, 3))
    assert state.run()[1] == [(9, 3)]
    assert state.run() == ([], [])


def test_many_ties_at_the_end_are_cut_by_key(runs):
    state, system = runs  # noqa: F811
    put(system, *((n, 1) for n in range(45)), (100, 0))
    chunks, _ = state.run()
    ends = [c for c in chunks if c.boundary]
    assert len(ends) >= 4
    assert [c.upto for c in ends][-1] == "1"
    assert all(c.upto is None for c in ends[:-1])
    assert state.got == everything(system)
    assert state.run() == ([], [])


def test_a_heavy_value_in_the_middle(runs):
    state, system = runs  # noqa: F811
    put(system, *((n, 5 if 10 <= n < 60 else n) for n in range(80)))
    chunks, _ = state.run()
    assert state.got == everything(system)
    assert max(c.estimate_rows for c in chunks) <= 20
    marks = [int(c.upto) for c in chunks if c.upto is not None]
    assert marks == sorted(marks)


def test_lag_holds_the_newest_back(system):  # noqa: F811
    system.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    state = Runs(system.source("t", watermark={"column": "n", "lag": 2}))
    put(system, *((n, n) for n in range(10)))
    assert len(state.run()[1]) == 8
    put(system, (50, 8))
    put(system, (51, 12))
    assert sorted(state.run()[1]) == [(8, 8), (9, 9), (50, 8)]


@pytest.mark.slow
def test_offset_reads_again(system):  # noqa: F811
    system.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    state = Runs(system.source("t", watermark={"column": "n", "offset": 3}))
    put(system, *((n, n) for n in range(10)))
    state.run()
    put(system, (50, 8))
    assert sorted(state.run()[1]) == [(7, 7), (8, 8), (9, 9), (50, 8)]


def test_time_cursors_keep_their_precision(system):  # noqa: F811
    system.run("CREATE TABLE t (id integer PRIMARY KEY, n timestamp)")
    state = Runs(system.source("t", watermark={"column": "n"}))
    put(system, (1, "2024-01-01 00:00:00.000001"), (2, "2024-01-01 00:00:00.000002"))
    state.run()
    assert state.after == "2024-01-01 00:00:00.000002"
    put(system, (3, "2024-01-01 00:00:00.000003"))
    assert [row[0] for row in state.run()[1]] == [3]


def test_a_column_without_order_is_no_watermark(pg):  # noqa: F811
    pg.run("CREATE TABLE t (id integer, n json)")
    source = pg.source("t", watermark={"column": "n"})
    with pytest.raises(UsageError, match="no useful order"):
        source.ready(source.describe())


# -- late commits ----------------------------------------------------------------


def test_commits_in_reverse_order_arrive_once_by_snapshot(pg):  # noqa: F811
    """An id is taken by A, then by B; B commits, hdm runs, A commits."""
    pg.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    put(pg, (1, 1))
    state = Runs(pg.source("t", watermark={"column": "n"}))
    a, b = pg.connect(), pg.connect()
    a.execute("INSERT INTO t VALUES (2, 2)")
    b.execute("INSERT INTO t VALUES (3, 3)")
    b.commit()
    assert sorted(state.run()[1]) == [(1, 1), (3, 3)]
    assert state.run() == ([], [])
    a.commit()
    assert state.run()[1] == [(2, 2)]
    assert state.run() == ([], [])
    put(pg, (4, 4))
    assert state.run()[1] == [(4, 4)]
    a.close(), b.close()


def test_a_writer_open_over_several_windows(pg):  # noqa: F811
    pg.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    state = Runs(pg.source("t", watermark={"column": "n"}))
    a = pg.connect()
    a.execute("INSERT INTO t VALUES (1, 1)")
    for n in (2, 3, 4):
        put(pg, (n, n))
        assert state.run()[1] == [(n, n)]
    a.commit()
    assert state.run()[1] == [(1, 1)]
    assert state.run() == ([], [])
    assert state.got == everything(pg)
    a.close()


def test_time_cursors_stop_at_the_oldest_open_writer(pg):  # noqa: F811
    """Rows under a savepoint too, which the snapshot alone could not name."""
    pg.run("CREATE TABLE t (id integer PRIMARY KEY, n timestamptz DEFAULT now())")
    state = Runs(pg.source("t", watermark={"column": "n"}))
    pg.run("INSERT INTO t VALUES (1)")
    a = pg.connect()
    a.execute("INSERT INTO t VALUES (2)")
    a.execute("SAVEPOINT s")
    a.execute("INSERT INTO t VALUES (3)")
    pg.run("INSERT INTO t VALUES (4)")
    assert [row[0] for row in state.run()[1]] == [1]
    a.commit()
    assert sorted(row[0] for row in state.run()[1]) == [2, 3, 4]
    assert state.run() == ([], [])
    a.close()


def test_rows_of_helper_reads_every_chunk(lite):  # noqa: F811
    lite.run("CREATE TABLE t (id integer PRIMARY KEY, n integer)")
    put(lite, (1, 1))
    source = lite.source("t")
    table = source.describe()
    (chunk,) = source.split(table, source.window(), JOB, None)
    assert rows_of(source, table, chunk) == [(1, 1)]
