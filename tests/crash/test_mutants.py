"""The crash suite proves itself: hdm, broken in each known way, must be noticed."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psycopg
import pytest
import yaml

from tests.crash import mutants
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm, zygote
from tests.crash.invariants import Damage, compare, inspect, watermarks_ahead
from tests.crash.shop import Shop
from tests.crash.test_random import put_to_sleep

MakeShop = Callable[..., Shop]


def killed_and_resumed(hdm: Hdm, make: MakeShop, spec: str) -> Damage:
    """Kill once, look at the watermarks, run to the end, and look at everything."""
    shop = make("sqlite")
    hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT": spec})
    ahead = watermarks_ahead(shop)
    run = hdm.run(shop.args, shop.env)
    hdm.run(["gc", *shop.args], shop.env)
    damage = inspect(shop)
    damage.ahead += ahead
    if run.code:
        damage.breaks.append(f"the second run ended with {run.code}")
    return damage


def overtaken(hdm: Hdm, make: MakeShop, position: int = 2) -> Damage:
    """Stop one worker past its lease, let another finish, wake the first up."""
    shop, sleeper = put_to_sleep(hdm, lambda: make("sqlite", workers=1), f"C7:{position}:stop")
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


def merging(shop: Shop) -> Shop:
    """The same, but ``orders`` are merged into the target."""
    manifest = yaml.safe_load(shop.manifest.read_text())
    for link in manifest["declared_data_links"]["stages"]:
        if link["sink"]["name"] == "target_orders":
            link["mode"] = "merge"
    shop.manifest.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return shop


def with_a_trigger(hdm: Hdm, shop: Shop, trigger: str, *changes: str) -> Damage:
    """Merge; then, while a trigger is in the way, what the changes make; then, without it, the rest."""
    hdm.run(shop.args, shop.env)
    function = f"RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {trigger} RETURN NEW; END$$"
    on_target(
        shop,
        f"CREATE FUNCTION in_the_way() {function}; CREATE TRIGGER in_the_way BEFORE UPDATE ON orders "
        "FOR EACH ROW EXECUTE FUNCTION in_the_way()",
    )
    for change in changes:
        with contextlib.closing(sqlite3.connect(shop.source)) as source, source:
            source.execute(change)
        hdm.run(shop.args, shop.env)
    on_target(shop, "DROP TRIGGER in_the_way ON orders")
    hdm.run(["retry", *shop.args], shop.env)
    hdm.run(shop.args, shop.env)
    damage = Damage()
    compare(shop, "orders", damage)
    return damage


def retried_late(hdm: Hdm, make: MakeShop) -> Damage:
    """A chunk is dead while the next version of its row is staged, and is tried again then."""
    return with_a_trigger(
        hdm,
        merging(make("sqlite")),
        "IF NEW.cents = 4711 THEN RAISE check_violation; END IF;",
        "UPDATE orders SET cents = 4711, changed = 9001 WHERE id = 1",
        "UPDATE orders SET cents = 1, changed = 9002 WHERE id = 1",
    )


def dropping(hdm: Hdm, make: MakeShop) -> Damage:
    """The target's trigger leaves rows out without a word."""
    return with_a_trigger(
        hdm,
        merging(make("sqlite")),
        "IF NEW.cents = 4711 THEN RETURN NULL; END IF;",
        "UPDATE orders SET cents = 4711, changed = 9001 WHERE id = 1",
    )


def on_target(shop: Shop, statements: str) -> None:
    profile = {**shop.target.profile, "dbname": shop.target.profile["database"]}
    del profile["database"]
    with psycopg.connect(**profile) as connection:
        connection.execute(statements)


Scenario = Callable[[Hdm, MakeShop], Damage]


def kills(point: str) -> list[Scenario]:
    """One scenario for each of the first eight times that the point is passed, at which hdm is killed.

    Two workers pass it in an order that the machine decides: one position may hit a table that the mutant
    leaves whole.
    """

    def at(position: int) -> Scenario:
        return lambda hdm, make: killed_and_resumed(hdm, make, f"{point}:{position}:kill")

    return [at(position) for position in (2, 3, 1, *range(4, 9))]


# A mutant's code; what is tried until it is noticed; how it is noticed.
CASES: dict[str, tuple[str, list[Scenario], Callable[[Damage], object]]] = {
    "no ledger": (
        mutants.NO_LEDGER,
        kills("L5"),
        lambda damage: damage.duplicated or damage.breaks,  # or the next run misses the ledger's rows
    ),
    "naive commit order": (
        mutants.NAIVE_ORDER,
        kills("X1"),
        lambda damage: damage.duplicated,
    ),
    "no fencing": (
        mutants.NO_FENCING,
        [partial(overtaken, position=position) for position in (2, 4, 6, 8)],
        lambda damage: damage.breaks,
    ),
    "seen is done": (
        mutants.SEEN_IS_DONE,
        kills("L3"),
        lambda damage: damage.lost,
    ),
    "watermark first": (
        mutants.WATERMARK_FIRST,
        kills("C3"),
        lambda damage: damage.ahead,
    ),
    "no fsync, no rename": (
        mutants.NO_RENAME,
        kills("C3"),
        lambda damage: damage.lost or damage.breaks,
    ),
    "open watermark (>)": (mutants.OPEN_WATERMARK, [with_new_ties], lambda damage: damage.lost == 3),
    "any order": (mutants.ANY_ORDER, [retried_late], lambda damage: damage.lost == 1),
    "no count of what the target took": (mutants.NO_COUNT, [dropping], lambda damage: damage.lost == 1),
    "no NULL chunk": (mutants.NO_NULL_CHUNK, [with_new_ties], lambda damage: damage.lost),
}


@pytest.mark.parametrize("name", CASES)
def test_mutant_is_caught(name: str, make_shop: Callable[..., Shop], tmp_path: Path) -> None:
    code, scenarios, noticed = CASES[name]
    undisturbed = make_shop("sqlite")
    with zygote(tmp_path, code) as broken:
        plain = broken.run(undisturbed.args, undisturbed.env)
        assert plain.code == 0, f"the mutant does not even run undisturbed:\n{plain.text()}"
        caught = any(noticed(scenario(broken, make_shop)) for scenario in scenarios)
    FIGURES.mutant(name, caught)
    assert caught, f"not noticed by {len(scenarios)} scenarios"


def test_the_scenarios_find_nothing_wrong_with_hdm(make_shop: Callable[..., Shop], hdm: Hdm) -> None:
    """Unbroken, the same scenarios are clean: what catches the mutants is not the scenario."""
    for scenario in (
        kills("L5")[0],
        *kills("C3")[:2],
        overtaken,
        with_new_ties,
        retried_late,
        dropping,
    ):
        damage = scenario(hdm, make_shop)
        assert not damage.any, damage
