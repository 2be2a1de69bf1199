"""Rules about rows hold before a row is visible, rules about tables when the run ends; both are on record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flows.kit import ROOT, Place, direct, load, on_sqlite, only, shop, stage

PAGE = (ROOT / "docs" / "howto" / "check-rows.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```yaml (\w+)\n(.*?)^```$", PAGE, re.M | re.S))
KEPT = "SELECT kind, severity, status, target_value FROM hdm_validation WHERE kind <> 'row_count'"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return shop(tmp_path, orders=120, items=6)


def with_checks(place: Place, *checks: dict[str, Any], **link: Any) -> Place:
    return only(place, {**direct(place, "orders"), "checks": list(checks), **link})


def customers(place: Place, *names: str) -> None:
    on_sqlite(place.target, "CREATE TABLE customers (name TEXT)")
    on_sqlite(place.target, "INSERT INTO customers VALUES (?)", [(name,) for name in names])


@pytest.mark.slow
def test_the_rules_of_the_page(place: Place) -> None:
    customers(place, *(f"c{n}" for n in range(6)))  # c6 is not there
    with_checks(place, *yaml.safe_load(BLOCKS["checks"])["checks"])
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert "InTable: 17 rows have a customer that customers does not have" in done.err
    assert "all committed" in done.err and "but" not in done.err.splitlines()[-1]
    found = place.state(KEPT)
    assert {kind for kind, _, status, _ in found if status == "fail"} == {"InTable"}
    rows = {"NotNull", "Range", "Length", "Pattern", "AcceptedValues", "Expression"}
    assert {kind for kind, *_ in found} == {*rows, "RowCount", "Unique", "InTable"}
    assert place.rows("orders") == place.source_rows("orders")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "found"),
    [
        (
            {"type": "Length", "column": "customer", "max": 1},
            "50 values of customer of another length (rows 1, 2",
        ),
        (
            {"type": "Pattern", "column": "customer", "matches": "c[0-5]"},
            "values of customer that do not match (rows",
        ),
        (
            {"type": "Expression", "sql": "cents < 11800", "name": "dear orders"},
            "2 dear orders (rows 19 and 20 of",
        ),
    ],
    ids=["Length", "Pattern", "Expression"],
)
def test_a_broken_rule_about_rows_keeps_the_chunk_out(
    place: Place, check: dict[str, Any], found: str
) -> None:
    done = with_checks(place, check).hdm("run")
    assert done.code == 1
    assert found in done.err
    (dead, *_) = place.hdm("status", "--dead", "--json").json
    assert dead["error"] == "CheckFailed"
    held = {row[0] for row in place.rows("orders")}
    assert held in (set(), set(range(100)))  # whole chunks only


@pytest.mark.slow
def test_a_broken_rule_about_a_table_fails_each_run_until_it_holds(place: Place) -> None:
    with_checks(
        place,
        {"type": "Unique", "column": "customer", "also": ["changed"]},
        {"type": "RowCount", "over": "table", "max": 200},
    )
    place.sql("UPDATE orders SET changed = 5, customer = 'x' WHERE id IN (3, 110)")
    found = "Unique: 1 values of (customer, changed) stand in 2 rows of the table"
    place.sql("UPDATE orders SET changed = id WHERE id NOT IN (3, 110)")
    for _ in range(2):  # the second run moves nothing and asks again
        done = place.hdm("run")
        assert done.code == 1
        assert f"failed check: orders: {found}" in done.err
        assert "all committed, but a check of a table failed" in done.err
    assert place.hdm("status").code == 1
    assert len(place.rows("orders")) == 120
    on_sqlite(place.target, "UPDATE orders SET customer = 'y' WHERE id = 110")
    done = place.hdm("run")
    assert done.code == 0, done.said
    assert [row for row in place.state(KEPT) if row[0] == "Unique"] == [
        ("Unique", "error", "fail", found.removeprefix("Unique: ")),
        ("Unique", "error", "fail", found.removeprefix("Unique: ")),
        ("Unique", "error", "pass", None),
    ]
    events = place.hdm("run", "--log-format", "json")
    assert events.code == 0


@pytest.mark.slow
def test_a_rule_that_cannot_be_asked_has_failed(place: Place) -> None:
    with_checks(place, {"type": "InTable", "column": "customer", "table": "nowhere", "severity": "warn"})
    done = place.hdm("run", "--log-format", "json")
    assert done.code == 1
    (said,) = [one["message"] for one in done.lines if one["event"] == "table.check_failed"]
    assert said.startswith("orders: checks not asked: InTable: there is no table nowhere")


@pytest.mark.parametrize("check", [{"type": "Unique", "column": "id"}, {"type": "RowCount", "over": "table"}])
def test_files_cannot_be_asked(place: Place, check: dict[str, Any]) -> None:
    done = only(place, {**stage("orders", place), "checks": [check]}, load(place)).hdm("plan")
    assert done.code == 2
    assert f"check {check['type']} of orders asks the target, and FSSink writes no table" in done.err
