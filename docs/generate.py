"""Write docs/reference/{commands,components}.md from the code; ``--check`` only compares.

``make docs`` runs it; a test holds the pages equal to the code.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from hdm.cli import VERBS, cli
from hdm.components import registry
from hdm.components.keys import keys_of, summary

REFERENCE = Path(__file__).resolve().parent / "reference"
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


def main() -> int:
    """Write, or with ``--check`` end with 1 if a page is not what the code says."""
    stale = []
    for name, parts in {"commands": commands, "components": components}.items():
        page = REFERENCE / f"{name}.md"
        text = "\n".join(parts())
        if "--check" not in sys.argv:
            REFERENCE.mkdir(exist_ok=True)
            page.write_text(text, encoding="utf-8")
        elif not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page.name)
    if stale:
        sys.stderr.write(f"not what the code says any more: {', '.join(stale)}; run: make docs\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
