"""The JSON Schemas are made from the models and know every spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from hdm.components import registry
from hdm.components.json_schema import manifest_schema, profile_schema
from hdm.config import manifest_model


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if "$ref" in schema else set()
        return own.union(*(references(value) for value in schema.values()), set())
    if isinstance(schema, list):
        return set().union(*(references(value) for value in schema), set())
    return set()


@pytest.fixture(scope="module")
def manifest() -> Any:
    """Made once: it asks every component there is for its model."""
    return manifest_schema()


@pytest.fixture(scope="module")
def profile() -> Any:
    return profile_schema()


@pytest.mark.slow
def test_both_are_json_and_whole(manifest: Any, profile: Any) -> None:
    for schema in (manifest, profile):
        json.dumps(schema)
        known = {f"#/$defs/{name}" for name in schema["$defs"]}
        assert references(schema) <= known


@pytest.mark.slow
def test_every_word_of_the_models_is_in_it(manifest: Any) -> None:
    schema = manifest
    assert set(manifest_model.ManifestWords.model_fields) <= set(schema["properties"])
    assert {"data_links", "templated_data_links"} <= set(schema["properties"])
    for model in (manifest_model.Link, manifest_model.Template, manifest_model.Limits):
        words = {field.alias or name for name, field in model.model_fields.items()}
        assert words <= set(schema["$defs"][model.__name__]["properties"])
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["source"]["properties"]["type"]["examples"] == registry.names("source")


def test_each_type_brings_its_conf(manifest: Any) -> None:
    schema = manifest
    config = registry.find("source", "FSSource").Config
    assert issubclass(config, BaseModel)
    conf = schema["$defs"]["FSSource.Config"]["properties"]
    assert {field.alias or name for name, field in config.model_fields.items()} <= set(conf)
    named = [rule["if"]["properties"]["type"]["const"] for rule in schema["$defs"]["source"]["allOf"]]
    assert "FSSource" in named


def properties(schema: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Every key of the schema with what it says of it; conditions (``if``, ``then``) only choose a schema."""
    if isinstance(schema, dict):
        for name, inner in schema.items():
            if name == "properties":
                for key, said in inner.items():
                    yield f"{where}/{key}", said
                    yield from properties(said, f"{where}/{key}")
            elif name not in ("if", "then"):
                yield from properties(inner, f"{where}/{name}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties(inner, where)


@pytest.mark.slow
def test_an_editor_is_told_what_each_key_does(manifest: Any, profile: Any) -> None:
    told = {where: inner.get("description") for s in (manifest, profile) for where, inner in properties(s)}
    assert len(told) > 1000
    assert [where for where, text in told.items() if not text] == []
    assert told["/$defs/DuckDBSink.Config/key"].startswith("Names the target's columns")


def test_profiles_hold_passwords_as_write_only(profile: Any) -> None:
    schema = profile
    assert schema["additionalProperties"]["additionalProperties"]["anyOf"]
    text = json.dumps(schema)
    assert '"writeOnly": true' in text
    assert "env|file|keyring" in text
