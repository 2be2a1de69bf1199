"""Tables for people, JSON for programs, secrets for nobody."""

from __future__ import annotations

import json

import pytest

from hdm.cli.output import emit, size
from hdm.config.secrets import Secret

ROWS = [{"table": "a b", "rows": 12345, "share": 0.5, "ok": True}, {"table": None, "rows": 7, "ok": False}]


def test_a_table_is_aligned_and_its_numbers_are_to_the_right(capsys):
    emit(ROWS, as_json=False, title="run 1")
    assert capsys.readouterr().out.splitlines() == [
        "run 1",
        "table    rows  share   ok",
        "-----  ------  -----  ---",
        "a b    12,345   0.50  yes",
        "            7          no",
    ]


def test_json_is_one_array_and_nothing_else(capsys):
    emit(ROWS, as_json=True, title="run 1")
    assert json.loads(capsys.readouterr().out) == ROWS


@pytest.mark.parametrize(("as_json", "shown"), [(False, "no jobs"), (True, "[]")])
def test_nothing_is_said_too(capsys, as_json, shown):
    emit([], as_json=as_json, empty="no jobs")
    assert capsys.readouterr().out.strip() == shown


@pytest.mark.parametrize("as_json", [False, True])
def test_a_secret_is_masked_in_both(capsys, as_json):
    Secret("s3cret-canary")
    emit([{"why": "login s3cret-canary refused"}], as_json=as_json, title="s")
    assert "s3cret-canary" not in capsys.readouterr().out


def test_a_value_stays_on_its_line(capsys):
    emit([{"error": "two\nlines", "chunks": {"dead": 1, "verified": 2}}], as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == "two lines  dead 1, verified 2"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_500_000, "1.5 MB"), (10**16, "10000.0 TB")],
)
def test_bytes_for_people(count, shown):
    assert size(count) == shown
