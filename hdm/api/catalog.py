"""Works on whole schemas of a source and its target: crawls, compares, maps and creates them.

Also accepts changes of a source's schema.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hdm.api.boundary import guarded
from hdm.catalog.apply import Applied
from hdm.catalog.ddl_files import ordered, write_files
from hdm.catalog.diff import compare, missing_part, unfinished
from hdm.catalog.model import Path as CatalogPath
from hdm.catalog.model import Schema, dotted
from hdm.catalog.report import Report
from hdm.catalog.writers import AFTER_LOAD, BEFORE_LOAD, PHASES
from hdm.components import registry
from hdm.config.located import suggest
from hdm.config.profile import Profiles
from hdm.errors import HdmError, UsageError
from hdm.model import Dataset
from hdm.orchestrators.auto_batch import AutoBatchConfig, AutoBatchOrchestrator, Batch, accept, bodies
from hdm.planning.open_state import open_state, recall_state
from hdm.planning.plan import Plan
from hdm.project import run_info
from hdm.state import StateManager

PHASES_BY_NAME = {"before": BEFORE_LOAD, "after": AFTER_LOAD, "all": PHASES}


@dataclass(frozen=True, slots=True)
class CatalogDifference:
    """One difference between the target's schema and the schema that was mapped from its source.

    ``change`` says in words what differs, ``object`` in which object, ``detail`` how. ``column`` is empty if
    the whole object differs.
    """

    change: str
    object: str
    column: str
    detail: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """Result of mapping one template's source schema to its target.

    A template makes links from the tables of a source's catalogue. ``files`` is the number of DDL files
    written into ``folder``; ``report`` says what could not be mapped.
    """

    folder: Path
    files: int
    report: Report


@dataclass(frozen=True, slots=True)
class Created:
    """Result of creating the objects that the target of one template of links lacked.

    ``applied`` has one entry for each object whose DDL was run: its first statement, and the target's error
    if it refused the object. ``report`` tells for each object of the source whether it was converted,
    approximated or left to a person; a refused object counts as left to a person.
    """

    applied: tuple[Applied, ...]
    report: Report

    @property
    def refused(self) -> tuple[Applied, ...]:
        """The objects that the target refused, each with its first statement and the error."""
        return tuple(one for one in self.applied if one.error)


@dataclass(slots=True)
class Scope:
    """The schemas of the sources and targets on which one command works, as they were read for it.

    ``batches`` has one entry for each template. ``plan`` is None if the command was given two connections
    instead of a manifest.
    """

    batches: list[Batch]
    profiles: Profiles
    plan: Plan | None = None

    @contextmanager
    def recorded(self) -> Iterator[tuple[StateManager, str] | None]:
        """Open a run for the ``with`` block and give it as ``(state, run id)``; give None without a manifest.

        The run is closed as a success at the block's end, or as a failure if an ``HdmError`` leaves the
        block.
        """
        if self.plan is None:
            yield None
            return
        with open_state(self.plan, self.profiles) as state:
            info = run_info(self.plan)
            run_id = state.runs.open(replace(info, manifest_name=f"{info.manifest_name} (catalog)"))
            try:
                yield state, run_id
            except HdmError as error:
                state.runs.close(run_id, "failure", type(error).__name__, error.message)
                raise
            state.runs.close(run_id, "success")

    def crawl(self) -> list[Schema]:
        """Return the schema of each template's source, as it was read when the scope was made.

        The schemas are also recorded in the state database, unless the scope was made without a manifest.
        """
        with self.recorded() as kept:
            for batch in self.batches:
                if kept is not None:
                    state, run_id = kept
                    state.crawls.record(run_id, bodies(batch.crawled), _views(batch))
        return [batch.crawled for batch in self.batches]

    def map(self, out: Path) -> list[Mapped]:
        """Write the DDL of each target into files below ``out``; return one result for each template.

        With several templates, each has a folder of its own below ``out``, named like its source.
        """
        found = []
        for batch in self.batches:
            folder = out if len(self.batches) == 1 else out / batch.template.source.name
            files = write_files(batch.mapped, folder, batch.crawled.views)
            found.append(Mapped(folder, len(files), batch.mapped.report))
        return found

    def diff(self) -> list[CatalogDifference]:
        """Compare each target's schema with the one mapped from its source; return every difference.

        Raises ``UsageError`` if a target has no catalogue that could be read.
        """
        found: list[CatalogDifference] = []
        for batch in self.batches:
            if batch.held is None:
                raise UsageError(f"{batch.template.sink.type} has no catalogue to compare with")
            found += _differences(batch, batch.held)
        return found

    def create(self, phase: str) -> list[Created]:
        """Create the objects that each target lacks; return one result for each template.

        ``phase`` is ``before`` (schemas, tables), ``after`` (keys, indexes, views, comments) or ``all``.
        Raises ``UsageError`` for another phase, or if the target was named without a connection.
        """
        if phase not in PHASES_BY_NAME:
            raise UsageError(f"there is no phase {phase!r}", hint="write before, after or all")
        found = []
        with self.recorded() as kept:
            for batch in self.batches:
                if batch.target is None:
                    raise UsageError(
                        "the target is named without a connection",
                        hint="write --to SYSTEM:CONNECTION, or use: map",
                    )
                applied = make(batch, PHASES_BY_NAME[phase])
                if kept is not None:
                    state, run_id = kept
                    state.crawls.record(run_id, bodies(batch.crawled), _views(batch))
                    state.crawls.keep(run_id, "ddl", _applied(batch, applied))
                found.append(Created(tuple(applied), batch.mapped.report))
        return found

    def accept(self, tables: Sequence[str]) -> list[list[str]]:
        """Accept changed source tables as they are now; return the accepted names, a list per template.

        ``tables`` names the source tables; if it is empty, all are accepted. A table that the source has no
        longer is accepted as gone, and returned as ``name (dropped)``. Raises ``UsageError`` for an unknown
        name, or without a manifest, since decisions are kept in its state database.
        """
        found = []
        with self.recorded() as kept:
            if kept is None:
                raise UsageError("accept needs a manifest: what is accepted is kept in its state database")
            state, run_id = kept
            _must_be_known(tables, self.batches)
            for batch in self.batches:
                wanted = {one.path: one for one in batch.crawled.relations if _is_named(one.path, tables)}
                gone = [path for path in batch.dropped if _is_named(path, tables)]
                accept(state, run_id, batch, wanted, gone)
                found.append(
                    [dotted(path) for path in wanted] + [f"{dotted(path)} (dropped)" for path in gone]
                )
        return found


def of_manifest(manifest: str, plan: Plan, known: Profiles, target: str | None = None) -> Scope:
    """Read the schemas for all templates of a manifest that have no ``batch_definition``; return them.

    Their tables come from the source's catalogue. ``known`` are the connections of the profiles. ``target``
    is a system to map to instead of the sinks' own systems. Raises ``UsageError`` if the manifest has no such
    template.
    """
    registry.load_plugins(plan.plugins, Path(plan.manifest_path).absolute().parent)
    orchestrator = registry.create("orchestrator", plan.orchestrator, known)
    if not isinstance(orchestrator, AutoBatchOrchestrator):
        orchestrator = AutoBatchOrchestrator(AutoBatchConfig())
    if not plan.open_templates:
        raise UsageError(
            f"{manifest} has no template that a catalogue fills",
            hint='write a template without batch_definition whose source has include: ["schema.*"]',
        )
    orchestrator.profiles = known
    orchestrator.recall = lambda: recall_state(plan, known)
    batches = [orchestrator.batch(template, plan.env, target) for template in plan.open_templates]
    return Scope(batches, known, plan)


class CatalogView:
    """The schemas of a manifest's templates, as ``Project.catalog`` gives them.

    A template makes links from the tables of a source's catalogue. Each method reads the catalogues again.
    """

    def __init__(self, manifest: str, plan: Plan, profiles: Profiles) -> None:
        self._manifest, self._plan, self._profiles = manifest, plan, profiles

    def _scope(self) -> Scope:
        return of_manifest(self._manifest, self._plan, self._profiles)

    @guarded
    def crawl(self) -> tuple[Schema, ...]:
        """Read the schema of each template's source, and return these schemas.

        They are also recorded in the state database.
        """
        return tuple(self._scope().crawl())

    @guarded
    def diff(self) -> tuple[CatalogDifference, ...]:
        """Compare each target's schema with the one mapped from its source; return every difference.

        Empty if there is none. Raises ``UsageError`` if a target has no catalogue.
        """
        return tuple(self._scope().diff())

    @guarded
    def map(self, folder: str | os.PathLike[str]) -> tuple[Mapped, ...]:
        """Write the DDL of each template's target into files below ``folder``.

        Returns one result for each template. Nothing is executed: a person is to review the files.
        """
        return tuple(self._scope().map(Path(folder)))

    @guarded
    def create(self, phase: str = "all") -> tuple[Created, ...]:
        """Create the objects that each target lacks; return one result for each template.

        ``phase`` is ``before`` the load (schemas, tables), ``after`` it (keys, indexes, views, comments), or
        ``all``. A statement that the target refuses raises nothing: see ``Created.refused``.
        """
        return tuple(self._scope().create(phase))

    @guarded
    def accept(self, *tables: str) -> tuple[str, ...]:
        """Accept changed source tables as they are now, for later runs; return their names.

        ``tables`` are names of source tables; without any, all are accepted. A table that the source has no
        longer is accepted as gone, and returned as ``name (dropped)``. Raises ``UsageError`` for a name that
        is neither in the source nor was accepted before.
        """
        return tuple(name for names in self._scope().accept(tables) for name in names)


def _is_named(path: CatalogPath, tables: Sequence[str]) -> bool:
    return not tables or dotted(path) in tables or path[-1] in tables


def _must_be_known(tables: Sequence[str], batches: Sequence[Batch]) -> None:
    """Raise ``UsageError`` for a name that is neither in the source nor was accepted before."""
    known = [one.path for batch in batches for one in batch.crawled.relations]
    known += [path for batch in batches for path in batch.dropped]
    for name in tables:
        if not any(_is_named(path, [name]) for path in known):
            raise UsageError(
                f"{name} is no table of the source, and none that was accepted before",
                hint=suggest(name, [dotted(path) for path in known]) or "the source has no tables",
            )


def make(batch: Batch, phases: tuple[str, ...]) -> list[Any]:
    """Create those objects of the given phases that the target lacks; return a result for each.

    A refused object is among them, with the target's error; a table or schema that is refused raises the
    error. Keys, indexes and views are compared with the target again after schemas and tables were created.
    """
    assert batch.target is not None
    schema, held = batch.mapped.schema, batch.held or Schema(batch.mapped.schema.system)
    first = [
        one for one in ordered(missing_part(schema, held)) if one.phase in BEFORE_LOAD and one.phase in phases
    ]
    applied = batch.target.apply(first, batch.mapped)
    rest = unfinished(schema, batch.target.crawl(batch.mine()))
    after = [one for one in ordered(rest) if one.phase in AFTER_LOAD and one.phase in phases]
    return applied + batch.target.apply(after, batch.mapped)


def _differences(batch: Batch, held: Schema) -> list[CatalogDifference]:
    wanted = batch.mapped.schema
    rows = [
        CatalogDifference(one.change.value, dotted(one.path), one.column, one.detail)
        for one in compare(wanted, held)
    ]
    there = batch.target.held(batch.mine()) if batch.target else held
    rest = unfinished(_present(wanted, held), there)
    rows += _missing_keys(rest, there)
    seen: set[tuple[str, str]] = set()
    for one in ordered(rest):
        if one.phase not in AFTER_LOAD or one.phase == "counters" or one.kind == "foreign key":
            continue
        if (one.kind, one.name) not in seen:
            seen.add((one.kind, one.name))
            rows.append(CatalogDifference(f"no {one.kind}", one.name, "", ""))
    return rows


def _missing_keys(wanted: Schema, held: Schema) -> list[CatalogDifference]:
    """Return the foreign keys that tables lack, also on systems that list them with their tables only."""
    theirs = {one.path: {(key.columns, key.target) for key in one.foreign_keys} for one in held.relations}
    return [
        CatalogDifference(
            "no foreign key", dotted(one.path), ", ".join(key.columns), f"to {dotted(key.target)}"
        )
        for one in wanted.relations
        for key in one.foreign_keys
        if (key.columns, key.target) not in theirs.get(one.path, set())
    ]


def _present(wanted: Schema, held: Schema) -> Schema:
    """Return ``wanted`` without the tables that do not exist in the target."""
    there = {one.path for one in held.relations}
    return replace(wanted, relations=tuple(one for one in wanted.relations if one.path in there))


def _views(batch: Batch) -> dict[Dataset, dict[str, Any]]:
    return {batch.source.dataset(one.path): asdict(one) for one in batch.crawled.views}


def _applied(batch: Batch, applied: list[Any]) -> dict[Dataset, dict[str, Any]]:
    target = batch.target
    assert target is not None
    namespace = target.database.dataset(target.database.default_path(("t",))).namespace
    found: dict[Dataset, dict[str, Any]] = {}
    for one in applied:
        named = Dataset(namespace, f"{one.statement.kind} {one.statement.name}"[:400])
        found[named] = {"sql": one.statement.sql, "error": one.error}
    return found
