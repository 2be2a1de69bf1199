"""Reads the two ends of a copy from the command line or, in the twelve-factor mode, from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hdm.api.ends import FORMS, Given
from hdm.cli.environment import PARTS, first_of, in_mode
from hdm.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def given(text: str | None, side: str) -> Given:
    """Return the end that an argument names; without one, that of ``HDM_<SIDE>_DSN`` and related variables.

    The environment is asked only in the twelve-factor mode. Raises ``UsageError`` if neither names an end.
    """
    if text is not None:
        return Given(text)
    found = {part: first_of(f"{side}_{part}") or "" for part in PARTS}
    address, system = found["DSN"], found["TYPE"]
    if not in_mode() or not (address or found["OBJECT"]):
        raise UsageError(f"which {side.lower()}?", hint=FORMS)
    if not address:
        return Given(found["OBJECT"])
    if system and not address.lower().startswith(f"{system.lower()}:"):
        address = f"{system}:{address}"
    extra = {"region": found["S3_REGION"]} if found["S3_REGION"] else {}
    return Given(address, object=found["OBJECT"], extra=extra, in_the_open=False)


def place_options(*, short: bool = True) -> Callable[[F], F]:
    """Return a decorator that adds --env and --profiles to a command; with ``short``, also -e."""

    def add(function: F) -> F:
        profiles = click.option("--profiles", type=click.Path(dir_okay=False), help="Profiles file.")
        env = click.option(
            *(["-e"] if short else []), "--env",
            default=lambda: os.environ.get("HDM_ENV", "dev"), show_default="$HDM_ENV or dev",
            help="Environment: a top-level key of the profiles file.",
        )  # fmt: skip
        return env(profiles(function))

    return add
