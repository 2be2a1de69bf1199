"""Decides which changes of a source a policy allows, and writes the target's DDL for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hdm.catalog.diff import Change, Difference, compare_tables, too_narrow
from hdm.catalog.mapper import MappedSchema
from hdm.catalog.model import Path, Relation, Schema, dotted
from hdm.catalog.writers import Statement, writer_for
from hdm.catalog.writers.base import Writer
from hdm.model import Column

_HARMLESS = frozenset({Change.NOT_NULL})
"""Changes after which all rows still fit."""
_GROWTH = frozenset({Change.NEW_COLUMN, Change.WIDER, Change.NULLABLE})


@dataclass(slots=True)
class Verdict:
    """Decision about each change of a source since its tables were accepted; paths are the source's.

    ``held`` tables are not moved until a person acts, ``left_out`` tables and ``columns_left_out`` are not
    moved by policy, ``fatal`` changes stop the run. ``accepted`` are the tables as they are accepted from now
    on, ``alters`` is the DDL for the target.
    """

    notes: list[str] = field(default_factory=list)
    fatal: list[str] = field(default_factory=list)
    held: dict[Path, str] = field(default_factory=dict)
    left_out: set[Path] = field(default_factory=set)
    columns_left_out: dict[Path, set[str]] = field(default_factory=dict)
    alters: list[Statement] = field(default_factory=list)
    accepted: dict[Path, Relation] = field(default_factory=dict)

    def trimmed(self, mapped: MappedSchema) -> Schema:
        """Return the mapped schema without tables and columns that are not moved."""
        gone = {mapped.tables[path] for path in (*self.held, *self.left_out) if path in mapped.tables}
        names = {
            mapped.tables[path]: {mapped.columns[path][column] for column in columns}
            for path, columns in self.columns_left_out.items()
            if path in mapped.tables
        }
        kept = [
            _without(one, names.get(one.path, set()))
            for one in mapped.schema.relations
            if one.path not in gone
        ]
        kept = [
            replace(one, foreign_keys=tuple(key for key in one.foreign_keys if key.target not in gone))
            for one in kept
        ]
        return replace(mapped.schema, relations=tuple(kept))


def judge(
    now: Schema, mapped: MappedSchema, held: Schema | None, policy: str, known: Mapping[Path, Relation]
) -> Verdict:
    """Decide about every difference of the source's schema ``now`` from the accepted tables ``known``.

    ``policy`` is ``evolve``, ``freeze``, ``discard`` or ``fail``. ``known`` is empty in the first run.
    ``held`` is the target's existing schema, None without a target.
    """
    verdict = Verdict()
    for relation in now.relations:
        path = relation.path
        if path not in mapped.tables:
            continue
        if path in known:
            _weigh(verdict, relation, known[path], policy)
        elif known and policy != "evolve":
            _refuse(verdict, path, Change.NEW_TABLE.value, policy)
            continue
        elif known:
            verdict.notes.append(f"new table: {dotted(path)} joins")
        if path not in verdict.held and path not in verdict.left_out:
            verdict.accepted[path] = _without(relation, verdict.columns_left_out.get(path, set()))
    present = {one.path for one in now.relations}
    for path in sorted(set(known) - present):
        text = f"{Change.DROPPED_TABLE.value}: the target keeps {dotted(path)}"
        (verdict.fatal.append(text) if policy == "fail" else verdict.held.setdefault(path, text))
    if held is not None and not verdict.fatal:
        _alter(verdict, mapped, held)
    return verdict


def _weigh(verdict: Verdict, now: Relation, before: Relation, policy: str) -> None:
    path, notes = now.path, []
    for one in compare_tables(now, before):
        if policy == "fail":
            verdict.fatal.append(one.text)
        elif policy == "freeze" or (one.change not in _GROWTH and one.change not in _HARMLESS):
            _hold(verdict, path, one)
        elif one.change is Change.NEW_COLUMN and policy == "discard":
            verdict.columns_left_out.setdefault(path, set()).add(one.column)
            notes.append(f"{one.text} is left out")
        elif policy == "discard" and one.change in _GROWTH:
            _hold(verdict, path, one)
        else:
            notes.append(one.text + _consequence(one))
    if path not in verdict.held:  # a table that waits for a person gets no notes: nothing is done to it
        verdict.notes += notes


def _consequence(one: Difference) -> str:
    if one.change is Change.NEW_COLUMN:
        return ": added; rows that were moved before have NULL there"
    return ": the target's column follows" if one.change in _GROWTH else ": nothing to do"


def _refuse(verdict: Verdict, path: Path, what: str, policy: str) -> None:
    text = f"{what}: {dotted(path)}"
    if policy == "fail":
        verdict.fatal.append(text)
    elif policy == "freeze":
        verdict.held[path] = text
    else:
        verdict.left_out.add(path)
        verdict.notes.append(f"{text} is left out")


def _hold(verdict: Verdict, path: Path, one: Difference) -> None:
    before = verdict.held.get(path)
    verdict.held[path] = f"{before}; {one.text}" if before else one.text


def _without(relation: Relation, columns: set[str]) -> Relation:
    """Return the table without some columns, and without the keys, checks and indexes that use them."""
    if not columns:
        return relation
    kept = tuple(column for column in relation.table.columns if column.name not in columns)
    return replace(
        relation.with_columns(kept),
        uniques=tuple(key for key in relation.uniques if not columns & set(key.columns)),
        foreign_keys=tuple(key for key in relation.foreign_keys if not columns & set(key.columns)),
        checks=tuple(one for one in relation.checks if not any(name in one.expression for name in columns)),
        indexes=tuple(
            one
            for one in relation.indexes
            if not columns & {part.column for part in one.parts}
            and not any(part.expression for part in one.parts)
        ),
    )


# -- DDL --------------------------------------------------------------------------------


def _alter(verdict: Verdict, mapped: MappedSchema, held: Schema) -> None:
    """Add the DDL that adds and widens columns on the target to the verdict."""
    writer = writer_for(mapped.schema)
    for path in verdict.accepted:
        wanted = mapped.schema.relation(mapped.tables[path])
        there = wanted and held.relation(wanted.path)
        if wanted is None or there is None:
            continue
        trimmed = _without(wanted, _new_names(verdict, mapped, path))
        theirs = {column.name: column for column in there.table.columns}
        for column in trimmed.table.columns:
            old = theirs.get(column.name)
            if old is None:
                verdict.alters.append(_statement(wanted, column, add_column(writer, trimmed, column)))
            elif too_narrow(old, column) and old.native != column.native:
                sql = widen_column(writer, wanted, column)
                if sql is None:
                    verdict.held[path] = (
                        f"{dotted(path)}.{column.name}: {mapped.schema.system} cannot widen it"
                    )
                else:
                    verdict.alters.append(_statement(wanted, column, sql))
    for path in verdict.held:
        verdict.accepted.pop(path, None)


def _new_names(verdict: Verdict, mapped: MappedSchema, path: Path) -> set[str]:
    return {mapped.columns[path][name] for name in verdict.columns_left_out.get(path, set())}


def _statement(relation: Relation, column: Column, sql: str) -> Statement:
    return Statement("tables", "table", f"{dotted(relation.path)}.{column.name}", sql)


def add_column(writer: Writer, relation: Relation, column: Column) -> str:
    """Return an ALTER TABLE that adds a column, which is NULL in existing rows."""
    plain = replace(column, nullable=True, default=None, identity=False)
    bare = replace(relation, identities=())
    verb = writer.dialect.add_column_verb
    return f"ALTER TABLE {writer.path(relation.path)} {verb} {writer.column(bare, plain)}"


def widen_column(writer: Writer, relation: Relation, column: Column) -> str | None:
    """Return an ALTER TABLE that widens a column's type; None if the system has no such statement."""
    clause = writer.dialect.widen_clause
    if clause is None:
        return None
    made = clause.format(
        name=writer.q(column.name),
        type=column.native,
        null="NULL" if column.nullable else "NOT NULL",
        declaration=writer.column(relation, column),
    )
    return f"ALTER TABLE {writer.path(relation.path)} {made}"
