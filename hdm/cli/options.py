"""Defines options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import click

from hdm.cli import logs
from hdm.planning.breaker import MAX_WAIT

F = TypeVar("F", bound=Callable[..., Any])


def with_logging(function: F) -> F:
    """Return a command that sets up logging before it runs.

    It does so by those of the options log_format, log_level and log_settings that the command has.
    """

    takes = "log_settings" in signature(function).parameters

    @wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        log_format, level = kwargs.get("log_format", "text"), kwargs.get("log_level", "warning")
        logs.set_up(log_format, kwargs["log_settings"] if takes else kwargs.pop("log_settings"), level)
        return function(*args, **kwargs)

    return cast(F, command)


class LogLevel(click.Choice[str]):
    """A log level by Python's name, or by Halfpipe's ``warn``."""

    name = "log level"

    def __init__(self) -> None:
        super().__init__(["debug", "info", "warn", "warning", "error"], case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the level's name as Python has it."""
        found = super().convert(value, param, ctx)
        return "warning" if found == "warn" else found


def log_option(function: F) -> F:
    """Add the option -l/--log-settings to a command."""
    return click.option(
        "-l", "--log_settings", "--log-settings", "log_settings", type=click.Path(dir_okay=False),
        help="Log settings: YAML for logging.config.dictConfig, or INI for logging.config.fileConfig.",
    )(function)  # fmt: skip


def manifest_options(function: F) -> F:
    """Add MANIFEST, -e/--env, --profiles and -l/--log-settings to a command.

    The log settings are applied before the command runs.
    """
    function = with_logging(function)
    for option in reversed(
        [
            click.argument("manifest", type=click.Path(dir_okay=False)),
            click.option(
                "-e", "--env",
                default=lambda: os.environ.get("HDM_ENV", "dev"), show_default="$HDM_ENV or dev",
                help="Environment: a top-level key of the profiles file.",
            ),
            click.option(
                "--profiles", type=click.Path(dir_okay=False),
                help="Profiles file (default: ~/.hashmap_data_migrator/hdm_profiles.yml).",
            ),
            log_option,
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def place_options(function: F) -> F:
    """Add the options of ``manifest_options`` to a command, and --state as an alternative to MANIFEST."""
    function = with_logging(function)
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
                "--profiles", type=click.Path(dir_okay=False),
                help="Profiles file (default: ~/.hashmap_data_migrator/hdm_profiles.yml).",
            ),
            log_option,
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def json_option(function: F) -> F:
    """Add the option --json to a command.

    With it, the command prints its result as JSON.
    """
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(function)


def site_option(function: F) -> F:
    """Add the option --site to a command, which takes only the links of one site and those without one."""
    return click.option("--site", help="Take only the links that carry this site (or none).")(function)


def max_wait_option(command: F) -> F:
    """Add the option --max-wait to a command: how many seconds a system may be unreachable."""
    return click.option(
        "--max-wait",
        type=click.FloatRange(min=0),
        default=MAX_WAIT,
        show_default=True,
        help="Seconds for which a source, target or the state database may be away before the run ends.",
    )(command)
