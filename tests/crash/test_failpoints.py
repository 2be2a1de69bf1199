"""SIGKILL at every failpoint on every state database.

Each run kills at one of the point's first, middle and last passing, and gives each state database one
target; the seed draws both. ``--long`` takes every passing with every target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.crash.figures import FIGURES
from tests.crash.harness import KILLED, Hdm
from tests.crash.invariants import inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.runner.sample import Sample

STATES = ("sqlite", "postgres", "mariadb")
TARGETS = ("sqlite", "postgres", "mariadb", "duckdb")
POINTS = (
    "R1", "R2", "R3", "R4", "C2", "C3", "C4", "C5", "C6", "C7", "U4", "L1", "L2", "L3", "L4", "L5", "L6",
    "L7", "L8", "V1", "V2", "D1", "W1", "W2", "W3", "A1", "M1", "M2",
)  # fmt: skip
"""Points that an ordinary run passes."""


@pytest.fixture(scope="module")
def passes() -> dict[tuple[str, str], Counter[str]]:
    """State database and target -> how often a run passes each point; filled when first needed."""
    return {}


def count_passes(hdm: Hdm, shop: Shop) -> Counter[str]:
    trace = shop.folder / "trace.txt"
    run = hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT_TRACE": str(trace)})
    assert run.code == 0, run.text()
    damage = inspect(shop, cleaned=False)
    assert not damage.any, damage
    return Counter(trace.read_text().split())


def kill(hdm: Hdm, shop: Shop, spec: str, *, args: list[str] | None = None) -> None:
    """Run the command until the failpoint kills it; fails if the kill did not land."""
    log = shop.folder / "kills.txt"
    before = log.read_text().count("\n") if log.exists() else 0
    run = hdm.run(args or shop.args, {**shop.env, "HDM_FAILPOINT": spec, "HDM_FAILPOINT_LOG": str(log)})
    assert run.code == KILLED, f"{spec} did not kill: exit {run.code}\n{run.text()}"
    assert log.read_text().count("\n") > before


def kill_about(hdm: Hdm, point: str, nth: int, made: Callable[[], Shop]) -> Shop:
    """The shop in which the run was killed at its ``nth`` passing of ``point``. A run passes A1 less often
    the more claims went along with a commit: its last passing is looked for downwards."""
    least = nth - nth // 4 if point == "A1" else nth
    for at in range(nth, least - 1, -2):
        shop = made()
        try:
            kill(hdm, shop, f"{point}:{at}:kill")
        except AssertionError as missed:
            if at - 2 < least or "did not kill: exit 0" not in str(missed):
                raise
        else:
            return shop
    raise AssertionError("unreachable")


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
@pytest.mark.parametrize("point", POINTS)
def test_kill_at(
    state: str,
    point: str,
    hdm: Hdm,
    make_shop: Callable[..., Shop],
    passes: dict[tuple[str, str], Counter[str]],
    sample: Sample,
) -> None:
    for target in sample.of(f"target beside {state}", TARGETS):
        if (state, target) not in passes:
            passes[state, target] = count_passes(hdm, make_shop(state, target=target))
        count = passes[state, target][point]
        assert count, f"a run never passes {point}"
        for nth in sample.of(f"{state} {point}", sorted({1, (count + 1) // 2, count})):
            shop = kill_about(hdm, point, nth, partial(make_shop, state, target=target))
            if (shop.folder / "state.db").exists() or state != "sqlite":
                assert point in ("M1", "M2") or watermarks_ahead(shop) == 0
            settle(f"failpoints, state on {state}, into {target}", hdm, shop, 1)


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
