"""docs/howto/write-a-database.md: a system that hdm knows nothing of passes the four suites in 150 lines."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.test_howto import ROOT, python, shown, suite

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs/howto/write-a-database.md"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the page shows, and a shop with fifty orders."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, word TEXT, at TIMESTAMP)")
        rows = [(n, f"order {n}", f"2024-01-{n % 28 + 1:02} 10:00:00") for n in range(50)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return shown(PAGE, tmp_path)


def test_it_has_150_lines_at_most(place: Path) -> None:
    assert len((place / "acme.py").read_text().splitlines()) <= 150


def test_no_file_of_hdm_knows_of_it() -> None:
    files = [file for file in (ROOT / "hdm").rglob("*") if file.suffix in (".py", ".typed")]
    assert len(files) > 300
    assert [str(file) for file in files if "acme" in file.read_text(encoding="utf-8").lower()] == []


def test_the_four_suites_pass(place: Path) -> None:
    done = suite(place, "test_acme.py")
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout and "passed" in done.stdout
    for name in ("TestSource", "TestSink", "TestDialect", "TestCatalog"):
        assert f"class {name}(" in (place / "test_acme.py").read_text()


@pytest.mark.parametrize(
    ("right", "wrong", "caught"),
    [
        ('"BEGIN IMMEDIATE"', "None", "exploding_stream_leaves_nothing"),
        ("AND c.pk AND", "AND NOT c.pk AND", "all_objects_are_found"),
        ('Kind.DECIMAL: "NUMBER_TEXT"', 'Kind.DECIMAL: "NUMBER"', "rows_arrive_exactly"),
    ],
    ids=["a transaction", "a key", "a type"],
)
def test_the_suites_catch_what_is_wrong(place: Path, right: str, wrong: str, caught: str) -> None:
    code = (place / "acme.py").read_text()
    assert right in code
    (place / "acme.py").write_text(code.replace(right, wrong))
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py", "-k", caught)
    done = python(place, *words, path=(place,))
    assert done.returncode == 1, done.stdout
    assert f"[{caught}]" in done.stdout


def test_the_manifest_fills_the_warehouse_once(place: Path) -> None:
    for _ in range(2):
        done: subprocess.CompletedProcess[str] = python(
            place, "-m", "hdm", "acme.yml", "-e", "dev", "--profiles", "profiles.yml", path=(place,)
        )
        assert done.returncode == 0, done.stderr
        with closing(sqlite3.connect(place / "acme.db")) as connection:
            kept = connection.execute("SELECT id, word, at FROM orders ORDER BY id").fetchall()
        assert kept[7] == (7, "order 7", "2024-01-08 10:00:00.000000") and len(kept) == 50
