"""hdm components: what a manifest may name, with its configuration."""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click

from hdm.cli.options import json_option
from hdm.cli.output import emit, say
from hdm.components import registry
from hdm.config.located import fold, suggest
from hdm.errors import UnknownComponent


@click.command()
@json_option
@click.option("--plugin", "plugins", multiple=True, help="A module to load first; may come again.")
@click.argument("name", required=False)
def command_components(as_json: bool, plugins: tuple[str, ...], name: str | None) -> int:
    """List every source, sink, catalog, orchestrator, state manager, link and check, or show one (NAME)."""
    registry.load_plugins(plugins)
    for why in registry.load_installed():
        say(f"plugin that could not be loaded: {why}", err=True)
    found = [(kind, one) for kind in registry.KINDS for one in registry.names(kind)]
    if name is not None:
        known = [one for _, one in found]
        found = [(kind, one) for kind, one in found if fold(one) == fold(name)]
        if not found:
            raise UnknownComponent(f"nothing is registered as {name!r}", hint=suggest(name, known))
    rows = [_row(kind, registry.find(kind, one)) for kind, one in found]
    if name is None and not as_json:
        rows = [{**row, "conf": ", ".join(row["conf"])} for row in rows]
        rows = [{k: v for k, v in row.items() if k != "profile"} for row in rows]
    if name is not None and not as_json:
        for row in rows:
            for part in ("conf", "profile"):
                about = f"{row['type']} ({row['kind']}): {row['what']}\n" if part == "conf" else ""
                title = f"{about}{part}:"
                emit(_fields(row[part]), as_json=False, title=title, empty="  none")
        return 0
    emit(rows, as_json=as_json)
    return 0


def _row(kind: str, cls: type[Any]) -> dict[str, Any]:
    doc = (cls.__doc__ or "").strip().splitlines()
    return {
        "kind": kind,
        "type": cls.__name__,
        "what": doc[0] if doc else "",
        "conf": _schema(getattr(cls, "Config", None)),
        "profile": _schema(getattr(cls, "Profile", None)),
    }


def _schema(model: Any) -> dict[str, Any]:
    if model is None:
        return {}
    fields: dict[str, Any] = {}
    for key, field in model.model_fields.items():
        given = None if field.is_required() else field.get_default(call_default_factory=True)
        default = None if given is None else str(given)
        fields[field.alias or key] = {
            "type": _type(field.annotation), "required": field.is_required(), "default": default,
        }  # fmt: skip
    return fields


def _type(annotation: Any) -> str:
    """An annotation as a person would write it: the choices, or a mapping's keys."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, parts))
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(_type(part) for part in parts if part is not NoneType)
    if get_origin(annotation) is Annotated:
        return _type(parts[0])
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return "{" + ", ".join(field.alias or key for key, field in annotation.model_fields.items()) + "}"
    if parts:
        name = getattr(get_origin(annotation), "__name__", str(get_origin(annotation)))
        return f"{name}[{', '.join(_type(part) for part in parts)}]"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " | ".join(str(one.value) for one in annotation)
    return getattr(annotation, "__name__", str(annotation))


def _fields(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, **about} for key, about in fields.items()]
