"""The command ``hdm schema``: prints JSON Schemas for editors."""

from __future__ import annotations

import click

from hdm.cli.output import say_json


@click.command()
@click.argument("what", type=click.Choice(["manifest", "profiles"]), default="manifest")
def command_schema(what: str) -> int:
    """Print the JSON Schema of manifests or of profiles files."""
    from hdm.components import registry
    from hdm.components.json_schema import manifest_schema, profile_schema

    registry.load_installed()
    say_json(manifest_schema() if what == "manifest" else profile_schema())
    return 0
