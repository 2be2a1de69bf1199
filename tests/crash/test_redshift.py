"""SIGKILL, and answers that get lost, while Redshift is loaded by COPY: nothing is lost or doubled.

``orders`` is appended, ``items`` appended in chunks, ``stock`` replaced. The stand-in keeps no key, so only
the ledger's head row tells attempts apart. The seed draws one way to fail; ``--long`` takes all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.crash import invariants
from tests.crash.conftest import Fresh
from tests.crash.figures import FIGURES
from tests.crash.harness import Hdm
from tests.crash.shop import Shop, Target
from tests.crash.test_failpoints import kill, recover
from tests.servers.redshift import Redshift

POINTS = ("L1", "L2", "L3", "L4", "L5", "W1", "W2", "W3", "U1", "U3")
LOST = (r"\ACOPY", r"\Acommit", r"\AINSERT INTO \"public\".\"orders\"", r"\AUPDATE .*_hdm_ledger_head")


@pytest.fixture
def make_shop(
    request: pytest.FixtureRequest, tmp_path: Path, fresh_redshift: Callable[[], Redshift]
) -> Callable[[], tuple[Shop, Redshift]]:
    def make() -> tuple[Shop, Redshift]:
        cluster = fresh_redshift()

        def ask(sql: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(cluster.under.dsn) as connection:
                return connection.execute(sql.encode()).fetchall()

        target = Target("redshift", "RedshiftCopySink", cluster.profile, ask)
        return Shop(tmp_path, Fresh(request, tmp_path).state("sqlite"), target), cluster

    return make


WAYS = [*(f"kill {point}" for point in POINTS), *(f"{how} {sql}" for sql in LOST for how in ("lose", "cut"))]


@pytest.mark.draw("way", WAYS, 1)
def test_nothing_is_lost_or_doubled(
    way: str, hdm: Hdm, make_shop: Callable[[], tuple[Shop, Redshift]]
) -> None:
    shop, cluster = make_shop()
    how, _, at = way.partition(" ")
    if how == "kill":
        kill(hdm, shop, f"{at}:1:kill")
    else:
        getattr(cluster, how)(at, at)
        hdm.run(shop.args, shop.env)
        assert cluster.waiting() == []
    recover(hdm, shop)
    damage = invariants.inspect(shop)
    FIGURES.note("Redshift by COPY", 1, damage)
    assert not damage.any, f"{damage} in {shop.folder}"
    assert cluster.staged() == []
