"""Reads a manifest file (YAML) and returns it as a ``Manifest``.

Every mistake is reported as file:line:column, with what to write instead.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hdm.components import registry
from hdm.config import deprecated
from hdm.config.located import LocatedDict, Place, Problems, suggest
from hdm.config.manifest_model import CheckWords, Component, Link, ManifestWords, Service, Template
from hdm.config.profile import environment
from hdm.config.secrets import must_be_private
from hdm.config.spellings import fill_variables, shape
from hdm.config.validation import validate
from hdm.config.yaml_reader import MAX_BYTES, parse_yaml
from hdm.errors import ManifestError, UnknownComponent
from hdm.model import ComponentSpec, Mode

L = TypeVar("L", bound=Link)
AUTOMATIC = "AutoBatchOrchestrator"
"""The type that finds a template's tables itself; none of hdm's is imported to read a manifest."""
EMBEDDED = "SQLiteStateManager"
"""The state manager that needs no connection."""


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and validated.

    ``name`` is its key ``name:``, else the name of its file. ``templates`` are carried out before ``stages``.
    ``sha256`` is the digest of the file's bytes, before variables are filled in.
    """

    name: str
    path: str
    sha256: str
    env: str
    orchestrator: ComponentSpec
    state: ComponentSpec | None
    templates: tuple[Template, ...]
    stages: tuple[Link, ...]
    plugins: tuple[str, ...] = ()
    description: str | None = None
    notes: tuple[str, ...] = ()
    """A line on each deprecated key of the manifest's own words."""
    text: str | None = field(default=None, repr=False, compare=False)


def load_manifest(
    path: str | Path, env: str | None = None, environ: Mapping[str, str] | None = None
) -> Manifest:
    """Read and validate a manifest, and return it.

    ``env`` defaults to $HDM_ENV, then ``dev``. Imports the modules under ``plugins:`` and nothing else.
    Raises one ``ManifestError`` that names every mistake in the file.
    """
    where = Path(path)
    return read_manifest(_read(where), where, env, environ)


def read_manifest(
    raw: bytes, where: Path, env: str | None = None, environ: Mapping[str, str] | None = None
) -> Manifest:
    """Validate a manifest's text, and return it; see ``load_manifest``.

    ``where`` is the file that errors and reports name; it is not read.
    """
    environ = os.environ if environ is None else environ
    problems = Problems(str(where))
    top = fill_variables(parse_yaml(raw, str(where)), Place(1, 1), environ, problems)
    shaped = shape(top, problems)
    notes = deprecated.notes(ManifestWords, shaped, "manifest")
    shaped = deprecated.renewed(ManifestWords, shaped, problems, "manifest")
    words = validate(ManifestWords, shaped, problems, what="manifest")
    problems.raise_any()
    assert words is not None
    _load_plugins(words, shaped, problems)
    templates, stages, orchestrator, state = _resolve(words, shaped, problems)
    problems.raise_any()
    return Manifest(
        name=words.name or where.name,
        path=str(where),
        sha256=hashlib.sha256(raw).hexdigest(),
        env=environment(env, environ),
        orchestrator=orchestrator,
        state=state,
        templates=templates,
        stages=stages,
        plugins=tuple(words.plugins),
        description=words.description,
        notes=tuple(notes),
        text=raw.decode("utf-8", "replace"),
    )


def spec_of(component: Component | Service, default_name: str = "") -> ComponentSpec:
    """Return a source or sink of a manifest as the plan stores it.

    ``default_name`` is its name if the manifest gives it none.
    """
    place = getattr(component.conf, "place", Place())
    return ComponentSpec(
        component.name or default_name, component.type, component.conf, (place.line, place.column)
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise ManifestError(
            "the manifest does not exist", file=str(path), hint=suggest(path.name, near) or "correct the path"
        ) from None
    except OSError as error:
        raise ManifestError(
            f"the manifest cannot be read: {error.strerror}",
            file=str(path),
            hint="give the path of a YAML file",
        ) from None


def _load_plugins(words: ManifestWords, shaped: LocatedDict, problems: Problems) -> None:
    for index, module in enumerate(words.plugins):
        try:
            registry.load_plugins([module], Path(problems.file).absolute().parent)
        except UnknownComponent as error:
            problems.add(error.message, shaped["plugins"].item_at(index), error.hint)


def _resolve(
    words: ManifestWords, shaped: LocatedDict, problems: Problems
) -> tuple[tuple[Template, ...], tuple[Link, ...], ComponentSpec, ComponentSpec | None]:
    """Resolve types to class names, and check the rules that need the whole manifest."""
    templates = [
        _settle(link, place, problems)
        for link, place in zip(words.template_data_links, _places(shaped, "template_data_links"), strict=True)
    ]
    stages = [
        _settle(link, place, problems)
        for link, place in zip(words.declared_data_links, _places(shaped, "declared_data_links"), strict=True)
    ]
    if not templates and not stages:
        problems.add(
            "there is nothing to move: the manifest has no data links",
            shaped.place,
            "add declared_data_links: {stages: [{source: ..., sink: ...}]}",
        )
    state = None
    if words.state_manager:
        service = _typed(words.state_manager, shaped["state_manager"], "state_manager", problems)
        state = spec_of(service, "state_manager")
        _check_state(state, shaped["state_manager"], problems)
    orchestrator = _orchestrator(words, shaped, bool(templates), problems)
    automatic = _fills_templates(orchestrator.type)
    for template, place in zip(templates, _places(shaped, "template_data_links"), strict=True):
        names = (template.source.name, template.sink.name)
        batch = template.batch_definition
        if batch is not None and batch.source_name not in names:
            problems.add(
                f"batch_definition: no source or sink of the template is called '{batch.source_name}'",
                place["batch_definition"].value_at("source_name"),
                suggest(batch.source_name, names),
            )
        if batch is None and not automatic:
            problems.add(
                "a template needs a batch_definition",
                place.place,
                "add batch_definition: {source_name: ..., scenarios: [...]}, or use AutoBatchOrchestrator",
            )
    return tuple(templates), tuple(stages), orchestrator, state


def _orchestrator(
    words: ManifestWords, shaped: LocatedDict, has_templates: bool, problems: Problems
) -> ComponentSpec:
    if words.orchestrator is None:
        kind = "BatchOrchestrator" if has_templates else "DeclaredOrchestrator"
        return ComponentSpec("orchestrator", kind, LocatedDict(file=shaped.file, place=shaped.place))
    given = shaped["orchestrator"]
    service = _typed(words.orchestrator, given, "orchestrator", problems)
    if service.type == "DeclaredOrchestrator" and has_templates:
        problems.add(
            "the DeclaredOrchestrator carries out declared_data_links only, and there are templates",
            given.value_at("type"),
            "write 'type: BatchOrchestrator', or move the templates to another manifest",
        )
    return spec_of(service, "orchestrator")


def _places(shaped: LocatedDict, key: str) -> list[LocatedDict]:
    return list(shaped.get(key, ()))


def _typed(service: Service, given: LocatedDict, kind: str, problems: Problems) -> Service:
    name = _class_name(service.type, given, kind, problems)
    return service.model_copy(update={"type": name})


def _class_name(type_name: str, given: LocatedDict, kind: str, problems: Problems) -> str:
    found = registry.canonical(kind, type_name)
    if found is None:
        what = kind.replace("_", " ")
        problems.add(
            f"no {what} is registered as '{type_name}'",
            given.value_at("type"),
            suggest(type_name, registry.names(kind)) or "name the module that has it under 'plugins:'",
        )
    return found or type_name


def _settle(link: L, given: LocatedDict, problems: Problems) -> L:
    """Return the link with its types resolved, and watermark, chunk and mode moved to their one place."""
    source = given["source"]
    conf = source["conf"].copy()
    for key in ("watermark", "chunk"):
        if key in given and key in conf:
            problems.add(
                f"'{key}' stands on the link and in the source's conf", given.key_at(key), "keep one of them"
            )
        elif key in given:
            conf.take(given, key)
    sink_conf, mode = _mode(link, given, problems)
    for one in (conf, sink_conf):
        _refuse_secrets(one, problems)
    checks = [
        _check(check, raw, problems) for check, raw in zip(link.checks, given.get("checks", ()), strict=True)
    ]
    aside = link.quarantine
    if aside is not None:
        _refuse_secrets(given["quarantine"]["conf"], problems)
        aside = _typed(aside, given["quarantine"], "sink", problems)
        aside = aside.model_copy(update={"conf": given["quarantine"]["conf"]})
    return link.model_copy(
        update={
            "quarantine": aside,
            "source": Component(
                name=link.source.name,
                type=_class_name(link.source.type, source, "source", problems),
                conf=conf,
            ),
            "sink": Component(
                name=link.sink.name,
                type=_class_name(link.sink.type, given["sink"], "sink", problems),
                conf=sink_conf,
            ),
            "type": _class_name(link.type, given, "data_link", problems),
            "mode": mode,
            "checks": checks,
        }
    )


def _check_state(state: ComponentSpec, given: LocatedDict, problems: Problems) -> None:
    """Refuse a state manager without a connection unless it can only mean the embedded database.

    Keeps a misspelt ``connection`` key from silently selecting the embedded database.
    """
    if registry.connection_name(state) is not None:
        return
    own = not registry.is_brought("state_manager", state.type)
    if own and registry.canonical("state_manager", state.type) and not _wants_connection(state.type):
        return
    conf: LocatedDict = given["conf"]
    for key in conf:
        if key not in ("env", "connection"):
            hint = suggest(key, ["connection"])
            problems.add(f"state_manager: unknown key '{key}'", conf.key_at(key), hint)
    if state.type != EMBEDDED:
        problems.add(
            f"state_manager: {state.type} needs a connection",
            given.value_at("type"),
            "add 'connection:' with the name of a connection in the profile",
        )


def _wants_connection(state: str) -> bool:
    return registry.find("state_manager", state).Profile is not None


def _fills_templates(orchestrator: str) -> bool:
    """Whether a template may leave its scenarios to this type of orchestrator, hdm's or a plugin's."""
    if registry.is_brought("orchestrator", orchestrator) or not registry.canonical(
        "orchestrator", orchestrator
    ):
        return orchestrator == AUTOMATIC
    return bool(registry.find("orchestrator", orchestrator).fills_templates)


def _refuse_secrets(conf: LocatedDict, problems: Problems) -> None:
    for key, value in conf.items():
        if isinstance(value, LocatedDict):
            _refuse_secrets(value, problems)
        elif must_be_private(key) and value is not None:
            problems.add(
                f"'{key}' is a secret, and a manifest is no place for it",
                conf.key_at(key),
                "move it to a connection of the profile, and name that by 'env:'",
            )


def _check(check: CheckWords, given: LocatedDict, problems: Problems) -> CheckWords:
    name = _class_name(check.type, given, "check", problems)
    if registry.canonical("check", name):
        what = f"check '{name}'"
        validate(registry.find("check", name).Config, given.without("type"), problems, what=what)
    return check.model_copy(update={"type": name})


def _mode(link: Link, given: LocatedDict, problems: Problems) -> tuple[LocatedDict, Mode]:
    conf: LocatedDict = given["sink"]["conf"]
    found = conf.get("mode")
    if found is None:
        return conf.without("mode"), link.mode or Mode.APPEND
    at = conf.value_at("mode")
    known = [mode.value for mode in Mode]
    if not isinstance(found, str) or found not in known:
        problems.add(f"sink: 'mode' cannot be '{found}'", at, suggest(str(found), known))
        return conf.without("mode"), Mode.APPEND
    if link.mode and link.mode != found:
        problems.add("'mode' on the link and in the sink's conf differ", at, "keep one of them")
    return conf.without("mode"), Mode(found)
