"""Maps a schema of one system to another system, and reports the result for every object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hdm.catalog.admission import Admission
from hdm.catalog.expressions import Untranslatable
from hdm.catalog.map_columns import ColumnMapper
from hdm.catalog.map_keys import KeyMapper
from hdm.catalog.model import ForeignKey, Path, Relation, Schema, Sequence, View, dotted
from hdm.catalog.names import NamePolicy
from hdm.catalog.order import closing_keys, table_order, view_order
from hdm.catalog.report import Report
from hdm.catalog.rules import MapOptions
from hdm.catalog.scopes import settle_names
from hdm.catalog.traits import traits_of
from hdm.catalog.views import Names, admitted_view, translate_view
from hdm.config.visible import listed
from hdm.dialects import dialect, load
from hdm.dialects.base import Dialect
from hdm.errors import UsageError

_OPTIONS = re.compile(
    r"(?:WITHOUT ROWID|STRICT)(?:, (?:WITHOUT ROWID|STRICT))?"
    r"|ENGINE=(?:InnoDB|Aria|MyISAM|MEMORY|ROCKSDB)(?: ROW_FORMAT=\w+)? DEFAULT CHARSET=\w+ COLLATE=\w+",
    re.IGNORECASE,
)
"""Table options that are carried over; storage engines that read files or other servers are not
among them."""


@dataclass(frozen=True, slots=True)
class MappedSchema:
    """A schema mapped to another system, with its report.

    ``tables`` and ``columns`` map the source's names to the target's.
    """

    schema: Schema
    report: Report
    tables: Mapping[Path, Path] = field(default_factory=dict)
    columns: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)


def map_schema(
    source: Schema, target: str, options: MapOptions | None = None, flavour: str = ""
) -> MappedSchema:
    """Map a schema to the system of dialect ``target``, and return it with a report.

    ``flavour`` is the target's fork (``mariadb``). Raises one ``UsageError`` that lists every name which the
    target cannot have or would confuse with another.
    """
    return _Mapper(source, target, options or MapOptions(), flavour).map()


class _Mapper:
    def __init__(self, source: Schema, target: str, options: MapOptions, flavour: str) -> None:
        self.source, self.target, self.options, self.flavour = source, target, options, flavour
        self.dialect: Dialect = dialect(flavour or target)
        self.traits = traits_of(target, flavour)
        self.same, self.admission = source.system == target, Admission.of(source)
        self.known = Names(source)
        self.report = Report(source.flavour or source.system, flavour or target)
        self.tables: dict[Path, Path] = {}
        self.columns: dict[Path, dict[str, str]] = {}
        self.closing: set[tuple[Path, ForeignKey]] = set()

    def map(self) -> MappedSchema:
        self._name_everything()
        mapped = Schema(self.target, "", self.flavour)
        in_order = [one for one in table_order(self.source.relations) if self._goes(one)]
        self.closing = closing_keys(in_order)
        relations = [self._relation(one) for one in in_order]
        if not self.same:
            if self.dialect.limits is not None:
                relations = load(self.dialect.limits)(relations, self.dialect, self.report)
            relations = settle_names(relations, self.dialect)
        sequences = [seq for one in self.source.sequences if (seq := self._sequence(one))]
        views = [view for one in view_order(self.source.views) if (view := self._view(one))]
        for kind, name in self.source.unread:
            self.report.manual(
                kind, name, "it is code, or cannot be described", "write it anew on the target"
            )
        enums = tuple(replace(one, path=self._path(one.path)) for one in self.source.enums if self.same)
        mapped = replace(
            mapped, relations=tuple(relations), sequences=tuple(sequences), views=tuple(views), enums=enums
        )
        return MappedSchema(mapped, self.report, self.tables, self.columns)

    # -- names -------------------------------------------------------------------

    def _name_everything(self) -> None:
        """Choose the target's names of tables, views and columns; raise one error about all that fail."""
        trouble: list[str] = []
        hint = None
        objects = {one.path: one for one in self.source.relations if self._goes(one)}
        scopes: dict[Path, list[Path]] = {}
        for path in (*objects, *(one.path for one in self.source.views)):
            scopes.setdefault(self._parent(path), []).append(path)
        for parent, paths in scopes.items():
            renames = {k: v for path in paths for k, v in self.options.renames(path).items() if k == path[-1]}
            policy = NamePolicy(self.dialect, self.options.case, renames)
            try:
                twice = [name for name, n in Counter(path[-1] for path in paths).items() if n > 1]
                if twice:
                    raise UsageError(f"several schemas have {', '.join(sorted(twice))}, one is to take them")
                made = policy.names([path[-1] for path in paths], dotted(parent) or "the schema", tables=True)
                self.tables.update({path: (*parent, made[path[-1]]) for path in paths})
            except UsageError as error:
                trouble.append(error.message)
                hint = hint or error.hint or "map the schemas to several: schemas: {source: target}"
        for path, relation in objects.items():
            policy = NamePolicy(self.dialect, self.options.case, self.options.renames(path))
            try:
                names = [column.name for column in relation.table.columns]
                self.columns[path] = policy.names(names, dotted(path))
            except UsageError as error:
                trouble.append(error.message)
                hint = hint or error.hint
        if trouble:
            raise UsageError(listed(trouble).lstrip(), hint=hint)
        for path, new in self.tables.items():
            changed = path[-1] != new[-1] and self.options.case.value == "keep"
            if changed and path[-1] not in self.options.renames(path):
                self.report.approximated(
                    "name",
                    dotted(path),
                    f"too long: cut to {new[-1]}",
                    "rename it by a rule if you want another",
                )

    def _parent(self, path: Path) -> Path:
        if not self.traits.schemas:
            return ()
        old = path[-2] if len(path) > 1 else ""
        if old in self.options.schemas:
            return (self.options.schemas[old],)
        if self.options.into:
            return (self.options.into,)
        plain = old in ("", "main") and not self.same
        if plain or not old:
            return (self.dialect.default_schema,)
        return (NamePolicy(self.dialect, self.options.case).name(old),)

    def _path(self, path: Path) -> Path:
        name = NamePolicy(self.dialect, self.options.case, self.options.renames(path)).name(path[-1])
        return self.tables.get(path) or (*self._parent(path), name)

    def _goes(self, relation: Relation) -> bool:
        """Whether the target gets a table of its own for this one.

        Systems differ in how they partition a table, so partitions are carried over only within one system;
        a partition without its parent is a table like others.
        """
        return self.same or not self._is_part(relation)

    def _is_part(self, relation: Relation) -> bool:
        """Whether it is a partition of a table that is mapped too."""
        return relation.part_of is not None and self.source.relation(relation.part_of) is not None

    # -- objects -------------------------------------------------------------------

    def _relation(self, relation: Relation) -> Relation:
        path = self.tables[relation.path]
        columns = ColumnMapper(
            self.source, self.target, self.options, self.report, self.columns[relation.path]
        )
        mapped = columns.map(relation, path)
        keys = KeyMapper(self.source, self.target, self.report, self.tables, self.columns, self.closing)
        mapped = keys.map(relation, mapped)
        self.report.converted("table", dotted(relation.path))
        if relation.comment and self.traits.comments == "none":
            self.report.approximated(
                "comment", dotted(relation.path), f"{self.target} keeps none", "it stands in the DDL file"
            )
        elif relation.comment:
            self.report.converted("comment", dotted(relation.path))
        return self._physical(relation, mapped)

    def _physical(self, relation: Relation, mapped: Relation) -> Relation:
        if self.same:
            cut = relation.partitioning
            return replace(
                mapped,
                partitioning=cut and replace(cut, text=self._clause(relation, cut.text)),
                part_of=self._path(relation.part_of)
                if self._is_part(relation) and relation.part_of
                else None,
                part_bound=self._clause(relation, relation.part_bound)
                if self._is_part(relation) and relation.part_bound
                else None,
                distribution=relation.distribution,
                options=self._table_options(relation),
            )
        name, names = dotted(relation.path), self.columns[relation.path]
        if relation.partitioning:
            self.report.approximated(
                "partitioning", name, f"one table for {relation.partitioning.kind} partitions",
                "cut it on the target by hand if it is large",
            )  # fmt: skip
        if relation.distribution is None:
            return mapped
        kept = replace(
            relation.distribution,
            columns=tuple(names[c] for c in relation.distribution.columns),
            sort=tuple(names[c] for c in relation.distribution.sort),
        )
        if self.traits.distribution == "kept":
            self.report.converted("distribution", name)
            return replace(mapped, distribution=kept)
        if self.traits.distribution == "clustering" and kept.sort:
            self.report.approximated(
                "distribution",
                name,
                "its sort columns become clustering",
                "look at the clustering depth later",
            )
            return replace(mapped, distribution=replace(kept, style="", columns=()))
        self.report.approximated(
            "distribution", name, f"{self.target} distributes rows itself", "nothing to do"
        )
        return mapped

    def _clause(self, relation: Relation, text: str) -> str:
        """Return a partition clause unchanged.

        Raises ``UsageError`` if the clause says more than how rows are divided.
        """
        try:
            return self.admission.clause(text, [column.name for column in relation.table.columns])
        except Untranslatable as error:
            raise UsageError(
                f"{dotted(relation.path)}: its partitions are not taken over: {error.message}",
                hint="make the table on the target by hand, or exclude it",
            ) from None

    def _table_options(self, relation: Relation) -> str:
        if not relation.options or _OPTIONS.fullmatch(relation.options):
            return relation.options
        self.report.manual(
            "table", dotted(relation.path), "its options are not known ones", "set them by hand"
        )
        return ""

    def _sequence(self, one: Sequence) -> Sequence | None:
        name = dotted(one.path)
        if one.owner and not self.same:
            return None
        if one.owner and one.owner[:-1] not in self.tables:
            return None
        if self.traits.sequences:
            self.report.converted("sequence", name)
            owner = one.owner and (*self.tables[one.owner[:-1]], self.columns[one.owner[:-1]][one.owner[-1]])
            return replace(one, path=self._path(one.path), owner=owner)
        if any(name_of.endswith(one.path[-1]) for name_of in self._default_texts()):
            return None
        self.report.manual(
            "sequence", name, f"{self.target} has no sequences", "draw the numbers in the application"
        )
        return None

    def _default_texts(self) -> list[str]:
        columns = [column for one in self.source.relations for column in one.table.columns]
        return [(column.default or "").split("'")[1] for column in columns if "'" in (column.default or "")]

    def _view(self, view: View) -> View | None:
        name = dotted(view.path)
        path = self.tables[view.path]
        uses = tuple(self.tables[one] for one in view.uses if one in self.tables)
        kept = self.same and not self._renamed(view)
        try:
            if kept:
                sql = admitted_view(view, self.admission, self.known, self.tables.get)
            else:
                sql = translate_view(
                    view, self.source.system, self.target, self.known, self.tables.get, self.columns,
                    self.admission,
                )  # fmt: skip
        except Untranslatable as error:
            self.report.manual(
                "view", name, error.message, "write it by hand; its SQL stands in the DDL file"
            )
            self.tables.pop(view.path)
            return None
        if kept:
            self.report.converted("view", name)
            return replace(view, path=path, sql=sql, uses=uses)
        materialized = view.materialized and self.traits.materialized
        if view.materialized and not materialized:
            self.report.approximated(
                "view", name, "it becomes a plain view", "store its rows in a table if it is slow"
            )
        else:
            self.report.converted("view", name)
        if view.comment:
            has_place = self.traits.comments in ("statement", "property", "option")
            (self.report.converted if has_place else self._lost_comment)("comment", name)
        return replace(view, path=path, sql=sql, uses=uses, materialized=materialized)

    def _lost_comment(self, kind: str, name: str) -> None:
        self.report.approximated(kind, name, f"{self.target} keeps none here", "it stands in the DDL file")

    def _renamed(self, view: View) -> bool:
        """Whether anything that the view reads has another name on the target."""
        moved = any(self.tables.get(path) != path for path in (view.path, *view.uses))
        columns = (self.columns.get(path, {}) for path in view.uses)
        return moved or any(old != new for names in columns for old, new in names.items())
