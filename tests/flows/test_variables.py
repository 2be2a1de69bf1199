"""Flags from environment variables, and commands that variables alone name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import click
import pytest

from hdm.cli import cli
from hdm.cli.environment import flags, names_of
from tests.flows.kit import Done, run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with sqlite3.connect(tmp_path / "shop.db") as db:
        db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT)")
        db.executemany("INSERT INTO orders VALUES (?, ?)", [(n, f"c{n}") for n in range(1, 6)])
    db.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


ENDS = {
    "SOURCE_DSN": "sqlite:shop.db", "SOURCE_OBJECT": "orders",
    "TARGET_DSN": "t.db", "TARGET_TYPE": "sqlite", "TARGET_OBJECT": "orders",
}  # fmt: skip
PRINT = ["cp", "snap", "sqlite:shop.db.orders", "sqlite:t.db.orders", "-o", "yaml"]


def hdm(args: list[str], **env: str) -> Done:
    return run(args, {"HDM_HOME": str(Path.cwd() / "home"), **env})


def by_variables(start: str = "HDM_", **more: str) -> Done:
    named = {"12FACTOR_MODE": "1", "COMMAND": "cp", "SUBCOMMAND": "snap", **ENDS, **more}
    return hdm([], **{f"{start}{name}": value for name, value in named.items()})


def moved() -> int:
    with sqlite3.connect("t.db") as db:
        count = db.execute("SELECT count(*) FROM orders").fetchone()[0]
    db.close()
    return int(count)


def test_a_command_runs_by_variables_alone() -> None:
    done = by_variables(LOG_LEVEL="warn")
    assert (done.code, moved()) == (0, 5), done.err
    assert "route:" not in done.err and "5 new rows" in done.err


def test_halfpipes_variables_are_read_and_it_is_said() -> None:
    done = by_variables("HP_", LOG_LEVEL="warn", AUTH_KEY="none")
    assert (done.code, moved()) == (0, 5), done.err
    read, unread = (line for line in done.err.splitlines() if "variables of Halfpipe" in line)
    assert "HP_SOURCE_DSN" in read and "HP_LOG_LEVEL" in read and "HP_AUTH_KEY" not in read
    assert "HP_AUTH_KEY" in unread


def test_halfpipes_variables_count_in_the_mode_only() -> None:
    assert "mode: replace" in hdm(PRINT, HP_APPEND="1").out
    assert hdm([], HDM_12FACTOR_MODE="false", HDM_COMMAND="cp").said.startswith("Usage")
    assert hdm(["cp", "snap"], **{f"HDM_{name}": value for name, value in ENDS.items()}).code == 2


def test_a_delta_by_variables_names_its_columns() -> None:
    done = by_variables(SUBCOMMAND="delta", PRIMARY_KEYS="ID", DELTA_DRIVER="ID", OUTPUT="yaml")
    assert (done.code, "key:\n        - id" in done.out, "column: id" in done.out) == (0, True, True), (
        done.said
    )


def test_the_line_comes_first_then_the_commands_own_variable_then_the_plain_one() -> None:
    assert "mode: append" in hdm(PRINT, HDM_APPEND="1").out
    assert "mode: replace" in hdm(PRINT, HDM_APPEND="1", HDM_CP_SNAP_APPEND="0").out
    assert "mode: append" in hdm([*PRINT, "-a"], HDM_APPEND="0", HDM_CP_SNAP_APPEND="0").out
    said = hdm(PRINT, HDM_APPEND="1", HDM_ENV="dev").err
    assert "--append is taken from the variable HDM_APPEND" in said and "HDM_ENV" not in said


@pytest.mark.parametrize("value", ["0", "false", "no", "off", "", "FALSE", "N", " "])
def test_what_looks_false_is_false(value: str) -> None:
    assert "mode: replace" in hdm(PRINT, HDM_APPEND=value).out


def test_a_value_that_a_flag_does_not_take_names_its_variable() -> None:
    for name, value in (("HDM_APPEND", "maybe"), ("HDM_LOG_LEVEL", "loud"), ("HDM_CP_SNAP_WORKERS", "many")):
        done = hdm(PRINT, **{name: value})
        assert (done.code, name in done.err, value in done.err) == (2, True, True), done.err


def test_a_variable_without_a_text_leaves_a_flag_alone() -> None:
    assert hdm(PRINT, HDM_WORKERS="", HDM_PROFILES="").code == 0


def test_the_profiles_of_one_command_come_before_those_of_all(folder: Path) -> None:
    for name in ("all", "own"):
        (folder / f"{name}.yml").write_text(f"dev:\n  {name}: {{system: sqlite, path: shop.db}}\n")
        (folder / f"{name}.yml").chmod(0o600)
    env = {"HDM_PROFILES": "all.yml", "HDM_LS_PROFILES": "own.yml"}
    assert hdm(["ls", "own"], **env).code == 0
    assert hdm(["ls", "all"], **env).code == 2
    assert hdm(["ls", "all"], HDM_PROFILES="all.yml").code == 0


def test_no_two_flags_of_a_command_share_a_variable() -> None:
    seen: dict[str, click.Option] = {}
    for path, option in flags(cli):
        name = names_of(path, option)[0]
        assert name not in seen, (name, path)
        seen[name] = option
    assert len(seen) > 150
