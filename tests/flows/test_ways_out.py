"""A dead chunk does not stop its table, and every dead end has a way out that neither doubles nor loses."""

from __future__ import annotations

import pytest

from tests.flows.kit import Place, direct, load, on_sqlite, only, shop, stage

TOO_LARGE = 9_000_000


@pytest.fixture
def place(tmp_path):
    return shop(tmp_path, 100, 30)


def growing(place: Place, **link) -> Place:
    """``orders`` by its id, ten rows to a chunk; a row of too many cents is refused by a check."""
    one = direct(place, "orders", watermark={"column": "id"}, chunk={"rows": 10})
    one["checks"] = [{"type": "Range", "column": "cents", "max": TOO_LARGE}]
    return only(place, {**one, **link})


def spoil(place: Place, row: int) -> None:
    place.sql(f"UPDATE orders SET cents = {TOO_LARGE + 1} WHERE id = {row}")


def mend(place: Place, row: int) -> None:
    place.sql(f"UPDATE orders SET cents = 1 WHERE id = {row}")


def more(place: Place, first: int, last: int) -> None:
    place.sql("INSERT INTO orders VALUES (?, 'c', 1, NULL)", [(n,) for n in range(first, last)])


def ids(place: Place) -> list[int]:
    return sorted(row[0] for row in on_sqlite(place.target, "SELECT id FROM orders"))


def without(*gone: range) -> list[int]:
    return [n for n in range(130) if not any(n in one for one in gone)]


GAP = range(40, 50)


def late_by_its_watermark(place: Place) -> set[int]:
    """``orders`` by ``changed``, of which a chunk is dead; then four rows come below the watermark. The ids
    of those that lie in the range of that chunk: one at least."""
    only(place, direct(place, "orders", watermark={"column": "changed"}, chunk={"rows": 20}))
    place.manifest["orchestrator"]["conf"]["workers"] = 1
    assert place.write().start("run", HDM_FAILPOINT="L1:3:raise:RejectedRows").wait(60) == 1
    ((low, high),) = place.state("SELECT lo, hi FROM hdm_chunk WHERE status = 'dead'")
    late = {1000: int(high), 1001: 1, 1002: 13, 1003: 0}
    place.sql("INSERT INTO orders VALUES (?, 'late', 1, ?)", list(late.items()))
    return {number for number, changed in late.items() if int(low or -1) < changed <= int(high)}


@pytest.mark.parametrize("closing", ["retry", "waive"])
def test_rows_that_come_late_beside_a_dead_chunk_are_said_and_never_doubled(place, closing):
    """Its range, read later, gives those that lie in it: which are missing is not known any more."""
    within = late_by_its_watermark(place)
    done = place.hdm("run")
    assert done.code == 1
    assert "up to 4 came below the watermark and were not moved" in done.err
    if closing == "retry":
        assert place.hdm("retry").code == 0
    else:
        assert place.hdm("waive", "--by", "ann", "--reason", "test rows").code == 0
    for _ in range(2):
        done = place.hdm("run")
        assert "up to 4 came below the watermark and were not moved" in done.err, done.said
        assert "1 table differs from the source below the watermark" in done.err
    found = ids(place)
    assert len(found) == len(set(found)), "nothing stands twice"
    assert {1000, 1001, 1002, 1003} & set(found) == (within if closing == "retry" else set())
    place.sql("INSERT INTO orders VALUES (?, 'later', 1, 2)", [(1100,)])
    assert place.hdm("run").code == 0
    assert 1100 in ids(place), "what comes late once the gap is closed is moved"


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize("closing", ["retry", "waive"])
def test_new_rows_go_on_past_a_dead_chunk_and_the_gap_stays_on_record(place, mode, closing):
    growing(place, mode=mode)
    spoil(place, 45)
    assert place.hdm("run").code == 1
    more(place, 100, 120)
    second = place.hdm("run")
    assert second.code == 1, "the gap is not closed"
    assert "1 chunk(s) of an earlier reading are dead" in second.err
    assert ids(place) == [n for n in without(GAP) if n < 120]
    assert place.hdm("status").code == 1
    more(place, 120, 130)
    assert place.hdm("run").code == 1
    assert ids(place) == without(GAP)
    if closing == "retry":
        mend(place, 45)
        assert "1 chunk(s) pending again" in place.hdm("retry").out
        done = place.hdm("run")
        assert (done.code, ids(place)) == (0, without()), done.said
    else:
        place.hdm("waive", "--by", "A. Person", "--reason", "known")
        assert (place.hdm("run").code, ids(place)) == (0, without(GAP))
    before = place.state("SELECT value FROM hdm_watermark ORDER BY seq DESC LIMIT 1")
    assert (before, place.hdm("run").code) == ([("129",)], 0), "the watermark has not gone back"
    assert ids(place) == without(() if closing == "retry" else GAP)


def test_gaps_of_several_readings_are_all_on_record(place):
    growing(place, mode="append")
    spoil(place, 45)
    assert place.hdm("run").code == 1
    more(place, 100, 130)
    spoil(place, 105)
    assert place.hdm("run").code == 1
    assert place.hdm("run").code == 1
    assert len(place.hdm("status", "--dead", "--json").json) == 2
    mend(place, 45)
    mend(place, 105)
    place.hdm("retry")
    assert (place.hdm("run").code, ids(place)) == (0, without())


def test_a_dead_chunk_whose_rows_arrived_is_found_and_moves_no_later_watermark(place):
    """The target committed it, and the worker failed before the state did: the next reading finds it."""
    growing(place, mode="append")
    place.manifest["orchestrator"]["conf"]["workers"] = 1
    assert place.write().start("run", HDM_FAILPOINT="L6:3:raise:RejectedRows").wait(60) == 1
    assert ids(place) == list(range(100))
    more(place, 100, 130)
    place.hdm("run")
    place.hdm("run")
    assert (place.hdm("run").code, ids(place)) == (0, without())
    of = "SELECT COUNT(*) FROM hdm_lineage_edge e JOIN hdm_chunk c ON c.chunk_id = e.to_chunk_id"
    assert place.state(f"{of} WHERE c.job_id <> e.job_id") == [(0,)]
    assert place.state("SELECT value FROM hdm_watermark ORDER BY seq DESC LIMIT 1") == [("129",)]


def test_who_says_so_stops_a_table_at_its_dead_chunk(place):
    growing(place, mode="append", on_dead="stop")
    spoil(place, 45)
    assert place.hdm("run").code == 1
    more(place, 100, 130)
    assert place.hdm("run").code == 1
    assert max(ids(place)) == 99


def test_a_dead_chunk_at_the_windows_end_is_not_passed(place):
    """Which rows share its value is not known without it: later ones could arrive twice."""
    growing(place, mode="append")
    spoil(place, 99)
    assert place.hdm("run").code == 1
    more(place, 100, 130)
    assert place.hdm("run").code == 1
    mend(place, 99)
    place.hdm("retry")
    assert place.hdm("run").code == 0
    assert place.hdm("run").code == 0
    assert ids(place) == without()


# -- read again ------------------------------------------------------------------


def staged(place: Place, mode: str = "append") -> Place:
    """``orders`` by way of files; the check is at the load."""
    last = load(place)
    last["checks"] = [{"type": "Range", "column": "cents", "max": TOO_LARGE}]
    last["mode"] = mode
    first = stage("orders", place, watermark={"column": "id"}, chunk={"rows": 10})
    return only(place, first, last)


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_a_bad_value_below_staged_files_is_read_anew_from_the_mended_source(place, mode):
    staged(place, mode)
    spoil(place, 45)
    assert place.hdm("run").code == 1
    mend(place, 45)
    place.hdm("retry")
    assert place.hdm("run").code == 1, "the file is what it was"
    assert "1 chunk(s) will be read again" in place.hdm("retry", "--reread").out
    done = place.hdm("run")
    assert (done.code, ids(place)) == (0, list(range(100))), done.said
    more(place, 100, 130)
    assert (place.hdm("run").code, ids(place)) == (0, without())
    assert place.hdm("state", "verify").code == 0


def test_a_range_is_read_again_and_merged(place):
    growing(place, mode="merge")
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET cents = 77 WHERE id IN (15, 45, 46, 95)")
    assert place.hdm("run").code == 0
    assert 77 not in {row[2] for row in place.rows("orders")}, "the watermark does not see changes"
    done = place.hdm("reload", "orders", "--range", "42:48")
    assert "1 chunk(s) will be read again" in done.out, done.said
    assert place.hdm("run").code == 0
    assert {row[0] for row in place.rows("orders") if row[2] == 77} == {45, 46}
    assert ids(place) == list(range(100))
    more(place, 100, 130)
    assert (place.hdm("run").code, ids(place)) == (0, without())


def test_what_is_read_again_is_not_told_as_a_difference_and_hides_none(place):
    growing(place, mode="merge")
    assert place.hdm("run").code == 0
    assert "1 chunk(s)" in place.hdm("reload", "orders", "--range", "42:48").out
    for _ in range(2):
        done = place.hdm("run")
        assert (done.code, "differs" in done.err, "note:" in done.err) == (0, False, False), done.said
    place.sql("DELETE FROM orders WHERE id IN (11, 12, 13)")
    assert "3 are gone" in place.hdm("run").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["orders", "--range", "40:49"], "mode append would double it"),
        (["orders"], "say which part"),
        (["nothing", "--range", "1:2"], "no table 'nothing' was read"),
        (["orders", "--range", "500:600"], "in that range"),
        (["orders", "--range", "5"], "has no ':'"),
        (["orders", "--chunk", "zzz"], "by that id"),
    ],
)
def test_what_cannot_be_reloaded_is_refused_and_nothing_changes(place, words, said):
    growing(place, mode="append")
    assert place.hdm("run").code == 0
    done = place.hdm("reload", *words)
    assert (done.code, said in done.err) == (2, True), done.said
    assert (place.hdm("run").code, ids(place)) == (0, list(range(100)))


# -- whole tables ------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["merge", "replace"])
def test_a_table_is_read_whole_when_asked(place, mode):
    growing(place, mode=mode)
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET cents = 77 WHERE id < 50")
    done = place.hdm("run", "--full-refresh", "orders")
    assert done.code == 0, done.said
    assert len([1 for row in place.rows("orders") if row[2] == 77]) == 50
    assert ids(place) == list(range(100))
    more(place, 100, 130)
    for _ in range(2):
        assert (place.hdm("run").code, ids(place)) == (0, without())


def test_a_table_that_has_failed_is_read_whole_and_is_well_again(place):
    growing(place, mode="replace")
    spoil(place, 45)
    assert place.hdm("run").code == 1
    mend(place, 45)
    done = place.hdm("run", "--full-refresh", "orders")
    assert (done.code, ids(place)) == (0, list(range(100))), done.said
    assert place.hdm("status", "--dead").code == 0


def test_a_chain_is_read_whole_from_its_source(place):
    staged(place, "merge")
    assert place.hdm("run").code == 0
    place.sql("UPDATE orders SET cents = 77")
    done = place.hdm("run", "--full-refresh", "orders")
    assert done.code == 0, done.said
    assert {row[2] for row in place.rows("orders")} == {77}
    assert ids(place) == list(range(100))


@pytest.mark.parametrize("how", [growing, staged])
def test_what_would_double_is_refused(place, how):
    how(place)
    first = place.hdm("run")
    assert (first.code, ids(place)) == (0, list(range(100))), first.said
    done = place.hdm("run", "--full-refresh", "orders")
    assert (done.code, "a second time" in done.err) == (2, True), done.said
    assert ids(place) == list(range(100))


def test_only_the_selected_tables_are_moved(place):
    links = [direct(place, "orders"), direct(place, "items")]
    links[1]["source"]["name"], links[1]["sink"]["name"] = "src2", "dst2"
    only(place, *links)
    done = place.hdm("run", "--select", "item*")
    assert (done.code, "found nothing" in done.err) == (0, False)
    assert on_sqlite(place.target, "SELECT name FROM sqlite_master WHERE name = 'orders'") == []
    assert len(place.rows("items")) == 30
    wrong = place.hdm("run", "--select", "nosuch")
    assert (wrong.code, "orders" in wrong.err) == (2, True)
    assert place.hdm("run").code == 0
    assert ids(place) == list(range(100))


def test_a_selected_table_goes_all_the_way(place):
    only(place, stage("orders", place), stage("items", place), load(place))
    assert place.hdm("run", "--select", "orders").code == 0
    assert (len(ids(place)), place.state("SELECT COUNT(DISTINCT sink_name) FROM hdm_job")) == (100, [(2,)])
