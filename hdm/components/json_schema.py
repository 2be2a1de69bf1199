"""Makes JSON Schemas of manifests and profiles from their pydantic models, for editors and ``hdm schema``."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from hdm.components import registry
from hdm.config.manifest_model import ManifestWords
from hdm.config.profile import SYSTEM
from hdm.errors import UnknownComponent

Schema = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SAID = ("description", "deprecated")
_SYSTEM: Schema = {
    "type": "string",
    "description": "Which system the connection reaches, for commands that name it alone: `postgres`, or for "
    "files an address such as `s3://bucket/folder`.",
}
_EVERYWHERE = {
    "env": "Names the connection in the profile.",
    "connection": "Names the connection in the profile; another spelling of `env`.",
}


def manifest_schema() -> Schema:
    """Return the JSON Schema of a manifest, including every accepted spelling of its keys."""
    schema = ManifestWords.model_json_schema()
    defs, top = schema["$defs"], schema["properties"]
    for kind in ("source", "sink"):
        defs[kind] = _component(defs["Component"], kind, defs)
        for owner in ("Link", "Template"):
            _change(defs[owner], kind, {"$ref": f"#/$defs/{kind}"})
    del defs["Component"]
    for kind in ("orchestrator", "state_manager"):
        defs[kind] = _component(defs["Service"], kind, defs)
        _change(schema, kind, {"anyOf": [{"type": ["null", "string"]}, {"$ref": f"#/$defs/{kind}"}]})
    defs["quarantine"] = _component(defs["Service"], "sink", defs)
    for owner in ("Link", "Template"):
        _change(
            defs[owner],
            "quarantine",
            {"anyOf": [{"type": ["null", "string"]}, {"$ref": "#/$defs/quarantine"}]},
        )
    del defs["Service"]
    _change(defs["Template"], "batch_definition", _batch(defs["Batch"]))
    del defs["Batch"]
    template = {"anyOf": [{"$ref": "#/$defs/Template"}, _wrapped({"$ref": "#/$defs/Template"})]}
    marker = "A mark that older manifests write above a template; it has no value, and may be left out."
    defs["Template"]["properties"]["batch_template"] = {"type": "null", "description": marker}
    _change(schema, "declared_data_links", _group({"$ref": "#/$defs/Link"}, "stages"))
    _change(schema, "template_data_links", _group(template, "templates"))
    top["data_links"] = {
        **_group({"$ref": "#/$defs/Link"}, "stages", type="builder", mode="manual"),
        "description": "Older spelling of `declared_data_links`.",
    }
    top["templated_data_links"] = {
        **top["template_data_links"],
        "description": "Older spelling of `template_data_links`.",
    }
    return {"$schema": DRAFT, **schema, "title": "hdm manifest"}


def profile_schema() -> Schema:
    """Return the JSON Schema of ``hdm_profiles.yml``: environments, connections and their keys."""
    defs: Schema = {}
    options = []
    for kind in registry.KINDS:
        for name in registry.names(kind):
            model = _model_of(kind, name, "Profile")
            if model is not None:
                reference = _put(defs, f"{name}.Profile", model)
                _allow_references(defs[f"{name}.Profile"])
                defs[f"{name}.Profile"].setdefault("properties", {}).setdefault(SYSTEM, _SYSTEM)
                if reference not in options:
                    options.append(reference)
    connection: Schema = {"type": "object"}
    if options:
        connection["anyOf"] = options
    return {
        "$schema": DRAFT,
        "title": "hdm profiles",
        "type": "object",
        "additionalProperties": {"type": ["object", "null"], "additionalProperties": connection},
        "$defs": defs,
    }


def _component(base: Schema, kind: str, defs: Schema) -> Schema:
    """Return the schema of a component, with the schema of ``conf`` for each known type."""
    out: Schema = {**base, "additionalProperties": True, "allOf": []}
    properties = {**base["properties"]}
    out["properties"] = properties
    _change(out, "type", {"type": "string", "examples": registry.names(kind)})
    _change(out, "conf", {"type": ["object", "null"]})
    for name in registry.names(kind):
        config = _model_of(kind, name, "Config")
        if config is None:
            continue
        reference = _put(defs, f"{name}.Config", config)
        conf = defs[f"{name}.Config"]
        for key, text in _EVERYWHERE.items():
            conf.setdefault("properties", {}).setdefault(key, {"type": "string", "description": text})
        if kind == "sink":
            mode = {"$ref": "#/$defs/Mode", "description": defs["Link"]["properties"]["mode"]["description"]}
            conf["properties"].setdefault("mode", mode)
        conf.pop("required", None)  # a key may stand beside ``type``, or be filled by a template
        _allow_holes(conf)
        out["allOf"].append(
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": {"properties": {"conf": {"anyOf": [{"type": "null"}, reference]}}},
            }
        )
    return out


def _model_of(kind: str, name: str, which: str) -> type[BaseModel] | None:
    try:
        found = getattr(registry.find(kind, name), which, None)
    except UnknownComponent:  # a plugin that cannot be loaded has no schema
        return None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _put(defs: Schema, name: str, model: type[BaseModel]) -> Schema:
    made = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for inner, schema in made.pop("$defs", {}).items():
        defs[f"{name}.{inner}"] = schema
    defs[name] = made
    return {"$ref": f"#/$defs/{name}"}


def _change(owner: Schema, key: str, schema: Schema) -> None:
    """Replace the schema of a key; its description and deprecation stay."""
    said = owner["properties"].get(key, {})
    owner["properties"][key] = {**schema, **{word: said[word] for word in _SAID if word in said}}


def _allow_holes(conf: Schema) -> None:
    hole: Schema = {"type": "string", "pattern": r"<<.*>>|\$"}
    for key, schema in conf["properties"].items():
        _change(conf, key, {"anyOf": [schema, hole]})


def _allow_references(profile: Schema) -> None:
    reference: Schema = {"type": "string", "pattern": "^(env|file|keyring|literal):"}
    for key, schema in profile.get("properties", {}).items():
        _change(profile, key, {"anyOf": [schema, reference]})


def _group(item: Schema, inner: str, **constants: str) -> Schema:
    items = {"type": "array", "items": item}
    properties: Schema = {inner: {**items, "description": "The links, in the order in which rows pass them."}}
    for key, value in constants.items():
        text = f"Always `{value}`, in the manifests that have it."
        properties[key] = {"const": value, "description": text}
    wrapped = {"type": "object", "properties": properties, "required": [inner], "additionalProperties": False}
    return {"anyOf": [{"type": "null"}, items, wrapped]}


def _wrapped(template: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {"batch_template": {**template, "description": "The template."}},
        "required": ["batch_template"],
        "additionalProperties": False,
    }


def _batch(canonical: Schema) -> Schema:
    said = {key: {"description": schema["description"]} for key, schema in canonical["properties"].items()}
    entry: Schema = {
        "type": "object",
        "properties": {
            "source_name": {"type": "string", **said["source_name"]},
            "field": {"type": "string", "description": "Key, or path of keys, that `values` fill."},
            "values": {
                "type": "array",
                "minItems": 1,
                "description": "Values of `field`, one link for each.",
            },
            "scenarios": {
                "type": "array",
                "items": {"type": "object"},
                "minItems": 1,
                **said["scenarios"],
            },
            "threads": canonical["properties"]["threads"],
        },
        "required": ["source_name"],
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "null"}, entry, {"type": "array", "items": entry, "minItems": 1}]}
