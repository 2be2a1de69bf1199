"""Turns a manifest into a plan: a list of links, each with a key that is the same in every run.

Does no I/O of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hdm.config.located import Place, Problems
from hdm.config.manifest_model import Link, Template, ValidateWords
from hdm.config.templates import Filled, fill, find_holes
from hdm.model import ComponentSpec, LinkSpec, Mode, digest
from hdm.planning.manifest import Manifest, spec_of
from hdm.planning.sync_links import refuse_link

Scenarios = Sequence[Mapping[str, Any]]

_IDENTITY = (
    "env", "connection", "database", "schema", "table_name", "table", "query", "where",
    "directory", "path", "dbpath", "file", "file_name", "folder", "bucket", "bucket_name", "container",
    "prefix", "blob_name", "stage_name", "stage_directory", "url", "dsn", "include", "exclude", "excel",
)  # fmt: skip
"""Keys of a component's conf that say which data it names; all other keys may change between runs."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The links that a manifest asks for, each after the links to which it is chained.

    ``state`` names the state database; None: the embedded one. ``open_templates`` are templates whose tables
    must come from a catalogue first. ``notes`` tell where the manifest was not taken literally.
    """

    manifest_name: str
    manifest_path: str
    manifest_sha256: str
    env: str
    orchestrator: ComponentSpec
    state: ComponentSpec | None
    links: tuple[LinkSpec, ...]
    plugins: tuple[str, ...] = ()
    has_templates: bool = False
    open_templates: tuple[Template, ...] = ()
    notes: tuple[str, ...] = ()
    manifest_text: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A link that is not chained to others yet; ``stage`` is its position in the manifest."""

    stage: int
    link: Link
    source: ComponentSpec
    sink: ComponentSpec
    scenario: Mapping[str, Any] | None = None


def make_plan(manifest: Manifest, discover: Callable[[Template], Scenarios] | None = None) -> Plan:
    """Make a plan of a manifest: fill its templates, and chain links by the names of sources and sinks.

    ``discover`` returns the tables for a template without a batch_definition; if it is None, such templates
    stay open. Raises one ``ManifestError`` that names every mistake.
    """
    problems = Problems(manifest.path)
    notes: list[str] = [*manifest.notes]
    drafts: list[_Draft] = []
    still_open: list[Template] = []
    for stage, link in enumerate(_in_order(manifest)):
        if not isinstance(link, Template):
            drafts.append(_Draft(stage, link, spec_of(link.source), spec_of(link.sink)))
            _refuse_holes(link, problems)
        elif link.batch_definition is None and discover is None:
            still_open.append(link)
            refuse_link(link, link.source.name, (), Place(*spec_of(link.source).place), problems)
        else:
            drafts += _expand(stage, link, discover, problems, notes)
    links = _chain(drafts, manifest.env, problems)
    problems.raise_any()
    return Plan(
        manifest_name=manifest.name,
        manifest_path=manifest.path,
        manifest_sha256=manifest.sha256,
        env=manifest.env,
        orchestrator=manifest.orchestrator,
        state=manifest.state,
        links=links,
        plugins=manifest.plugins,
        has_templates=bool(manifest.templates),
        open_templates=tuple(still_open),
        notes=tuple(notes),
        manifest_text=manifest.text,
    )


def link_key(source: ComponentSpec, sink: ComponentSpec, env: str) -> str:
    """Return a link's key, the same in every run: 32 hex digits over environment, source and sink.

    Sizes, threads, offsets and the manifest's own name do not change it.
    """
    return digest("link", env, _identity(source), _identity(sink))[:32]


def _identity(spec: ComponentSpec) -> str:
    found = {key: spec.conf[key] for key in _IDENTITY if spec.conf.get(key) is not None}
    params = spec.conf.get("params")  # hashmap_data_migrator's MySQLSource keeps its table there
    if isinstance(params, Mapping) and params.get("table") is not None:
        found["table"] = params["table"]
    connection = found.pop("connection", None)
    if connection is not None:
        found.setdefault("env", connection)
    return json.dumps([spec.name, found], sort_keys=True, default=str)


def _in_order(manifest: Manifest) -> list[Link]:
    """Return templates before stages, or stages first if only that order lets a chain form."""
    templates, stages = manifest.templates, manifest.stages
    forward = {t.sink.name for t in templates} & {s.source.name for s in stages}
    backward = {s.sink.name for s in stages} & {t.source.name for t in templates}
    if backward and not forward:
        return [*stages, *templates]
    return [*templates, *stages]


def _expand(
    stage: int,
    template: Template,
    discover: Callable[[Template], Scenarios] | None,
    problems: Problems,
    notes: list[str],
) -> list[_Draft]:
    batch = template.batch_definition
    scenarios: Scenarios = batch.scenarios if batch else discover(template) if discover else ()
    distinct: list[Mapping[str, Any]] = []
    for scenario in scenarios:
        if scenario in distinct:
            line = getattr(scenario, "place", Place()).line
            notes.append(f"{problems.file}:{line}: this scenario stands twice and is carried out once")
        else:
            distinct.append(scenario)
    name = batch.source_name if batch else template.source.name
    return [_draft(stage, template, filled) for filled in fill(template, distinct, name, problems)]


def _draft(stage: int, template: Template, filled: Filled) -> _Draft:
    place = (filled.source.place.line, filled.source.place.column)
    sink_place = (filled.sink.place.line, filled.sink.place.column)
    return _Draft(
        stage,
        template,
        ComponentSpec(template.source.name, template.source.type, filled.source, place),
        ComponentSpec(template.sink.name, template.sink.type, filled.sink, sink_place),
        filled.scenario,
    )


def _refuse_holes(link: Link, problems: Problems) -> None:
    for component in (link.source, link.sink):
        for key, place in find_holes(component):
            problems.add(
                f"'{key}' waits for a value, and a declared stage has none",
                place,
                "write the value, or move the stage to template_data_links with a batch_definition",
            )


def _chain(drafts: Sequence[_Draft], env: str, problems: Problems) -> tuple[LinkSpec, ...]:
    specs: list[LinkSpec] = []
    keys: dict[str, _Draft] = {}
    sinks: dict[str, list[tuple[int, str]]] = {}
    for draft in drafts:
        key = link_key(draft.source, draft.sink, env)
        if key in keys:
            _refuse_twin(draft, keys[key], problems)
            continue
        keys[key] = draft
        upstream = tuple(k for stage, k in sinks.get(draft.source.name, ()) if stage < draft.stage)
        _refuse_mixed(draft, [keys[k] for k in upstream], problems)
        refuse_link(draft.link, draft.source.name, [keys[k].link for k in upstream], _place(draft), problems)
        _refuse_own_policy(draft, [keys[k] for k in upstream], problems)
        specs.append(_spec(draft, key, upstream))
        sinks.setdefault(draft.sink.name, []).append((draft.stage, key))
    return tuple(specs)


def _refuse_mixed(draft: _Draft, above: Sequence[_Draft], problems: Problems) -> None:
    """Refuse a chain in which only some links are in mode replace: rows would be lost or loaded twice."""
    mode = draft.link.mode or Mode.APPEND
    others = [one.link.mode or Mode.APPEND for one in above]
    here, there = draft.sink.name, draft.source.name
    if mode.rules.reads_everything and not all(other.rules.reads_everything for other in others):
        problems.add(
            f"mode replace would leave in '{here}' only what '{there}' was given last: it is not filled in "
            "mode replace",
            _place(draft),
            f"write mode: append or merge here, or mode: replace where '{there}' is the sink, if that can",
        )
    elif mode.rules.only_adds and any(other.rules.reads_everything for other in others):
        problems.add(
            f"mode append would add every row to '{here}' again with each run: '{there}' is filled in mode "
            "replace, which reads all of them",
            _place(draft),
            f"write mode: replace or merge here, or mode: append where '{there}' is the sink",
        )


def _refuse_own_policy(draft: _Draft, above: Sequence[_Draft], problems: Problems) -> None:
    """Refuse ``schema_policy`` on a chained link: the link that reads the source has applied its own."""
    policy = draft.link.schema_policy
    if "schema_policy" in draft.link.model_fields_set and any(
        one.link.schema_policy != policy for one in above
    ):
        problems.add(
            f"schema_policy: {policy} has no effect here: '{draft.source.name}' is filled by another link",
            _place(draft),
            f"write it on the link whose sink is '{draft.source.name}', and leave it out here",
        )


def _place(draft: _Draft) -> Place:
    at = getattr(draft.scenario, "place", None)
    return at if isinstance(at, Place) else Place(*draft.source.place)


def _refuse_twin(draft: _Draft, twin: _Draft, problems: Problems) -> None:
    problems.add(
        f"this link is the one of line {_place(twin).line} again: the same names and the same data",
        _place(draft),
        "remove one of them, or give the source or the sink another name",
    )


def validate_words(link: Link) -> dict[str, Any]:
    """Return a link's ``validate:`` with all its keys; empty if the manifest does not have it."""
    words = link.proof
    if words is None:
        return {}
    return (ValidateWords(level=words) if isinstance(words, str) else words).model_dump(mode="json")


def _spec(draft: _Draft, key: str, upstream: tuple[str, ...]) -> LinkSpec:
    link = draft.link
    batch = link.batch_definition if isinstance(link, Template) else None
    allowed = link.allow_loss
    return LinkSpec(
        key=key,
        source=draft.source,
        sink=draft.sink,
        mode=link.mode or Mode.APPEND,
        upstream=upstream,
        site=link.site,
        transform=link.transform,
        checks=tuple(check.model_dump() for check in link.checks),
        schema_policy=link.schema_policy,
        on_dead=link.on_dead,
        quarantine=spec_of(link.quarantine, "quarantine") if link.quarantine else None,
        allow_loss=allowed if isinstance(allowed, bool) else tuple(allowed),
        type=link.type,
        threads=(batch.threads if batch else None) or link.threads,
        limits=link.limits.model_dump(exclude_none=True) if link.limits else {},
        union=link.union if isinstance(link.union, bool) else tuple(link.union),
        validate=validate_words(link),
        max_deletes=str(0 if link.max_deletes is None else link.max_deletes),
        one_of_many=isinstance(link, Template),
    )
