"""docs/reference/halfpipe.md: each line runs, or is refused, as its table says; each pair has its way."""

from __future__ import annotations

import re
import shlex
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

import hdm
from tests.flows.kit import ROOT, Done, run

PAGE = (ROOT / "docs" / "reference" / "halfpipe.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| `hdm ([^`]+)` \| (\w+) \|", PAGE, re.M)
PAIRS = re.findall(r"^\| (\w+) \| (\w+) \| way \| ?(\w*)", PAGE, re.M)
ADDRESSES = re.findall(r"^\| `[^`]+` \| `([^`]+)` \|", PAGE.partition("## Addresses")[2], re.M)
SYSTEMS = {
    "oracle": {"host": "o", "user": "u", "password": "env:P", "service_name": "x"},
    "sqlserver": {"host": "m", "user": "u", "password": "env:P", "database": "d"},
    "odbc": {"dsn": "any", "dialect": "sqlserver"},
    "netezza": {"host": "n", "user": "u", "password": "env:P", "database": "d"},
    "snowflake": {"account": "a", "user": "u", "password": "env:P"},
}


pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.execute("CREATE TABLE dim_time (SK_DATE INTEGER PRIMARY KEY, day TEXT)")
        db.executemany("INSERT INTO dim_time VALUES (?, ?)", [(n, f"d{n}") for n in range(1, 251)])
    db.close()
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "dim_time.csv").write_text("sk_date,day\n1,d1\n")
    profiles({
        "oracleA": {"system": "sqlite", "path": "a.db"},
        "snowflake": {"system": "duckdb", "path": "w.duckdb"},
        "demo-data-lake": {"system": "file://lake"},
    }, tmp_path)  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("P", "a-password")
    return tmp_path


def profiles(entries: dict[str, object], folder: Path) -> None:
    (folder / "p.yml").write_text(yaml.safe_dump({"dev": entries}))
    (folder / "p.yml").chmod(0o600)


def said(line: str) -> Done:
    return run(shlex.split(line), {"HDM_HOME": str(Path.cwd() / "home"), "HDM_PROFILES": "p.yml"})


def test_the_page_has_all_of_them() -> None:
    assert (len(LINES), len(PAIRS), len(ADDRESSES)) == (27, 13, 6)
    assert {verdict for _, verdict in LINES} == {"runs", "no"}


COVERING = [line for number, line in enumerate(LINES) if number % 3 == 0 or (line[1] == "no" and number % 2)]
PAIRS_HERE = [pair for number, pair in enumerate(PAIRS) if number % 4 == 2]
"""What stands for the tables in the ordinary run; the rest is of ``make test-long``."""


def marked(rows: list[tuple[str, ...]], here: list[tuple[str, ...]]) -> list[Any]:
    return [pytest.param(*row, marks=() if row in here else pytest.mark.long) for row in rows]


@pytest.mark.parametrize(("line", "verdict"), marked(LINES, COVERING))
def test_a_line_runs_as_the_page_says(line: str, verdict: str) -> None:
    if line.startswith("diff"):
        assert said("cp snap oracleA.dim_time snowflake.dim_time").code == 0
    done = said(line)
    assert done.code == (0 if verdict == "runs" else 2), done.said
    if verdict == "runs" and " cp " in f" {line}" and " -o " not in line and "meta" not in line:
        assert re.search(r"1 moved: (250|1) new rows", done.err), done.err


@pytest.mark.parametrize(("source", "target", "how"), marked(PAIRS, PAIRS_HERE))
def test_a_pair_has_its_way(source: str, target: str, how: str, folder: Path) -> None:
    made = {f"{side}_{name}": {**SYSTEMS.get(name, {}), "system": name}
            for side, name in (("from", source), ("to", target)) if name in SYSTEMS}  # fmt: skip
    profiles(made, folder)
    ends = ["s3://bucket/folder" if name == "s3" else f"{side}_{name}.S.T"
            for side, name in (("from", source), ("to", target))]  # fmt: skip
    printed = said(f"cp snap {ends[0]} {ends[1]} -o yaml")
    assert printed.code == 0, printed.err
    Path("m.yml").write_text(printed.out)
    links = hdm.open("m.yml", "dev", "p.yml").assemble().links
    assert len(links) == (2 if how == "staged" else 1)


@pytest.mark.parametrize("address", [one for one in ADDRESSES if not one.startswith("odbc")])
def test_an_address_is_taken_as_the_page_says(address: str) -> None:
    done = said(f"cp snap '{address}' lake/out -o yaml")
    assert done.code == 0, done.err
    assert "every user of this machine" not in done.err
