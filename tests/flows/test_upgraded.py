"""What hdm 0.1.0 left when it was killed is upgraded, gone on with, and verified as far as it was sealed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.hdm_0_1_0.make import DATABASES, KILLS, grow, unpacked
from tests.flows.kit import Done, on_sqlite, run

pytestmark = pytest.mark.slow
TABLES = ("orders", "items", "prices")


@pytest.fixture(params=KILLS)
def killed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with unpacked(request.param) as place:
        monkeypatch.chdir(place)
        yield place


def hdm(*words: str) -> Done:
    return run([*words, "m.yml", "-e", "dev", "--profiles", "p.yml"], {"HDM_HOME": "home"})


def ask(database: str, statement: str) -> list[tuple[Any, ...]]:
    return on_sqlite(Path(DATABASES[database]), statement)


def rows(database: str) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(ask(database, f"SELECT * FROM {table}"), key=repr) for table in TABLES}


LEDGER = "SELECT * FROM _hdm_load_ledger"
SHADOWS = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'prices\\_\\_hdm%' ESCAPE '\\'"
"""Tables that 0.1.0 filled beside the one that a replace is to replace."""
COMMITTED = """SELECT chunk_id, attempt, rows_loaded FROM hdm_chunk
WHERE status = 'verified' ORDER BY chunk_id"""


def test_what_0_1_0_left_is_upgraded_and_gone_on_with(killed: Path) -> None:
    ledger, committed = ask("target", LEDGER), ask("state", COMMITTED)
    old = ask("state", "SELECT run_id FROM hdm_run")
    assert rows("target") != rows("source") and len(old) == 2

    refused = hdm("run")
    assert (refused.code, "has schema 0002" in refused.err, "hdm state upgrade" in refused.err) == (
        3, True, True,
    ), refused.said  # fmt: skip
    assert ask("target", LEDGER) == ledger

    assert hdm("state", "upgrade").code == 0
    assert ask("state", COMMITTED) == committed
    resumed = hdm("run")
    assert resumed.code == 0, resumed.said
    assert rows("target") == rows("source")
    assert set(ledger) <= set(ask("target", LEDGER))
    assert set(committed) <= set(ask("state", COMMITTED))

    verdict = hdm("state", "verify")
    assert verdict.code == 0 and "2 run(s) are of an older hdm" in verdict.said, verdict.said
    assert [name for (name,) in ask("target", SHADOWS)] == []
    again = hdm("run")
    assert (again.code, "2 up to date, 1 moved" in again.err) == (0, True), again.said  # it replaces
    grow(range(75, 90), range(40, 45), 3)
    assert hdm("run").code == 0
    assert rows("target") == rows("source")
    assert hdm("state", "verify").code == 0


def test_what_0_1_0_wrote_is_not_verified_where_it_was_changed(killed: Path) -> None:
    """A row of the older trail that was sealed is held against its events after the upgrade, too."""
    assert hdm("state", "upgrade").code == 0
    ask("state", "UPDATE hdm_chunk SET rows_loaded = rows_loaded + 1 WHERE status = 'verified'")
    verdict = hdm("state", "verify")
    assert verdict.code == 1 and "rows_loaded" in verdict.said, verdict.said
