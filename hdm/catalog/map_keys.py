"""Keys, checks and indexes of one table for a target; names that its scopes would confuse get
the table's name in front."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from hdm.catalog.expressions import Untranslatable, translate_expression
from hdm.catalog.map_columns import rename_in
from hdm.catalog.model import Check, ForeignKey, Index, IndexPart, Key, Path, Relation, Schema, dotted
from hdm.catalog.names import fit, refusal
from hdm.catalog.report import Report
from hdm.catalog.traits import traits_of
from hdm.dialects import dialect

_SORTED = frozenset({"", "btree", "art", "normal", "nonclustered", "clustered", "hash"})
_UNINDEXED = "the system finds rows by its own statistics: nothing to do"


class KeyMapper:
    """Adds to a mapped table what hangs on its source."""

    def __init__(
        self,
        source: Schema,
        target: str,
        report: Report,
        tables: Mapping[Path, Path],
        columns: Mapping[Path, Mapping[str, str]],
        closing: Set[tuple[Path, ForeignKey]] = frozenset(),
    ) -> None:
        self.closing = closing
        self.source, self.target, self.report = source.system, target, report
        self.tables, self.columns = tables, columns
        self.dialect, self.traits = dialect(target), traits_of(target)
        self.same = self.source == target

    def map(self, relation: Relation, mapped: Relation) -> Relation:
        """``mapped`` with keys, checks and indexes."""
        self.path = relation.path
        self.names, self.where = self.columns[relation.path], dotted(relation.path)
        self.counted = [one.column for one in mapped.identities]
        primary = relation.primary_key
        return replace(
            mapped,
            primary_key=self._key(primary, "primary key") if primary else None,
            uniques=tuple(self._key(one, "unique") for one in relation.uniques),
            foreign_keys=tuple(key for one in relation.foreign_keys if (key := self._foreign(one))),
            checks=tuple(check for one in relation.checks if (check := self._check(one))),
            indexes=tuple(index for one in relation.indexes if (index := self._index(one))),
        )

    def _name(self, name: str) -> str:
        if not name or refusal(name, self.dialect):
            return ""
        return fit(name, self.dialect)

    def _about(self, name: str, columns: tuple[str, ...]) -> str:
        return f"{self.where}.{name or '(' + ', '.join(columns) + ')'}"

    def _key(self, key: Key, kind: str) -> Key:
        about = self._about(key.name, key.columns)
        made = replace(key, name=self._name(key.name), columns=tuple(self.names[c] for c in key.columns))
        if self.target == "mysql" and made.name == "PRIMARY":
            made = replace(made, name="")
        if self.same:
            self.report.converted(kind, about)
        elif not self.traits.keys_enforced:
            self.report.approximated(
                kind, about, f"{self.target} does not enforce it", "prove it after loads"
            )
        elif kind == "unique" and key.nulls_distinct and not self.traits.nulls_distinct:
            self.report.approximated(
                kind,
                about,
                "two NULLs count as equal here",
                "make it a filtered unique index if it holds NULLs",
            )
        elif kind == "unique" and not key.nulls_distinct and self.target != "sqlserver":
            self.report.approximated(kind, about, "NULLs count as different here", "check the NULLs yourself")
            made = replace(made, nulls_distinct=True)
        else:
            self.report.converted(kind, about)
        return made

    def _foreign(self, key: ForeignKey) -> ForeignKey | None:
        about = self._about(key.name, key.columns)
        target = self.tables.get(key.target)
        if target is None or key.target not in self.columns:
            self.report.manual(
                "foreign key", about, f"{dotted(key.target)} does not go along", "include that table, too"
            )
            return None
        if self.target == "duckdb" and target[:-1] != self.tables[self.path][:-1] and not self.same:
            self.report.manual(
                "foreign key",
                about,
                "duckdb has none from schema to schema",
                "put both into one: into: schema",
            )
            return None
        circular = key.target == self.path or (self.path, key) in self.closing
        if self.target == "duckdb" and circular and not self.same:
            self.report.manual(
                "foreign key", about, "duckdb checks it row by row while a table is built anew",
                "prove it by a query after each load",
            )  # fmt: skip
            return None
        names = self.columns[key.target]
        made = replace(
            key,
            name=self._name(key.name),
            columns=tuple(self.names[c] for c in key.columns),
            target=target,
            target_columns=tuple(names[c] for c in key.target_columns),
        )
        if self.same:
            self.report.converted("foreign key", about)
            return made
        if self.traits.fk == "none":
            self.report.manual("foreign key", about, f"{self.target} has none", "prove it after loads")
            return None
        return self._softened(made, about)

    def _softened(self, made: ForeignKey, about: str) -> ForeignKey:
        lost: list[str] = []
        allowed = self.traits.actions
        made = replace(
            made,
            on_delete=_action("DELETE", made.on_delete, allowed, lost),
            on_update=_action(
                "UPDATE", made.on_update, allowed if self.traits.update_actions else frozenset(), lost
            ),
        )
        if made.deferrable and not self.traits.deferrable:
            lost.append("it cannot be deferred")
            made = replace(made, deferrable=False)
        if self.traits.fk == "declared":
            lost.append("it is declared and not enforced")
        if lost:
            self.report.approximated("foreign key", about, "; ".join(lost), "let the application do the rest")
        else:
            self.report.converted("foreign key", about)
        return made

    def _check(self, check: Check) -> Check | None:
        about = self._about(check.name, (check.expression,))
        if self.same:
            self.report.converted("check", about)
            return replace(check, name=self._name(check.name))
        if not self.traits.check:
            self.report.manual("check", about, f"{self.target} has none", "write it as a check of the link")
            return None
        try:
            text = translate_expression(
                check.expression, self.source, self.target, lambda name: rename_in(self.names, name)
            )
        except Untranslatable as error:
            self.report.manual("check", about, error.message, "write it by hand")
            return None
        if self.target == "mysql" and any(self.dialect.quote(one) in text for one in self.counted):
            self.report.manual(
                "check", about, "mysql refuses checks of numbered columns", "write it as a check of the link"
            )
            return None
        self.report.converted("check", about)
        return Check(self._name(check.name), text)

    # -- indexes -----------------------------------------------------------------------

    def _index(self, index: Index) -> Index | None:
        about = f"{self.where}.{index.name}"
        if self.same:
            self.report.converted("index", about)
            parts = tuple(replace(p, column=p.column and self.names[p.column]) for p in index.parts)
            include = tuple(self.names[c] for c in index.include)
            return replace(index, name=self._name(index.name), parts=parts, include=include)
        if not self.traits.index:
            self._without_index(index, about)
            return None
        soft: list[str] = []
        try:
            parts = tuple(self._part(part, index, soft) for part in index.parts)
            where = self._where(index, soft)
        except Untranslatable as error:
            self.report.manual("index", about, error.message, "build one by hand where queries need it")
            return None
        if index.method.lower() not in _SORTED:
            self.report.manual(
                "index", about, f"{index.method} is a kind of index that {self.target} lacks",
                "build one by hand where queries need it",
            )  # fmt: skip
            return None
        if index.method.lower() == "hash":
            soft.append("sorted instead of hashed")
        include = tuple(self.names[c] for c in index.include) if self.traits.index_include else ()
        if index.include and not include:
            soft.append("without its included columns")
        if soft:
            self.report.approximated("index", about, "; ".join(soft), "look at the plans of its queries")
        else:
            self.report.converted("index", about)
        return Index(self._name(index.name), parts, index.unique, "", where, include)

    def _without_index(self, index: Index, about: str) -> None:
        if index.unique:
            self.report.manual(
                "index",
                about,
                f"{self.target} has no unique indexes",
                "write a check of the link, or prove it",
            )
        else:
            self.report.approximated("index", about, f"{self.target} has no indexes", _UNINDEXED)

    def _part(self, part: IndexPart, index: Index, soft: list[str]) -> IndexPart:
        if part.column is not None:
            if part.length is not None:
                if index.unique:
                    raise Untranslatable("it is unique in a column's first characters only")
                soft.append("whole columns instead of prefixes")
            return IndexPart(self.names[part.column], descending=part.descending)
        if not self.traits.index_expression:
            raise Untranslatable(f"{self.target} has no indexes on expressions")
        text = translate_expression(
            part.expression or "", self.source, self.target, lambda name: rename_in(self.names, name)
        )
        return IndexPart(expression=text, descending=part.descending)

    def _where(self, index: Index, soft: list[str]) -> str | None:
        if index.where is None:
            return None
        if not self.traits.index_partial:
            if index.unique:
                raise Untranslatable(f"it is unique for some rows only, which {self.target} lacks")
            soft.append("over all rows instead of some")
            return None
        return translate_expression(
            index.where, self.source, self.target, lambda name: rename_in(self.names, name)
        )


def _action(event: str, action: str, allowed: frozenset[str], lost: list[str]) -> str:
    """What the target does at the event; what it does not, is added to ``lost``."""
    if action == "NO ACTION" or action in allowed:
        return action
    if action != "RESTRICT":
        lost.append(f"no ON {event} {action}")
    return "NO ACTION"
