"""DuckDB: https://duckdb.org/docs/sql/statements/create_table.

It cannot add a foreign key to a table that is there, and checks each as rows arrive. So tables are
loaded without, and built anew with their foreign keys after the load, parents first.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdm.catalog.model import Identity, Index, Path, Relation, dotted
from hdm.catalog.order import closing_keys
from hdm.catalog.writers.base import Statement, Writer


class DuckDBWriter(Writer):
    """Sequences number columns; constraints have no names of their own."""

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
        """A default that draws from a sequence."""
        return f"DEFAULT nextval({self.dialect.string(self.path(self._counter(relation, identity)))})"

    def generated(self, expression: str, virtual: bool) -> str:
        """Virtual, which is all there is."""
        del virtual
        return f"GENERATED ALWAYS AS ({expression})"

    def table_lines(self, relation: Relation) -> list[str]:
        """Foreign keys to the same table stand in it from the start."""
        own = [self.foreign(key) for key in relation.foreign_keys if key.target == relation.path]
        return super().table_lines(relation) + own

    def _index_early(self, index: Index) -> bool:
        """A table that has an index cannot be built anew."""
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
        """A table cannot be renamed while it has indexes; they are made again in their phase."""
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
