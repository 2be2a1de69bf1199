"""SIGKILL at every failpoint on every state database.

Each run kills at one of the point's first, middle and last passing, and gives each state database one
target; the seed draws both. One history takes two kills: at a point, and at a later point while the rest
is made up for. ``--long`` takes every passing with every target, one kill to a history.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.crash.figures import FIGURES
from tests.crash.harness import KILLED, Hdm, Running
from tests.crash.invariants import inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.runner.sample import Sample

STATES = ("sqlite", "postgres", "mariadb")
TARGETS = ("sqlite", "postgres", "mariadb", "duckdb")
FIRST = ("R1", "R2", "R3", "R4", "M1", "M2", "C2", "C3", "C4", "C5", "C6", "C7", "U4", "L1")
LATER = ("L2", "L3", "L4", "L5", "L6", "L7", "L8", "V1", "V2", "D1", "W1", "W2", "W3", "A1")
"""Points that an ordinary run passes; most of LATER also a run that goes on after a kill at one of FIRST."""

Passes = Callable[[str, str, Callable[[], Shop]], Counter[str]]


@pytest.fixture(scope="module")
def passes(hdm: Hdm, tmp_path_factory: pytest.TempPathFactory) -> Passes:
    """``passes(state, target)``: how often a run passes each point. Counted in a run without kills, once for
    all test processes, which share the folder above their own."""
    folder = tmp_path_factory.getbasetemp().parent / "passes"
    folder.mkdir(exist_ok=True)

    def counted(state: str, target: str, made: Callable[[], Shop]) -> Counter[str]:
        kept = folder / f"{state}-{target}.json"
        if not kept.exists():
            fresh = kept.with_name(f"{tmp_path_factory.getbasetemp().name}-{kept.name}")
            fresh.write_text(json.dumps(count_passes(hdm, made())))
            fresh.replace(kept)
        return Counter(json.loads(kept.read_text()))

    return counted


def count_passes(hdm: Hdm, shop: Shop) -> Counter[str]:
    trace = shop.folder / "trace.txt"
    run = hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT_TRACE": str(trace)})
    assert run.code == 0, run.text()
    damage = inspect(shop, cleaned=False)
    assert not damage.any, damage
    return Counter(trace.read_text().split())


def kill(hdm: Hdm, shop: Shop, spec: str, *, args: list[str] | None = None) -> None:
    """Run the command until the failpoint kills it; fails if the kill did not land."""
    run = kill_or_end(hdm, shop, spec, args=args)
    assert run.code == KILLED, f"{spec} did not kill: exit {run.code}\n{run.text()}"


def kill_or_end(hdm: Hdm, shop: Shop, spec: str, *, args: list[str] | None = None) -> Running:
    """Run the command until the failpoint kills it, or to its end if it does not pass the point so often."""
    log = shop.folder / "kills.txt"
    before = log.read_text().count("\n") if log.exists() else 0
    run = hdm.run(args or shop.args, {**shop.env, "HDM_FAILPOINT": spec, "HDM_FAILPOINT_LOG": str(log)})
    if run.code == KILLED:
        assert log.read_text().count("\n") > before
    return run


def kill_about(hdm: Hdm, point: str, nth: int, made: Callable[[], Shop]) -> Shop:
    """The shop in which the run was killed at its ``nth`` passing of ``point``. A run passes A1 less often
    the more claims went along with a commit: its last passing is looked for downwards."""
    least = nth - nth // 4 if point == "A1" else nth
    for at in range(nth, least - 1, -2):
        shop = made()
        run = kill_or_end(hdm, shop, f"{point}:{at}:kill")
        if run.code == KILLED:
            return shop
        assert run.code == 0, run.text()
    raise AssertionError(f"a run passes {point} less than {least} times")


def recover(hdm: Hdm, shop: Shop) -> None:
    """Run again to the end, clean up, and run once more: nothing may move then."""
    for args in (shop.args, ["gc", *shop.args]):
        run = hdm.run(args, shop.env)
        assert run.code == 0, f"{run.text()}\n{errors(shop)}"
    run = hdm.run(["gc", "--dry-run", *shop.args], shop.env)
    assert "0 object(s)" in run.text(), run.text()


def errors(shop: Shop) -> list[tuple[object, ...]]:
    return shop.state.query("SELECT error_class, error_msg FROM hdm_chunk WHERE error_class IS NOT NULL")


def settle(kind: str, hdm: Hdm, shop: Shop, kills: int) -> None:
    recover(hdm, shop)
    damage = inspect(shop)
    FIGURES.note(kind, kills, damage)
    assert not damage.any, f"{damage} in {shop.folder}"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("first", "later"), [*zip(FIRST, LATER, strict=True)])
def test_kill_at(
    state: str,
    first: str,
    later: str,
    hdm: Hdm,
    make_shop: Callable[..., Shop],
    passes: Passes,
    sample: Sample,
) -> None:
    for target in sample.of(f"target beside {state}", TARGETS):
        made = partial(make_shop, state, target=target)
        count = passes(state, target, made)
        assert count[first] and count[later], f"a run never passes {first} or {later}"
        kind = f"failpoints, state on {state}, into {target}"
        spots = [
            (point, nth)
            for point in (first, later)
            for nth in sample.of(f"{state} {point}", sorted({1, (count[point] + 1) // 2, count[point]}))
        ]
        if not sample.whole and killed_twice(hdm, made, spots, kind):
            continue
        for point, nth in spots if sample.whole else spots[1:]:
            shop = kill_about(hdm, point, nth, made)
            nothing_is_ahead(shop, point)
            settle(kind, hdm, shop, 1)


def killed_twice(hdm: Hdm, made: Callable[[], Shop], spots: list[tuple[str, int]], kind: str) -> bool:
    """Kill at the first spot, go on and kill at the second; whether the run that went on passed that."""
    (first, nth), (later, again) = spots
    shop = kill_about(hdm, first, nth, made)
    nothing_is_ahead(shop, first)
    run = kill_or_end(hdm, shop, f"{later}:{again}:kill")
    assert run.code in (KILLED, 0), run.text()
    nothing_is_ahead(shop, later)
    settle(kind, hdm, shop, 1 + (run.code == KILLED))
    return run.code == KILLED


def nothing_is_ahead(shop: Shop, point: str) -> None:
    """No watermark passes what is not committed, if there is a state database by now."""
    if (shop.folder / "state.db").exists() or shop.state.name != "sqlite":
        assert point in ("M1", "M2") or watermarks_ahead(shop) == 0


@pytest.mark.draw("state", STATES, 1)
@pytest.mark.parametrize("point", ["C6", "L4", "L6", "W2"])
def test_kill_twice_in_a_row(state: str, point: str, hdm: Hdm, make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(state)
    for _ in range(2):
        kill(hdm, shop, f"{point}:1:kill")
    settle(f"twice in a row, state on {state}", hdm, shop, 2)


@pytest.mark.draw("state", STATES, 1)
@pytest.mark.parametrize("point", ["G1", "G2"])
def test_kill_the_janitor(state: str, point: str, hdm: Hdm, make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(state)
    kill(hdm, shop, "C4:3:kill")
    assert hdm.run(shop.args, shop.env).code == 0
    kill(hdm, shop, f"{point}:1:kill", args=["gc", *shop.args])
    settle(f"janitor, state on {state}", hdm, shop, 2)


@pytest.mark.draw("state", STATES, 1)
@pytest.mark.parametrize("point", ["H1", "H2"])
def test_kill_around_leases(state: str, point: str, hdm: Hdm, make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(state)
    if point == "H1":
        kill(hdm, shop, "C3:2:sleep:2.5,H1:1:kill")
    else:
        kill(hdm, shop, "L3:2:kill")
        kill(hdm, shop, "H2:1:kill")
    settle(f"leases, state on {state}", hdm, shop, 1)


@pytest.mark.draw("state", STATES, 1)
def test_kill_while_a_lost_state_is_rebuilt(
    state: str, hdm: Hdm, make_shop: Callable[..., Shop], sample: Sample
) -> None:
    """The state database is gone; the ledgers bring it back, also when that is interrupted."""
    for nth in sample.of(f"lost {state}", (1, 5, 9)):
        shop = make_shop(state)
        assert hdm.run(shop.args, shop.env).code == 0
        shop.lose_state(make_shop(state).state)
        kill(hdm, shop, f"Z1:{nth}:kill")
        settle(f"lost state, state on {state}", hdm, shop, 1)
