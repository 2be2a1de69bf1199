"""docs/architecture.md: its pictures show what the code has, and nothing else."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sqlite3
import tarfile
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hdm
from hdm import catalog, files, sql, state
from hdm.dialects.base import Dialect
from hdm.model import ComponentSpec, Dataset, LinkSpec, Table
from hdm.planning.pipeline_run import Phase, PipelineRun
from hdm.planning.preflight import Pipeline
from hdm.state import ClaimRequest
from hdm.state.records import DONE, STATUSES, UNFINISHED
from tests.fixtures.hdm_0_1_0.make import HERE, KILLS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PICTURES = {text.split()[0]: text for text in re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)}
ARROWS = {
    (was, now)
    for was, now in re.findall(
        r"^  (\w+|\[\*\]) --> (\w+|\[\*\])",
        PAGE.partition("## What becomes of a chunk")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
}
PHASES = PAGE.partition("## What becomes of a pipeline")[2].partition("\n## ")[0]


def test_every_status_of_a_chunk_is_drawn_and_no_other() -> None:
    drawn = {status for arrow in ARROWS for status in arrow} - {"[*]"}
    assert drawn == set(STATUSES)
    assert {was for was, now in ARROWS if now == "[*]"} < drawn - set(UNFINISHED)
    assert all(f"`{status}`" in PAGE for status in (*DONE, *UNFINISHED))


@pytest.mark.parametrize("kill", KILLS)
def test_what_chunks_went_through_is_drawn(kill: str) -> None:
    """By the trails that are kept of real runs."""
    with tarfile.open(HERE / f"{kill}.tar.xz") as archive:
        script = archive.extractfile("state.sql")
        assert script is not None
        text = script.read().decode()
    assert gone_through(text) - ARROWS == set()


def test_what_was_waived_is_drawn() -> None:
    seen = gone_through((ROOT / "tests/fixtures/state_0_1_0.sql").read_text(encoding="utf-8"))
    assert ("dead", "waived") in seen and seen - ARROWS == set()


def gone_through(script: str) -> set[tuple[str, str]]:
    asked = "SELECT DISTINCT from_status, to_status FROM hdm_event WHERE chunk_id IS NOT NULL"
    with closing(sqlite3.connect(":memory:")) as state:
        state.executescript(script)
        rows = state.execute(asked).fetchall()
    return {(was or "[*]", now) for was, now in rows if now in STATUSES}


def test_every_phase_of_a_pipeline_is_drawn_and_no_other() -> None:
    drawn = {one for arrow in re.findall(r"^  (\w+) --> (\w+):", PHASES, re.MULTILINE) for one in arrow}
    assert drawn == {phase.value for phase in Phase}
    over = set(re.findall(r"^  (\w+) --> \[\*\]", PHASES, re.MULTILINE)) | {Phase.IDLE}
    assert over == {phase for phase in Phase if PipelineRun("key", phase=phase).is_over}


@pytest.mark.parametrize(
    ("was", "now", "method"), re.findall(r"^  (\w+) --> (\w+): (\w+)$", PHASES, re.MULTILINE)
)
def test_a_pipeline_goes_where_the_arrow_points(was: str, now: str, method: str) -> None:
    link = LinkSpec("key", ComponentSpec("from", "t", {}), ComponentSpec("to", "t", {}))
    table = Table(Dataset("list", "words"), ("words",), ())
    given = {"wait": [Pipeline(link, "key", table, table, ())], "close": ["success"], "fail": ["why"]}
    run = PipelineRun("key", phase=Phase(was))
    getattr(run, method)(*given.get(method, ()))
    assert run.phase == now


def test_every_class_that_is_drawn_has_the_methods_that_are() -> None:
    drawn = re.findall(r"class (\w+)(?: \{(.*?)\n  \})?", PICTURES["classDiagram"], re.DOTALL)
    places: list[Any] = [hdm, sql, files, catalog]
    found = {"Dialect": Dialect, **{name: getattr(state, name) for name in state.__all__}}
    for name, body in drawn:
        cls = found.get(name) or next(getattr(one, name) for one in places if hasattr(one, name))
        for method, words in re.findall(r"(\w+)\((.*?)\)", body):
            known = list(inspect.signature(getattr(cls, method)).parameters)[1:]
            wanted = [word for word in words.split(", ") if word]
            assert known[: len(wanted)] == wanted, f"{name}.{method}{known}"
    for below, above in re.findall(r"(\w+) <\|-- (\w+)", PICTURES["classDiagram"]):
        assert issubclass(getattr(sql, above, None) or getattr(files, above), getattr(hdm, below))


def test_the_walk_names_files_and_functions_that_are_there() -> None:
    assert len(WALK) >= 12
    for step, where, _ in WALK:
        assert where, step
        for file, name in where:
            assert code_of(file, name), f"{step}: {file} has no {name}"


def test_each_step_of_the_walk_calls_what_it_says_and_is_called_by_one_before_it() -> None:
    come = {name for _, name in WALK[0][1]}
    for step, where, following in WALK:
        assert come & {name for _, name in where}, f"nothing before it calls {step}"
        named = {word for file, name in where for node in code_of(file, name) for word in words_in(node)}
        assert set(following) - named == set(), step
        come |= set(following) | {name for _, name in where}


def test_the_walk_goes_down_only() -> None:
    """What a plugin or a room above could be called for is a value, and no function in it."""
    callables = [one for one in dataclasses.fields(ClaimRequest) if "Callable" in str(one.type)]
    handed = inspect.signature(hdm.DataLink.attempt).parameters
    assert (callables, list(handed)) == ([], ["self", "lease", "attempt", "state"])


def steps() -> list[tuple[str, list[tuple[str, str]], list[str]]]:
    """Each row of the walk: its step, files with functions, and what these call next."""
    rows = re.findall(
        r"^\| (.+?) \| .+? \| (.+?) \| (.+?) \|$", PAGE.partition("## The walk of one chunk")[2], re.M
    )
    return [
        (step, re.findall(r"`([a-z_/]+\.py)` `(\w+)`", where), re.findall(r"`(\w+)`", following))
        for step, where, following in rows[1:]
    ]


def code_of(file: str, name: str) -> list[ast.AST]:
    """The functions and classes of that name."""
    tree = ast.parse((ROOT / "hdm" / file).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.ClassDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name]


def words_in(node: ast.AST) -> set[str]:
    found = {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
    return found | {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


WALK = steps()


def test_every_room_is_drawn() -> None:
    rooms = PAGE.partition("<!-- rooms")[2].partition("<!-- /rooms -->")[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = [layer for one in contracts if one["type"] == "layers" for layer in one["layers"]]
    assert {room for layer in layers for room in re.findall(r"\w+", layer)} == set(
        re.findall(r"\[(\w+)\]", rooms)
    )


def test_every_picture_begins_as_mermaid_wants() -> None:
    kinds = [text.split()[0] for text in re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)]
    assert sorted(kinds) == sorted(
        ["flowchart", "classDiagram", "flowchart", "erDiagram", *["stateDiagram-v2"] * 2, "sequenceDiagram"]
    )
