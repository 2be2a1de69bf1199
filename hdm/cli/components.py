"""The command ``hdm components``: lists the types that a manifest may name, with their configuration."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import click

from hdm.cli.options import json_option
from hdm.cli.output import emit, say, say_lines, screen_width
from hdm.components import registry
from hdm.components.keys import keys_of, summary
from hdm.config.located import fold, suggest
from hdm.errors import UnknownComponent


@click.command()
@json_option
@click.option(
    "--plugin", "plugins", multiple=True, help="A module, file or folder to load first; may come again."
)
@click.argument("name", required=False)
def command_components(as_json: bool, plugins: tuple[str, ...], name: str | None) -> int:
    """List every source, sink, check, dialect and other component, or show one (NAME) with its keys."""
    for why in [*registry.load_plugins(plugins), *registry.load_installed()]:
        say(f"plugin that could not be loaded: {why}", err=True)
    found = [(kind, one) for kind in registry.KINDS for one in registry.names(kind)]
    if name is not None:
        known = [one for _, one in found]
        found = [(kind, one) for kind, one in found if fold(one) == fold(name)]
        if not found:
            raise UnknownComponent(f"nothing is registered as {name!r}", hint=suggest(name, known))
    classes = [(kind, registry.find(kind, one)) for kind, one in found]
    if as_json:
        emit([_row(kind, cls) for kind, cls in classes], as_json=True)
    elif name is None:
        emit([_line(kind, cls) for kind, cls in classes], as_json=False)
    else:
        for kind, cls in classes:
            say_lines(fill(f"{cls.__name__} ({kind}): {summary(cls)}", screen_width() or 100))
            _show("conf:", getattr(cls, "Config", None))
            _show("profile:", getattr(cls, "Profile", None))
    return 0


def _line(kind: str, cls: type[Any]) -> dict[str, Any]:
    model = getattr(cls, "Config", None)
    keys = [info.alias or field for field, info in model.model_fields.items()] if model else []
    return {"kind": kind, "type": cls.__name__, "what": summary(cls), "conf": ", ".join(keys)}


def _row(kind: str, cls: type[Any]) -> dict[str, Any]:
    return {
        "kind": kind,
        "type": cls.__name__,
        "what": summary(cls),
        "conf": _keys(getattr(cls, "Config", None)),
        "profile": _keys(getattr(cls, "Profile", None)),
    }


def _keys(model: Any) -> dict[str, Any]:
    """Return each top-level key with its type, default and description; its type names nested keys."""
    found = [] if model is None else keys_of(model)
    return {
        key.name: {
            "type": key.type, "required": key.required, "default": key.default,
            "description": key.description,
        }
        for key in found if "." not in key.name
    }  # fmt: skip


def _show(title: str, model: Any) -> None:
    """Print each key with its type and default, and its description below, wrapped to the terminal."""
    say(title)
    found = [] if model is None else list(keys_of(model))
    if not found:
        say("  none")
    width = screen_width() or 100
    for key in found:
        given = ", required" if key.required else ""
        if key.default is not None:
            given = f", by default {key.default or 'empty'}"
        for blanks, text in ((2, f"{key.name}: {key.type}{given}"), (6, key.description)):
            say_lines(fill(text, width, initial_indent=" " * blanks, subsequent_indent=" " * 6))
