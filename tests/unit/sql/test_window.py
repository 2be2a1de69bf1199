"""Later means later: rows that are new arrive once whatever their cursor says, and what differs is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hdm.arrow.batches import Compared
from hdm.errors import UsageError
from hdm.model import Mode
from tests.unit.linkkit import Run
from tests.unit.sql_fixtures import lite, pg, system  # noqa: F401
from tests.unit.sqlkit import System

APPEND, MERGE = Mode.APPEND, Mode.MERGE
SOON = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")


class Moved:
    """A table ``t``, moved run by run into ``u`` of the same database by its column ``n``."""

    def __init__(self, run: Run, system: System, kind: str, mode: Mode, key: str, **conf: Any) -> None:  # noqa: F811
        self.run, self.system, self.kind = run, system, kind
        columns = f"id integer {'NOT NULL' if key else ''}, n {kind}, v text"
        system.run(f"CREATE TABLE t ({columns}{f', PRIMARY KEY ({key})' if key else ''})")
        mark = {"column": "n", **conf.pop("watermark", {})}
        self.source = system.source("t", watermark=mark, chunk={"rows": 5}, **conf)
        run.add(self.source, system.sink("u"), mode=mode)
        self.said: list[str] = []
        self.failed: list[str] = []
        self.differing: list[str] = []

    def put(self, *rows: tuple[Any, ...]) -> None:
        for row in rows:
            self.system.run("INSERT INTO t VALUES (?, ?, ?)", *row)

    def do(self, sql: str) -> None:
        self.system.run(sql)

    def move(self) -> int:
        """One run; how many rows it read."""
        planner, read = self.run.again().carry()
        self.said, self.failed = planner.notes, list(planner.failed.values())
        self.differing = planner.differing
        return read

    def is_moved(self) -> bool:
        shown = f"SELECT id, {'n' if self.kind == 'integer' else 'v'}, v FROM "
        return Counter(self.system.run(shown + "t")) == Counter(self.system.run(shown + "u"))

    def quiet(self) -> bool:
        return not (self.said or self.failed or self.differing)

    def word(self) -> str:
        assert self.differing, self.said
        return " ".join(self.said)


Make = Callable[..., Moved]


@pytest.fixture
def make(run: Run, system: System) -> Make:  # noqa: F811
    def made(kind: str = "integer", mode: Mode = APPEND, key: str = "id", **conf: Any) -> Moved:
        return Moved(run, system, kind, mode, key, **conf)

    return made


@pytest.fixture
def make_pg(run: Run, pg: System) -> Make:  # noqa: F811
    def made(kind: str = "integer", mode: Mode = APPEND, key: str = "id", **conf: Any) -> Moved:
        return Moved(run, pg, kind, mode, key, **conf)

    return made


@pytest.fixture
def make_lite(run: Run, lite: System) -> Make:  # noqa: F811
    def made(kind: str = "integer", mode: Mode = APPEND, key: str = "id", **conf: Any) -> Moved:
        return Moved(run, lite, kind, mode, key, **conf)

    return made


# -- ties are known by digest -----------------------------------------------------


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.parametrize("mode", [APPEND, MERGE])
@pytest.mark.slow
def test_one_tie_for_another_is_found_though_their_number_is_the_same(make: Make, n: int | None, mode: Mode):
    table = make(mode=mode)
    table.put((1, 3, "a"), (2, n, "b"), (3, n, "c"))
    table.move()
    table.do("DELETE FROM t WHERE id = 2")
    table.put((4, n, "d"))
    table.move()
    assert (4, "d") in table.system.run("SELECT id, v FROM u"), "it was lost for good"
    assert table.move() == 0
    assert Counter(table.system.run("SELECT id, COUNT(*) FROM u GROUP BY id")) == Counter(
        [(n, 1) for n in (1, 2, 3, 4)]
    )


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_a_tie_that_is_changed_is_merged(make: Make, n: int | None):
    table = make(mode=MERGE)
    table.put((1, 3, "a"), (2, n, "b"))
    table.move()
    table.do("UPDATE t SET v = 'new' WHERE id = 2")
    table.move()
    assert table.is_moved()
    assert (table.move(), table.quiet()) == (0, True)


@pytest.mark.parametrize("n", [7, None])
@pytest.mark.slow
def test_a_tie_that_is_changed_is_not_appended_twice_and_it_is_said(make: Make, n: int | None):
    table = make()
    table.put((1, 3, "a"), (2, n, "b"))
    table.move()
    table.do("UPDATE t SET v = 'new' WHERE id = 2")
    table.put((3, n, "c"))
    assert table.move() == 2
    assert "1 changed and were not moved again: mode append" in table.word()
    assert sorted(table.system.run("SELECT id, v FROM u")) == [(1, "a"), (2, "b"), (3, "c")]
    assert table.move() == 0
    assert "1 changed" in table.word(), "it is still so"


@pytest.mark.slow
def test_without_a_key_a_changed_tie_is_a_new_row_in_append(make: Make):
    table = make(key="")
    table.put((1, 7, "a"), (1, 7, "a"))
    table.move()
    table.put((1, 7, "a"))
    table.move()
    assert table.system.run("SELECT COUNT(*) FROM u") == [(3,)]


@pytest.mark.slow
def test_a_column_that_is_added_does_not_make_ties_new(make: Make):
    table = make()
    table.put((1, 7, "a"), (2, 7, "b"))
    table.move()
    table.do("ALTER TABLE t ADD COLUMN w integer")
    table.do("ALTER TABLE u ADD COLUMN w integer")
    table.do("INSERT INTO t VALUES (3, 7, 'c', 1)")
    table.move()
    assert sorted(table.system.run("SELECT id, v FROM u")) == [(1, "a"), (2, "b"), (3, "c")]


# -- the order of time --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "why"),
    [("varchar(20)", "'9' comes after '10'"), ("double precision", "NaN"), ("time", "each day")],
)
def test_what_has_not_the_order_of_time_is_refused_unless_it_is_declared(make: Make, kind: str, why: str):
    table = make(kind)
    with pytest.raises(UsageError, match=why) as wrong:
        table.source.ready(table.source.describe())
    assert "watermark: {column: n, order: monotone}" in (wrong.value.hint or "")
    declared = table.system.source("t", watermark={"column": "n", "order": "monotone"})
    declared.ready(declared.describe())


@pytest.mark.parametrize(
    "other",
    ["2024-01-02T00:00:00", "2024-01-02 00:00:00Z", "2024-01-02", "2024-1-2 00:00:00", "2024-01-02 1:00", 7],
)
def test_dates_in_more_than_one_form_are_refused(make_lite: Make, other: Any):
    table = make_lite("datetime")
    table.put((1, "2024-01-01 00:00:00", ""), (2, "2024-01-01 00:00:00.25", ""))
    table.source.ready(table.source.describe())
    table.put((3, other, ""))
    with pytest.raises(UsageError, match="not all written in one form"):
        table.source.ready(table.source.describe())


def test_one_offset_of_one_length_is_one_form(make_lite: Make):
    table = make_lite("datetime")
    table.put((1, "2024-01-01T00:00:00+02:00", ""), (2, "2024-01-02T00:00:00+02:00", ""))
    table.source.ready(table.source.describe())
    table.put((3, "2024-01-02T00:00:00-05:00", ""))
    with pytest.raises(UsageError, match="not all written in one form"):
        table.source.ready(table.source.describe())


POISONS = [
    ("timestamp", "2024-01-0{} 00:00:00", "2999-12-31 00:00:00"),
    ("timestamp", "2024-01-0{} 00:00:00", "infinity"),
    ("timestamptz", "2024-01-0{} 00:00:00+00", "infinity"),
    ("date", "2024-01-0{}", "9999-12-31"),
    ("bigint", "{}", str(2**63 - 1)),
    ("numeric", "{}", "NaN"),
    ("double precision", "{}", "Infinity"),
    ("double precision", "{}", "NaN"),
]


@pytest.mark.parametrize(("kind", "good", "poison"), POISONS)
@pytest.mark.parametrize("mode", [APPEND, MERGE])
def test_poison_moves_once_and_never_becomes_the_watermark(
    make_pg: Make, kind: str, good: str, poison: str, mode: Mode
):
    declared = {"watermark": {"order": "monotone"}} if kind == "double precision" else {}
    table = make_pg(kind, mode, **declared)
    table.put((1, good.format(1), "a"), (2, poison, "b"))
    table.move()
    assert table.is_moved()
    assert "1 rows have a n that is" in " ".join(table.said)
    table.put((3, good.format(2), "c"), (4, poison, "d"))
    table.move()
    assert table.is_moved()
    assert table.failed == []
    assert table.move() == 0


@pytest.mark.slow
def test_a_highest_value_may_be_declared(make: Make):
    table = make(watermark={"max": 1000})
    table.put((1, 5, "a"), (2, 9999, "b"))
    table.move()
    table.put((3, 6, "c"))
    table.move()
    assert table.is_moved()
    wrong = table.system.source("t", watermark={"column": "n", "max": "soon"})
    with pytest.raises(UsageError, match=r"watermark.max is no int"):
        wrong.ready(wrong.describe())


@pytest.mark.slow
def test_the_time_of_a_row_that_lay_ahead_comes_and_it_is_not_doubled(
    make: Make, monkeypatch: pytest.MonkeyPatch
):
    table = make("timestamp")
    table.put((1, "2024-01-01 00:00:00", "a"), (2, "2030-01-01 00:00:00", "b"))
    table.move()
    assert table.is_moved()
    monkeypatch.setattr(type(table.source.database), "now", lambda self, connection: datetime(2031, 1, 1))
    table.put((3, "2029-01-01 00:00:00", "c"))
    table.move()
    assert table.is_moved()
    assert table.move() == 0, "it is known as the watermark's own"
    table.put((4, "2030-01-01 00:00:00", "d"))
    table.move()
    assert table.is_moved()


# -- the source went backwards ------------------------------------------------------


@pytest.mark.slow
def test_a_table_that_begins_anew_below_the_watermark_is_said(make: Make):
    table = make(key="n")
    table.put(*((n, n, "first") for n in range(1, 11)))
    table.move()
    table.do("DELETE FROM t")
    table.put(*((n, n, "second") for n in range(1, 6)))
    table.move()
    assert "the source went backwards" in table.word()
    assert "holds 5 rows below the watermark, 9 were moved: " in table.word()


@pytest.mark.parametrize("mode", [APPEND, MERGE])
@pytest.mark.slow
def test_rows_that_are_gone_are_counted_until_they_are_no_more(make: Make, mode: Mode):
    table = make(mode=mode, key="n")
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("DELETE FROM t WHERE n IN (2, 3)")
    table.move()
    assert "holds 7 rows below the watermark, 9 were moved: 2 are gone" in table.word()
    table.put((20, 20, "y"))
    table.do("DELETE FROM t WHERE n = 4")
    table.move()
    assert "holds 6 rows below the watermark, 9 were moved: 3 are gone" in table.word()
    table.move()
    assert "3 are gone" in table.word()


@pytest.mark.slow
def test_rows_whose_cursor_rises_are_not_called_gone_in_a_merge(make: Make):
    table = make(mode=MERGE)
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("UPDATE t SET n = n + 100 WHERE id < 5")
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True)
    table.do("UPDATE t SET n = n + 100 WHERE id = 4")
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True), "the watermark's own row rose"
    table.do("UPDATE t SET n = n + 100 WHERE id = 3")
    table.do("DELETE FROM t WHERE id IN (5, 6, 7)")
    table.move()
    assert "the target holds 10 rows, the source 7: 3 were deleted there" in table.word()


@pytest.mark.slow
def test_what_is_to_be_done_may_be_said(make: Make):
    table = make(key="n", on_missing="fail")
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("DELETE FROM t WHERE n = 2")
    table.move()
    assert "1 are gone" in table.failed[0]


@pytest.mark.slow
def test_nothing_is_counted_where_it_is_ignored(make: Make):
    table = make(key="n", on_missing="ignore")
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("DELETE FROM t WHERE n = 2")
    table.move()
    assert table.quiet()


# -- each of these is needed ----------------------------------------------------------


def _one_tie_for_another(table: Moved) -> None:
    table.put((1, 3, "a"), (2, 7, "b"))
    table.move()
    table.do("DELETE FROM t WHERE id = 2")
    table.put((3, 7, "c"))


def _poison(table: Moved) -> None:
    table.put((1, 3, "a"), (2, 2**63 - 1, "b"))
    table.move()
    table.put((3, 4, "c"))


def _late(table: Moved) -> None:
    table.put((1, 3, "a"), (5, 7, "b"))
    table.move()
    table.put((3, 4, "c"))


def _truncated(table: Moved) -> None:
    table.put((1, 3, "a"), (2, 7, "b"))
    table.move()
    table.do("DELETE FROM t WHERE id = 1")


MUTANTS: list[tuple[Callable[[Moved], None], str, Any]] = [
    (_one_tie_for_another, "Increment._compared", lambda self, kind, conditions, found, known, *_:
        Compared(new=int(found != known))),
    (_poison, "highest", lambda *_: None),
    (_late, "missing_ids", lambda *_: None),
    (_truncated, "said_of_late", lambda *_, **__: None),
]  # fmt: skip


@pytest.mark.parametrize(("happens", "name", "mutant"), MUTANTS, ids=[name for _, name, _ in MUTANTS])
@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.slow
def test_without_one_of_these_a_row_would_be_missed_in_silence(
    make_lite: Make,
    happens: Callable[[Moved], None],
    name: str,
    mutant: Any,
    broken: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    if broken:  # and what else would find or count such a row
        for other in ("missing_ids", "said_of_late"):
            monkeypatch.setattr(f"hdm.sql.window.{other}", lambda *_, **__: None)
        monkeypatch.setattr(f"hdm.sql.window.{name}", mutant)
    table = make_lite("bigint")
    happens(table)
    table.move()
    there, here = (Counter(table.system.run(f"SELECT id, v FROM {name}")) for name in ("u", "t"))
    said = bool(table.differing) == (happens in (_truncated, _one_tie_for_another))
    assert (there >= here and said) is not broken


# -- late commits ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", [APPEND, MERGE])
@pytest.mark.slow
def test_an_id_that_was_missing_is_looked_for_again(make: Make, mode: Mode):
    """As where ids are handed out in blocks, or a transaction commits late."""
    table = make(mode=mode, key="n")
    table.put((1, 1, "a"), (2, 5, "b"), (3, 9, "c"))
    table.move()
    table.put((4, 3, "late"))
    table.put((5, 11, "new"))
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True)
    table.put((6, 7, "later"), (7, -3, "below all"))
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True)
    assert table.move() == 0


@pytest.mark.parametrize("kind", ["integer", "timestamp"])
@pytest.mark.parametrize("mode", [APPEND, MERGE])
def test_rows_under_a_savepoint_that_commit_late_arrive_once(
    make_pg: Make, kind: str, mode: Mode, monkeypatch: pytest.MonkeyPatch
):
    """As on a standby, no open writer is seen and holds the window's end back."""
    table = make_pg(kind, mode)
    reading = type(table.source.database)
    monkeypatch.setattr(reading, "horizon", lambda self, *rest, **more: None)
    stamp = "2024-01-0{} 00:00:00" if kind == "timestamp" else "{}"
    table.put((1, stamp.format(1), "a"))
    late, other = table.system.connect(), table.system.connect()
    late.execute("INSERT INTO t VALUES (2, %s, 'plain')", (stamp.format(2),))
    late.execute("SAVEPOINT s")
    late.execute("INSERT INTO t VALUES (3, %s, 'in savepoint')", (stamp.format(3),))
    late.execute("RELEASE s")
    other.execute("INSERT INTO t VALUES (4, %s, 'after')", (stamp.format(4),))
    other.commit()
    table.move()
    late.execute("SAVEPOINT r")
    late.execute("INSERT INTO t VALUES (5, %s, 'in a savepoint begun later')", (stamp.format(2),))
    late.commit()
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True)
    assert table.move() == 0
    late.close(), other.close()


def test_rows_changed_without_their_cursor_are_merged(make_pg: Make):
    table = make_pg(mode=MERGE)
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("UPDATE t SET v = 'changed' WHERE n < 3")
    table.put((20, 4, "below"))
    assert table.move() == 4
    assert (table.is_moved(), table.quiet()) == (True, True)
    assert table.move() == 0


def test_rows_changed_without_their_cursor_are_counted_where_they_are_appended(make_pg: Make):
    table = make_pg()
    table.put(*((n, n, "x") for n in range(10)))
    table.move()
    table.do("UPDATE t SET v = 'changed' WHERE n < 3")
    assert table.move() == 0
    assert "3 changes below the watermark were not moved: mode append" in table.word()
    assert table.system.run("SELECT COUNT(*) FROM u") == [(10,)]


@pytest.mark.slow
def test_a_row_that_comes_late_is_known_by_its_key_whatever_the_cursor_is(make: Make):
    table = make()
    table.put((1, 10, "a"), (5, 50, "b"))
    table.move()
    table.put((3, 30, "a missing id"), (9, 20, "a greater id"))
    table.move()
    assert (table.is_moved(), table.quiet()) == (True, True)
    assert table.move() == 0


@pytest.mark.slow
def test_a_row_that_comes_late_without_a_witness_is_counted(make_lite: Make):
    table = make_lite(key="")
    table.put((1, 1, "a"), (2, 5, "b"))
    table.move()
    table.put((3, 3, "late"))
    table.move()
    assert "1 came below the watermark and were not moved" in table.word()
    table.put((4, 4, "late too"))
    table.move()
    assert "holds 3 rows below the watermark, 1 were moved: 2 came" in table.word()


def test_a_view_does_not_show_its_writers(make_pg: Make):
    table = make_pg()
    table.do("CREATE VIEW w AS SELECT * FROM t")
    source = table.system.source("w", watermark={"column": "n"})
    with source.snapshot() as token:
        chunks = list(source.split(source.describe(), source.window(), "0" * 32, token))
    assert chunks == []
