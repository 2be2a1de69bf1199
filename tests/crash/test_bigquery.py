"""SIGKILL around load jobs and the transaction that moves their rows: SQLite -> BigQuery.

The stand-in keeps the session of a dead process, with its open transaction, as BigQuery does. What it cannot
show is a server that goes down in the middle of a COMMIT. The seed draws the points and the passing at which
each kills; ``--long`` takes all points, at the first passing and the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash import invariants
from tests.crash.conftest import Fresh
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm
from tests.crash.invariants import Damage
from tests.crash.shop import Shop, Target
from tests.crash.test_failpoints import kill
from tests.runner.sample import Sample
from tests.servers.bigquery import BigQuery

POINTS = ("C3", "C7", "U2", "U3", "L1", "L2", "L3", "L4", "L5", "L6", "L7", "V1", "W1", "W2", "W3")
TABLES = ("orders", "stock")
ROWS = 70


class BigQueryShop(Shop):
    """The shop's orders appended by their watermark, its stock replaced."""

    def __init__(self, folder: Path, fresh: Fresh, server: BigQuery) -> None:
        self.server, self.words = server, server.fresh()
        target = Target("bigquery", "BigQuerySink", self.words, self.ask, quote="`")
        super().__init__(folder, fresh.state("sqlite"), target)

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "HDM_SILENCE": "0.5"}

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        dataset = self.words["dataset"]
        return self.server.run(sql.replace(" FROM `", f" FROM `{dataset}`.`"))

    def tables(self) -> set[str]:
        return set(self.server.tables(str(self.words["dataset"])))

    def rows_of_target(self, table: str) -> list[tuple[Any, ...]]:
        return super().rows_of_target(table) if table in self.tables() else []

    def _manifest(self) -> dict[str, Any]:
        manifest = super()._manifest()
        kept = []
        stages = manifest["declared_data_links"]["stages"]
        for extract, load in zip(stages[::2], stages[1::2], strict=True):
            if extract["source"]["conf"]["table_name"] in TABLES:
                extract["source"]["conf"]["chunk"] = {"rows": ROWS}
                load["sink"]["conf"] = {"env": "target"}
                mode = {"mode": extract["mode"]} if "mode" in extract else {}
                kept.append({**mode, "source": extract["source"], "sink": load["sink"]})
        manifest["declared_data_links"]["stages"] = kept
        return manifest


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """``Target.has`` asks a schema of information, which the stand-in has not."""
    monkeypatch.setattr(Target, "has", lambda self, table: True)


def inspect(shop: BigQueryShop) -> Damage:
    """Rows, books and watermarks; and tables beside the targets, of which none may be left."""
    damage = Damage()
    for table in TABLES:
        invariants.compare(shop, table, damage)
    invariants._ledger_is_the_state(shop, damage)
    damage.ahead += invariants.watermarks_ahead(shop)
    invariants._books_balance(shop, damage)
    damage.orphans += len(shop.tables() - {*TABLES, "_hdm_load_ledger", "_hdm_ledger_head"})
    return damage


@pytest.fixture
def make_shop(
    request: pytest.FixtureRequest, tmp_path: Path, bigquery_server: BigQuery
) -> Callable[[], BigQueryShop]:
    count = 0

    def make() -> BigQueryShop:
        nonlocal count
        count += 1
        folder = tmp_path / f"shop{count}"
        folder.mkdir()
        return BigQueryShop(folder, Fresh(request, folder), bigquery_server)

    return make


@pytest.fixture(scope="module")
def passes() -> Counter[str]:
    """How often a run passes each point."""
    return Counter()


@pytest.mark.draw("point", POINTS, 1)
def test_kill_around_load_jobs(
    point: str, hdm: Hdm, make_shop: Callable[[], BigQueryShop], passes: Counter[str], sample: Sample
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
        run = hdm.run(shop.args, shop.env)
        assert run.code == 0, run.text()
        damage = inspect(shop)
        FIGURES.note("load jobs", 1, damage)
        assert not damage.any, f"{damage} in {shop.folder}: {shop.tables()}"
