"""The JSON Schemas are made from the models and know every spelling."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from hdm import manifest_model, registry
from hdm.schemas import manifest_schema, profile_schema


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if "$ref" in schema else set()
        return own.union(*(references(value) for value in schema.values()), set())
    if isinstance(schema, list):
        return set().union(*(references(value) for value in schema), set())
    return set()


def test_both_are_json_and_whole() -> None:
    for schema in (manifest_schema(), profile_schema()):
        json.dumps(schema)
        known = {f"#/$defs/{name}" for name in schema["$defs"]}
        assert references(schema) <= known


def test_every_word_of_the_models_is_in_it() -> None:
    schema = manifest_schema()
    assert set(manifest_model.ManifestWords.model_fields) <= set(schema["properties"])
    assert {"data_links", "templated_data_links"} <= set(schema["properties"])
    for model in (manifest_model.Link, manifest_model.Template, manifest_model.Limits):
        assert set(model.model_fields) <= set(schema["$defs"][model.__name__]["properties"])
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["source"]["properties"]["type"]["examples"] == registry.names("source")


def test_each_type_brings_its_conf() -> None:
    schema = manifest_schema()
    config = registry.find("source", "FSSource").Config
    assert issubclass(config, BaseModel)
    conf = schema["$defs"]["FSSource.Config"]["properties"]
    assert {field.alias or name for name, field in config.model_fields.items()} <= set(conf)
    named = [rule["if"]["properties"]["type"]["const"] for rule in schema["$defs"]["source"]["allOf"]]
    assert "FSSource" in named


def test_profiles_hold_passwords_as_write_only() -> None:
    schema = profile_schema()
    assert schema["additionalProperties"]["additionalProperties"]["anyOf"]
    text = json.dumps(schema)
    assert '"writeOnly": true' in text
    assert "env|file|keyring" in text
