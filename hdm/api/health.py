"""Checks everything that a manifest needs: drivers, connections, grants, clock, versions."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hdm._version import __version__
from hdm.api.results import Finding
from hdm.components.builtin import NEEDS
from hdm.config.secrets import redact
from hdm.errors import HdmError
from hdm.project import Assembly

PACKAGES = ("sqlalchemy", "alembic", "pyarrow", "pydantic", "providah", "tenacity")
MAX_SKEW = 5.0
"""Seconds by which this host's clock and the state database's may differ; a larger skew is a finding."""


def findings(made: Assembly) -> tuple[Finding, ...]:
    """Run every test of the manifest's components and return the results.

    Tests of components together (such as whole links) run only if each component by itself is in order.
    """
    parts = [one for link in made.links.values() for one in (link.source, link.sink)]
    probed = [row for part in parts for row in _probe(part)]
    if all(one.ok for one in probed):
        probed += [row for link in made.links.values() for row in _probe_mode(link)]
    found = [*_versions(), *probed, *_state(made)]
    if all(one.ok for one in probed):
        found += _together(made)
    return tuple(dict.fromkeys(found))


def _versions() -> Iterator[Finding]:
    yield Finding("hdm", "version", True, f"{__version__} on Python {platform.python_version()}")
    for name in PACKAGES:
        yield Finding("hdm", name, True, importlib.metadata.version(name))
    brought = _brought()
    for extra, modules in dict(NEEDS.values()).items():
        packages = [name for module in modules for name in brought.get(module.partition(".")[0], ())[:1]]
        if len(packages) < len(modules):
            yield Finding("driver", extra, True, f"not installed (pip install 'hdm[{extra}]')")
        else:
            versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
            yield Finding("driver", extra, True, versions)


@functools.cache
def _brought() -> Mapping[str, list[str]]:
    """Return which distributions brought each top-level module; reads the list of files of each."""
    return importlib.metadata.packages_distributions()


def _probe(component: Any) -> Iterator[Finding]:
    yield from _results(component, component.probe)


def _probe_mode(link: Any) -> Iterator[Finding]:
    yield from _results(link.sink, lambda: link.sink.probe_mode(link.spec.mode))


def _results(component: Any, probe: Callable[[], list[tuple[str, bool, str]]]) -> Iterator[Finding]:
    try:
        for what, ok, detail in probe():
            yield Finding(component.name, what, ok, redact(str(detail)))
    except HdmError as error:
        yield Finding(component.name, "connection", False, _in_a_line(error))


def _together(made: Assembly) -> Iterator[Finding]:
    """Check the links together, as a run would; call it only if every component is well by itself."""
    try:
        tables = len(made.preflight())
    except HdmError as error:
        yield Finding("manifest", "links", False, _in_a_line(error))
        return
    for why in made.orchestrator.refused.values():
        yield Finding("manifest", "links", False, redact(" ".join(why.split())))
    if not made.orchestrator.refused:
        yield Finding("manifest", "links", True, f"{tables} tables can be moved together")


def _state(made: Assembly) -> Iterator[Finding]:
    try:
        found = made.recall_state()
        if found is None:
            yield Finding("state", "schema", True, "none yet: hdm run makes it")
            yield from _state_rights(made, there=False)
            return
        with found as state:
            there = datetime.fromisoformat(state.reports.clock())
            skew = abs((there - datetime.now(UTC)).total_seconds())
            yield Finding("state", "schema", True, state.reports.schema_version())
            yield Finding("state", "clock", skew < MAX_SKEW, f"{skew:.1f} s apart from this host")
        yield from _state_rights(made, there=True)
    except HdmError as error:
        yield Finding("state", "connection", False, _in_a_line(error))


def _state_rights(made: Assembly, *, there: bool) -> Iterator[Finding]:
    lacks = made.state_rights(made=there)
    if lacks is None:
        return
    for line in lacks:
        yield Finding("state", "grants", False, redact(line))
    if not lacks:
        yield Finding("state", "grants", True, "may fill its tables" if there else "may make its tables")


def _in_a_line(error: HdmError) -> str:
    text = error.in_one_line
    return redact(" ".join(text.split()))
