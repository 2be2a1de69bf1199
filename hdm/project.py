"""Reads a manifest and makes the components that it names; makes none until all of it is valid."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hdm._version import __version__
from hdm.components import registry
from hdm.components.check import Check
from hdm.components.sink import Sink
from hdm.components.source import Source
from hdm.config import deprecated
from hdm.config.located import ManifestErrors, raise_all
from hdm.config.profile import Profiles, load_profiles
from hdm.errors import ManifestError, UsageError
from hdm.files.sink import FileSink
from hdm.files.source import FileSource
from hdm.model import LinkSpec, LinkSpecs
from hdm.orchestrators.base import Orchestrator
from hdm.planning.manifest import load_manifest
from hdm.planning.open_state import open_state, recall_state, state_rights
from hdm.planning.plan import Plan, make_plan
from hdm.planning.preflight import Pipeline, preflight
from hdm.runtime.host import host_identity
from hdm.runtime.link import DataLink
from hdm.state import RunInfo, StateManager


@dataclass(slots=True)
class Assembly:
    """The components of one manifest, made for one command, with the plan that they carry out.

    ``specs`` are all links of the plan, ``links`` those that were made: with a ``site``, only those of the
    site and those without a site.
    """

    plan: Plan
    profiles: Profiles
    orchestrator: Orchestrator
    links: Mapping[str, DataLink]
    specs: LinkSpecs
    site: str | None = None

    def preflight(self) -> list[Pipeline]:
        """Find every pipeline (one link over one table) of the manifest, upstream first.

        Writes nothing. Raises one error that names everything that is wrong; but where only links that a
        template made are wrong, these are put into the orchestrator's ``refused``, with the reason, and fail
        in the run. See ``hdm.planning.preflight.preflight``.
        """
        return preflight(self.links, self.orchestrator.refused)

    def open_state(self) -> StateManager:
        """Open the manifest's state database; create it if there is none."""
        return open_state(self.plan, self.profiles)

    def recall_state(self) -> StateManager | None:
        """Open the manifest's state database if it exists; return None if it does not."""
        return recall_state(self.plan, self.profiles)

    def state_rights(self, *, made: bool) -> list[str] | None:
        """Return a line for each right that the state database's user lacks; None if that cannot be told."""
        return state_rights(self.plan, self.profiles, made=made)

    def run_info(self) -> RunInfo:
        """Return what a run records about itself: user, host, manifest, environment, version and commit."""
        return run_info(self.plan)


def open_project(manifest: str, env: str, profiles: str | None, site: str | None = None) -> Assembly:
    """Read a manifest and make its components; see ``assemble`` for the systems that are connected to.

    With ``site``, only the links of that site and those without one are made.
    """
    plan = read_plan(manifest, env)
    return assemble(plan, load_profiles(profiles, env), site)


def assemble(plan: Plan, known: Profiles, site: str | None = None) -> Assembly:
    """Make the components of a plan and check their settings.

    Connects to no system, unless an orchestrator must first find the tables of templates: it then reads the
    catalogues of source and target, and the state. With ``site``, make only the links of that site and those
    without a site. Drivers and profile entries that only other sites need may be missing on this machine.
    Raises ``UsageError`` if no link has the site, and for every mistake in the links' settings.
    """
    broken = registry.load_plugins(plan.plugins, Path(plan.manifest_path).absolute().parent)
    orchestrator: Orchestrator = registry.create("orchestrator", plan.orchestrator, known)
    orchestrator.profiles = known
    orchestrator.recall = partial(recall_state, plan, known)
    specs = LinkSpecs(orchestrator.links(plan))
    here = _at_site(specs, site, plan.manifest_name)
    links = make_links(here, known)
    unloaded = [f"a plugin could not be loaded: {one}" for one in broken]
    orchestrator.notes[:0] = dict.fromkeys(
        [*plan.notes, *unloaded, *_old_keys(plan, here, known), *known.notes]
    )
    return Assembly(plan, known, orchestrator, links, specs, site)


def _old_keys(plan: Plan, specs: Iterable[LinkSpec], known: Profiles) -> Iterator[str]:
    """A line on each deprecated key of what the plan names; those of the manifest's own words are among its
    notes."""
    yield from registry.deprecated_keys("orchestrator", plan.orchestrator)
    if plan.state is not None:
        yield from registry.deprecated_keys("state_manager", plan.state)
        model, name = (
            registry.find("state_manager", plan.state.type).Profile,
            registry.connection_name(plan.state),
        )
        if model is not None and name is not None:  # it is not connected to yet
            yield from deprecated.notes(model, known.entry(name), f"connection '{name}'")
    for spec in specs:
        yield from registry.deprecated_keys("source", spec.source)
        yield from registry.deprecated_keys("sink", spec.sink)
        for check in spec.checks:
            config = registry.find("check", check["type"]).Config
            yield from deprecated.notes(config, check, f"check '{check['type']}'")


def run_info(plan: Plan) -> RunInfo:
    """Return what a run records about itself: user, host, manifest, environment, version and commit."""
    sha, dirty = _git(Path(plan.manifest_path).resolve().parent)
    return RunInfo(
        manifest_name=plan.manifest_name,
        manifest_sha256=plan.manifest_sha256,
        env=plan.env,
        started_by=user(),
        git_sha=sha,
        git_dirty=dirty,
        hdm_version=__version__,
        host=host_identity(),
        manifest_text=plan.manifest_text,
    )


def read_plan(manifest: str, env: str) -> Plan:
    """Read a manifest and return its plan, without connecting to any system or reading a profile.

    Raises ``ManifestError`` for mistakes in the manifest.
    """
    return make_plan(load_manifest(manifest, env, os.environ))


def open_state_only(manifest: str, env: str, profiles: str | None) -> tuple[Plan, StateManager | None]:
    """Open a manifest's state database without making components; return it with the plan.

    The state is None if the database does not exist yet.
    """
    plan = read_plan(manifest, env)
    return plan, recall_state(plan, load_profiles(profiles, env))


def find_run(state: StateManager, plan: Plan, run: str | None) -> str | None:
    """Return the id of the run whose id begins with ``run``; of the newest run if ``run`` is None.

    Raises ``UsageError`` if ``run`` is given and no run's id begins with it. Returns None if ``run`` is None
    and there are no runs.
    """
    found = state.reports.find_run(plan.manifest_name, plan.env, run, link_keys(plan))
    if found is None and run is not None:
        raise no_such_run(plan, run)
    return found


def link_keys(plan: Plan) -> list[str]:
    """Return the keys of a manifest's links, which stay the same when the manifest is renamed."""
    return [link.key for link in plan.links]


def no_runs(state: StateManager, plan: Plan, otherwise: str = "") -> str:
    """Return a message for people: the manifest has no runs yet.

    The message names the manifests that have some. If ``otherwise`` is given and the manifest has runs, that
    text is returned instead.
    """
    if otherwise and find_run(state, plan, None) is not None:
        return otherwise
    others = [f"{name} -e {env}" for name, env in state.reports.manifests()]
    text = f"no runs of {plan.manifest_name} in environment {plan.env} yet"
    return f"{text}; on record here: {', '.join(others)}" if others else text


def no_such_run(plan: Plan, run: str) -> UsageError:
    """Return the error that says that no run's id begins with ``run``."""
    return UsageError(
        f"no run of {plan.manifest_name} in environment {plan.env} begins with {run!r}",
        hint="hdm status --runs lists them",
    )


def _at_site(specs: Mapping[str, LinkSpec], site: str | None, manifest: str) -> list[LinkSpec]:
    sites = {spec.site for spec in specs.values()} - {None}
    if site is not None and site not in sites:
        known = ", ".join(sorted(str(s) for s in sites)) or "none"
        raise UsageError(f"no link of {manifest} has site {site!r}", hint=f"sites: {known}")
    return [spec for spec in specs.values() if site is None or spec.site in (None, site)]


def make_links(specs: Iterable[LinkSpec], profiles: Profiles) -> dict[str, DataLink]:
    """Make a ``DataLink``, with its source and sink, for each spec; return them by the specs' keys.

    Raises one ``ManifestError`` that lists every mistake in their settings, or one about the first link that
    cannot read what its upstream sink writes.
    """
    links: dict[str, DataLink] = {}
    checks = _checks()
    wrong: list[ManifestError] = []
    for spec in specs:
        try:
            links[spec.key] = _link(spec, profiles, checks)
        except ManifestErrors as several:
            wrong += several.errors
    raise_all(wrong)
    _refuse_unchainable(links)
    return links


def _refuse_unchainable(links: Mapping[str, DataLink]) -> None:
    """Refuse a link whose upstream sink publishes no files, or whose source cannot read these files.

    Only published files name the chunks from which the next link of a chain is planned; a table does not.
    """
    for link in links.values():
        source = link.spec.source
        above = [links[key] for key in link.spec.upstream if key in links]
        for sink in (one.spec.sink for one in above if not one.sink.publishes_files):
            raise registry.misplaced(
                source,
                f"source '{source.name}' has the name of a sink ({sink.type}) that stages no files",
                "give the source a name of its own, in a manifest that is run afterwards",
            )
        if link.spec.upstream and not link.source.chunks_from_files:
            raise registry.misplaced(
                source,
                f"source '{source.name}' has the name of a sink, and {source.type} reads no staged files",
                "write a source that reads them, or give this one a name of its own",
            )
        if any(_elsewhere(one.sink, link.source) for one in above):
            raise registry.misplaced(
                source,
                f"source '{source.name}' has the name of a sink, and looks for its files in another place",
                "write the sink's directory, or bucket and prefix, for the source too",
            )


def _elsewhere(sink: Sink, source: Source) -> bool:
    """Whether the files of ``sink`` lie outside of the folder or bucket that ``source`` may read."""
    if not (isinstance(sink, FileSink) and isinstance(source, FileSource)):
        return False
    try:
        source.store.key(sink.store.uri("file"))
    except UsageError:
        return True
    return False


def _link(spec: LinkSpec, profiles: Profiles, checks: Mapping[str, type[Check]]) -> DataLink:
    made: list[Any] = []
    wrong: list[ManifestError] = []
    sides = [("source", spec.source), ("sink", spec.sink)]
    if spec.quarantine is not None:
        sides.append(("sink", spec.quarantine))
    for kind, side in sides:
        try:
            made.append(registry.create(kind, side, profiles))
        except ManifestError as error:
            wrong.append(error)
    if wrong:
        raise ManifestErrors(wrong)
    source, sink, *aside = made
    parts = {"spec": spec, "source": source, "sink": sink, "checks": checks}
    link: DataLink = registry.build("data_link", spec.type, parts)
    if spec.quarantine is not None:
        if not isinstance(aside[0], FileSink):
            raise registry.misplaced(
                spec.quarantine,
                f"quarantine: {spec.quarantine.type} writes no files",
                "name a sink that does: FSSink, S3Sink, AzureBlobSink or StoreSink",
            )
        link.quarantine = aside[0]
    return link


def _checks() -> dict[str, type[Check]]:
    return {name: registry.find("check", name) for name in registry.names("check")}


def user() -> str:
    """Return the name of the user who runs hdm, or the number if there is no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _git(folder: Path) -> tuple[str | None, bool]:
    """Return the commit that is checked out in ``folder``, and whether the working tree has changes.

    Returns (None, False) outside of a repository, or if git is not installed.
    """
    command = ["git", "-C", str(folder), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None, False
    if done.returncode:
        return None, False
    lines = done.stdout.splitlines()
    sha = next((line.split()[2] for line in lines if line.startswith("# branch.oid")), None)
    return (None if sha == "(initial)" else sha), any(not line.startswith("#") for line in lines)
