"""Old keys: said in one line by plan and run, taken under the new name, declared in one place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from hdm.components import registry
from hdm.components.settings import Settings
from hdm.config import deprecated, manifest_model
from hdm.config.deprecated import Deprecated
from hdm.config.located import Problems
from hdm.config.validation import validate
from hdm.config.yaml_reader import parse_yaml
from hdm.errors import ManifestError
from tests.flows.kit import direct, only, shop

ROOT = Path(__file__).resolve().parents[3]
DECLARED = {name: said for name, said in vars(deprecated).items() if isinstance(said, Deprecated)}


class Size(Settings):
    rows: int = 5
    lines: Any = Field(None, deprecated=Deprecated(since="9.1", instead="rows"))


class Conf(Settings):
    sizes: list[Size] = Field(default_factory=list)
    size: Any = Field(None, deprecated=Deprecated(since="9.2", instead="sizes"))
    loud: Any = Field(None, deprecated=Deprecated(since="9.0", why="all is quiet"))


def read(text: str) -> tuple[Conf, list[str]]:
    data, problems = parse_yaml(text.encode(), "m.yml"), Problems("m.yml")
    made = validate(Conf, data, problems, what="trial")
    problems.raise_any()
    assert made is not None
    return made, deprecated.notes(Conf, data, "trial")


def test_a_renamed_key_works_at_any_depth_and_is_said_with_its_place() -> None:
    made, notes = read("size:\n- {rows: 1}\n- {lines: 2}\nloud: true\n")
    assert [one.rows for one in made.sizes] == [1, 2]
    assert notes == [
        "m.yml:1: trial: 'size' is deprecated since hdm 9.2: write 'sizes'",
        "m.yml:4: trial: 'loud' has no effect since hdm 9.0: all is quiet; remove it",
    ]
    made, notes = read("sizes:\n- {lines: 2}\n")
    assert made.sizes[0].rows == 2
    assert notes == ["m.yml:2: trial: 'lines' is deprecated since hdm 9.1: write 'rows'"]


def test_a_mistake_under_an_old_key_stands_where_the_old_key_does() -> None:
    with pytest.raises(ManifestError, match=r"'sizes.0.rows'") as caught:
        read("loud: 1\nsizes:\n- lines: many\n")
    assert (caught.value.line, caught.value.column) == (3, 10)


def test_a_copied_field_says_the_same() -> None:
    info = copy.deepcopy(Size.model_fields["lines"])
    assert isinstance(info.deprecated, Deprecated) and info.deprecated.instead == "rows"


def test_both_names_at_once_are_a_mistake() -> None:
    with pytest.raises(ManifestError, match="'lines' is an older name of 'rows'") as caught:
        read("sizes:\n- {rows: 1, lines: 2}\n")
    assert (caught.value.line, caught.value.hint) == (2, "keep the latter")


class Older(manifest_model.Link):
    """A link's words, of which one has an older name."""

    place: str | None = Field(None, deprecated=Deprecated(since="9.3", instead="site"))


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.slow
def test_plan_and_run_say_old_keys_of_the_manifest_and_its_parts(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Words(manifest_model.ManifestWords):
        declared_data_links: list[Older] = Field(default_factory=list)

    monkeypatch.setattr("hdm.planning.manifest.ManifestWords", Words)
    place = shop(tmp_path, orders=3, items=3)
    link = direct(place, "items", database="other")
    only(place, {**link, "place": "here"})
    done = place.hdm(verb, "--site", "here")
    assert done.code == 0, done.said
    assert "manifest: 'place' is deprecated since hdm 9.3: write 'site'" in done.err
    assert "source 'src': 'database' has no effect since hdm 0.1.0" in done.err
    assert done.err.count("deprecated since") == 1


def test_plan_says_old_keys_of_a_profile_and_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hdm.components.row_checks import NotNull
    from hdm.connectors import sqlite

    old = Deprecated(since="9.4", why="it is always so")

    class Profile(sqlite.SQLiteProfile):
        quick: bool | None = Field(None, deprecated="has no effect")  # as a plugin says it

    class Config(NotNull.Config):
        really: bool | None = Field(None, deprecated=old)

    monkeypatch.setattr(sqlite.SQLiteSource, "Profile", Profile)
    monkeypatch.setattr(NotNull, "Config", Config)
    place = shop(tmp_path, orders=3, items=3)
    only(place, {**direct(place, "items"), "checks": [{"type": "NotNull", "column": "what", "really": True}]})
    place.profiles["src"]["quick"] = True
    said = place.write().hdm("plan").err
    assert "p.yml:6: connection 'src': 'quick' has no effect\n" in said
    assert "check 'NotNull': 'really' has no effect since hdm 9.4" in said


def models() -> list[type[BaseModel]]:
    found = [one for one in vars(manifest_model).values() if isinstance(one, type)]
    for kind in registry.KINDS:
        for name in registry.names(kind):
            found += [getattr(registry.find(kind, name), which, None) for which in ("Config", "Profile")]
    return [one for one in found if isinstance(one, type) and issubclass(one, BaseModel)]


def test_every_old_key_of_hdm_is_declared_in_one_place_and_listed() -> None:
    used = {
        (info.alias or name, info.deprecated)
        for model in models()
        for name, info in model.model_fields.items()
        if info.deprecated
    }
    assert {said for _, said in used} == set(DECLARED.values())
    page = (ROOT / "docs/reference/compatibility.md").read_text(encoding="utf-8")
    rows = {tuple(cell.strip() for cell in line.split("|")[1:3]) for line in page.splitlines() if "|" in line}
    assert {(f"`{key}`", said.since) for key, said in used} <= rows
