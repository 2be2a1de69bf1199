"""Reads the options that select the catalogues of a command: a manifest's, or two connections'."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from hdm.api.catalog import Scope, of_manifest
from hdm.catalog.traits import targets
from hdm.cli.options import log_option, with_logging
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.manifest_model import Component, Template
from hdm.config.profile import load_profiles
from hdm.errors import UsageError
from hdm.model import ComponentSpec
from hdm.orchestrators.auto_batch import AutoBatchConfig, AutoBatchOrchestrator
from hdm.project import read_plan

F = TypeVar("F", bound=Callable[..., Any])


def scope_options(function: F) -> F:
    """Add the options that select catalogues to a command.

    They are MANIFEST, --from, --to, --include, --exclude, --env, --profiles and --log-settings.
    """
    function = with_logging(function)
    options = [
        click.argument("manifest", type=click.Path(dir_okay=False), required=False),
        click.option(
            "--from", "source", metavar="SYSTEM:CONNECTION", help="Instead of a manifest, e.g. postgres:shop."
        ),
        click.option(
            "--to", "target", metavar="SYSTEM[:CONNECTION]",
            help=f"The target; without a connection, for its DDL alone. Systems: {', '.join(targets())}.",
        ),
        click.option("--include", multiple=True, help='Objects, e.g. "sales.*"; may be given several times.'),
        click.option("--exclude", multiple=True, help="Objects to leave out."),
        click.option(
            "-e", "--env", default=lambda: os.environ.get("HDM_ENV", "dev"), show_default="$HDM_ENV or dev",
            help="Environment: a top-level key of the profiles file.",
        ),
        click.option(
            "--profiles", type=click.Path(dir_okay=False), help="Profiles file."
        ),
        log_option,
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def open_scope(
    manifest: str | None,
    source: str | None,
    target: str | None,
    include: Iterable[str],
    exclude: Iterable[str],
    env: str,
    profiles: str | None,
    *,
    one_sided: bool = False,
) -> Scope:
    """Read the schemas of the sources and targets that the options name, and return them.

    Raises ``UsageError`` if the options name neither a manifest nor a connection, or both, or no target, or
    patterns beside a manifest; a ``one_sided`` command needs no target.
    """
    if (manifest is None) == (source is None):
        raise UsageError(
            "name either a manifest, or --from and --to", hint="e.g. --from postgres:shop --to mysql:dw"
        )
    if manifest is not None:
        return _of_manifest(manifest, target, include, exclude, env, profiles)
    if target is None and not one_sided:
        raise UsageError("which system is the target?", hint="write --to, e.g. --to snowflake")
    known = load_profiles(profiles, env)
    assert source is not None
    template = _template(source, target or source, include, exclude)
    orchestrator = AutoBatchOrchestrator(AutoBatchConfig())
    orchestrator.profiles = known
    system = (target or source).partition(":")[0] if ":" not in (target or "") else None
    return Scope([orchestrator.batch(template, env, system)], known)


def _of_manifest(
    manifest: str,
    target: str | None,
    include: Iterable[str],
    exclude: Iterable[str],
    env: str,
    profiles: str | None,
) -> Scope:
    if list(include) or list(exclude):
        raise UsageError(
            "include and exclude stand in the manifest", hint="write them into the source's conf"
        )
    return of_manifest(manifest, read_plan(manifest, env), load_profiles(profiles, env), target)


def _template(source: str, target: str, include: Iterable[str], exclude: Iterable[str]) -> Template:
    conf = LocatedDict({"include": list(include) or ["*"], "exclude": list(exclude)})
    return Template(
        source=_component("source", source, conf),
        sink=_component("sink", target, LocatedDict())
        if ":" in target
        else _component("source", source, conf),
    )


def _component(kind: str, text: str, conf: LocatedDict) -> Component:
    system, _, connection = text.partition(":")
    if not connection:
        raise UsageError(f"{text!r} names no connection", hint="write SYSTEM:CONNECTION, e.g. postgres:shop")
    name = registry.canonical(kind, f"{system}_{kind}")
    if name is None:
        raise UsageError(f"there is no {kind} for {system!r}", hint="see: hdm components")
    conf["env"] = connection
    spec = ComponentSpec(connection, name, conf)
    return Component(name=spec.name, type=spec.type, conf=conf)
