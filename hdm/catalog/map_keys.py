"""Maps the keys, checks and indexes of one table to a target."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from hdm.catalog.admission import Admission
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
    """Maps a table's keys, checks and indexes, and adds them to its mapped columns.

    ``closing`` are the foreign keys that refer to a table later in the order, and so close a cycle.
    """

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
        self.same, self.admission = self.source == target, Admission.of(source)

    def map(self, relation: Relation, mapped: Relation) -> Relation:
        """Return ``mapped`` with the keys, checks and indexes of the source's table ``relation``."""
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
        if not self.traits.primary_key_named and made.name == "PRIMARY":
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
        elif kind == "unique" and not key.nulls_distinct and self.traits.nulls_distinct:
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
        elsewhere = target[:-1] != self.tables[self.path][:-1]
        if elsewhere and not self.traits.fk_across_schemas and not self.same:
            self.report.manual(
                "foreign key",
                about,
                f"{self.target} has none from schema to schema",
                "put both into one: into: schema",
            )
            return None
        circular = key.target == self.path or (self.path, key) in self.closing
        if self.traits.rebuilds and circular and not self.same:
            self.report.manual(
                "foreign key", about, f"{self.target} checks it row by row while a table is built anew",
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
        if not self.same and not self.traits.check:
            self.report.manual("check", about, f"{self.target} has none", "write it as a check of the link")
            return None
        try:
            text = self._expression(check.expression)
        except Untranslatable as error:
            self.report.manual("check", about, error.message, "write it by hand")
            return None
        numbered = any(self.dialect.quote(one) in text for one in self.counted)
        if not self.same and numbered and not self.traits.check_of_identity:
            why = f"{self.target} refuses checks of numbered columns"
            self.report.manual("check", about, why, "write it as a check of the link")
            return None
        self.report.converted("check", about)
        return Check(self._name(check.name), text)

    # -- indexes -----------------------------------------------------------------------

    def _index(self, index: Index) -> Index | None:
        about = f"{self.where}.{index.name}"
        if self.same:
            return self._same_index(index, about)
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

    def _same_index(self, index: Index, about: str) -> Index | None:
        try:
            parts = tuple(
                replace(
                    part,
                    column=part.column and self.names[part.column],
                    expression=part.expression and self.admission.expression(part.expression),
                )
                for part in index.parts
            )
            where = index.where and self.admission.expression(index.where)
        except Untranslatable as error:
            self.report.manual("index", about, error.message, "build one by hand where queries need it")
            return None
        self.report.converted("index", about)
        include = tuple(self.names[c] for c in index.include)
        return replace(index, name=self._name(index.name), parts=parts, include=include, where=where)

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
        text = self._expression(part.expression or "")
        return IndexPart(expression=text, descending=part.descending)

    def _where(self, index: Index, soft: list[str]) -> str | None:
        if index.where is None:
            return None
        if not self.traits.index_partial:
            if index.unique:
                raise Untranslatable(f"it is unique for some rows only, which {self.target} lacks")
            soft.append("over all rows instead of some")
            return None
        return self._expression(index.where)

    def _expression(self, text: str) -> str:
        """Return an expression for the target, unchanged within one system.

        Raises ``Untranslatable``.
        """
        if self.same:
            return self.admission.expression(text)
        return translate_expression(
            text, self.source, self.target, lambda name: rename_in(self.names, name), self.admission
        )


def _action(event: str, action: str, allowed: frozenset[str], lost: list[str]) -> str:
    """Return the action that the target takes at an event; one that it cannot take is added to ``lost``."""
    if action == "NO ACTION" or action in allowed:
        return action
    if action != "RESTRICT":
        lost.append(f"no ON {event} {action}")
    return "NO ACTION"
