"""Writes DDL for SQL Server.

See https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql. A sequence numbers the
identity columns of other systems, so that loads need no IDENTITY_INSERT.
"""

from __future__ import annotations

from collections.abc import Iterator

from hdm.catalog.model import Identity, Index, Key, Path, Relation, View, dotted
from hdm.catalog.writers.base import Statement, Writer
from hdm.model import Column


class SchemaInExec(Writer):
    """The part of a writer that makes schemas, for SQL Server and what speaks its language."""

    def create_schema(self, name: str) -> str:
        """Return CREATE SCHEMA within EXEC, since it must be alone in its batch."""
        wanted, made = self.dialect.string(name), self.dialect.string(f"CREATE SCHEMA {self.q(name)}")
        return f"IF SCHEMA_ID({wanted}) IS NULL EXEC({made})"


class SQLServerWriter(SchemaInExec):
    """Writes DDL for SQL Server, with comments as extended properties named ``MS_Description``."""

    system = "sqlserver"

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
        """Return IDENTITY for a column of SQL Server, else a default that takes a sequence's next number."""
        if identity.style == "identity":
            return f"IDENTITY({identity.start:d},{identity.increment:d})"
        return f"DEFAULT (NEXT VALUE FOR {self.path(self._counter(relation, identity))})"

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration, for a computed column without type and NOT NULL."""
        if column.generated is None:
            return super().column(relation, column)
        return f"{self.q(column.name)} {self.generated(column.generated, column.name in relation.virtual)}"

    def generated(self, expression: str, virtual: bool) -> str:
        """Return the clause of a computed column, persisted or not."""
        return f"AS ({expression})" + ("" if virtual else " PERSISTED")

    def default(self, column: Column) -> str:
        """Return the DEFAULT clause in brackets, as the catalogue shows it."""
        text = column.default or ""
        return f"DEFAULT {text}" if text.startswith("(") and text.endswith(")") else f"DEFAULT ({text})"

    def unique(self, key: Key) -> str:
        """Return the clause of a unique constraint, in which NULLs always count as equal."""
        return f"{self.constraint(key.name)}UNIQUE ({self.dialect.names(key.columns)})"

    def using(self, index: Index) -> str:
        """Return an empty text, since all indexes are rowstore indexes."""
        del index
        return ""

    def comment_table(self, relation: Relation, text: str) -> list[str]:
        """Return the call that sets a table's comment, an extended property."""
        return [self._property(text, "TABLE", relation.path)]

    def comment_column(self, relation: Relation, column: Column, text: str) -> list[str]:
        """Return the call that sets a column's comment, an extended property."""
        return [self._property(text, "TABLE", relation.path, column.name)]

    def comment_view(self, view: View) -> list[str]:
        """Return the call that sets a view's comment, an extended property."""
        return [self._property(view.comment or "", "VIEW", view.path)]

    def _property(self, text: str, kind: str, path: Path, column: str = "") -> str:
        """Return a call of ``sp_addextendedproperty`` that sets a comment.

        https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-addextendedproperty-transact-sql
        """
        schema = path[-2] if len(path) > 1 else "dbo"
        levels = [("SCHEMA", schema), (kind, path[-1]), *([("COLUMN", column)] if column else [])]
        arguments = [self._n("MS_Description"), self._n(text)]
        for level, name in levels:
            arguments += [self._n(level), self._n(name)]
        return "EXEC sys.sp_addextendedproperty " + ", ".join(arguments)

    def _n(self, text: str) -> str:
        made = self.dialect.string(text)
        return made if made.startswith("N") else f"N{made}"
