"""SQL Server: https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql.

Columns of other systems are numbered by a sequence, so that loads need no IDENTITY_INSERT.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdm.catalog.model import Identity, Index, Key, Path, Relation, View, dotted
from hdm.catalog.writers.base import Statement, Writer
from hdm.model import Column


class SQLServerWriter(Writer):
    """Comments are extended properties named ``MS_Description``."""

    system = "sqlserver"

    def create_schema(self, name: str) -> str:
        """CREATE SCHEMA must be alone in its batch."""
        wanted, made = self.dialect.string(name), self.dialect.string(f"CREATE SCHEMA {self.q(name)}")
        return f"IF SCHEMA_ID({wanted}) IS NULL EXEC({made})"

    def _sequences(self) -> Iterator[Statement]:
        yield from super()._sequences()
        for relation in self.schema.relations:
            for one in relation.identities:
                if one.style != "identity":
                    sql = (
                        f"CREATE SEQUENCE {self.path(self._counter(relation, one))} AS BIGINT "
                        f"START WITH {one.start:d} INCREMENT BY {one.increment:d}"
                    )
                    yield Statement("sequences", "identity", f"{dotted(relation.path)}.{one.column}", sql)

    def _counter(self, relation: Relation, identity: Identity) -> Path:
        return (*relation.path[:-1], f"{relation.path[-1]}_{identity.column}_seq")

    def identity(self, relation: Relation, identity: Identity) -> str:
        """IDENTITY as it was, or a sequence."""
        if identity.style == "identity":
            return f"IDENTITY({identity.start:d},{identity.increment:d})"
        return f"DEFAULT (NEXT VALUE FOR {self.path(self._counter(relation, identity))})"

    def column(self, relation: Relation, column: Column) -> str:
        """A computed column has no type of its own, and NOT NULL only if it is persisted."""
        if column.generated is None:
            return super().column(relation, column)
        return f"{self.q(column.name)} {self.generated(column.generated, column.name in relation.virtual)}"

    def generated(self, expression: str, virtual: bool) -> str:
        """Computed, persisted or not."""
        return f"AS ({expression})" + ("" if virtual else " PERSISTED")

    def default(self, column: Column) -> str:
        """In brackets, as the catalogue shows it."""
        text = column.default or ""
        return f"DEFAULT {text}" if text.startswith("(") and text.endswith(")") else f"DEFAULT ({text})"

    def unique(self, key: Key) -> str:
        """NULLs always count as equal."""
        return f"{self.constraint(key.name)}UNIQUE ({self.dialect.names(key.columns)})"

    def using(self, index: Index) -> str:
        """Rowstore only."""
        del index
        return ""

    def comment_table(self, relation: Relation, text: str) -> list[str]:
        """An extended property of the table."""
        return [self._property(text, "TABLE", relation.path)]

    def comment_column(self, relation: Relation, column: Column, text: str) -> list[str]:
        """An extended property of the column."""
        return [self._property(text, "TABLE", relation.path, column.name)]

    def comment_view(self, view: View) -> list[str]:
        """An extended property of the view."""
        return [self._property(view.comment or "", "VIEW", view.path)]

    def _property(self, text: str, kind: str, path: Path, column: str = "") -> str:
        """https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-addextendedproperty-transact-sql"""
        schema = path[-2] if len(path) > 1 else "dbo"
        levels = [("SCHEMA", schema), (kind, path[-1]), *([("COLUMN", column)] if column else [])]
        arguments = [self._n("MS_Description"), self._n(text)]
        for level, name in levels:
            arguments += [self._n(level), self._n(name)]
        return "EXEC sys.sp_addextendedproperty " + ", ".join(arguments)

    def _n(self, text: str) -> str:
        made = self.dialect.string(text)
        return made if made.startswith("N") else f"N{made}"
