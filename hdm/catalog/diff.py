"""Compares an existing schema with the one that is wanted, and tells which changes are safe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from hdm.catalog.model import Path, Relation, Schema, dotted
from hdm.catalog.traits import traits_of
from hdm.dialects.types import misfit
from hdm.model import Column, Kind


class Change(StrEnum):
    """Kinds of difference between an existing schema and the wanted one.

    Which of them need a person's decision depends on the policy; see ``hdm.catalog.evolve``.
    """

    NEW_TABLE = "new table"
    NEW_COLUMN = "new column"
    WIDER = "wider column"
    NARROWER = "narrower column"
    OTHER_TYPE = "other type"
    NULLABLE = "now nullable"
    NOT_NULL = "now not null"
    DROPPED_COLUMN = "dropped column"
    DROPPED_TABLE = "dropped table"
    OTHER_KEY = "other primary key"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between an existing schema and the one that is wanted.

    ``path`` is the table's in the wanted schema; for a dropped table, in the existing one.
    """

    change: Change
    path: Path
    column: str = ""
    detail: str = ""

    @property
    def text(self) -> str:
        """The difference in words: what differs, in which object, and how."""
        where = dotted(self.path) + (f".{self.column}" if self.column else "")
        return f"{self.change.value}: {where}" + (f" ({self.detail})" if self.detail else "")


def compare(wanted: Schema, held: Schema) -> list[Difference]:
    """Return every difference of tables, columns, types, nullability and primary keys, sorted.

    ``held`` is the existing schema. Empty if there is none.
    """
    mine = {one.path: one for one in wanted.relations}
    theirs = {one.path: one for one in held.relations}
    found = [Difference(Change.NEW_TABLE, path) for path in mine.keys() - theirs.keys()]
    found += [Difference(Change.DROPPED_TABLE, path) for path in theirs.keys() - mine.keys()]
    for path in mine.keys() & theirs.keys():
        found += compare_tables(mine[path], theirs[path])
    return sorted(found, key=lambda one: (one.path, one.column, one.change.value))


def compare_tables(wanted: Relation, held: Relation) -> list[Difference]:
    """Return every difference between the wanted and the existing version of one table.

    ``held`` is the existing version. Empty if there is none.
    """
    path = wanted.path
    mine = {column.name: column for column in wanted.table.columns}
    theirs = {column.name: column for column in held.table.columns}
    found = [
        Difference(Change.NEW_COLUMN, path, name, mine[name].native) for name in mine.keys() - theirs.keys()
    ]
    found += [Difference(Change.DROPPED_COLUMN, path, name) for name in theirs.keys() - mine.keys()]
    keyed = set(wanted.table.key) & set(held.table.key)  # key columns are never NULL, declared so or not
    for name in mine.keys() & theirs.keys():
        found += _compare_columns(path, mine[name], theirs[name], keyed=name in keyed)
    if wanted.table.key != held.table.key:
        detail = f"({', '.join(held.table.key)}) becomes ({', '.join(wanted.table.key)})"
        found.append(Difference(Change.OTHER_KEY, path, "", detail))
    return found


def _compare_columns(path: Path, wanted: Column, held: Column, *, keyed: bool) -> Iterable[Difference]:
    if _shape(wanted) != _shape(held):
        detail = f"{held.native} becomes {wanted.native}"
        grows, shrinks = too_narrow(held, wanted), too_narrow(wanted, held)
        if not shrinks:
            yield Difference(Change.WIDER if grows else Change.OTHER_TYPE, path, wanted.name, detail)
        elif not grows:
            yield Difference(Change.NARROWER, path, wanted.name, detail)
        else:
            yield Difference(Change.OTHER_TYPE, path, wanted.name, detail)
    if keyed:
        return
    if wanted.nullable and not held.nullable:
        yield Difference(Change.NULLABLE, path, wanted.name)
    elif held.nullable and not wanted.nullable:
        yield Difference(Change.NOT_NULL, path, wanted.name)


def too_narrow(held: Column, wanted: Column) -> bool:
    """Return True if values of the column ``wanted`` may not fit into the existing column ``held``.

    Their declarations decide.
    """
    if held.kind is wanted.kind and held.kind in (Kind.TEXT, Kind.BINARY):
        return held.length is not None and (wanted.length is None or wanted.length > held.length)
    return misfit(held, wanted) is not None


def _shape(column: Column) -> tuple[object, ...]:
    digits = (column.length, column.precision, column.scale)
    return (
        (column.kind, *digits)
        if any(part is not None for part in digits)
        else (column.kind, str(column.type))
    )


def missing_part(wanted: Schema, held: Schema) -> Schema:
    """Return ``wanted`` with only the tables, views, sequences and types that the schema ``held`` lacks.

    ``held`` is the existing schema. Tables that exist are not compared; ``compare`` does that.
    """
    theirs = {one.path: one for one in held.relations}
    views = {one.path for one in held.views}
    sequences = {one.path for one in held.sequences}
    return replace(
        wanted,
        relations=tuple(one for one in wanted.relations if one.path not in theirs),
        views=tuple(one for one in wanted.views if one.path not in views),
        sequences=tuple(one for one in wanted.sequences if one.path not in sequences),
        enums=tuple(one for one in wanted.enums if one not in held.enums),
    )


def unfinished(wanted: Schema, held: Schema) -> Schema:
    """Return ``wanted`` with only the keys, indexes, comments and views that the schema ``held`` lacks.

    ``held`` is the existing schema. They remain to be created after the load. Primary keys and checks stay as
    they are, since they are created with their tables.
    """
    theirs = {one.path: one for one in held.relations}
    views = {one.path for one in held.views}
    rebuilds = traits_of(wanted.system).rebuilds
    return replace(
        wanted,
        relations=tuple(_unfinished(one, theirs.get(one.path), rebuilds) for one in wanted.relations),
        views=tuple(one for one in wanted.views if one.path not in views),
    )


def _unfinished(wanted: Relation, held: Relation | None, rebuilds: bool) -> Relation:
    if held is None:
        return wanted
    foreign = {(key.columns, key.target) for key in held.foreign_keys}
    lacking = tuple(k for k in wanted.foreign_keys if (k.columns, k.target) not in foreign)
    if lacking and rebuilds:
        return wanted  # a table that is rebuilt keeps nothing of the old one but its rows
    uniques = {key.columns for key in held.uniques}
    unique_indexes = {tuple(part.column for part in one.parts) for one in held.indexes if one.unique}
    names = {one.name for one in held.indexes} | {key.name for key in held.uniques}
    same_comment = wanted.comment == held.comment
    comments = {column.name: column.comment for column in held.table.columns}
    columns = tuple(
        replace(column, comment=None) if comments.get(column.name) == column.comment else column
        for column in wanted.table.columns
    )
    return replace(
        wanted.with_columns(columns),
        uniques=tuple(
            k for k in wanted.uniques if k.columns not in uniques and k.columns not in unique_indexes
        ),
        foreign_keys=lacking,
        indexes=tuple(i for i in wanted.indexes if i.name not in names),
        comment=None if same_comment else wanted.comment,
    )
