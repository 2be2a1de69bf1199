"""Makes one link for each table of the source's catalogue that the manifest's patterns match.

Each run crawls both sides, reports what has changed since the last run, and does what ``schema_policy``
allows:

* ``evolve``: new tables are moved, new columns are added, columns are widened;
* ``discard``: new tables and columns are left out, with a note; all others are moved;
* ``freeze``: a table that has changed is not moved until a person acts; all others are;
* ``fail`` (the default): any change stops the run before anything moves.

A change that does not only widen (a column is gone, narrower or of another type) waits for a person under
every policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, Field

from hdm.catalog.apply import Applied
from hdm.catalog.base import Catalog
from hdm.catalog.ddl_files import ordered
from hdm.catalog.diff import missing_part, unfinished
from hdm.catalog.evolve import Verdict, judge
from hdm.catalog.mapper import MappedSchema, map_schema
from hdm.catalog.measure_types import declared
from hdm.catalog.model import Path, Relation, Schema, dotted, relation_from_dict, relation_to_dict
from hdm.catalog.names import Case
from hdm.catalog.patterns import Selection, exactly, select
from hdm.catalog.rules import MapOptions, make_rules
from hdm.catalog.writers import AFTER_LOAD, BEFORE_LOAD
from hdm.components import registry
from hdm.config.located import LocatedDict
from hdm.config.manifest_model import Template
from hdm.config.visible import listed
from hdm.errors import SchemaDrift, UsageError
from hdm.model import ComponentSpec, Dataset, LinkSpec, digest
from hdm.orchestrators.auto_links import WatermarkRule, bare_spec, fed_by, make_link, watermark_of
from hdm.orchestrators.base import Orchestrator, OrchestratorConfig, Session
from hdm.planning.plan import Plan
from hdm.sql.catalog import SqlCatalog, catalog_over
from hdm.state import StateManager


class AutoBatchConfig(OrchestratorConfig):
    """Configuration of ``AutoBatchOrchestrator``: which tables are moved, and how names and types are mapped.

    ``include``, ``exclude`` and ``watermarks`` may also stand in the source's conf.
    """

    include: list[str] = Field(default_factory=list)
    """Patterns of the tables to move, e.g. ``sales.*``; those in the source's conf are added. At least one is
    needed in all.
    """
    exclude: list[str] = Field(default_factory=list)
    """Patterns of tables that are not moved although ``include`` fits them; those in the source's conf are
    added."""
    watermarks: list[WatermarkRule] = Field(default_factory=list)
    """Rules that give tables a watermark, in the order in which they are tried; those in the source's conf
    come first."""
    case: Case = Case.KEEP
    """Case of the names on the target: ``keep`` as in the source, ``upper`` or ``lower``."""
    into: str | None = None
    """Schema of the target that takes the tables of schemas which ``schemas`` does not name; left out,
    schemas keep their names."""
    schemas: dict[str, str] = Field(default_factory=dict)
    """New names of schemas, ``source: target``; a schema that is not listed goes where ``into`` says."""
    rules: list[dict[str, Any]] = Field(default_factory=list)
    """Overrides of types and names, each ``{table, column, type, to, rename}``; the first that fits gives a
    column its type. Left out, none."""
    measure: bool = False
    """Measures in the source what its catalogue does not say, so that the target gets types that fit: the
    digits of numbers without precision, and the values of SQLite columns that are declared BLOB or without
    a type."""
    create: bool = True
    """Creates the tables that the target lacks, and adds the columns that ``schema_policy`` allows; ``false``
    leaves that to the sink."""
    finish: Literal["all", "nothing"] = "all"
    """Whether keys, indexes, views and comments that the target lacks are created after a successful load
    (``all``) or not (``nothing``)."""


@dataclass(slots=True)
class Batch:
    """One link template applied to one catalogue, with the schemas of source and target.

    ``crawled`` is the source's schema, ``shaped`` the same with measured types, ``mapped`` the schema that
    the target needs. ``held`` is the schema that the target has, None without a sink. ``verdict`` is the
    decision about each change, ``dropped`` are the accepted tables that the source no longer has, ``applied``
    is the DDL that was run.
    """

    key: str
    template: Template
    source: Catalog
    target: SqlCatalog | None
    crawled: Schema
    shaped: Schema
    mapped: MappedSchema
    held: Schema | None
    verdict: Verdict
    dropped: tuple[Path, ...] = ()
    applied: list[Applied] = field(default_factory=list)

    def mine(self) -> Selection:
        """Return a filter for the target's tables and views that this batch maps its source to."""
        wanted = self.mapped.schema
        return exactly([one.path for one in wanted.relations] + [one.path for one in wanted.views])


class AutoBatchOrchestrator(Orchestrator):
    """Runs the links that the manifest declares, and one link for each table that the patterns match."""

    Config: ClassVar[type[BaseModel]] = AutoBatchConfig
    fills_templates: ClassVar[bool] = True

    def __init__(self, config: Any, profile: Any = None, *, name: str = "") -> None:
        super().__init__(config, profile, name=name)
        self.batches: list[Batch] = []

    # -- which links -----------------------------------------------------------------

    def links(self, plan: Plan) -> Iterator[LinkSpec]:
        """Yield the links made from the templates, then the declared ones; the crawl changes nothing.

        Raises ``SchemaDrift`` if the source has changed under policy ``fail``.
        """
        self.batches = [self.batch(template, plan.env) for template in plan.open_templates]
        made = [link for batch in self.batches for link in self._links_of(batch, plan.env)]
        yield from made
        yield from (fed_by(link, made) for link in plan.links)

    def _links_of(self, batch: Batch, env: str) -> Iterator[LinkSpec]:
        """Yield one link per accepted table, but none for a partition: its parent's link reads its rows.

        A table that inherits from another one has a link of its own, since it may have more columns; of that
        other table, only its own rows are read.
        """
        verdict, heirs = batch.verdict, _heirs(batch.crawled)
        if verdict.fatal:
            raise SchemaDrift(
                f"the source has changed, and schema_policy is fail:{listed(verdict.fatal)}",
                hint="write schema_policy: evolve, freeze or discard, or: hdm catalog accept",
            )
        self.notes.extend(verdict.notes)
        for path, why in verdict.held.items():
            self.waiting[dotted(path)] = f"{dotted(path)} waits for a person: {why}"
        for path in verdict.accepted:
            relation, kept = (
                batch.crawled.relation(path),
                batch.mapped.schema.relation(batch.mapped.tables[path]),
            )
            if relation is None or kept is None:
                continue
            if relation.part_of is None or batch.crawled.relation(relation.part_of) is None:
                link = self._link(batch, relation, kept, env, only=path in heirs)
                if path in heirs:
                    below = ", ".join(dotted(one) for one in heirs[path])
                    self.notes.append(
                        f"{dotted(path)}: read without the rows of {below}, which inherit from it and are "
                        "moved as tables of their own"
                    )
                self.weighed.add(link.key)
                yield link

    def _link(self, batch: Batch, relation: Relation, kept: Relation, env: str, *, only: bool) -> LinkSpec:
        names = batch.mapped.columns[relation.path]
        computed = {column.name for column in kept.table.columns if column.generated is not None}
        gone = batch.verdict.columns_left_out.get(relation.path, set())
        columns = {
            column.name: names[column.name]
            for column in relation.table.columns
            if names[column.name] not in computed and column.name not in gone
        }
        rules = [*_own_rules(batch.template), *self.config.watermarks]
        mark = watermark_of(relation.table, rules, list(columns))
        paths = (relation.path, kept.path)
        shaped = batch.shaped.relation(relation.path) or relation
        types = declared(relation, shaped, batch.crawled.system)
        return make_link(batch.template, env, paths, columns, mark, self.config.case, types, only=only)

    # -- both sides ------------------------------------------------------------------

    def batch(self, template: Template, env: str, system: str | None = None) -> Batch:
        """Read the schemas of a template's source and target, and decide about every change.

        Changes nothing. ``system`` names a dialect to map to instead of the sink's own; the sink is then not
        connected to. Raises ``UsageError`` if the template does not say what to move.
        """
        include = [*_own(template, "include"), *self.config.include]
        exclude = [*_own(template, "exclude"), *self.config.exclude]
        if not include:
            raise UsageError(
                f"the template from {template.source.name} says neither what to move nor batch_definition",
                hint='write include: ["schema.*"] in the source\'s conf',
            )
        source, target = self._of_source(template), None
        if system is None:
            sink = registry.create("sink", bare_spec(template.sink), self.profiles)
            target = _catalog(sink, template.sink, needed=False)
        crawled = source.crawl(select(include, exclude))
        flavour, into = "", self.config.into
        system = system or crawled.system
        if target is not None:
            system, flavour = target.database.dialect.name, target.flavour()
            into = into or _default_schema(target, crawled)
        options = MapOptions(self.config.case, into, self.config.schemas, make_rules(self.config.rules))
        shaped = source.measured(crawled) if self.config.measure else crawled
        mapped = map_schema(shaped, system, options, flavour)
        key = _batch_key(template, env, source, target)
        held = target.held(exactly([one.path for one in mapped.schema.relations])) if target else None
        known = self._accepted(key, source)
        chosen = select(include, exclude)
        known = {path: one for path, one in known.items() if chosen.has(path)}
        if not (crawled.relations or crawled.views or known or set(include) <= {"*", "*.*"}):
            raise UsageError(
                f"{template.source.name} has nothing that matches include: {', '.join(include)}",
                hint="correct the patterns, or the grants of the profile's user; hdm catalog crawl lists "
                "what there is",
            )
        verdict = judge(crawled, mapped, held, template.schema_policy, known)
        gone = tuple(sorted(known.keys() - {one.path for one in crawled.relations}))
        return Batch(key, template, source, target, crawled, shaped, mapped, held, verdict, gone)

    def _of_source(self, template: Template) -> Catalog:
        """Return the catalogue of a source's system, or the one that its conf names (``catalog``)."""
        given = template.source.conf
        conf = given if isinstance(given, LocatedDict) else LocatedDict(given)
        own = conf.get("catalog")
        if own is None:
            reached = registry.create("source", bare_spec(template.source, table_name=["hdm"]), self.profiles)
            return cast("Catalog", _catalog(reached, template.source))
        named = {key: conf[key] for key in ("env", "connection") if key in conf}
        words = own if isinstance(own, Mapping) else {"type": own}
        place = conf.value_at("catalog")
        told = LocatedDict({**named, **dict(words.get("conf") or {})}, file=conf.file, place=place)
        made = ComponentSpec(
            template.source.name, str(words.get("type") or ""), told, (place.line, place.column)
        )
        return cast("Catalog", registry.create("catalog", made, self.profiles))

    def _accepted(self, key: str, source: Catalog) -> dict[Path, Relation]:
        """Return the tables in the form in which earlier runs, or a person, accepted them."""
        if self.recall is None:
            return {}
        state = self.recall()
        if state is None:
            return {}
        with closing(state):
            bodies = state.crawls.newest(f"accepted:{key}", _namespace(source))
        found = [relation_from_dict(body) for body in bodies.values() if body != _DROPPED]
        return {one.path: one for one in found}

    # -- making what links need --------------------------------------------------------

    def before(self, session: Session, run_id: str) -> None:
        """Record the crawled schemas; create missing objects, and add or widen columns as the policy says.

        Nothing is created with ``create: false``, or without a target.
        """
        for batch in self.batches:
            session.state.crawls.record(run_id, bodies(batch.crawled))
            accept(session.state, run_id, batch, batch.verdict.accepted)
            if batch.target is None or not self.config.create:
                continue
            held = batch.held or Schema(batch.mapped.schema.system)
            wanted = missing_part(batch.verdict.trimmed(batch.mapped), held)
            statements = [one for one in ordered(wanted) if one.phase in BEFORE_LOAD]
            batch.applied = batch.target.apply([*statements, *batch.verdict.alters], batch.mapped)

    def after(self, session: Session, run_id: str) -> None:
        """Create the keys, foreign keys, indexes, views and comments that the target lacks.

        Only with ``finish: all``. What the target refuses is told in ``notes``.
        """
        del session, run_id
        for batch in self.batches:
            if batch.target is None or self.config.finish != "all":
                continue
            batch.applied += finish(batch)
            fates = ", ".join(f"{number:,} {fate}" for fate, number in batch.mapped.report.counts.items())
            self.notes.append(f"{batch.template.source.name} -> {batch.template.sink.name.strip()}: {fates}")
            refused = [one for one in batch.applied if one.error]
            self.notes += [f"{one.statement.kind} {one.statement.name}: {one.error}" for one in refused]


def _heirs(crawled: Schema) -> dict[Path, list[Path]]:
    """Tables that others of the schema inherit from, with those."""
    found: dict[Path, list[Path]] = {}
    for one in crawled.relations:
        for above in one.inherits:
            found.setdefault(above, []).append(one.path)
    return found


def finish(batch: Batch) -> list[Applied]:
    """Create what the target lacks after the load: keys, indexes, views, comments.

    Returns the executed statements, each with the target's error if it refused one.
    """
    assert batch.target is not None
    rest = unfinished(batch.verdict.trimmed(batch.mapped), batch.target.crawl(batch.mine()))
    return batch.target.apply([one for one in ordered(rest) if one.phase in AFTER_LOAD], batch.mapped)


_DROPPED: dict[str, Any] = {"dropped": True}
"""Entry in the state database for a table whose removal from the source was accepted."""


def accept(
    state: StateManager,
    run_id: str,
    batch: Batch,
    tables: Mapping[Path, Relation],
    dropped: Iterable[Path] = (),
) -> None:
    """Record the form in which each of ``tables`` is accepted, and that those in ``dropped`` may be gone."""
    kind, namespace = f"accepted:{batch.key}", _namespace(batch.source)
    named = {
        Dataset(namespace, ".".join(path)): relation_to_dict(one, sizes=False) for path, one in tables.items()
    }
    named |= {Dataset(namespace, ".".join(path)): _DROPPED for path in dropped}
    state.crawls.keep(run_id, kind, named)


def _batch_key(template: Template, env: str, source: Catalog, target: SqlCatalog | None) -> str:
    """Return the key under which tables are accepted: one per pair of source and target database.

    The names of the connections are not enough, since they may stand for other databases later.
    """
    sides = [str(template.source.conf.get("env")), str(template.sink.conf.get("env"))]
    for one in (source, target):
        place = one.dataset(("t",)) if one else None
        sides += [place.namespace, place.name] if place else ["", ""]
    return digest("batch", env, *sides)[:12]


def bodies(schema: Schema) -> list[tuple[Any, dict[str, Any]]]:
    """Return each table of a crawled schema with the JSON object that the state database keeps of it."""
    return [(one.table, relation_to_dict(one, sizes=False)) for one in schema.relations]


def _namespace(source: Catalog) -> str:
    return source.dataset(("t",)).namespace


def _catalog(component: Any, what: Any, *, needed: bool = True) -> Any:
    database = getattr(component, "database", None)
    if database is not None and hasattr(database, "dialect_name"):
        return catalog_over(database, what.name)
    if not needed:
        return None
    raise UsageError(
        f"{what.type} has no catalogue to crawl",
        hint="use a source of a relational system, or write batch_definition",
    )


def _default_schema(target: SqlCatalog, crawled: Schema) -> str | None:
    """Return the target's default schema if the source's system has no schemas; else None."""
    if any(len(one.path) > 1 for one in crawled.relations):
        return None
    path = target.database.default_path(("t",))
    return path[-2] if len(path) > 1 else None


def _own(template: Template, key: str) -> list[str]:
    found = template.source.conf.get(key) or []
    return [found] if isinstance(found, str) else [str(one) for one in found]


def _own_rules(template: Template) -> list[WatermarkRule]:
    found = template.source.conf.get("watermarks") or []
    return [
        WatermarkRule.model_validate(dict(one)) for one in ([found] if isinstance(found, Mapping) else found)
    ]
