"""The live tests, run as their owner would, against a real server that every machine has: PostgreSQL."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.flows.kit import ROOT
from tests.servers.process import Database
from tests.servers.sqlserver import SQLServerDatabase, microsoft_driver

PAGE = ROOT / "docs" / "reference" / "real-systems.md"
SECTIONS = {"snowflake": "Snowflake", "oracle": "Oracle", "sqlserver": "SQL Server", "netezza": "Netezza"}


@pytest.mark.server
@pytest.mark.slow
def test_the_owner_of_an_account_gets_a_report_without_data_and_secrets(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    database, report = fresh_postgres(), tmp_path / "report.json"
    profile = {**database.profile, "insecure": True, "schema": "public"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/live", "-k", "not test_promise",
         "-q", "-m", "live", "-p", "no:cacheprovider", "--report", str(report)],
        cwd=ROOT,
        env={**os.environ, "HDM_LIVE_POSTGRES_URL": json.dumps(profile), "HDM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    text = report.read_text()
    told = json.loads(text)
    assert {one["outcome"] for one in told["results"]} <= {"passed", "skipped"}
    assert len([one for one in told["results"] if one["outcome"] == "passed"]) > 15
    assert told["servers"]["POSTGRES"]["version"]
    with psycopg.connect(database.dsn) as connection:
        left = connection.execute("SELECT job_key FROM _hdm_load_ledger").fetchall()
    assert left == [("_target",)], "the tests take their rows out of the ledger"
    for word in (database.database, database.host, str(database.port), "HDM_LIVE_", "O'Neil"):
        assert word not in text, word


@pytest.mark.server
@pytest.mark.long
def test_the_tests_of_sql_server_alone_are_proven_on_its_stand_in(
    tmp_path: Path, fresh_sqlserver: Callable[[], SQLServerDatabase]
) -> None:
    profile = {**fresh_sqlserver().profile, "driver": microsoft_driver(), "schema": "dbo"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "tests/live/test_live_shapes.py",
            "-q",
            "-m",
            "live",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT,
        env={**os.environ, "HDM_LIVE_SQLSERVER_URL": json.dumps(profile), "HDM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.server
@pytest.mark.slow
def test_a_login_that_is_refused_is_tried_once(
    tmp_path: Path, fresh_postgres: Callable[..., Database]
) -> None:
    """A server that locks accounts would lock this one after a few refused logins."""
    profile = {**fresh_postgres().profile, "user": "mover", "password": "guessed wrong", "insecure": True}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/live", "-q", "-m", "live", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "HDM_LIVE_POSTGRES_URL": json.dumps(profile), "HDM_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "nothing was tested" in done.stdout + done.stderr, done.stdout
    assert "HDM_LIVE_POSTGRES_URL: PostgreSQL refuses the login" in done.stdout + done.stderr
    assert "guessed wrong" not in done.stdout + done.stderr and "1 failed" not in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no variable is set: export one of HDM_LIVE_ORACLE_URL, "),
        ({"HDM_LIVE_POSTGRES_URL": ""}, "no variable is set"),
        ({"HDM_LIVE_POSTGRESQL_URL": "{}"}, "HDM_LIVE_POSTGRESQL_URL: write one of HDM_LIVE_ORACLE_URL"),
        (
            {"HDM_LIVE_POSTGRES_URL": "postgresql://u:canary@h/d"},
            "HDM_LIVE_POSTGRES_URL: not one JSON object",
        ),
        (
            {"HDM_LIVE_POSTGRES_URL": '{"hots": "canary"}'},
            "HDM_LIVE_POSTGRES_URL: profile: unknown key 'hots'",
        ),
    ],
)
def test_a_variable_that_is_wrong_is_named_before_any_test(given: dict[str, str], said: str) -> None:
    from tests.live.named import mistakes

    (told,) = mistakes(given)
    assert said in told and "canary" not in told


def test_what_breaks_is_told_by_its_class_and_place_alone() -> None:
    from hdm.dialects import grants  # any function of hdm that raises
    from tests.live.conftest import broken

    with pytest.raises(KeyError) as caught:
        grants.statement("oracle", "sink", "a canary", {})
    told = broken(caught.value)
    assert told["class"] == "KeyError" and re.fullmatch(r"hdm/dialects/grants/__init__\.py:\d+", told["at"])
    assert set(told) <= {"class", "at", "code"}


def test_each_live_test_names_rows_that_are_on_the_page() -> None:
    rows = {name: _rows(title) for name, title in SECTIONS.items()}
    every = [row for found in rows.values() for row in found]
    named = [
        word.value
        for file in sorted((ROOT / "tests" / "live").glob("test_live*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "finding"
        for word in node.args
        if isinstance(word, ast.Constant)
    ]
    assert len(named) > 20
    for name in named:
        system, colon, start = str(name).partition(": ")
        known, text = (rows[system], start) if colon and system in rows else (every, str(name))
        assert any(text in row for row in known), name


def _rows(title: str) -> list[str]:
    """The first cells of a section's table."""
    section = PAGE.read_text().partition(f"\n## {title}")[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
