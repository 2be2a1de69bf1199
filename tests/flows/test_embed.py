"""docs/howto/embed.md, block by block: each is taken from the page and executed."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import yaml

from tests.flows.kit import ROOT, Place, shop
from tests.servers import provision

PAGE = (ROOT / "docs" / "howto" / "embed.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", PAGE, re.M | re.S))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = shop(tmp_path, orders=120, items=60)
    profiles = tmp_path / "p.yml"
    profiles.write_text(yaml.safe_dump({"prod": made.profiles, "test": made.profiles}))
    return made


def environment(place: Place) -> dict[str, str]:
    return {**os.environ, **place.env, "HDM_PROFILES": str(place.folder / "p.yml")}


def python(place: Place, args: Sequence[str | Path], program: Path | None = None, **env: str) -> str:
    """What a process said that ended with 0."""
    done = subprocess.run(
        [program or sys.executable, *args], cwd=place.folder, env={**environment(place), **env},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_equal(place: Place) -> bool:
    return all(place.rows(table) == place.source_rows(table) for table in ("orders", "items"))


def test_there_are_four_blocks_of_less_than_ten_lines() -> None:
    assert set(BLOCKS) == {"script", "notebook", "test", "airflow"}
    assert {name: text for name, text in BLOCKS.items() if len(text.splitlines()) >= 10} == {}
    assert PAGE.count("```python") == len(BLOCKS)


def test_the_script(place: Place) -> None:
    (place.folder / "move.py").write_text(BLOCKS["script"])
    said = python(place, ["move.py"]).splitlines()
    assert said[0].startswith("run.started ")
    assert "orders: 120 rows, success" in said
    assert is_equal(place)


def test_the_notebook_cell(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a kernel does it: compiled with await allowed, in the thread of an event loop that runs."""
    monkeypatch.chdir(place.folder)
    for name, value in environment(place).items():
        monkeypatch.setenv(name, value)
    *body, last = ast.parse(BLOCKS["notebook"]).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}

    async def kernel() -> Any:
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(ast.Module(body, []), "cell", "exec", flags)
        done = eval(code, names)
        if inspect.isawaitable(done):
            await done
        return eval(compile(ast.Expression(last.value), "cell", "eval", flags), names)

    assert asyncio.run(kernel())[:2] == ("success", 180)
    assert is_equal(place)


def test_the_test(place: Place) -> None:
    (place.folder / "test_moves.py").write_text(BLOCKS["test"])
    args = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", place.folder]
    done = python(place, [*args, place.folder / "test_moves.py"], HDM_PROFILES="")
    assert "1 passed" in done
    assert is_equal(place)


@pytest.mark.slow
def test_the_airflow_task(place: Place) -> None:
    """Carried out by Airflow, as the one task of a DAG, in Airflow's own venv; what hdm needs and Airflow
    does not have comes from this one."""
    programs = provision.venv("airflow")
    here = Path(sqlalchemy.__file__).resolve().parents[1]
    home, dags = place.folder / "airflow", place.folder / "dags"
    dags.mkdir()
    script = dags / "orders.py"
    script.write_text(
        f"import sys\nsys.path.append({str(here)!r})\n{BLOCKS['airflow']}\n"
        "from airflow.sdk import DAG\nwith DAG('orders') as dag:\n    move_orders()\n"
        "if __name__ == '__main__':\n"
        "    from airflow.__main__ import main\n"
        "    sys.argv = ['airflow', 'db', 'migrate']\n"
        "    main()\n"
        "    (done,) = (run := dag.test()).get_task_instances()\n"
        "    print('ended:', run.state, done.task_id, done.state, done.xcom_pull('move_orders'))\n"
    )
    settings = {
        "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }  # fmt: skip
    shutil.rmtree(home, ignore_errors=True)
    said = python(place, [script], programs / "python", **settings)
    assert "ended: success move_orders success 180" in said
    assert is_equal(place)
