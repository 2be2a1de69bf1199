"""Writes DDL for PostgreSQL: https://www.postgresql.org/docs/current/sql-createtable.html."""

from __future__ import annotations

from hdm.catalog.model import Identity, Index, Relation, Sequence
from hdm.catalog.writers.base import Writer


class PostgresWriter(Writer):
    """Writes DDL for PostgreSQL: primary keys and checks in CREATE TABLE, other keys after the load.

    Sequences of identity columns are set above the loaded rows.
    """

    system = "postgres"

    def create_table(self, relation: Relation) -> list[str]:
        """Return CREATE TABLE (for a partition: PARTITION OF), and statements for its sequences' owners."""
        if relation.part_of:
            cut = f" PARTITION BY {relation.partitioning.text}" if relation.partitioning else ""
            parent = self.path(relation.part_of)
            return [
                f"CREATE TABLE {self.path(relation.path)} PARTITION OF {parent} {relation.part_bound}{cut}"
            ]
        made = super().create_table(relation)
        for one in self.schema.sequences:
            if one.owner and one.owner[:-1] == relation.path and not relation.identity(one.owner[-1]):
                owner = f"{self.path(relation.path)}.{self.q(one.owner[-1])}"
                made.append(f"ALTER SEQUENCE {self.path(one.path)} OWNED BY {owner}")
        return made

    def suffix(self, relation: Relation) -> str:
        """Return the PARTITION BY clause."""
        return f" PARTITION BY {relation.partitioning.text}" if relation.partitioning else ""

    def create_sequence(self, one: Sequence) -> str:
        """Return CREATE SEQUENCE with its integer type, which bounds it."""
        kind = "" if one.type == "bigint" else f" AS {one.type}"
        made = super().create_sequence(one)
        name = self.path(one.path)
        return made.replace(name, name + kind, 1)

    def using(self, index: Index) -> str:
        """Return the USING clause for an index with a method other than btree; empty for btree."""
        return f" USING {self.q(index.method)}" if index.method not in ("", "btree") else ""

    def set_counter(self, relation: Relation, identity: Identity) -> list[str]:
        """Return ``setval`` for an identity, so that the next number is above the largest in use."""
        table, column = self.path(relation.path), self.q(identity.column)
        whose = f"{self.dialect.string(table)}, {self.dialect.string(identity.column)}"
        following = f"(SELECT MAX({column}) FROM {table}) + {identity.increment:d}"
        return [
            f"SELECT SETVAL(PG_GET_SERIAL_SEQUENCE({whose}), "
            f"COALESCE({following}, {identity.start:d}), FALSE)"
        ]
