"""Manifests that are wrong: exit code 2, the right place, and what to write instead."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hdm.errors import ManifestError
from hdm.planning.manifest import load_manifest
from hdm.planning.plan import make_plan
from tests.unit.planning.test_manifest import ORIGINAL

SOURCE = "source: {name: a, type: DummySource}"
SINK = "sink: {name: b, type: DummySink}"
NAMES = """version orchestrator state_manager template_data_links templates batch_definition source_name
scenarios source sink name type conf declared_data_links stages"""


def refuse(tmp_path: Path, text: str) -> ManifestError:
    path = tmp_path / "m.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError) as caught:
        make_plan(load_manifest(path, None, {"HDM_DATA_STAGING": "/d", "STAGING": "/s"}))
    error = caught.value
    assert error.exit_code == 2
    assert error.file == str(path)
    assert error.hint
    assert str(error).startswith(f"{path}:{error.line}:{error.column}: ")
    return error


def cases() -> list[Any]:
    text = (Path(__file__).parent / "wrong_manifests.txt").read_text(encoding="utf-8")
    found = re.findall(r"^### (.+)\n((?:.*\n)*?)>>> (.+)\n>>> (.+)\n", text, re.MULTILINE)
    return [pytest.param(*case, id=name) for name, *case in found]


def test_the_cases_are_read() -> None:
    assert len(cases()) == 80


@pytest.mark.parametrize(("marked", "said", "hint"), cases())
def test_a_mistake_has_its_place_and_a_way_out(tmp_path: Path, marked: str, said: str, hint: str) -> None:
    before, _, after = marked.partition("§")
    place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    error = refuse(tmp_path, before + after)
    lines = str(error).splitlines()
    prefix = f"{tmp_path / 'm.yml'}:{place[0]}:{place[1]}: "
    found = [n for n, line in enumerate(lines) if line.startswith(prefix) and said in line]
    assert found, f"{said!r} at {place} is not in:\n{error}"
    assert hint in lines[found[0] + 1]
    assert lines[found[0] + 1].startswith("  hint: ")


def own_keys() -> list[tuple[str, int, int]]:
    """Every key of the original's manifest that is hdm's own, not a component's."""
    tokens = list(yaml.scan(ORIGINAL))
    found = []
    for before, token in itertools.pairwise(tokens):
        if isinstance(before, yaml.KeyToken) and isinstance(token, yaml.ScalarToken):
            found.append((token.value, token.start_mark.line + 1, token.start_mark.column + 1))
    return [key for key in found if key[0] in NAMES.split()]


@pytest.mark.parametrize("key", own_keys(), ids=lambda key: f"{key[0]}-{key[1]}-{key[2]}")
def test_each_key_misspelt_is_pointed_at(tmp_path: Path, key: tuple[str, int, int]) -> None:
    word, line, column = key
    lines = ORIGINAL.splitlines()
    text = lines[line - 1]
    lines[line - 1] = text[: column - 1] + word[:-1] + "x" + word[-1] + text[column - 1 + len(word) :]
    if word == "name" and line in (2, 3):
        return  # the name of a service may be left out, and what stands beside ``type`` is conf
    error = str(refuse(tmp_path, "\n".join(lines)))
    assert f":{line}:{column}: " in error
    assert f"did you mean '{word}'?" in error


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    error = refuse(
        tmp_path,
        f"orchestrator: {{type: Bach}}\ndeclared_data_links:\n- {{source: {{name: a, type: Nope}}, {SINK}}}\n"
        f"- {{{SOURCE}, sink: {{name: b, type: FSSnk}}}}\n",
    )
    text = str(error)
    assert [f":{n}:" in text for n in (1, 3, 4)] == [True] * 3
    assert error.line == 1
    assert "3 places" in str(error.hint)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "manifest.yml").write_text("x: y")
    with pytest.raises(ManifestError, match="does not exist") as caught:
        load_manifest(tmp_path / "manifets.yml", None, {})
    assert caught.value.hint == "did you mean 'manifest.yml'?"
    with pytest.raises(ManifestError, match="cannot be read"):
        load_manifest(tmp_path, None, {})
    (tmp_path / "empty.yml").write_text("")
    with pytest.raises(ManifestError, match="is empty"):
        load_manifest(tmp_path / "empty.yml", None, {})


def test_loading_creates_nothing(tmp_path: Path) -> None:
    refuse(tmp_path, "version: 3")
    assert [path.name for path in tmp_path.iterdir()] == ["m.yml"]
