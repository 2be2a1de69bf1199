"""hdm components: what a manifest may name, with its configuration."""

from __future__ import annotations

from typing import Any

import click

from hdm import registry
from hdm.cli.options import json_option
from hdm.cli.output import emit
from hdm.errors import UnknownComponent
from hdm.placed import fold, suggest


@click.command()
@json_option
@click.option("--plugin", "plugins", multiple=True, help="A module to load first; may come again.")
@click.argument("name", required=False)
def command_components(as_json: bool, plugins: tuple[str, ...], name: str | None) -> int:
    """List every source, sink, catalog, orchestrator, state manager and check, or show one (NAME)."""
    registry.load_plugins(plugins)
    for why in registry.load_installed():
        click.echo(f"plugin that could not be loaded: {why}", err=True)
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
                title = f"{row['type']} ({row['kind']}): {row['what']}\n{part}:"
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
        kind = getattr(field.annotation, "__name__", str(field.annotation))
        default = None if field.is_required() else str(field.get_default(call_default_factory=True))
        fields[field.alias or key] = {"type": kind, "required": field.is_required(), "default": default}
    return fields


def _fields(fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, **about} for key, about in fields.items()]
