"""Makes a project from one command, ``hdm cp snap SRC DST``: the manifest and profile that it would need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hdm.api.boundary import guarded
from hdm.api.ends import End, Given, read_end
from hdm.api.line_words import line_words
from hdm.api.project import Project
from hdm.api.routes import Route, Wishes, route
from hdm.config.profile import Profiles, environment, home, load_profiles
from hdm.config.secrets import Secret, is_private, is_reference, redact
from hdm.errors import ProfileError
from hdm.planning.manifest import read_manifest
from hdm.planning.plan import make_plan

SNAP, DELTA = "snap", "delta"


@dataclass(frozen=True, slots=True)
class Copy:
    """One command's manifest, with the connections that it names and the reasons for its choices."""

    project: Project
    manifest: dict[str, Any]
    """The manifest as plain data; ``hdm run`` carries it out unchanged."""
    connections: dict[str, Any] = field(repr=False)
    """The connections that no profile file has, below the environment; secrets as references."""
    why: tuple[str, ...]
    """A line of reason for each choice that hdm made."""
    notes: tuple[str, ...]
    """Lines of which the user must know."""
    ends: Mapping[str, str] = field(default_factory=dict)
    """How the command line calls a component of the manifest, by its name there; without secrets."""
    addresses: bool = False
    """Whether no end is a connection of a profiles file."""

    @property
    def text(self) -> str:
        """The manifest as YAML."""
        return yaml.safe_dump(self.manifest, sort_keys=False, allow_unicode=True)


@guarded
def copy(
    verb: str,
    source: Given,
    target: Given,
    wishes: Wishes,
    *,
    env: str | None = None,
    profiles: str | os.PathLike[str] | None = None,
) -> Copy:
    """Return the project that copies ``source`` to ``target``: all rows (``snap``), or new ones (``delta``).

    A delta asks the source for its key and columns. Raises ``UsageError`` for ends that cannot be read, and
    where a column must be named.
    """
    known = connections(env, profiles)
    ends = read_end(source, known), read_end(target, known)
    addresses = all(one.entry or one.connection is None for one in ends)
    with line_words({}, addresses=addresses):
        way = route(*ends, wishes, known, delta=verb == DELTA)
    manifest = _manifest(verb, ends, way)
    raw = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True).encode()
    plan = make_plan(read_manifest(raw, Path(f"hdm-cp-{verb}.yml"), known.env))
    project = Project(f"cp {verb}", plan, known.beside(way.entries))
    notes = tuple(redact(note) for one in ends for note in one.notes)
    called = {first["name"]: _called(end) for end, first in zip(ends, _outer(way), strict=True)}
    return Copy(
        project, manifest, _written(known.env, way), tuple(map(redact, way.why)), notes, called, addresses
    )


def _outer(way: Route) -> tuple[dict[str, Any], dict[str, Any]]:
    return way.links[0]["source"], way.links[-1]["sink"]


def _called(end: End) -> str:
    """Return an end as a person wrote it, but without what may be secret in an address."""
    place = end.label
    if end.entry:
        place = str(end.entry.get("path") or end.entry.get("host") or end.label)
    return f"{end.system}:{place}{'.' + end.object if end.object else ''}"


def connections(env: str | None, profiles: str | os.PathLike[str] | None) -> Profiles:
    """Return the connections of an environment; none if hdm's own profiles file lacks that environment.

    Raises ``ProfileError`` for a file that was named and lacks it, and for any other mistake.
    """
    chosen, file = environment(env), profiles or os.environ.get("HDM_PROFILES")
    try:
        return load_profiles(None if file is None else os.fspath(file), chosen)
    except ProfileError as error:
        if file is not None or not error.message.endswith(f"there is no environment '{chosen}'"):
            raise
        return Profiles(Path(error.file or home()), chosen)


def _manifest(verb: str, ends: tuple[End, End], way: Route) -> dict[str, Any]:
    shown = [f"{one.label}.{one.object}" if one.object and not one.is_files else one.label for one in ends]
    made: dict[str, Any] = _plain(
        {
            "version": 1,
            "name": f"cp {verb} {shown[0]} {shown[1]}",
            "declared_data_links": {"stages": way.links},
        }
    )
    return made


def _plain(value: Any) -> Any:
    """Return the value with each dollar sign doubled, since a manifest's ``$NAME`` is a variable."""
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _written(env: str, way: Route) -> dict[str, Any]:
    """Return the connections as a profiles file has them; a secret becomes a reference to a variable."""
    entries = {name: _referring(name, entry) for name, entry in way.entries.items()}
    return {env: entries} if entries else {}


def _referring(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in entry.items():
        hidden = is_private(key) and (isinstance(value, Secret) or not is_reference(str(value)))
        found[key] = f"env:{name.upper()}_{key.upper()}" if hidden else value
    return found
