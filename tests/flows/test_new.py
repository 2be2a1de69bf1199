"""``hdm new`` writes a module, a test and a manifest that work as they are, and harms nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hdm.cli.new import KINDS
from tests.flows.kit import ROOT, Done, run


def new(*words: str) -> Done:
    return run(["new", *words], {})


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One line that hdm told, in the folder; a test's every warning is an error."""
    words = shlex.split(line.replace("hdm run", f"{sys.executable} -m hdm run"))
    words = [sys.executable if word == "python" else word for word in words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HDM_HOME": str(folder / "home")}
    if "pytest" in words:
        words += ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error"]
        env["PYTHONPATH"] += os.pathsep + str(folder)
    return subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def told(done: Done) -> dict[str, str]:
    """What to do next, then and last."""
    return dict(re.findall(r"^(next|then|last): (.*)$", done.out, re.MULTILINE))


def rows(file: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_its_suite_and_runs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = new(kind, "plant_orders")
    assert made.code == 0, made.said
    module = f"plant_orders_{kind}"
    written = {path.name for path in tmp_path.iterdir()}
    assert {f"{module}.py", f"test_{module}.py", f"{module}.yml"} <= written
    assert {f"wrote {name}" for name in written} == set(re.findall(r"^wrote .*$", made.out, re.MULTILINE))

    if kind == "catalog":  # it tells what a database of yours holds
        with contextlib.closing(sqlite3.connect(f"{module}.db")) as there, there:
            there.execute("CREATE TABLE one (id INTEGER NOT NULL)")
            there.execute("INSERT INTO one VALUES (1), (2)")
    proven = shell(told(made)["next"], tmp_path)
    assert proven.returncode == 0 and " passed" in proven.stdout, proven.stdout + proven.stderr
    moved = shell(told(made)["then"], tmp_path)
    assert moved.returncode == 0, moved.stderr
    arrived = {"source": ("", "plant_orders", 10), "sink": ("", "dummy", 100),
               "database": ("", "trial", 100), "catalog": ("_copy", "one", 2)}  # fmt: skip
    if kind in arrived:
        ending, table, count = arrived[kind]
        assert rows(tmp_path / f"{module}{ending}.db", table) == count
    else:
        assert list((tmp_path / f"{module}_files").rglob("*.parquet"))
    style = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select=E,F,W,UP,B,SIM",
        "--line-length=110",
    ]
    ruffed = subprocess.run([*style, "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ruffed.returncode == 0, ruffed.stdout


@pytest.mark.parametrize("spelling", ["plant_orders", "PlantOrders", "plant-orders", "PlantOrdersSource"])
def test_a_name_may_be_spelled_as_words_or_as_a_class(spelling: str, tmp_path: Path) -> None:
    assert new("source", spelling, "--folder", str(tmp_path / "mine")).code == 0
    assert "class PlantOrdersSource(Source)" in (tmp_path / "mine/plant_orders_source.py").read_text()


@pytest.mark.parametrize(
    "name", ["", "1st", "../up", "a/b", "a b", "a.b", "größe", "x\x1b[31m", "source", "_", "a" * 61, "-x"]
)
def test_a_name_that_can_be_none_is_refused(name: str, tmp_path: Path) -> None:
    done = new("source", "--folder", str(tmp_path), "--", name)
    assert done.code == 2 and "cannot name a source" in done.err and "\x1b" not in done.err, done.said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "name"), [("source", "postgres"), ("database", "Snowflake"), ("sink", "FS")]
)
def test_a_name_that_hdm_has_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    done = new(kind, name, "--folder", str(tmp_path))
    assert done.code == 2 and "already" in done.err and "my_" in done.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "test_plant_source.py"
    kept.symlink_to(tmp_path / "elsewhere.py")
    done = new("source", "plant", "--folder", str(tmp_path))
    assert done.code == 2 and "nothing was written" in done.err and kept.name in done.err
    assert list(tmp_path.iterdir()) == [kept]


def test_profiles_are_for_their_owner_alone(tmp_path: Path) -> None:
    assert new("sink", "plant", "--folder", str(tmp_path)).code == 0
    assert (tmp_path / "plant_sink.profiles.yml").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = new("source", "plant", "--folder", str(tmp_path / "file"))
    assert done.code == 2 and "cannot write" in done.err and "Traceback" not in done.said
