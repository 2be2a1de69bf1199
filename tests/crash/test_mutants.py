"""The crash suite proves itself: hdm, broken in each known way, must be noticed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import mutants
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm, until, zygote
from tests.crash.invariants import Damage, inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.crash.test_random import is_stopped


def killed_and_resumed(hdm: Hdm, shop: Shop, spec: str) -> Damage:
    """Kill once, look at the watermarks, run to the end, and look at everything."""
    hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT": spec})
    ahead = watermarks_ahead(shop)
    run = hdm.run(shop.args, shop.env)
    hdm.run(["gc", *shop.args], shop.env)
    damage = inspect(shop)
    damage.ahead += ahead
    if run.code:
        damage.breaks.append(f"the second run ended with {run.code}")
    return damage


def overtaken(hdm: Hdm, shop: Shop) -> Damage:
    """Stop one worker past its lease, let another finish, wake the first up."""
    sleeper = hdm.start(shop.args, {**shop.env, "HDM_FAILPOINT": "C7:2:stop"})
    assert until(lambda: is_stopped(sleeper.pid)), sleeper.text()
    hdm.run(shop.args, shop.env, seconds=90)
    sleeper.signal(signal.SIGCONT)
    sleeper.wait(60)
    return inspect(shop, cleaned=False)


def with_new_ties(hdm: Hdm, shop: Shop) -> Damage:
    """Rows that share the watermark's value arrive between two runs."""
    hdm.run(shop.args, shop.env)
    last = max(row[4] for row in shop.rows_of_source("orders") if row[4] is not None)
    shop.add_orders(9000, 3, last)
    hdm.run(shop.args, shop.env)
    return inspect(shop, cleaned=False)


CASES: dict[str, tuple[str, Callable[[Hdm, Shop], Damage], Callable[[Damage], object]]] = {
    "no ledger": (
        mutants.NO_LEDGER,
        lambda hdm, shop: killed_and_resumed(hdm, shop, "L5:2:kill"),
        lambda damage: damage.duplicated,
    ),
    "naive commit order": (
        mutants.NAIVE_ORDER,
        lambda hdm, shop: killed_and_resumed(hdm, shop, "X1:2:kill"),
        lambda damage: damage.duplicated,
    ),
    "no fencing": (mutants.NO_FENCING, overtaken, lambda damage: damage.breaks),
    "seen is done": (
        mutants.SEEN_IS_DONE,
        lambda hdm, shop: killed_and_resumed(hdm, shop, "L3:2:kill"),
        lambda damage: damage.lost,
    ),
    "watermark first": (
        mutants.WATERMARK_FIRST,
        lambda hdm, shop: killed_and_resumed(hdm, shop, "C3:2:kill"),
        lambda damage: damage.ahead,
    ),
    "no fsync, no rename": (
        mutants.NO_RENAME,
        lambda hdm, shop: killed_and_resumed(hdm, shop, "C3:2:kill"),
        lambda damage: damage.lost or damage.breaks,
    ),
    "open watermark (>)": (mutants.OPEN_WATERMARK, with_new_ties, lambda damage: damage.lost == 3),
    "no NULL chunk": (mutants.NO_NULL_CHUNK, with_new_ties, lambda damage: damage.lost),
}


@pytest.mark.parametrize("name", CASES)
def test_mutant_is_caught(name: str, make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    code, scenario, noticed = CASES[name]
    shop, undisturbed = make_shop("sqlite"), make_shop("sqlite")
    with zygote(tmp_path, code) as broken:
        plain = broken.run(undisturbed.args, undisturbed.env)
        assert plain.code == 0, f"the mutant does not even run undisturbed:\n{plain.text()}"
        damage = scenario(broken, shop)
    caught = bool(noticed(damage))
    FIGURES.mutant(name, caught)
    assert caught, f"not noticed: {damage}"


def test_the_scenarios_find_nothing_wrong_with_hdm(make_shop: Callable[..., Shop], hdm: Hdm) -> None:
    """Unbroken, the same scenarios are clean: what catches the mutants is not the scenario."""
    for scenario in (
        lambda shop: killed_and_resumed(hdm, shop, "L5:2:kill"),
        lambda shop: overtaken(hdm, shop),
        lambda shop: with_new_ties(hdm, shop),
    ):
        damage = scenario(make_shop("sqlite"))
        assert not damage.any, damage
