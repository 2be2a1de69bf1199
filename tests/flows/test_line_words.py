"""Errors of one-line commands speak of what stands on the line, and of no manifest or profiles file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.kit import Done, on_sqlite, run

OPEN = "postgresql://u:hunter2@127.0.0.1:1/d"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    on_sqlite(Path("a.db"), "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    on_sqlite(Path("c.db"), "CREATE TABLE t (other INTEGER NOT NULL)")
    on_sqlite(Path("c.db"), "CREATE VIEW v AS SELECT * FROM t")
    return {"HDM_HOME": str(tmp_path / "home")}


def test_a_password_in_an_address_is_said_by_each_command(env: dict[str, str]) -> None:
    for words in (
        ["query", OPEN, "SELECT 1"], ["ls", OPEN], ["diff", f"{OPEN}.s.t", "sqlite:a.db.t"],
        ["sync", "sqlite:a.db.t", f"{OPEN}.s.t"], ["cp", "snap", "sqlite:a.db.t", f"{OPEN}.s.t"],
    ):  # fmt: skip
        done = run(words, env)
        assert done.err.count("can be read by every user of this machine") == 1, (words, done.said)
        assert "hunter2" not in done.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("cp snap sqlite:nope.db.t duckdb:w.duckdb.t", "nope.db.t: there is no SQLite file"),
        ("cp delta sqlite:nope.db.t duckdb:w.duckdb.t", "there is no SQLite file"),
        ("cp snap sqlite:a.db.nope duckdb:w.duckdb.t", "check the table's name"),
        ("cp snap sqlite:a.db.t sqlite:c.db.t", "alter the table, or name another one"),
        ("cp snap sqlite:a.db.t sqlite:c.db.v", "name another table as DST"),
        ("cp snap sqlite:a.db.t sqlite:a.db.t", "name another table as DST"),
        ("ls postgresql://u@127.0.0.1:1/d?sslmod=x", "the address: unknown key 'sslmod'"),
        ("ls nowhere", "there is no profiles file"),
    ],
)
def test_an_error_names_what_stands_on_the_line(env: dict[str, str], words: str, said: str) -> None:
    done: Done = run(words.split(), env)
    text = done.out + done.err
    assert done.code in (1, 2) and said in text, done.said
    for foreign in (".yml:", "table_name", "in the profile", "asked for at", "Traceback"):
        assert foreign not in text, done.said
