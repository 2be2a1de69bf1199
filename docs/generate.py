"""Write docs/reference/{commands,components}.md, and the picture of the rooms in docs/architecture.md, from
the code; ``--check`` only compares.

``make docs`` runs it; a test holds the pages equal to the code.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from hdm.cli import VERBS, cli
from hdm.components import registry
from hdm.components.keys import keys_of, summary

DOCS = Path(__file__).resolve().parent
NOTE = "Written by `make docs` from the code; do not edit.\n"


def commands() -> Iterator[str]:
    """Every verb with its help, as ``hdm VERB --help`` prints it."""
    yield f"# Commands\n\n{NOTE}"
    yield from _help(cli, "hdm", click.Context(cli, info_name="hdm", terminal_width=100))


def _help(command: click.Command, name: str, context: click.Context) -> Iterator[str]:
    yield f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for verb in VERBS if command is cli else command.list_commands(context):
            inner = command.get_command(context, verb)
            if inner is not None:
                below = click.Context(inner, info_name=verb, parent=context, terminal_width=100)
                yield from _help(inner, f"{name} {verb}", below)


def components() -> Iterator[str]:
    """Every type that a manifest may name, with the keys of its ``conf`` and its profile."""
    yield f"# Components\n\n{NOTE}"
    for kind in registry.KINDS:
        yield f"## {kind.replace('_', ' ').capitalize()}\n"
        for name in registry.names(kind):
            found: Any = registry.find(kind, name)
            yield f"### {found.__name__}\n\n{summary(found)}\n"
            yield from _keys("conf", getattr(found, "Config", None))
            yield from _keys("profile", getattr(found, "Profile", None))


def _keys(title: str, model: Any) -> Iterator[str]:
    if model is None or not model.model_fields:
        return
    yield f"| {title} | takes | default | what it does |\n|---|---|---|---|"
    for key in keys_of(model):
        default = "required" if key.required else f"`{key.default}`" if key.default else ""
        takes, words = (text.replace("|", "\\|") for text in (key.type, key.description))
        yield f"| `{key.name}` | {takes} | {default} | {words} |"
    yield ""


def rooms() -> str:
    """docs/architecture.md with the layers of import-linter as a picture, highest first."""
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    before, mark, rest = page.partition("<!-- rooms: written by `make docs` -->\n")
    _, end, after = rest.partition("<!-- /rooms -->")
    return "".join((before, mark, "```mermaid\n", "\n".join(_layers()), "\n```\n", end, after))


def _layers() -> Iterator[str]:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    yield "flowchart TB"
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        within = contract["containers"][0]
        layers = [re.findall(r"\w+", layer) for layer in contract["layers"]]
        yield f"  subgraph in_{within.replace('.', '_')} [{within.replace('.', '/')}/]"
        yield from (f"    {_node(within, room)}[{room}]" for layer in layers for room in layer)
        yield "  end"
        for above, below in pairwise(layers):
            yield f"  {_row(within, above)} --> {_row(within, below)}"


def _node(within: str, room: str) -> str:
    return f"{within}.{room}".replace(".", "_")


def _row(within: str, layer: list[str]) -> str:
    return " & ".join(_node(within, room) for room in layer)


def main() -> int:
    """Write, or with ``--check`` end with 1 if a page is not what the code says."""
    stale = []
    made = {"reference/commands": commands, "reference/components": components, "architecture": rooms}
    for name, parts in made.items():
        page = DOCS / f"{name}.md"
        text = "\n".join(parts()) if parts is not rooms else rooms()
        if "--check" not in sys.argv:
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page.name)
    if stale:
        sys.stderr.write(f"not what the code says any more: {', '.join(stale)}; run: make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
