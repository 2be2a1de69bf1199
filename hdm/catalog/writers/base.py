"""The base class of DDL writers: the order of a schema's statements, and their common spelling.

Each system's writer overrides the parts that its system spells in another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from hdm.catalog.model import (
    Check,
    EnumType,
    ForeignKey,
    Identity,
    Index,
    IndexPart,
    Key,
    Path,
    Relation,
    Schema,
    Sequence,
    View,
    dotted,
)
from hdm.catalog.order import table_order, view_order
from hdm.catalog.traits import traits_of
from hdm.dialects import dialect
from hdm.model import Column

BEFORE_LOAD = ("schemas", "types", "sequences", "tables")
AFTER_LOAD = ("keys", "foreign_keys", "indexes", "views", "comments", "counters")
PHASES = (*BEFORE_LOAD, *AFTER_LOAD)
"""Groups of statements, in the order of application."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One DDL statement, without a semicolon.

    ``kind`` and ``name`` are those of its object in the report.
    """

    phase: str
    kind: str
    name: str
    sql: str


class Writer:
    """Writes the DDL of one mapped schema; the same schema always gives the same text."""

    system: ClassVar[str] = ""
    inline_uniques: ClassVar[bool] = False
    """Whether unique constraints stand in CREATE TABLE, because they cannot be added."""
    inline_foreign: ClassVar[bool] = False
    """Whether foreign keys stand in CREATE TABLE, because they cannot be added."""
    named_constraints: ClassVar[bool] = True
    """Whether the system keeps the names of constraints."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.dialect = dialect(self.system)
        self.traits = traits_of(self.system)
        self.q = self.dialect.quote

    def statements(self) -> Iterator[Statement]:
        """Yield all DDL, phase after phase; within a phase, an object comes after those that it needs."""
        ordered = table_order(self.schema.relations)
        if self.traits.schemas:
            for name in self.schema.schemas:
                yield Statement("schemas", "schema", name, self.create_schema(name))
        for enum in self.schema.enums:
            yield Statement("types", "type", dotted(enum.path), self.create_enum(enum))
        yield from self._sequences()
        for relation in ordered:
            yield from self._each("tables", "table", relation.path, self.create_table(relation))
        yield from self._after(ordered)

    def _sequences(self) -> Iterator[Statement]:
        for one in self.schema.sequences:
            if one.owner is None or not self._is_identity(one.owner):
                yield Statement("sequences", "sequence", dotted(one.path), self.create_sequence(one))

    def _after(self, ordered: list[Relation]) -> Iterator[Statement]:
        for relation in ordered:
            for key in self.late_uniques(relation):
                name = self._about(relation.path, key.name, key.columns)
                yield Statement("keys", "unique", name, self.add_unique(relation, key))
            for index in relation.indexes:
                name = f"{dotted(relation.path)}.{index.name}"
                phase = "keys" if self._index_early(index) else "indexes"
                yield from self._each(phase, "index", (), self.create_index(relation, index), name)
        yield from self._foreign(ordered)
        for view in view_order(self.schema.views):
            yield from self._each("views", "view", view.path, self.create_view(view))
        for relation in ordered:
            yield from self._comments(relation)
        for view in self.schema.views:
            if view.comment:
                yield from self._each("comments", "comment", view.path, self.comment_view(view))
        for relation in ordered:
            for identity in relation.identities:
                name = f"{dotted(relation.path)}.{identity.column}"
                yield from self._each("counters", "identity", (), self.set_counter(relation, identity), name)

    def _foreign(self, ordered: list[Relation]) -> Iterator[Statement]:
        if self.inline_foreign or self.traits.fk == "none":
            return
        for relation in ordered:
            for key in relation.foreign_keys:
                name = self._about(relation.path, key.name, key.columns)
                yield Statement("foreign_keys", "foreign key", name, self.add_foreign(relation, key))

    def _comments(self, relation: Relation) -> Iterator[Statement]:
        if relation.comment:
            sql = self.comment_table(relation, relation.comment)
            yield from self._each("comments", "comment", relation.path, sql)
        for column in relation.table.columns:
            if column.comment:
                name = f"{dotted(relation.path)}.{column.name}"
                sql = self.comment_column(relation, column, column.comment)
                yield from self._each("comments", "comment", (), sql, name)

    @staticmethod
    def _each(phase: str, kind: str, path: Path, made: Iterable[str], name: str = "") -> Iterator[Statement]:
        for sql in made:
            yield Statement(phase, kind, name or dotted(path), sql)

    @staticmethod
    def _about(path: Path, name: str, columns: tuple[str, ...]) -> str:
        return f"{dotted(path)}.{name or '(' + ', '.join(columns) + ')'}"

    def _is_identity(self, owner: Path) -> bool:
        relation = self.schema.relation(owner[:-1])
        return relation is not None and relation.identity(owner[-1]) is not None

    def _index_early(self, index: Index) -> bool:
        """Whether an index is created before foreign keys: a unique one is, since they may refer to it."""
        return index.unique

    def late_uniques(self, relation: Relation) -> tuple[Key, ...]:
        """Return the unique constraints of a table that are added after the load."""
        return () if self.inline_uniques else relation.uniques

    # -- spelling --------------------------------------------------------------------

    def path(self, path: Path) -> str:
        """Return a full name, quoted, from its parts."""
        return self.dialect.qualify(path)

    def create_schema(self, name: str) -> str:
        """Return CREATE SCHEMA, which does nothing if the schema exists."""
        return f"CREATE SCHEMA IF NOT EXISTS {self.q(name)}"

    def create_enum(self, enum: EnumType) -> str:
        """Return CREATE TYPE for a named enumeration type."""
        labels = ", ".join(self.dialect.string(label) for label in enum.labels)
        return f"CREATE TYPE {self.path(enum.path)} AS ENUM ({labels})"

    def create_sequence(self, one: Sequence) -> str:
        """Return CREATE SEQUENCE for a sequence."""
        parts = [
            f"CREATE SEQUENCE {self.path(one.path)} START WITH {one.start:d} INCREMENT BY {one.increment:d}"
        ]
        if one.minimum is not None:
            parts.append(f"MINVALUE {one.minimum:d}")
        if one.maximum is not None:
            parts.append(f"MAXVALUE {one.maximum:d}")
        return " ".join([*parts, *(["CYCLE"] if one.cycle else [])])

    def create_table(self, relation: Relation) -> list[str]:
        """Return CREATE TABLE, and the statements that must stand right before or after it."""
        lines = self.table_lines(relation)
        return [
            f"CREATE TABLE {self.path(relation.path)} (\n  "
            + ",\n  ".join(lines)
            + "\n)"
            + self.suffix(relation)
        ]

    def suffix(self, relation: Relation) -> str:
        """Return the part of CREATE TABLE after the closing bracket."""
        del relation
        return ""

    def table_lines(self, relation: Relation) -> list[str]:
        """Return the lines within CREATE TABLE: the columns, and the constraints that stand in it."""
        lines = [self.column(relation, column) for column in relation.table.columns]
        if relation.primary_key:
            lines.append(self.primary(relation.primary_key))
        late = self.late_uniques(relation)
        lines += [self.unique(key) for key in relation.uniques if key not in late]
        if self.inline_foreign:
            lines += [self.foreign(key) for key in relation.foreign_keys]
        return lines + [self.check(check) for check in relation.checks]

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration for CREATE TABLE."""
        parts = [self.q(column.name), column.native]
        identity = relation.identity(column.name)
        if column.generated is not None:
            parts.append(self.generated(column.generated, column.name in relation.virtual))
        elif identity is not None:
            parts.append(self.identity(relation, identity))
        elif column.default is not None:
            parts.append(self.default(column))
        if not column.nullable:
            parts.append("NOT NULL")
        return " ".join(part for part in parts if part)

    def default(self, column: Column) -> str:
        """Return a column's DEFAULT clause."""
        return f"DEFAULT {column.default}"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return the clause that makes a column an identity column."""
        del relation
        how = "ALWAYS" if identity.always else "BY DEFAULT"
        return (
            f"GENERATED {how} AS IDENTITY (START WITH {identity.start:d} INCREMENT BY {identity.increment:d})"
        )

    def generated(self, expression: str, virtual: bool) -> str:
        """Return the clause that makes a column a generated one."""
        return f"GENERATED ALWAYS AS ({expression}) {'VIRTUAL' if virtual else 'STORED'}"

    def constraint(self, name: str) -> str:
        """Return ``CONSTRAINT name`` and a blank; empty if the system keeps no names of constraints."""
        return f"CONSTRAINT {self.q(name)} " if name and self.named_constraints else ""

    def primary(self, key: Key) -> str:
        """Return the PRIMARY KEY clause of CREATE TABLE."""
        return f"{self.constraint(key.name)}PRIMARY KEY ({self.dialect.names(key.columns)})"

    def unique(self, key: Key) -> str:
        """Return the clause of CREATE TABLE for a unique constraint."""
        nulls = "" if key.nulls_distinct else " NULLS NOT DISTINCT"
        return f"{self.constraint(key.name)}UNIQUE{nulls} ({self.dialect.names(key.columns)})"

    def check(self, check: Check) -> str:
        """Return the clause of CREATE TABLE for a check constraint."""
        return f"{self.constraint(check.name)}CHECK ({check.expression})"

    def foreign(self, key: ForeignKey) -> str:
        """Return the FOREIGN KEY clause, also for a key without a name."""
        sql = (
            f"{self.constraint(key.name)}FOREIGN KEY ({self.dialect.names(key.columns)}) "
            f"REFERENCES {self.path(key.target)} ({self.dialect.names(key.target_columns)})"
        )
        sql += f" ON DELETE {key.on_delete}" if key.on_delete != "NO ACTION" else ""
        sql += f" ON UPDATE {key.on_update}" if key.on_update != "NO ACTION" else ""
        return sql + (" DEFERRABLE INITIALLY DEFERRED" if key.deferrable else "")

    def add_unique(self, relation: Relation, key: Key) -> str:
        """Return an ALTER TABLE that adds a unique constraint to an existing table."""
        return f"ALTER TABLE {self.path(relation.path)} ADD {self.unique(key)}"

    def add_foreign(self, relation: Relation, key: ForeignKey) -> str:
        """Return an ALTER TABLE that adds a foreign key to an existing table."""
        return f"ALTER TABLE {self.path(relation.path)} ADD {self.foreign(key)}"

    def create_index(self, relation: Relation, index: Index) -> list[str]:
        """Return CREATE INDEX; nothing where the system has no indexes."""
        if not self.traits.index:
            return []
        unique = "UNIQUE " if index.unique else ""
        parts = ", ".join(self.index_part(part) for part in index.parts)
        sql = f"CREATE {unique}INDEX {self.index_name(relation, index)} ON {self.path(relation.path)}"
        sql += f"{self.using(index)} ({parts})"
        sql += f" INCLUDE ({self.dialect.names(index.include)})" if index.include else ""
        return [sql + (f" WHERE {index.where}" if index.where else "")]

    def using(self, index: Index) -> str:
        """Return the clause of CREATE INDEX that names the index's method.

        Empty if the system has one method only.
        """
        del index
        return ""

    def index_name(self, relation: Relation, index: Index) -> str:
        """Return an index's name for CREATE INDEX, without a schema: it is in the table's schema."""
        del relation
        return self.q(index.name)

    def index_part(self, part: IndexPart) -> str:
        """Return a column or an expression as it stands in CREATE INDEX."""
        what = self.q(part.column) if part.column is not None else f"({part.expression})"
        return what + (" DESC" if part.descending else "")

    def create_view(self, view: View) -> list[str]:
        """Return CREATE VIEW with the names of the view's columns."""
        word = "MATERIALIZED VIEW" if view.materialized else "VIEW"
        names = f" ({self.dialect.names(view.columns)})" if view.columns else ""
        return [f"CREATE {word} {self.path(view.path)}{names} AS\n{view.sql.strip().rstrip(';')}"]

    def comment_table(self, relation: Relation, text: str) -> list[str]:
        """Return the statement that sets a table's comment; none if the system has no such statement."""
        if self.traits.comments != "statement":
            return []
        return [f"COMMENT ON TABLE {self.path(relation.path)} IS {self.dialect.string(text)}"]

    def comment_column(self, relation: Relation, column: Column, text: str) -> list[str]:
        """Return the statement that sets a column's comment; none if the system has no such statement."""
        if self.traits.comments != "statement":
            return []
        name = f"{self.path(relation.path)}.{self.q(column.name)}"
        return [f"COMMENT ON COLUMN {name} IS {self.dialect.string(text)}"]

    def comment_view(self, view: View) -> list[str]:
        """Return the statement that sets a view's comment; none if the system has no such statement."""
        if self.traits.comments != "statement":
            return []
        word = "MATERIALIZED VIEW" if view.materialized else "VIEW"
        return [f"COMMENT ON {word} {self.path(view.path)} IS {self.dialect.string(view.comment or '')}"]

    def set_counter(self, relation: Relation, identity: Identity) -> list[str]:
        """Return statements that set an identity's next number above the loaded ones.

        By default none.
        """
        del relation, identity
        return []
