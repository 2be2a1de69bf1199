"""Options that several verbs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def manifest_options(function: F) -> F:
    """MANIFEST, -e/--env, --profiles and -l/--log-settings."""
    for option in reversed(
        [
            click.argument("manifest", type=click.Path(dir_okay=False)),
            click.option(
                "-e", "--env",
                default=lambda: os.environ.get("HDM_ENV", "dev"), show_default="$HDM_ENV or dev",
                help="Environment: a top-level key of the profiles file.",
            ),
            click.option(
                "--profiles", type=click.Path(dir_okay=False), envvar="HDM_PROFILES",
                help="Profiles file (default: ~/.hashmap_data_migrator/hdm_profiles.yml).",
            ),
            click.option(
                "-l", "--log_settings", "--log-settings", "log_settings", type=click.Path(dir_okay=False),
                help="A YAML file in the form of logging.config.dictConfig.",
            ),
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def place_options(function: F) -> F:
    """MANIFEST, -e/--env, --profiles and -l/--log-settings; or --state in a manifest's stead."""
    for option in reversed(
        [
            click.argument("manifest", type=click.Path(dir_okay=False), required=False),
            click.option(
                "--state", "where", metavar="URL_OR_PATH",
                help="The state database itself: a SQLite file, or a URL; '${NAME}' in it is that variable.",
            ),
            click.option(
                "-e", "--env",
                default=lambda: os.environ.get("HDM_ENV", "dev"), show_default="$HDM_ENV or dev",
                help="Environment: a top-level key of the profiles file.",
            ),
            click.option(
                "--profiles", type=click.Path(dir_okay=False), envvar="HDM_PROFILES",
                help="Profiles file (default: ~/.hashmap_data_migrator/hdm_profiles.yml).",
            ),
            click.option(
                "-l", "--log_settings", "--log-settings", "log_settings", type=click.Path(dir_okay=False),
                help="A YAML file in the form of logging.config.dictConfig.",
            ),
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def json_option(function: F) -> F:
    """--json: the same content for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def site_option(function: F) -> F:
    """--site: only links of that site."""
    return click.option("--site", help="Take only the links that carry this site (or none).")(function)
