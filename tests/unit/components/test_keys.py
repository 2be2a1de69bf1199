"""Every key that hdm accepts says what it does, and is read by its code, or says that it does nothing.

A key counts as read where it is taken off something that is called like a configuration. What is read in
another way stands in ``OTHERWISE``, with the way; what does nothing is declared ``deprecated``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from hdm.catalog.rules import Rule
from hdm.components import registry
from hdm.components.builtin import BUILTIN
from hdm.components.keys import keys_of, models_in, summary
from hdm.components.settings import Settings
from hdm.config.described import descriptions
from hdm.config.manifest_model import ManifestWords
from tests.flows.kit import load, only, shop, stage

HDM = Path(registry.__file__).parents[1]
HOLDERS = {
    "config", "profile", "conf", "self", "words", "link", "batch", "template", "check", "service",
    "component", "rule", "spec", "mark", "chunk", "watermark", "split", "upload", "credentials", "given",
    "name",
}  # fmt: skip
OTHERWISE = {
    "params": "SqlSourceConfig._from_params takes it apart before it is validated",
    "ssl_ca": "connectors/mysql passes all that start with ssl_ on",
    "ssl_cert": "connectors/mysql passes all that start with ssl_ on",
    "ssl_key": "connectors/mysql passes all that start with ssl_ on",
    "token": "connectors/snowflake/session passes it on by its name",
    "role": "connectors/snowflake/session passes it on by its name",
    "warehouse": "connectors/snowflake/session passes it on by its name",
    "version": "only one value is accepted",
    "connections": "runtime/shares takes it from the link's limits",
    "rows_per_second": "runtime/rate_limit takes it from the link's limits",
    "bytes_per_second": "runtime/rate_limit takes it from the link's limits",
}


def models() -> dict[type[BaseModel], str]:
    """Every model of configuration, nested ones too, each with where it was found."""
    found: dict[type[BaseModel], str] = {}

    def walk(model: type[BaseModel], where: str) -> None:
        if model not in found:
            found[model] = where
            for key, info in model.model_fields.items():
                for inner in models_in(info.annotation):
                    walk(inner, f"{where}.{key}")

    for kind, classes in BUILTIN.items():
        for name in classes:
            cls = registry.find(kind, name)
            for part in ("Config", "Profile"):
                if (model := getattr(cls, part, None)) is not None:
                    walk(model, f"{name}.{part}")
    walk(ManifestWords, "manifest")
    walk(Rule, "rules")  # AutoBatchConfig keeps them as they were written
    return found


def undescribed(model: type[BaseModel]) -> Iterator[str]:
    """The model's keys without a description, or with one that says no more than the key's name."""
    said = descriptions(model)
    for key in model.model_fields:
        text = said.get(key, "")
        told = set(re.findall(r"\w+", text.lower())) - set(key.split("_")) - {"the", "a", "an", "of", "its"}
        if len(text) < 15 or len(told) < 3:
            yield key


def names_read() -> set[str]:
    """Attributes that are taken off configurations anywhere in hdm."""
    nodes = (node for file in HDM.rglob("*.py") for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Load)
        and holder(node.value) in HOLDERS
    }


def holder(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return holder(inner)
    return ""


def test_every_key_is_read_or_says_that_it_is_not() -> None:
    read, idle = names_read(), []
    for model, where in models().items():
        for key, info in model.model_fields.items():
            if key not in read and key not in OTHERWISE and not info.deprecated:
                idle.append(f"{where}.{key}")
    assert idle == [], "read these keys, or remove them, or declare them deprecated=... with what to do"


def test_every_key_says_what_it_does() -> None:
    silent = sorted({f"{m.__module__}.{m.__qualname__}.{key}" for m in models() for key in undescribed(m)})
    assert silent == [], "write a docstring under the field: what it does, its unit, what is so without it"


class Documented(Settings):
    rows: int = 5
    """Most rows that one chunk holds."""
    folder: str = "x"
    """Folder in which the files lie."""


class Silent(Documented):
    rows: int = 7
    schema_name: str = ""
    """The schema name."""
    env: str = ""
    """Env."""
    where: str = ""
    more: Documented | None = None
    """What is asked of the second one."""


def test_a_key_without_a_word_of_its_own_is_found() -> None:
    assert list(undescribed(Documented)) == []
    assert list(undescribed(Silent)) == ["rows", "schema_name", "env", "where"]


def test_keys_are_listed_with_those_that_they_hold() -> None:
    found = {key.name: key for key in keys_of(Silent)}
    assert list(found) == [*Silent.model_fields, "more.rows", "more.folder"]
    inner, outer = found["more.rows"], found["more"]
    assert (inner.type, inner.default, inner.description) == ("int", "5", "Most rows that one chunk holds.")
    assert (outer.type, outer.default, outer.required) == ("{rows, folder}", None, False)


def test_a_component_is_summed_up_in_its_first_sentence() -> None:
    class Two:
        """Unloads by CREATE TABLE ... AS, once
        per ``chunk``. Then reads."""

    assert summary(Two) == "Unloads by CREATE TABLE ... AS, once per `chunk`."
    assert summary(type("Bare", (), {})) == ""


def test_no_exception_is_stale() -> None:
    keys = {key for model in models() for key in model.model_fields}
    assert set(OTHERWISE) <= keys


def test_a_key_that_does_nothing_says_so(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=3)
    link = stage("orders", place, checksum={"column": "nosuch"}, database="other")
    only(place, link, load(place))
    for verb in ("plan", "run"):
        said = place.hdm(verb).err
        assert "source 'src_orders': 'checksum' has no effect since hdm 0.1.0" in said
        assert "source 'src_orders': 'database' has no effect since hdm 0.1.0" in said


def test_mistakes_of_several_components_are_told_at_once(tmp_path: Path) -> None:
    place = shop(tmp_path, orders=3, items=3)
    links = [
        stage("orders", place, colums=["id"]),
        stage("items", place, where=7),
        load(place, env="nowhere"),
    ]
    links[0]["sink"]["conf"]["compression"] = "rar"
    done = only(place, *links).hdm("plan")
    assert done.code == 2
    for said in ("unknown key 'colums'", "'where'", "'compression'", "nowhere"):
        assert said in done.err
