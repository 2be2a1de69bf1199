"""Maps a table's columns: types, nullability, defaults, identities, generated columns, comments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hdm.catalog.admission import Admission
from hdm.catalog.defaults import NEXTVAL, has_on_update, translate_default
from hdm.catalog.expressions import Untranslatable, translate_expression
from hdm.catalog.model import Identity, Path, Relation, Schema, dotted
from hdm.catalog.report import Report
from hdm.catalog.rules import MapOptions
from hdm.catalog.traits import traits_of
from hdm.dialects import dialect
from hdm.dialects.native_type import type_text
from hdm.dialects.types import INTEGERS, Fidelity
from hdm.model import Column, Dataset

_COUNTABLE = ("smallint", "integer", "bigint")
LOAD_HINT = "write allow_loss for the column, or give it a type by rule"


class ColumnMapper:
    """Maps the columns of one table to the target's types; ``names`` gives their new names."""

    def __init__(
        self, source: Schema, target: str, options: MapOptions, report: Report, names: Mapping[str, str]
    ) -> None:
        self.schema, self.source, self.target = source, source.system, target
        self.options, self.report, self.names = options, report, names
        self.dialect, self.traits = dialect(target), traits_of(target)
        self.same, self.admission = self.source == target, Admission.of(source)

    def map(self, relation: Relation, path: Path) -> Relation:
        """Return a table with its columns mapped, under its new path; ``KeyMapper`` adds keys and indexes."""
        columns, identities, virtual = [], [], []
        for column in relation.table.columns:
            name = f"{dotted(relation.path)}.{column.name}"
            kept = self._typed(relation, column, name)
            if column.generated is not None:
                kept, is_virtual = self._generated(relation, column, kept, name)
                if is_virtual:
                    virtual.append(kept.name)
            identity = self._identity(relation, column)
            if identity is not None and self._can_count(relation, column, identity, name):
                identities.append(replace(identity, column=kept.name))
                kept = replace(kept, identity=True, default=None)
            elif column.default is not None and column.generated is None:
                kept = replace(kept, default=self._default(column, kept, name))
            self._comment(column, name)
            columns.append(replace(kept, comment=column.comment))
        table = replace(
            relation.table,
            dataset=Dataset("", ".".join(path)),
            path=path,
            columns=tuple(columns),
            key=tuple(self.names[name] for name in relation.table.key),
        )
        return Relation(table, identities=tuple(identities), virtual=tuple(virtual), comment=relation.comment)

    # -- type ----------------------------------------------------------------------

    def _typed(self, relation: Relation, column: Column, name: str) -> Column:
        new = self.names[column.name]
        override = self.options.override(relation.path, column)
        if override is not None:
            self.report.approximated("column", name, f"{override} by rule", "see the rules")
            return self.dialect.column_from_catalog(new, override, nullable=column.nullable)
        stored = self.dialect.stored(column)
        if self.same:
            self.report.converted("column", name)
            type_text(column.native or "x", f"column {name}")
            return replace(column, name=new, default=None, identity=False, generated=None)
        if stored.fidelity is Fidelity.EXACT:
            self.report.converted("column", name)
        elif stored.fidelity is Fidelity.LOSSY:
            self.report.approximated("column", name, f"values may change: {stored.why}", LOAD_HINT)
        else:
            reason = f"{column.native or column.kind.value} becomes {stored.native}: {stored.why}"
            self.report.approximated("column", name, reason, "check the readers of the column")
        return self.dialect.column_from_catalog(new, stored.native, nullable=column.nullable)

    # -- identity --------------------------------------------------------------------

    def _identity(self, relation: Relation, column: Column) -> Identity | None:
        found = relation.identity(column.name)
        if found is not None:
            return found
        drawn = NEXTVAL.match((column.default or "").strip())
        if self.same or drawn is None or column.kind not in INTEGERS:
            return None
        wanted = drawn["name"].replace('"', "").split(".")[-1].casefold()
        for one in self.schema.sequences:
            if one.path[-1].casefold() == wanted and (
                one.owner is None or one.owner == (*relation.path, column.name)
            ):
                return Identity(column.name, one.start, one.increment)
        return Identity(column.name)

    def _can_count(self, relation: Relation, column: Column, identity: Identity, name: str) -> bool:
        """Whether the target can number this column as an identity; the answer goes into the report."""
        style, why = self.traits.identity, ""
        keys = [relation.primary_key.columns] if relation.primary_key else []
        keys += [key.columns for key in relation.uniques]
        if self.same:
            self.report.converted("identity", name)
            return True
        if style == "none":
            why = f"{self.target} has no identity columns"
        elif self.traits.identity_integer and not self._is_integer(column):
            why = f"{self.target} numbers only integers of at most 64 bits"
        elif style == "autoincrement" and relation.table.key != (column.name,):
            why = f"{self.target} numbers only a sole primary key"
        elif self.traits.identity_leads_key and not any(key[0] == column.name for key in keys):
            why = f"{self.target} numbers only the first column of a key"
        elif self.traits.identity_once and len(relation.identities) > 1:
            why = f"{self.target} numbers one column of a table"
        if why:
            self.report.manual("identity", name, why, "draw the numbers in the application")
        elif identity.always or self.traits.identity_load:
            hint = self.traits.identity_load or "nothing to do"
            self.report.approximated("identity", name, "values may be given by an INSERT, for the load", hint)
        else:
            self.report.converted("identity", name)
        return not why

    def _is_integer(self, column: Column) -> bool:
        return self.dialect.stored(column).native.lower() in _COUNTABLE

    # -- default, generated, comment ---------------------------------------------------

    def _default(self, column: Column, kept: Column, name: str) -> str | None:
        if not self.traits.defaults:
            self.report.manual(
                "default", name, f"{self.target} has no defaults", "give the value when inserting"
            )
            return None
        try:
            if self.same:
                text: str | None = self.admission.default(column.default or "")
            else:
                text = translate_default(column, kept, self.admission, self.target, self._rename)
        except Untranslatable as error:
            self.report.manual("default", name, error.message, "write it by hand, or in the application")
            return None
        if self.same:
            self.report.converted("default", name)
            return text
        literal = text is not None and (text[:1] in "'-0123456789" or text in ("TRUE", "FALSE"))
        if not literal and text is not None and not self.traits.default_expressions:
            self.report.manual("default", name, "only literals can be defaults", "give it when inserting")
            return None
        if has_on_update(column):
            self.report.approximated(
                "default",
                name,
                "it is not renewed by an UPDATE",
                "write a trigger, or set it in the application",
            )
        else:
            self.report.converted("default", name)
        return text

    def _generated(self, relation: Relation, column: Column, kept: Column, name: str) -> tuple[Column, bool]:
        virtual = column.name in relation.virtual
        hint = "its values are loaded as they are; compute them in the application or by a view"
        if not self.same and not (self.traits.generated and self.options.keep_generated):
            why = f"{self.target} has no generated columns" if not self.traits.generated else "by choice"
            self.report.approximated("generated", name, f"it becomes a plain column: {why}", hint)
            return kept, False
        try:
            if self.same:
                text = self.admission.expression(column.generated or "")
                self.report.converted("generated", name)
                return replace(kept, generated=text), virtual
            text = translate_expression(
                column.generated or "", self.source, self.target, self._rename, self.admission
            )
        except Untranslatable as error:
            self.report.approximated("generated", name, f"it becomes a plain column: {error.message}", hint)
            return kept, False
        fits = ("virtual" if virtual else "stored") in self.traits.generated
        if fits:
            self.report.converted("generated", name)
        else:
            kind = "stored" if virtual else "computed when read"
            self.report.approximated("generated", name, f"it is {kind} on {self.target}", "nothing to do")
        return replace(kept, generated=text), virtual if fits else not virtual

    def _comment(self, column: Column, name: str) -> None:
        if not column.comment:
            return
        if self.traits.comments == "none":
            self.report.approximated(
                "comment", name, f"{self.target} keeps none", "it stands in the DDL file"
            )
        else:
            self.report.converted("comment", name)

    def _rename(self, name: str) -> str:
        return rename_in(self.names, name)


def rename_in(names: Mapping[str, str], name: str) -> str:
    """Return the new name of a column that an expression mentions.

    ``names`` maps old names to new ones. The column is found by its exact name, else by the only name that
    equals it without regard to case. Raises ``Untranslatable`` if there is no such column, or if there are
    several.
    """
    if name in names:
        return names[name]
    near = [new for old, new in names.items() if old.casefold() == name.casefold()]
    if len(near) != 1:
        raise Untranslatable(f"it mentions {name}, which is no column of the table")
    return near[0]
