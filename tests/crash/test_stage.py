"""SIGKILL around files on an internal stage: SQLite -> PUT -> the ledger that publishes them.

The seed draws the point and the passing at which it kills; ``--long`` takes all points, at the first
passing and the last. As in ``test_chain.py``, the emulator rolls definitions back and never skips an upload.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hdm.connectors.snowflake import SnowflakeInternalStageSink, SnowflakeProfile
from hdm.model.json import receipt_from_json
from tests.crash import invariants
from tests.crash.conftest import Fresh
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm
from tests.crash.invariants import Damage
from tests.crash.shop import Shop, Target
from tests.crash.test_failpoints import kill
from tests.runner.sample import Sample
from tests.servers import fakesnow

POINTS = ("C2", "C4", "C6", "U2", "U3", "L1", "L2", "C7", "U4", "V1", "L7")
ROWS = 70


class StageShop(Shop):
    """The shop's orders, put on a stage."""

    def __init__(self, folder: Path, fresh: Fresh, snowflake: fakesnow.Snowflake) -> None:
        self.snowflake, self.account = snowflake, {**snowflake.fresh(), "network_timeout": 60}
        target = Target("snowflake", "SnowflakeInternalStageSink", self.account, self.ask, quote='"')
        super().__init__(folder, fresh.state("sqlite"), target)
        cls = SnowflakeInternalStageSink
        self.sink = cls(cls.Config(), SnowflakeProfile.model_validate(self.account), name="target_orders")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        account = {key: value for key, value in self.account.items() if key != "network_timeout"}
        connection = self.snowflake.connect(account)
        try:
            with connection.cursor() as cursor:
                return [tuple(row) for row in cursor.execute(sql).fetchall()]
        finally:
            connection.close()

    def _manifest(self) -> dict[str, Any]:
        manifest = super()._manifest()
        extract, load = manifest["declared_data_links"]["stages"][:2]
        extract["source"]["conf"]["chunk"] = {"rows": ROWS}
        load["sink"]["conf"] = {"env": "target"}
        manifest["declared_data_links"]["stages"] = [{"source": extract["source"], "sink": load["sink"]}]
        return manifest

    def published(self) -> list[str]:
        """The keys of the files that the ledger names."""
        rows = self.ask('SELECT "receipt_json" FROM "_hdm_load_ledger" WHERE "epoch" > 0')
        receipts = [receipt_from_json(said) for (said,) in rows]
        return sorted(self.sink.store.key(file.uri) for one in receipts for file in one.files)

    def rows_of_target(self, table: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for key in self.published():
            with self.sink.store.open(key) as stream:
                found += [tuple(row.values()) for row in pq.read_table(stream).to_pylist()]
        return sorted(found, key=repr)


def inspect(shop: StageShop) -> Damage:
    """Rows that the ledger publishes; state and ledger; files on the stage that the ledger does not name."""
    damage = Damage()
    invariants.compare(shop, "orders", damage)
    invariants._ledger_is_the_state(shop, damage)
    damage.ahead += invariants.watermarks_ahead(shop)
    invariants._books_balance(shop, damage)
    there = [found.key for found in shop.sink.store.list()]
    damage.orphans += len(set(there) - set(shop.published()))
    damage.lost += len(set(shop.published()) - set(there))
    return damage


@pytest.fixture
def make_shop(
    request: pytest.FixtureRequest, tmp_path: Path, snowflake_server: fakesnow.Snowflake
) -> Callable[[], StageShop]:
    count = 0

    def make() -> StageShop:
        nonlocal count
        count += 1
        folder = tmp_path / f"shop{count}"
        folder.mkdir()
        return StageShop(folder, Fresh(request, folder), snowflake_server)

    return make


@pytest.fixture(scope="module")
def passes() -> Counter[str]:
    """How often a run passes each point."""
    return Counter()


def until_done(hdm: Hdm, shop: StageShop) -> None:
    """Run again until all is done: what a dead session's transaction locks is waited for at first."""
    for _ in range(4):
        run = hdm.run(shop.args, shop.env)
        if run.code == 0:
            return
        assert run.code == 1 and "000625" in run.text(), run.text()
    raise AssertionError(run.text())


@pytest.mark.draw("point", POINTS, 1)
def test_kill_around_a_stage(
    point: str, hdm: Hdm, make_shop: Callable[[], StageShop], passes: Counter[str], sample: Sample
) -> None:
    if not passes:
        shop = make_shop()
        trace = shop.folder / "trace.txt"
        run = hdm.run(shop.args, {**shop.env, "HDM_FAILPOINT_TRACE": str(trace)})
        assert run.code == 0, run.text()
        assert not inspect(shop).any, inspect(shop)
        passes.update(trace.read_text().split())
    assert passes[point], f"a run never passes {point}"
    for nth in sample.of(point, sorted({1, passes[point]})):
        shop = make_shop()
        kill(hdm, shop, f"{point}:{nth}:kill")
        until_done(hdm, shop)
        assert hdm.run(["gc", *shop.args], shop.env).code == 0
        damage = inspect(shop)
        FIGURES.note("an internal stage", 1, damage)
        assert not damage.any, f"{damage} in {shop.folder}"
