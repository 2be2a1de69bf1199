"""Writes DDL for dedicated SQL pools of Azure Synapse.

See "CREATE TABLE (Azure Synapse Analytics)" in Microsoft's documentation,
https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-azure-sql-data-warehouse.
"""

from __future__ import annotations

from hdm.catalog.model import Identity, Key, Relation
from hdm.catalog.writers.sqlserver import SchemaInExec
from hdm.model import Column


class SynapseWriter(SchemaInExec):
    """Writes DDL for Azure Synapse: keys are NOT ENFORCED; there are no foreign keys, checks or comments."""

    system = "synapse"

    def create_table(self, relation: Relation) -> list[str]:
        """Return CREATE TABLE, and an ALTER TABLE that adds the primary key."""
        lines = [self.column(relation, column) for column in relation.table.columns]
        table = self.path(relation.path)
        made = [f"CREATE TABLE {table} (\n  " + ",\n  ".join(lines) + "\n)" + self.suffix(relation)]
        if relation.primary_key:
            made.append(f"ALTER TABLE {table} ADD {self.primary(relation.primary_key)}")
        return made

    def column(self, relation: Relation, column: Column) -> str:
        """Return a column's declaration, with NULL spelled out for a nullable column."""
        made = super().column(relation, column)
        return made if not column.nullable else f"{made} NULL"

    def identity(self, relation: Relation, identity: Identity) -> str:
        """Return the IDENTITY clause; loads give its values under IDENTITY_INSERT."""
        del relation
        return f"IDENTITY({identity.start:d},{identity.increment:d})"

    def primary(self, key: Key) -> str:
        """Return the PRIMARY KEY clause, which must be NONCLUSTERED and NOT ENFORCED."""
        columns = self.dialect.names(key.columns)
        return f"{self.constraint(key.name)}PRIMARY KEY NONCLUSTERED ({columns}) NOT ENFORCED"

    def unique(self, key: Key) -> str:
        """Return the UNIQUE clause, which must be NOT ENFORCED."""
        return f"{self.constraint(key.name)}UNIQUE ({self.dialect.names(key.columns)}) NOT ENFORCED"

    def suffix(self, relation: Relation) -> str:
        """Return the distribution (hash, replicated or round robin) and the columnstore index.

        No columnstore has a column of type (max), and an identity column cannot be hashed: such a table is a
        HEAP, or hashed by another column.
        """
        placed, columns = relation.distribution, relation.table.columns
        identities = {column.name for column in columns if column.identity}
        hashed = [name for name in placed.columns if name not in identities] if placed else []
        style = "ROUND_ROBIN"
        if placed and placed.style == "HASH" and hashed:
            style = f"HASH({self.dialect.names(hashed[:1])})"
        elif placed and placed.style == "ALL":
            style = "REPLICATE"
        long = any(self.dialect.stored(column).native.lower().endswith("(max)") for column in columns)
        return f" WITH (DISTRIBUTION = {style}, {'HEAP' if long else 'CLUSTERED COLUMNSTORE INDEX'})"
