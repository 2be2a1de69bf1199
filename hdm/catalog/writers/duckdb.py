"""Writes DDL for DuckDB: https://duckdb.org/docs/sql/statements/create_table.

DuckDB cannot add a foreign key to an existing table, and checks foreign keys row by row during a load. So
tables are loaded without foreign keys, and rebuilt with them after the load, parents first.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdm.catalog.model import Identity, Index, Path, Relation, dotted
from hdm.catalog.order import closing_keys
from hdm.catalog.writers.base import Statement, Writer


class DuckDBWriter(Writer):
    """Writes DDL for DuckDB: sequences number columns, constraints have no names of their own."""

    system = "duckdb"
    inline_uniques = True
    named_constraints = False

    def _sequences(self) -> Iterator[Statement]:
        yield from super()._sequences()
        for relation in self.schema.relations:
            for one in relation.identities:
                sql = (
                    f"CREATE SEQUENCE {self.path(self._counter(relation, one))} "
                    f"START WITH {one.start:d} INCREMENT BY {one.increment:d}"
                )
                yield Statement("sequences", "identity", f"{dotted(relation.path)}.{one.column}", sql)

    def _counter(self, relation: Relation, identity: Identity) -> Path:
        return (*relation.path[:-1], f"{relation.path[-1]}_{identity.column}_seq")

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return a DEFAULT clause that takes the next number of the column's sequence."""
        return f"DEFAULT nextval({self.dialect.string(self.path(self._counter(relation, identity)))})"

    def generated(self, expression: str, virtual: bool) -> str:
        """Return the clause of a generated column; DuckDB computes each value when it is read."""
        del virtual
        return f"GENERATED ALWAYS AS ({expression})"

    def table_lines(self, relation: Relation) -> list[str]:
        """Return the lines within CREATE TABLE, with the foreign keys of the table to itself."""
        own = [self.foreign(key) for key in relation.foreign_keys if key.target == relation.path]
        return super().table_lines(relation) + own

    def _index_early(self, index: Index) -> bool:
        """Whether an index is created before foreign keys: never, as a table with one cannot be rebuilt."""
        return False

    def _foreign(self, ordered: list[Relation]) -> Iterator[Statement]:
        closing = closing_keys(ordered)
        for relation in ordered:
            keys = [
                key
                for key in relation.foreign_keys
                if (relation.path, key) not in closing and key.target != relation.path
            ]
            if keys:
                for sql in (
                    *self._bare(relation),
                    *self._again(relation, [self.foreign(key) for key in keys]),
                ):
                    yield Statement("foreign_keys", "foreign key", dotted(relation.path), sql)

    def _bare(self, relation: Relation) -> Iterator[str]:
        """Yield statements that drop a table's indexes, since a table with indexes cannot be renamed.

        The phase of indexes creates them again.
        """
        for index in relation.indexes:
            yield f"DROP INDEX IF EXISTS {self.path((*relation.path[:-1], index.name))}"

    def _again(self, relation: Relation, keys: list[str]) -> Iterator[str]:
        bare = self.dialect.beside(relation.path[-1], "__hdm_bare")
        table, old = self.path(relation.path), self.path((*relation.path[:-1], bare))
        lines = [*self.table_lines(relation), *keys]
        stored = [column.name for column in relation.table.columns if column.generated is None]
        yield f"ALTER TABLE {table} RENAME TO {self.q(bare)}"
        yield f"CREATE TABLE {table} (\n  " + ",\n  ".join(lines) + "\n)"
        names = self.dialect.names(stored)
        yield f"INSERT INTO {table} ({names}) SELECT {names} FROM {old}"
        yield f"DROP TABLE {old}"
