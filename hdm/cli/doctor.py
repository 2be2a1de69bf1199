"""hdm doctor: drivers, connections, grants, clock, versions."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from hdm._version import __version__
from hdm.cli.options import json_option, manifest_options, site_option
from hdm.cli.output import emit, in_a_line, say
from hdm.components.builtin import NEEDS
from hdm.errors import HdmError
from hdm.project import open_project

PACKAGES = ("sqlalchemy", "alembic", "pyarrow", "pydantic", "providah", "tenacity")
MAX_SKEW = 5.0
"""Seconds between this host's clock and the state database's before it is worth a word."""


@click.command()
@manifest_options
@site_option
@json_option
def command_doctor(
    manifest: str, env: str, profiles: str | None, log_settings: str | None, site: str | None, as_json: bool
) -> int:
    """Check everything MANIFEST needs; exit 1 if something is wrong."""
    project = open_project(manifest, env, profiles, site)
    parts = [one for link in project.links.values() for one in (link.source, link.sink)]
    rows = [*_versions(), *(row for part in parts for row in _probe(part)), *_state(project)]
    rows = list({tuple(row.values()): row for row in rows}.values())
    emit(rows if as_json else list(_shortened(_grouped(rows))), as_json=as_json)
    wrong = [row for row in rows if not row["ok"]]
    if not as_json:
        say(_verdict(rows, wrong))
    return 1 if wrong else 0


def _grouped(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each finding once, about all that it was found of."""
    about: dict[tuple[str, bool, str], list[str]] = {}
    for row in rows:
        names = about.setdefault((row["what"], row["ok"], row["detail"]), [])
        if row["about"] not in names:
            names.append(row["about"])
    return [_row(_few(names), what, ok, detail) for (what, ok, detail), names in about.items()]


def _shortened(rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was found well of many tables of one component, in one line."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["ok"]:
            alike.setdefault((row["about"], row["what"]), []).append(row["detail"])
    for row in rows:
        details = alike.get((row["about"], row["what"]), []) if row["ok"] else []
        if len(details) <= 3:
            yield row
        elif details[0] == row["detail"]:
            yield {**row, "detail": _few(details)}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def _verdict(rows: Sequence[dict[str, Any]], wrong: Sequence[dict[str, Any]]) -> str:
    if not wrong:
        return f"all well: {len(rows)} things were looked at; hdm plan shows what a run would move"
    first = wrong[0]
    return f"{len(wrong)} of {len(rows)} things are wrong, first of all {first['about']}: {first['what']}"


def _row(about: str, what: str, ok: bool, detail: str) -> dict[str, Any]:
    return {"about": about, "what": what, "ok": ok, "detail": detail}


def _versions() -> Iterator[dict[str, Any]]:
    yield _row("hdm", "version", True, f"{__version__} on Python {platform.python_version()}")
    for name in PACKAGES:
        yield _row("hdm", name, True, importlib.metadata.version(name))
    brought = importlib.metadata.packages_distributions()
    for extra, modules in dict(NEEDS.values()).items():
        packages = [name for module in modules for name in brought.get(module.partition(".")[0], ())[:1]]
        if len(packages) < len(modules):
            yield _row("driver", extra, True, f"not installed (pip install 'hdm[{extra}]')")
        else:
            versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
            yield _row("driver", extra, True, versions)


def _probe(component: Any) -> Iterator[dict[str, Any]]:
    try:
        for what, ok, detail in component.probe():
            yield _row(component.name, what, ok, detail)
    except HdmError as error:
        yield _row(component.name, "connection", False, in_a_line(error))


def _state(project: Any) -> Iterator[dict[str, Any]]:
    try:
        found = project.recall_state()
        if found is None:
            yield _row("state", "schema", True, "none yet: hdm run makes it")
            return
        with found as state:
            there = datetime.fromisoformat(state.reports.clock())
            skew = abs((there - datetime.now(UTC)).total_seconds())
            yield _row("state", "schema", True, state.reports.schema_version())
            yield _row("state", "clock", skew < MAX_SKEW, f"{skew:.1f} s apart from this host")
    except HdmError as error:
        yield _row("state", "connection", False, in_a_line(error))
