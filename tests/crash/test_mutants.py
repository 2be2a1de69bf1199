"""The crash suite proves itself: hdm, broken in each known way, must be noticed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import mutants
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm, zygote
from tests.crash.invariants import Damage, inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.crash.test_random import put_to_sleep

MakeShop = Callable[..., Shop]


def killed_and_resumed(hdm: Hdm, make: MakeShop, *specs: str) -> Damage:
    """Kill once, look at the watermarks, run to the end, and look at everything; for each spec."""
    damage = Damage()
    for spec in specs:
        damage.add(_killed_and_resumed(hdm, make("sqlite"), spec))
    return damage


def _killed_and_resumed(hdm: Hdm, shop: Shop, spec: str) -> Damage:
    hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT": spec})
    ahead = watermarks_ahead(shop)
    run = hdm.run(shop.args, shop.env)
    hdm.run(["gc", *shop.args], shop.env)
    damage = inspect(shop)
    damage.ahead += ahead
    if run.code:
        damage.breaks.append(f"the second run ended with {run.code}")
    return damage


def overtaken(hdm: Hdm, make: MakeShop) -> Damage:
    """Stop one worker past its lease, let another finish, wake the first up."""
    shop, sleeper = put_to_sleep(hdm, lambda: make("sqlite", workers=1), "C7:2:stop")
    hdm.run(shop.args, shop.env, seconds=90)
    sleeper.signal(signal.SIGCONT)
    sleeper.wait(60)
    return inspect(shop, cleaned=False)


def with_new_ties(hdm: Hdm, make: MakeShop) -> Damage:
    """Rows that share the watermark's value arrive between two runs."""
    shop = make("sqlite")
    hdm.run(shop.args, shop.env)
    last = max(row[4] for row in shop.rows_of_source("orders") if row[4] is not None)
    shop.add_orders(9000, 3, last)
    hdm.run(shop.args, shop.env)
    return inspect(shop, cleaned=False)


CASES: dict[str, tuple[str, Callable[[Hdm, MakeShop], Damage], Callable[[Damage], object]]] = {
    "no ledger": (
        mutants.NO_LEDGER,
        lambda hdm, make: killed_and_resumed(hdm, make, "L5:2:kill"),
        lambda damage: damage.duplicated,
    ),
    "naive commit order": (
        mutants.NAIVE_ORDER,
        lambda hdm, make: killed_and_resumed(hdm, make, "X1:2:kill"),
        lambda damage: damage.duplicated,
    ),
    "no fencing": (mutants.NO_FENCING, overtaken, lambda damage: damage.breaks),
    "seen is done": (
        mutants.SEEN_IS_DONE,
        lambda hdm, make: killed_and_resumed(hdm, make, "L3:2:kill"),
        lambda damage: damage.lost,
    ),
    "watermark first": (
        mutants.WATERMARK_FIRST,
        lambda hdm, make: killed_and_resumed(hdm, make, "C3:2:kill"),
        lambda damage: damage.ahead,
    ),
    "no fsync, no rename": (
        mutants.NO_RENAME,
        lambda hdm, make: killed_and_resumed(hdm, make, *(f"C3:{n}:kill" for n in range(2, 8))),
        lambda damage: damage.lost or damage.breaks,
    ),
    "open watermark (>)": (mutants.OPEN_WATERMARK, with_new_ties, lambda damage: damage.lost == 3),
    "no NULL chunk": (mutants.NO_NULL_CHUNK, with_new_ties, lambda damage: damage.lost),
}


@pytest.mark.parametrize("name", CASES)
def test_mutant_is_caught(name: str, make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    code, scenario, noticed = CASES[name]
    undisturbed = make_shop("sqlite")
    with zygote(tmp_path, code) as broken:
        plain = broken.run(undisturbed.args, undisturbed.env)
        assert plain.code == 0, f"the mutant does not even run undisturbed:\n{plain.text()}"
        damage = scenario(broken, make_shop)
    caught = bool(noticed(damage))
    FIGURES.mutant(name, caught)
    assert caught, f"not noticed: {damage}"


def test_the_scenarios_find_nothing_wrong_with_hdm(make_shop: Callable[..., Shop], hdm: Hdm) -> None:
    """Unbroken, the same scenarios are clean: what catches the mutants is not the scenario."""
    for scenario in (
        lambda: killed_and_resumed(hdm, make_shop, "L5:2:kill", "C3:2:kill", "C3:3:kill"),
        lambda: overtaken(hdm, make_shop),
        lambda: with_new_ties(hdm, make_shop),
    ):
        damage = scenario()
        assert not damage.any, damage
